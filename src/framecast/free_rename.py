"""Rename that fails where the new name is taken, as one operation of the kernel."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

_HERE = -100
"""AT_FDCWD: paths begin at the current folder."""
_NO_REPLACE = 1
"""RENAME_NOREPLACE."""
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""Errors of kernels and file systems that have no such rename; NFS is one."""


def rename_to_free_name(old: Path, new: Path) -> bool:
    """Rename a file or folder, unless something has the new name: an empty folder or file is never left in its place.

    Args:
        old: path of a file or folder.
        new: path in the same file system.

    Returns:
        whether the system can do it; where it cannot, nothing has happened.

    Raises:
        FileExistsError: something has the new name.
        OSError: the rename failed.
    """
    rename = _find_rename()
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(old), _HERE, os.fsencode(new), _NO_REPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(old), None, str(new))


@functools.cache
def _find_rename() -> Callable[..., int] | None:
    """Find renameat2 in the C library: of Linux, by GNU since 2018 and by musl since 2021."""
    if sys.platform != "linux":
        return None
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return None
    rename.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return rename  # type: ignore[no-any-return]
