"""Files: written whole or not at all, published only under free names; and JSON without NaN that knows its digest."""

from __future__ import annotations

import ctypes
import errno
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from framecast.errors import DiskFull, UsageError, naming_full_disk
from framecast.output_file import open_output

WINDOWS = os.name == "nt"
"""Whether the system is Windows, where a rename refuses to overwrite and folders cannot be opened."""
LONG_NAME = 200
"""Bytes of a file name beside which the rest of a temporary folder's name has no room; most systems allow 255."""
_MOVE = "choose another name or move it"
_PART = re.compile(r"(?P<prefix>\..+\.)[a-z0-9_]{8}\.part")  # a temporary folder; eight letters by tempfile


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> str:
    """Write a file so that a crash at any moment leaves the old one or the new one.

    It is written under a temporary name in the same directory, flushed to the disk and renamed; the directory is flushed.

    Args:
        path: path of the file; folders are made, a file there is replaced, through links that lead to it.
        fill: writes the content to an open file, which it may close.

    Returns:
        the sha256 of the content, in hex.

    Raises:
        UsageError: something that is no file is at the path.
        DiskFull: there is no space for the content.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise _make_no_file_error(path)
    with _prepare(path) as part:
        with open_output(part / path.name) as file:
            fill(file)
        digest = sha256(part / path.name)
        (part / path.name).replace(path)
        flush(path.parent)
    return digest


@contextmanager
def staged(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path to libraries that open files themselves, and publish it under `path` at the end.

    Args:
        path: final path of the file or folder; the folders above it are made.
        folder: whether to make an empty folder at the temporary path.

    Raises:
        UsageError: something is at `path` at the end.
        DiskFull: there is no space for the content.
    """
    with _prepare(path) as part:
        temporary = part / path.name
        if folder:
            temporary.mkdir()
        yield temporary
        for file in (p for p in part.rglob("*") if p.is_file()):
            flush(file)
        publish(temporary, path)


@contextmanager
def _prepare(path: Path) -> Iterator[Path]:
    """Make a folder beside `path` for what gets that name when it is whole; remove those that killed processes left."""
    above = [folder for folder in path.parents if not folder.exists()]
    part, lock = None, None
    try:
        with naming_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(path.parent, path.name)
            part, lock = _make_part(path)
            yield part
    except DiskFull as error:  # its name is that of a temporary file within the folder
        raise DiskFull(str(path), error.__cause__ or error) from error.__cause__
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        for folder in above:
            with suppress(OSError):  # what was written is in it
                folder.rmdir()


def remove_abandoned(folder: Path, name: str | None = None) -> None:
    """Remove what processes that were killed while they wrote have left in a folder, and no living one works at.

    Args:
        folder: folder of the files; not those below it.
        name: file name that was to be written; None for any.
    """
    prefix = None if name is None else _make_prefix(name)
    for part in folder.glob(".*.part"):
        match = _PART.fullmatch(part.name)
        if match is None or (prefix is not None and match["prefix"] != prefix):
            continue
        try:
            lock = _lock(part)
        except OSError:  # a living process has it, or nobody can tell
            continue
        shutil.rmtree(part, ignore_errors=True)
        os.close(lock)


def _make_part(path: Path) -> tuple[Path, int | None]:
    """Make a new folder beside `path`, locked by this process; without a lock where the system has none."""
    while True:
        part = Path(tempfile.mkdtemp(prefix=_make_prefix(path.name), suffix=".part", dir=path.parent))
        try:
            lock = _lock(part)
        except (BlockingIOError, FileNotFoundError):  # before it was locked, another process took it for abandoned
            continue
        except OSError:
            return part, None
        if part.exists():
            return part, lock
        os.close(lock)


def _make_prefix(name: str) -> str:
    """Begin the name of a temporary folder: with that of the file, or its digest where both were too long together."""
    return f".{name if len(os.fsencode(name)) <= LONG_NAME else hashlib.sha256(os.fsencode(name)).hexdigest()}."


def _lock(part: Path) -> int:
    """Lock a folder until the descriptor that is returned is closed, or the process ends, however it ends.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be locked here.
    """
    if WINDOWS:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    import fcntl

    descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def publish(finished: Path, path: Path) -> None:
    """Give a finished file or folder its name; what has that name already is left as it is.

    Args:
        finished: path in the same file system. A file may stay there too, under both names.
        path: the new name.

    Raises:
        UsageError: something is at the path.
    """
    try:
        _take_name(finished, path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise UsageError(str(path), got="a path that exists", expected="a new one", fix=_MOVE) from error
        raise
    flush(path.parent)


def _take_name(finished: Path, path: Path) -> None:
    """Rename, as one operation that fails where the name is taken: no other process can take it in between."""
    if WINDOWS:
        finished.rename(path)  # refuses to overwrite
    elif rename_to_free_name(finished, path):
        return
    elif finished.is_dir():
        path.mkdir()  # refuses if anything is there; a rename replaces an empty folder
        _fill_name(finished, path, path.rmdir)
    else:
        try:
            os.link(finished, path)
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError:  # a file system without hard links
            path.touch(exist_ok=False)
            _fill_name(finished, path, path.unlink)


def rename_to_free_name(old: Path, new: Path) -> bool:
    """Rename, unless something has the new name; False, and nothing done, where the system has no such rename, as on NFS.

    Unlike a link or a new folder that is then filled, it never leaves half of it where the process dies.
    """
    if (rename := _find_rename()) is None or rename(-100, os.fsencode(old), -100, os.fsencode(new), 1) == 0:
        return rename is not None
    if (number := ctypes.get_errno()) in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(new))


@functools.cache
def _find_rename() -> Callable[..., int] | None:
    """Find renameat2 in the C library; its arguments are AT_FDCWD, a path, both again, and RENAME_NOREPLACE."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None


def _fill_name(finished: Path, path: Path, release: Callable[[], object]) -> None:
    """Rename over the empty file or folder that holds the name; where that fails, `release` the name."""
    try:
        finished.replace(path)
    except OSError:
        with suppress(OSError):  # another process has put something in the folder: it stays
            release()
        raise


def write_text(path: Path, text: str) -> str:
    """Write a text file (UTF-8) so that a crash leaves the old one or the new one; return its sha256, in hex."""
    return write(path, lambda file: file.write(text.encode()))


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, so that they survive a power cut."""
    if WINDOWS and path.is_dir():
        return  # a folder cannot be opened there
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Compute the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_kind(path: Path, *, folder: bool = False) -> None:
    """Check that what is at a path, if anything, is a file, or a folder.

    Raises:
        UsageError: it is something else.
    """
    if path.exists() and not (path.is_dir() if folder else path.is_file()):
        got = "a folder" if path.is_dir() else "a file" if path.is_file() else "a pipe or a device"
        raise UsageError(str(path), got=got, expected="a folder" if folder else "a file", fix="move it away")


def check_new(path: Path) -> Path:
    """Return `path` if nothing is there yet and its folder can be written to.

    Raises:
        UsageError: something is there, the name cannot be given, or the folder cannot be written to.
    """
    if _is_taken(path):
        raise UsageError(str(path), got="a path that exists", expected="a new one", fix=_MOVE)
    check_folder(path.absolute().parent)
    return path


def check_replaceable(path: Path) -> Path:
    """Return `path` if a file is there, which can be replaced, or if it can be made.

    Raises:
        UsageError: something else is there, a link to nowhere for one, or the folder cannot be written to.
    """
    if not _is_taken(path) or not path.exists():
        return check_new(path)
    if not path.is_file():
        raise _make_no_file_error(path)
    check_folder(Path(os.path.realpath(path)).parent)
    return path


def check_folder(path: Path) -> Path:
    """Return `path` if files can be written to that folder, or it can be made.

    Raises:
        UsageError: there is something else, or no permission.
    """
    nearest = next(p for p in (path.absolute(), *path.absolute().parents) if _is_taken(p))
    if not nearest.is_dir():
        raise UsageError(str(nearest), got="something that is no folder", expected="a folder", fix="choose another one")
    if not os.access(nearest, os.W_OK | os.X_OK):
        expected, fix = "a folder that can be written to", "choose another one"
        raise UsageError(str(nearest), got="no permission to write", expected=expected, fix=fix)
    return path


def _is_taken(path: Path) -> bool:
    """Whether anything is at a path; a link to nowhere is something.

    Raises:
        UsageError: nothing can be there.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        fix = "choose another name"
        raise UsageError(str(path), got=error.strerror, expected="a path that can be made", fix=fix) from error
    return True


def _make_no_file_error(path: Path) -> UsageError:
    return UsageError(str(path), got="something that is no file", expected="a file", fix=_MOVE)
