"""Unpacking within bounds: how much is unpacked at once, and what packed bytes become before a library unpacks them.

What is packed well is no fault: a dry month of radar packs a thousand times. So sizes are judged by the memory at hand,
and packed pieces by the size that the file declares for them: decoders of zlib, zarr and HDF5 stop at no size.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from framecast.errors import InputError
from framecast.memory_usage import free_bytes

SMALL = 64 << 20
"""Bytes that may be unpacked in any case."""
SHARE = 4
"""Part of the free memory that what is unpacked at once may take: it is copied, and turned into floats."""
PIECE = 1 << 20
"""Bytes that are unpacked at once while they are counted."""
DEFLATE_RATIO = 1032
"""Most bytes that one byte of deflate can become."""
ZSTD_BLOCK = 128 << 10
"""Most bytes of a block of zstd, unpacked."""


def check_unpacked(size: int, name: str, limit: int | None) -> None:
    """Check that the memory at hand, or the user's limit, is enough for what is unpacked at once.

    Args:
        size: bytes once unpacked.
        name: the array, for the error.
        limit: bytes that the user allows; None for a quarter of the free memory.

    Raises:
        InputError: it is not.
    """
    most = max(SMALL, free_bytes() // SHARE) if limit is None else limit
    if size > most:
        given = "the limit given" if limit is not None else "a quarter of the free memory"
        fix = f"say --unpack-limit {size} if you trust the file, or store it in smaller chunks"
        raise InputError(name, got=f"{size} bytes unpacked at once", expected=f"at most {most}, {given}", fix=fix)


def check_packed(codecs: Sequence[str], packed: bytes, declared: int, name: str) -> None:
    """Check that packed bytes do not become more than was declared, before they are unpacked.

    Args:
        codecs: names of the codecs, as zarr and HDF5 call them, in the order of decoding.
        packed: the bytes.
        declared: bytes that they are to become, with what checksums add.
        name: the piece, for errors.

    Raises:
        InputError: they become more, cannot be unpacked, or were packed by an unknown codec.
    """
    packers = [codec for codec in codecs if codec not in _PLAIN]
    unknown = [codec for codec in packers if codec not in _BOUNDED]
    if unknown or len(packers) > 1:
        known = ", ".join(sorted(_BOUNDED))
        got = f"codec {unknown[0]}"[:80] if unknown else f"codecs {' and '.join(packers)}"[:80]
        raise InputError(name, got=got, expected=f"one of {known}", fix="store it with one of them")
    for codec in packers:
        _BOUNDED[codec](packed, declared, name)


def refuse_size(size: str, declared: int, name: str) -> InputError:
    """Make the error for a piece that unpacks to more than it declares, bytes."""
    fix = "it is damaged, or made to fill the memory"
    return InputError(name, got=f"a piece that unpacks to {size} bytes", expected=f"at most {declared}", fix=fix)


_Check = Callable[[bytes, int, str], None]
"""Check of packed bytes, the bytes that they are to become, and the name of the piece."""


def _count_inflated(window: int) -> _Check:
    def check(packed: bytes, declared: int, name: str) -> None:
        if DEFLATE_RATIO * len(packed) <= max(SMALL, declared):
            return  # it cannot become much, whatever it says
        decoder, size = zlib.decompressobj(window), 0
        while packed:
            size += len(decoder.decompress(packed, PIECE))
            if size > declared:
                raise refuse_size(f"more than {declared}", declared, name)
            rest = decoder.unconsumed_tail
            if decoder.eof:
                rest = decoder.unused_data if window > zlib.MAX_WBITS else b""  # gzip may have several members
                decoder = zlib.decompressobj(window)
            packed = rest

    return check


def _count_unpacked(make: Callable[[], Any]) -> _Check:
    def check(packed: bytes, declared: int, name: str) -> None:
        decoder, size = make(), 0
        while not decoder.eof and (packed or not decoder.needs_input):
            size += len(decoder.decompress(packed, PIECE))
            packed = b""
            if size > declared:
                raise refuse_size(f"more than {declared}", declared, name)
            if decoder.eof and decoder.unused_data:
                packed, decoder = decoder.unused_data, make()

    return check


def _check_header(find: Callable[[bytes], int]) -> _Check:
    """Make a check of the size that stands in front of packed bytes, which decoders take for that of their output."""

    def check(packed: bytes, declared: int, name: str) -> None:
        if (size := find(packed)) > declared:
            raise refuse_size(str(size), declared, name)

    return check


def _find_zstd_size(packed: bytes) -> int:
    """Find the most bytes that a stream of zstd becomes, by its blocks (RFC 8878, 3.1.1)."""
    size, at = 0, 0
    while at + 5 <= len(packed):
        magic = int.from_bytes(packed[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # a frame to be skipped
            at += 8 + int.from_bytes(packed[at + 4 : at + 8], "little")
            continue
        flags = packed[at + 4]
        is_single = flags >> 5 & 1
        width = (is_single, 2, 4, 8)[flags >> 6]
        at += 5 + (not is_single) + (0, 1, 2, 4)[flags & 3]
        stated = int.from_bytes(packed[at : at + width], "little") + (256 if width == 2 else 0)
        at += width
        bound, is_last = 0, False
        while not is_last and at + 3 <= len(packed):
            header = int.from_bytes(packed[at : at + 3], "little")
            is_last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
            bound += ZSTD_BLOCK if kind == 2 else length
            at += 3 + (1 if kind == 1 else length)
        # without a stated size blocks are counted as full ones, which those of streams need not be
        size += stated if width else bound if bound > SMALL else 0
    return size


def _find_lzf_size(packed: bytes) -> int:
    """Find what a piece of LibLZF becomes: runs of letters, and copies of what came before."""
    size, at = 0, 0
    while at < len(packed):
        head = packed[at]
        if head < 32:
            size, at = size + head + 1, at + head + 2
            continue
        length, at = head >> 5, at + 2
        if length == 7:
            length, at = length + int.from_bytes(packed[at - 1 : at]), at + 1
        size += length + 2
    return size


_PLAIN = frozenset(
    (
        "bytes",
        "transpose",
        "crc32c",
        "crc32",
        "adler32",
        "fletcher32",
        "jenkins_lookup3",
        "shuffle",
        "bitround",
        "delta",
    )
) | {"fixedscaleoffset", "quantize", "astype", "packbits", "endian"}
"""Codecs whose output is no larger than their input, but for a factor of 8 at most."""
_BOUNDED: dict[str, _Check] = {
    "gzip": _count_inflated(zlib.MAX_WBITS + 16),
    "zlib": _count_inflated(zlib.MAX_WBITS),
    "bz2": _count_unpacked(bz2.BZ2Decompressor),
    "lzma": _count_unpacked(lzma.LZMADecompressor),
    "blosc": _check_header(lambda packed: int.from_bytes(packed[4:8], "little")),
    "lz4": _check_header(lambda packed: int.from_bytes(packed[:4], "little")),
    "szip": _check_header(lambda packed: int.from_bytes(packed[:4], "little")),
    "lzf": _check_header(_find_lzf_size),
    "zstd": _check_header(_find_zstd_size),
}
