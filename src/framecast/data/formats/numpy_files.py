"""NumPy files: .npy mapped from the disk, .npz read into memory."""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import KEYS, NUMBERS, FileAttributes, StoredArray, read_file_attributes
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


class NpyHeader(NamedTuple):
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


def read_header(file: Readable, name: str, *, kinds: str = NUMBERS) -> NpyHeader:
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
    return NpyHeader(dtype, shape, fortran, len(start) + width + length)


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


def _check_size(header: NpyHeader, size: int, name: str) -> None:
    if size != header.start + header.size:
        raise InputError(
            name,
            got=f"{size} bytes",
            expected=f"{header.start + header.size} as its header says (shape {header.shape}, {header.dtype})",
            fix="the file is cut short or damaged; get it again",
        )


class MappedArray:
    """A .npy that stays on the disk. Processes that get it map the file themselves."""

    def __init__(self, path: Path, header: NpyHeader) -> None:
        self.shape = header.shape
        self.dtype = header.dtype
        order: Any = "F" if header.fortran else "C"
        self._map = np.memmap(path, header.dtype, "r", header.start, header.shape, order)
        self._made_from = (path, header)

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""
        return np.asarray(self._map[key])

    def __reduce__(self) -> tuple[Callable[[Path, NpyHeader], MappedArray], tuple[Path, NpyHeader]]:
        return MappedArray, self._made_from


def open_npy(path: Path, *, limit: int = MAPPED_LIMIT) -> StoredArray:
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
        array = MappedArray(path, header)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(name, got=str(error), expected="a .npy that can be read") from error
    return StoredArray(array, (1,) * len(header.shape), FileAttributes(), None, False, [])


CONTENT_LIMIT = 8 * GIB
"""Bytes of an .npz's array once unpacked, unless told."""
SIDE_LIMIT = 64 << 20
"""Bytes of each of the other arrays once unpacked."""
RATIO_LIMIT = 300
"""Unpacked over packed bytes, for arrays of more than SIDE_LIMIT. Deflate cannot pass 1032."""

OWN = "frames"
PREDRNN = ("clips", "input_raw_data")

_DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
)
_DAMAGE += (ValueError, KeyError, IndexError, OverflowError, MemoryError)


def open_npz(path: Path, variable: str | None, *, limit: int = CONTENT_LIMIT, ratio: int = RATIO_LIMIT) -> StoredArray:
    """Read an .npz into memory.

    Args:
        path: the file.
        variable: key of the frames; None for "frames", or the only array that can be frames.
        limit: largest unpacked size of the frames to accept, bytes.
        ratio: largest ratio of unpacked to packed bytes to accept in a large array.

    Raises:
        InputError: not an .npz, damaged, no or several candidates, objects inside, or beyond a limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, str(path), limit, ratio).stored(variable)
    except _DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), got=f"damage ({error})", expected="an .npz that can be read") from error


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, name: str, limit: int, ratio: int) -> None:
        self.archive = archive
        self.name = name
        self.limit = limit
        self.ratio = ratio
        self.members = {
            info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")
        }

    def stored(self, variable: str | None) -> StoredArray:
        key, notes = self._key(variable)
        array = self._read(key, self.limit, NUMBERS)
        raw = {name: self._read(name, SIDE_LIMIT, NUMBERS + KEYS[name]) for name in KEYS if name in self.members}
        if key == PREDRNN[1] and variable is None:
            clips = self._clips(array)
            raw["dims"] = np.array("tchw" if array.ndim == 4 else "thw")
            found = read_file_attributes(raw, self.name)
            return StoredArray(array, (1,) * array.ndim, found, clips, False, notes)
        own = key == OWN
        return StoredArray(array, (1,) * array.ndim, read_file_attributes(raw, self.name), None, own, notes)

    def _key(self, variable: str | None) -> tuple[str, list[str]]:
        keys = sorted(self.members)
        if variable is not None:
            if variable not in self.members:
                raise InputError(f"{self.name}: variable", got=variable, expected=f"one of {', '.join(keys) or 'none'}")
            return variable, []
        if OWN in self.members:
            return OWN, []
        if set(PREDRNN) <= set(keys):
            return PREDRNN[1], ["layout of the PredRNN group: clips of input_raw_data"]
        others = [key for key in keys if key not in KEYS]
        if len(others) != 1:
            expected = "an array called frames, or one array only"
            got = f"arrays {', '.join(keys)}" if keys else "no arrays"
            raise InputError(self.name, got=got, expected=expected, fix="name one with variable")
        return others[0], [f"variable: {others[0]}, the only array"]

    def _read(self, key: str, limit: int, kinds: str) -> NDArray[Any]:
        info, name = self.members[key], f"{self.name}: {key}"
        size = info.file_size
        if size > limit:
            raise InputError(name, got=f"{size} bytes unpacked", expected=f"at most {limit}", fix="save it as .npy")
        if size > SIDE_LIMIT and size > self.ratio * max(1, info.compress_size):
            got = f"{size} bytes out of {info.compress_size}"
            expected = f"at most {self.ratio} times as many"
            raise InputError(name, got=got, expected=expected, fix="save it as .npy if you trust it")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                name, got=f"compression {info.compress_type}", expected="stored or deflated, as numpy does"
            )
        with self.archive.open(info) as file:
            return read_array(file, size, name, kinds=kinds)

    def _clips(self, array: NDArray[Any]) -> NDArray[np.int64]:
        name = f"{self.name}: clips"
        clips = self._read("clips", SIDE_LIMIT, "iu")
        if clips.ndim != 3 or clips.shape[0] != 2 or clips.shape[1] < 1 or clips.shape[2] != 2:
            raise InputError(name, got=f"shape {clips.shape}", expected="(2, sequences, 2): start, length")
        if array.ndim not in (3, 4):
            got = f"input_raw_data of shape {array.shape}"
            raise InputError(self.name, got=got, expected="(frames, 1, height, width)")
        parts = clips.astype(np.int64).swapaxes(0, 1)
        start, length = parts[..., 0], parts[..., 1]
        inside = (start >= 0) & (length >= 0) & (length <= len(array)) & (start <= len(array) - length)
        if not inside.all() or (length.sum(1) < 1).any():
            raise InputError(name, got="clips beyond the frames", expected=f"starts and lengths inside {len(array)}")
        used = length > 0
        order = np.argsort(start[used], kind="stable")
        begin, end = start[used][order], (start + length)[used][order]
        if (begin[1:] < end[:-1]).any():
            fix = "read it as one sequence: variable input_raw_data, dims tchw"
            raise InputError(name, got="clips that share frames", expected="clips apart, so that splits are", fix=fix)
        return parts
