"""Lengths within a GRIB 2 message, looked at before ecCodes, which trusts them and aborts where they are wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

from framecast.data.formats.guards import FRAME_LIMIT
from framecast.errors import InputError

PNG = 41
"""Data representation template of values that are packed as a PNG picture."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = (16, 4), (20, 4), (24, 1), (25, 1)
"""Of a PNG, place and length of width, height, bits of a channel, kind of colours."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


class _Packing(NamedTuple):
    template: int
    values: int
    bits: int
    """Of each."""


def check_sections(content: Any, start: int, size: int, name: str) -> None:
    """Whether all sections are there, and lie within their message.

    Args:
        content: of the file.
        start: of the message, bytes.
        size: of the message, bytes.
        name: of the file.

    Raises:
        InputError: they are damaged, or more than one field is in the message.
    """
    at, end, seen, packing = start + 16, start + size - 4, [], _Packing(0, 0, 0)
    while at < end:
        length, number = _number(content, at, 4), int(content[at + 4])
        if length < 5 or at + length > end or not 1 <= number <= 7:
            raise InputError(name, got=f"section {number} of {length} bytes", expected="whole sections", fix="damaged")
        seen.append(number)
        if number == 3:
            points = _number(content, at + 6, 4)
            if not 0 < points <= FRAME_LIMIT:
                raise InputError(name, got=f"{points} points", expected=f"1 to {FRAME_LIMIT}")
        elif number == 5:
            packing = _Packing(_number(content, at + 9, 2), _number(content, at + 5, 4), _number(content, at + 19, 1))
        elif number == 7 and packing.template == PNG:
            _check_png(bytes(content[at + 5 : at + length]), packing, name)
        at += length
    if seen not in ([1, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7]):
        raise InputError(name, got=f"sections {seen}", expected="1 to 7, each once", fix="split its fields with wgrib2")


def _check_png(packed: bytes, packing: _Packing, name: str) -> None:
    """Whether its chunks lie within it up to the end of the picture, which holds the values of the message and no others.

    Where chunks go further ecCodes aborts; where there are more pixels than values it writes beyond its memory.
    """
    if not packed.startswith(_SIGNATURE):  # is no PNG at all: ecCodes says so itself
        return
    at, kinds = len(_SIGNATURE), []
    while at + 12 <= len(packed):
        kinds.append(packed[at + 4 : at + 8])
        at += 12 + _number(packed, at, 4)
        if kinds[-1] == b"IEND":
            break
    if at > len(packed) or kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or b"IDAT" not in kinds:
        raise InputError(name, got="a packed picture that is cut off", expected="a whole one", fix="get it again")
    width, height, depth, colours = (_number(packed, place, length) for place, length in _HEADER)
    bits = max(depth, 8) * _CHANNELS.get(colours, 0)
    if width * height != packing.values or bits < packing.bits:
        got = f"a packed picture of {width} x {height} pixels of {bits} bits"
        raise InputError(name, got=got, expected=f"{packing.values} of {packing.bits} bits", fix="get it again")


def _number(content: Any, at: int, length: int) -> int:
    return int.from_bytes(bytes(content[at : at + length]), "big")
