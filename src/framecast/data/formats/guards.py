"""Guards against damaged and hostile files: errors of libraries become one line, sizes are believed within limits."""

from __future__ import annotations

import binascii
import errno
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framecast.data.formats.unpacking import SHARE, SMALL
from framecast.errors import InputError, UsageError
from framecast.formatting import shorten
from framecast.memory_usage import free_bytes

FRAME_LIMIT = 1 << 28
"""Values of one frame."""
RATIO_LIMIT = 300
"""Unpacked over packed bytes up to which a frame is believed, whatever its size. Deflate cannot pass 1032."""
SERIES_LIMIT = 10_000_000
"""Frames, or entries of an axis."""

FAULTS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    EOFError,
    SyntaxError,
    ImportError,
    struct.error,
    zlib.error,
    binascii.Error,
    Warning,
)
"""Exceptions that libraries raise on damaged files. Pillow calls a broken PNG a syntax error."""


_OF_THE_SYSTEM = frozenset(
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "EIO", "EMFILE", "ENFILE")
)
"""Errors that say nothing of the contents of a file."""
DAMAGED = "the file is damaged or of another kind"


@contextmanager
def as_input_error(name: str, expected: str, *more: type[Exception], fix: str | None = DAMAGED) -> Iterator[None]:
    """Turn whatever a library raises inside into an InputError; warnings stay silent.

    Args:
        name: the file, for the error.
        expected: what it should have been.
        more: exceptions of the library that are derived from Exception only.
        fix: action, or cause, where a decoder failed; None where what fails inside is no decoder.

    Raises:
        InputError: something was raised. framecast's errors pass as they are.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, UsageError):
        raise
    except (*FAULTS, *more) as error:
        raise _explain(error, name, expected, fix) from error


def _explain(error: BaseException, name: str, expected: str, fix: str | None) -> InputError:
    """Make the error of a file out of that of a library, or of the system, which says nothing of its contents."""
    if isinstance(error, OSError) and error.errno is not None and error.errno in _OF_THE_SYSTEM:
        return InputError(name, got=os.strerror(error.errno), expected="a file that can be read")
    if isinstance(error, MemoryError):
        fix = "close other programs, or cut the data into smaller pieces"
        return InputError(name, got="more than fits into the memory at hand", expected=expected, fix=fix)
    if isinstance(error, ImportError):
        return InputError(
            name, got=shorten(f"a library that fails: {error}"), expected=expected, fix="install it again"
        )
    path = name.split(": ")[0]
    text = shorten(f"{type(error).__name__}: {error}".replace(path, Path(path).name))
    return InputError(name, got=text, expected=expected, fix=fix)


def check_frame(shape: tuple[int, ...], itemsize: int, packed: int, name: str) -> None:
    """Refuse sizes that cannot be meant, before anything of that size is allocated.

    Args:
        shape: shape of the array that is unpacked at once, as a header claims it.
        itemsize: bytes of a value.
        packed: bytes of the file in which it is packed.
        name: the file, for the error.

    Raises:
        InputError: a size of 0 or less, too many values, or too many for so few bytes and for the memory at hand.
    """
    count = 1
    for size in shape:
        count *= max(size, 0)
    words = " x ".join(map(str, shape))
    if not 0 < count <= FRAME_LIMIT:
        raise InputError(name, got=f"a frame of {words} values", expected=f"1 to {FRAME_LIMIT}", fix="get it again")
    size = count * itemsize
    most = max(SMALL, free_bytes() // SHARE)
    if size > most and size > RATIO_LIMIT * max(packed, 1):
        got = f"a frame of {words} values in {packed} bytes"
        expected = f"at most {most} bytes unpacked, a quarter of the free memory"
        raise InputError(name, got=got, expected=expected, fix="it looks like a bomb")
