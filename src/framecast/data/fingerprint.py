"""Fingerprint: a short digest of the contents of a file or a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from framecast.errors import InputError

DIGITS = 16
"""Hex digits of a fingerprint."""
WHOLE = 1 << 30
"""Size up to which a file is read whole, bytes; of larger ones the size, the beginning and the end count."""
EDGE = 16 << 20
"""Length of a large file's beginning, and of its end, bytes."""

LEFT_BY_SYSTEMS = (".ds_store", "thumbs.db", "desktop.ini")
"""Files that systems leave in any folder that is looked at, in lower case."""


def fingerprint(path: Path) -> str:
    """Return the first 16 hex digits of a sha256 over a file, or over the names and contents of a folder's files.

    Raises:
        InputError: a file cannot be read.
    """
    try:
        if path.is_file():
            return digest_file(path).hex()[:DIGITS]
        total = hashlib.sha256()
        for file in list_contents(path):
            name = file.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
            # the length keeps name and contents apart: no two folders give one text
            total.update(len(name).to_bytes(8, "little") + name + digest_file(file))
        return total.hexdigest()[:DIGITS]
    except OSError as error:
        raise InputError(str(path), got=str(error), expected="a file that can be read") from error


def list_contents(folder: Path) -> list[Path]:
    """List the files of a folder at any depth, sorted, without those that a Mac or a Windows leaves there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # other names that begin with a dot are a store's own: .zarray, .zattrs
    return [path for path in files if not (path.name.startswith("._") or path.name.lower() in LEFT_BY_SYSTEMS)]


def digest_file(path: Path) -> bytes:
    """Compute the sha256 of a file, or of the size, beginning and end of a large one: 32 bytes."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= WHOLE:
            return hashlib.file_digest(file, "sha256").digest()
        digest = hashlib.sha256(size.to_bytes(8, "little") + file.read(EDGE))
        file.seek(-EDGE, os.SEEK_END)
        digest.update(file.read(EDGE))
        return digest.digest()
