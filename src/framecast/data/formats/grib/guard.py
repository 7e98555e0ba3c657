"""Check of the lengths within a GRIB 2 message before ecCodes, which trusts them and aborts where they are wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

from framecast.data.formats.guards import FRAME_LIMIT
from framecast.errors import InputError

PNG = 41
"""Data representation template of values that are packed as a PNG picture."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = (16, 4), (20, 4), (24, 1), (25, 1)
"""(offset, length) in a PNG, bytes, of width, height, bits of a channel, kind of colours."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels by kind of colours."""


class _Packing(NamedTuple):
    """Data representation section (5) of a message."""

    template: int
    values: int
    bits: int
    """Bits of a value."""


def check_sections(content: Any, start: int, size: int, name: str) -> None:
    """Check that all sections are there, and lie within their message.

    Args:
        content: bytes of the file.
        start: where the message begins, bytes.
        size: length of the message, bytes.
        name: the file, for errors.

    Raises:
        InputError: they are damaged, or more than one field is in the message.
    """
    # between section 0 of 16 bytes and the closing 7777; each begins with its length, 4 bytes, and its number, 1 byte
    at, end, seen, packing = start + 16, start + size - 4, [], _Packing(0, 0, 0)
    while at < end:
        length, number = _read_number(content, at, 4), int(content[at + 4])
        if length < 5 or at + length > end or not 1 <= number <= 7:
            raise InputError(
                name, got=f"section {number} of {length} bytes", expected="whole sections", fix="get it again"
            )
        seen.append(number)
        if number == 3:
            points = _read_number(content, at + 6, 4)
            if not 0 < points <= FRAME_LIMIT:
                raise InputError(name, got=f"{points} points", expected=f"1 to {FRAME_LIMIT}")
        elif number == 5:
            packing = _Packing(
                _read_number(content, at + 9, 2), _read_number(content, at + 5, 4), _read_number(content, at + 19, 1)
            )
        elif number == 7 and packing.template == PNG:
            _check_png(bytes(content[at + 5 : at + length]), packing, name)
        at += length
    if seen not in ([1, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7]):
        raise InputError(name, got=f"sections {seen}", expected="1 to 7, each once", fix="split its fields with wgrib2")


def _check_png(packed: bytes, packing: _Packing, name: str) -> None:
    """Check that chunks lie within a packed picture up to its end, and that it has as many pixels as the message values.

    Where chunks go further ecCodes aborts; where there are more pixels than values it writes beyond its memory.
    """
    if not packed.startswith(_SIGNATURE):  # no PNG at all, which ecCodes refuses itself
        return
    at, kinds = len(_SIGNATURE), []
    while at + 12 <= len(packed):
        kinds.append(packed[at + 4 : at + 8])
        at += 12 + _read_number(packed, at, 4)  # length, kind and checksum of a chunk are 4 bytes each
        if kinds[-1] == b"IEND":
            break
    if at > len(packed) or kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or b"IDAT" not in kinds:
        raise InputError(name, got="a packed picture that is cut off", expected="a whole one", fix="get it again")
    width, height, depth, colours = (_read_number(packed, offset, length) for offset, length in _HEADER)
    bits = max(depth, 8) * _CHANNELS.get(colours, 0)
    if width * height != packing.values or bits < packing.bits:
        got = f"a packed picture of {width} x {height} pixels of {bits} bits"
        raise InputError(name, got=got, expected=f"{packing.values} of {packing.bits} bits", fix="get it again")


def _read_number(content: Any, at: int, length: int) -> int:
    return int.from_bytes(bytes(content[at : at + length]), "big")
