"""GRIB files as bytes: unpacked where they are compressed, and cut into messages."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framecast.data.formats.grib.guard import check_sections
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.errors import InputError
from framecast.optional_imports import require

MESSAGE_LIMIT = 1 << 30
"""Bytes of one message, and of a whole compressed file once unpacked."""
WORDS = "GRIB messages that can be read"
MARK = b"GRIB"
"""First bytes of a message."""
_PLAIN = (".grib", ".grb", ".gb", ".grib1", ".grb1", ".gb1", ".grib2", ".grb2", ".gb2", ".gr1", ".gr2", ".pgrb2")
_PACKERS: dict[str, tuple[bytes, Callable[..., Any]]] = {
    ".gz": (b"\x1f\x8b", gzip.open),
    ".bz2": (b"BZh", bz2.open),
    ".xz": (b"\xfd7zXZ\0", lzma.open),
}
"""First bytes, and function that opens, by suffix of compressed files."""
SUFFIXES = (*_PLAIN, *(plain + packed for plain in _PLAIN for packed in _PACKERS))
_UNPACK_FAULTS = (OSError, EOFError, lzma.LZMAError, ValueError)
_UNITS = 8 + 17
"""Byte of an edition 1 message in which the unit of its times stands (octet 18 of section 1)."""
_HOURS = 1


class MessageSpan(NamedTuple):
    """Bytes of a message in a file: where they begin, and how many there are."""

    start: int
    size: int


def is_grib(path: Path) -> bool:
    """Whether a file begins as GRIB does, whatever its name; of a compressed one, its contents."""
    try:
        with _open(path) as file:
            return path.is_file() and file.read(len(MARK)) == MARK
    except _UNPACK_FAULTS:
        return False


def read_content(path: Path) -> Any:
    """Map the bytes of a file, or unpack them where they are compressed.

    Raises:
        InputError: more bytes than one message may have, once unpacked.
    """
    with _open(path) as file:
        if not isinstance(file, gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile):
            return np.memmap(path, np.uint8, "r") if path.stat().st_size else b""
        try:
            content = file.read(MESSAGE_LIMIT + 1)  # one byte more, so that a longer file is noticed
        except lzma.LZMAError as error:
            raise InputError(str(path), got=str(error), expected=WORDS, fix="get it again") from error
    if len(content) > MESSAGE_LIMIT:
        raise InputError(str(path), got=f"more than {MESSAGE_LIMIT} bytes unpacked", expected="less")
    return content


def _open(path: Path) -> Any:
    """Open a file for reading, unpacked; its first bytes say how it is packed."""
    with path.open("rb") as file:
        head = file.read(8)
    opener = next((opener for mark, opener in _PACKERS.values() if head.startswith(mark)), None)
    return path.open("rb") if opener is None else opener(path, "rb")


def find_messages(content: Any, name: str) -> Iterator[MessageSpan]:
    """Find messages, and check their lengths and sections, which ecCodes trusts.

    Raises:
        InputError: a message that is cut off or damaged, too many, or none.
    """
    at, count = 0, 0
    while at < len(content):
        head = bytes(content[at : at + 16])
        if head[:4] != MARK:
            if bytes(content[at : at + 1]) not in (b"\0", b"\n", b"\r"):  # padding between messages
                break
            at += 1
            continue
        # section 0: GRIB, then in edition 1 the length in 3 bytes, in edition 2 in the last 8; byte 7 is the edition
        edition = head[7] if len(head) == 16 else 0
        size = int.from_bytes(head[8:16], "big") if edition == 2 else int.from_bytes(head[4:7], "big")
        good = edition in (1, 2) and 16 <= size <= min(MESSAGE_LIMIT, len(content) - at)
        if not good or bytes(content[at + size - 4 : at + size]) != b"7777":
            raise InputError(name, got=f"a message of {size} bytes at {at}", expected="a whole one", fix="get it again")
        if edition == 2:
            check_sections(content, at, size, name)
        yield MessageSpan(at, size)
        at, count = at + size, count + 1
        if count > SERIES_LIMIT:
            raise InputError(name, got="too many messages", expected=f"at most {SERIES_LIMIT}")
    if not count:
        raise InputError(name, got="no GRIB message", expected=WORDS)


def decode_message(content: Any, span: MessageSpan) -> tuple[Any, int]:
    """Decode a message.

    Returns:
        the message, and the code of the unit of its times in edition 1; 0 in edition 2, where several are in use.
    """
    packed = bytearray(content[span.start : span.start + span.size])
    unit = packed[_UNITS] if packed[7] == 1 else 0
    if packed[7] == 1:
        packed[_UNITS] = _HOURS  # ecCodes refuses others that hours cannot express, and takes a month for 30 days
    return require("pygrib", "grib").fromstring(bytes(packed)), unit
