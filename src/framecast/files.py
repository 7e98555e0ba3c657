"""Files: written whole or not at all, published only under free names; and JSON without NaN that knows its digest."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from framecast.errors import UsageError

WINDOWS = os.name == "nt"
"""Whether the system is Windows, where a rename refuses to overwrite and folders cannot be opened."""
_DIGEST = "digest"
"""Key of a JSON object for the digest of all its other keys."""


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> str:
    """Write a file so that a crash at any moment leaves the old one or the new one.

    It is written under a temporary name in the same directory, flushed to the disk and renamed; the directory is flushed.

    Args:
        path: path of the file; folders are made, a file there is replaced.
        fill: writes the content to an open file.

    Returns:
        the sha256 of the content, in hex.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w+b") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush(path.parent)
    return digest


@contextmanager
def staged(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path to libraries that open files themselves, and publish it under `path` at the end.

    Args:
        path: final path of the file or folder.
        folder: whether to make an empty folder at the temporary path.

    Raises:
        UsageError: something is at `path` at the end.
    """
    parent = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    temporary = parent / path.name
    try:
        if folder:
            temporary.mkdir()
        yield temporary
        for part in (p for p in parent.rglob("*") if p.is_file()):
            flush(part)
        publish(temporary, path)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


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
            raise _make_taken_error(path) from error
        raise
    flush(path.parent)


def _take_name(finished: Path, path: Path) -> None:
    """Rename, as one operation that fails where the name is taken: no other process can take it in between."""
    if WINDOWS:
        finished.rename(path)  # refuses to overwrite
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


def check_new(path: Path) -> Path:
    """Return `path` if nothing is there yet and its folder can be written to.

    Raises:
        UsageError: something is there, or the folder cannot be written to.
    """
    if os.path.lexists(path):
        raise _make_taken_error(path)
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(str(path), got=f"no permission to write in {parent}", fix="choose another folder")
    return path


def _make_taken_error(path: Path) -> UsageError:
    return UsageError(str(path), got="a path that exists", expected="a new one", fix="choose another name or move it")


def json_safe(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None; in dicts, lists and tuples too."""
    if isinstance(value, dict):
        return {key: json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, content: Mapping[str, Any], *, indent: int | None = None) -> None:
    """Write a JSON object with the digest of its content, so that whoever reads it notices any damage.

    Args:
        path: path of the file, written as by `write`.
        content: plain values; NaN and infinity become null.
        indent: spaces by which each level is indented; None for one line.
    """
    plain = json_safe(dict(content))
    text = json.dumps({**plain, _DIGEST: _digest_json(plain)}, indent=indent, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, without its digest. One that has none, as version 0.1.0 wrote them, is taken as it is.

    Raises:
        OSError: no such file, or one that cannot be read.
        ValueError: no JSON object, or another content than was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("too deeply nested") from error
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} instead of an object")
    digest = content.pop(_DIGEST, None)
    if digest not in (None, _digest_json(content)):
        raise ValueError("another content than its digest says")
    return content


def _digest_json(content: dict[str, Any]) -> str:
    """Digest the values of an object: how they are spelled and spaced in the file does not matter."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
