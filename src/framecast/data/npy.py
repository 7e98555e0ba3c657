"""Arrays in .npy form from strangers: the header is checked before values are read or mapped; nothing is unpickled."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.data.stored import NUMBERS, Attributes, Stored
from framecast.errors import InputError

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 64 << 10
GIB = 1 << 30
MAPPED_LIMIT = 64 * GIB
"""Bytes of a .npy that is mapped, unless told."""

_DTYPE = re.compile(r"[<>|=]?[fiub](?:1|2|4|8)|[<>=]?U\d{1,4}|[<>]?M8\[(?:\d{1,4})?(?:Y|M|W|D|h|m|s|ms|us|ns)\]")


@runtime_checkable
class Readable(Protocol):
    """An open file, or a member of an archive."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""


class Header(NamedTuple):
    """What a .npy says of itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int
    """Bytes before the values."""

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: Readable, name: str, *, kinds: str = NUMBERS) -> Header:
    """Read the header of a .npy (numpy.lib.format, versions 1 and 2), and leave the file where the values begin.

    Args:
        file: at the beginning of the .npy.
        name: the file, for errors.
        kinds: letters of the kinds of dtype to accept.

    Raises:
        InputError: it is no such header, or of another kind of dtype.
    """
    start = file.read(len(MAGIC) + 2)
    width = {b"\x01\x00": 2, b"\x02\x00": 4}.get(start[len(MAGIC) :])
    if start[: len(MAGIC)] != MAGIC or width is None:
        raise InputError(name, got="no .npy header", expected="an array written by numpy.save", fix="save it again")
    length = int.from_bytes(file.read(width), "little")
    if length > LONGEST_HEADER:
        raise InputError(name, got=f"a header of {length} bytes", expected=f"at most {LONGEST_HEADER}")
    text = file.read(length)
    if len(text) != length:
        raise InputError(name, got="the end of the file inside the header", expected="a whole .npy")
    dtype, fortran, shape = _parsed(text, name)
    if dtype.kind not in kinds:
        raise InputError(name, got=f"dtype {dtype}", expected=f"a dtype of kind {', '.join(kinds)}")
    return Header(dtype, shape, fortran, len(start) + width + length)


def _parsed(text: bytes, name: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    try:
        fields = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(name, got="a damaged .npy header", expected="a mapping", fix="save it again") from error
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise InputError(name, got="a damaged .npy header", expected="descr, fortran_order, shape", fix="save it again")
    descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if not isinstance(descr, str) or not _DTYPE.fullmatch(descr):
        expected = "numbers: float, int, unsigned int or bool"
        raise InputError(name, got=f"dtype {str(descr)[:40]}", expected=expected, fix="convert the array with .astype")
    sizes = shape if isinstance(shape, tuple) and len(shape) <= 32 else (-1,)
    if not isinstance(fortran, bool) or not all(type(s) is int and 0 <= s < 1 << 62 for s in sizes):
        raise InputError(name, got="a damaged .npy header", expected="sizes of 0 or more", fix="save it again")
    try:
        return np.dtype(descr), fortran, sizes
    except (TypeError, ValueError) as error:
        raise InputError(name, got=f"dtype {descr}", expected="a dtype of numpy") from error


def read_array(file: Readable, size: int, name: str, *, kinds: str = NUMBERS) -> NDArray[Any]:
    """Read a whole .npy from a stream of `size` bytes.

    Raises:
        InputError: no header, wrong kind of dtype, or more or fewer bytes than the header says.
    """
    header = read_header(file, name, kinds=kinds)
    _check_size(header, size, name)
    content = file.read(header.size)
    if len(content) != header.size:
        raise InputError(name, got=f"{len(content)} bytes of values", expected=header.size, fix="the file is cut short")
    array = np.frombuffer(content, header.dtype) if header.size else np.empty(0, header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran else "C")


def _check_size(header: Header, size: int, name: str) -> None:
    if size != header.start + header.size:
        raise InputError(
            name,
            got=f"{size} bytes",
            expected=f"{header.start + header.size} as its header says (shape {header.shape}, {header.dtype})",
            fix="the file is cut short or damaged; get it again",
        )


class Mapped:
    """A .npy that stays on the disk. Processes that get it map the file themselves."""

    def __init__(self, path: Path, header: Header) -> None:
        self.shape = header.shape
        self.dtype = header.dtype
        order: Any = "F" if header.fortran else "C"
        self._map = np.memmap(path, header.dtype, "r", header.start, header.shape, order)
        self._made_from = (path, header)

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""
        return np.asarray(self._map[key])

    def __reduce__(self) -> tuple[Callable[[Path, Header], Mapped], tuple[Path, Header]]:
        return Mapped, self._made_from


def open_npy(path: Path, *, limit: int = MAPPED_LIMIT) -> Stored:
    """Map a .npy.

    Args:
        path: the file.
        limit: largest size in bytes to accept.

    Raises:
        InputError: not a .npy of numbers, empty, cut short or beyond the limit.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            header = read_header(file, name)
            if not 0 < header.size <= limit:
                raise InputError(name, got=f"{header.size} bytes of values", expected=f"1 to {limit}")
            _check_size(header, path.stat().st_size, name)
        array = Mapped(path, header)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(name, got=str(error), expected="a .npy that can be read") from error
    return Stored(array, (1,) * len(header.shape), Attributes(), None, False, [])
