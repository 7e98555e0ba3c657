"""Files that are whole or not there, are never overwritten unless asked, and JSON without NaN."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from framecast.errors import UsageError


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> str:
    """Write a file so that a crash at any moment leaves the old one or the new one.

    A temporary name in the same directory, flushed to the disk, renamed, and the directory flushed too.

    Args:
        path: where to.
        fill: gets the open file and writes it.

    Returns:
        the sha256 of what was written, in hex.
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
    """A temporary path beside a new one, for libraries that open files themselves; renamed once it is filled.

    Args:
        path: where the file or folder shall be in the end.
        folder: whether it is a folder; an empty one is made.

    Raises:
        UsageError: something is at the path by then.
    """
    place = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    temporary = place if folder else place / path.name
    try:
        yield temporary
        for part in (p for p in place.rglob("*") if p.is_file()):
            flush(part)
        if folder:
            temporary.chmod(0o755)
        check_new(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    flush(path.parent)


def write_text(path: Path, text: str) -> str:
    """Write a text file as `write` does."""
    return write(path, lambda file: file.write(text.encode()))


def flush(path: Path) -> None:
    """Make what was written to a file, or renamed in a directory, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_new(path: Path) -> Path:
    """Return `path` if nothing is there yet and its folder can be written to.

    Raises:
        UsageError: something is there, or the folder cannot be written to.
    """
    if path.exists():
        raise UsageError(
            str(path), got="a path that exists", expected="a new one", fix="choose another name or move it"
        )
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(str(path), got=f"no permission to write in {parent}", fix="choose another folder")
    return path


def json_safe(value: Any) -> Any:
    """The same with null in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
