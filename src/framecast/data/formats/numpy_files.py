"""NumPy files: .npy mapped from the disk, .npz read into memory."""

from __future__ import annotations

import math
import tokenize
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from framecast.data.formats.base import KEYS, NUMBERS, FileAttributes, StoredArray, read_file_attributes
from framecast.data.formats.guards import as_input_error
from framecast.data.formats.unpacking import check_unpacked
from framecast.data.missing_values import is_foreign, translate_attributes
from framecast.errors import InputError
from framecast.formatting import shorten

HEADER_LIMIT = 64 << 10
"""Bytes of a .npy header. numpy's reader evaluates it as a Python literal, which is safe for short texts only."""
GIB = 1 << 30
MAPPED_LIMIT = 64 * GIB
"""Bytes of the values of a .npy that is mapped."""

_NPY = "a .npy that can be read"
_HEADER_READERS: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
"""By version of the format; version 3 is for structured arrays with names beyond Latin-1, which are no frames."""


@runtime_checkable
class ByteStream(Protocol):
    """Open file, or member of an archive."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes; all where it is negative."""

    def tell(self) -> int:
        """Return the number of bytes before the next one."""


class NpyHeader(NamedTuple):
    """Header of a .npy."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int
    """Bytes before the values."""

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


class _HeaderBytes:
    """A .npy file from which numpy reads no more than a header can have, and all that the header claims to have."""

    def __init__(self, file: ByteStream, name: str) -> None:
        self.file, self.name = file, name

    def read(self, size: int) -> bytes:
        if size > HEADER_LIMIT:
            raise InputError(self.name, got=f"a header of {size} bytes", expected=f"at most {HEADER_LIMIT}")
        content = self.file.read(size)
        if len(content) != size:
            raise InputError(self.name, got="the end of the file inside the header", expected="a whole .npy")
        return content


def read_npy_header(file: ByteStream, name: str, *, kinds: str = NUMBERS) -> NpyHeader:
    """Read the header of a .npy (numpy.lib.format, versions 1 and 2), and leave the file where the values begin.

    Args:
        file: at the beginning of the .npy.
        name: the file, for errors.
        kinds: letters of the kinds of dtype to accept.

    Raises:
        InputError: no such header, sizes that cannot be, or another kind of dtype.
    """
    try:
        read = _HEADER_READERS[npy_format.read_magic(file)]
    except (ValueError, KeyError) as error:
        fix = "save it again"
        raise InputError(name, got="no .npy header", expected="an array written by numpy.save", fix=fix) from error
    # the tokenizer reads headers of Python 2 (sizes as in 6L), and raises an error that is no ValueError
    with as_input_error(name, "a .npy header", tokenize.TokenError):
        shape, fortran, dtype = read(_HeaderBytes(file, name), max_header_size=HEADER_LIMIT)
    # numpy accepts True and -6 as sizes; numbers of more than 8 bytes (longdouble) differ between machines
    if len(shape) > 32 or not all(type(size) is int and 0 <= size < 1 << 62 for size in shape):
        raise InputError(name, got="a damaged .npy header", expected="sizes of 0 or more", fix="save it again")
    if dtype.kind not in kinds or (dtype.kind in NUMBERS and dtype.itemsize > 8):
        others = "".join({"U": "; or text", "M": "; or times"}.get(kind, "") for kind in kinds)
        expected = f"numbers: float, int, unsigned int or bool{others}"
        raise InputError(
            name, got=shorten(f"dtype {dtype}", 60), expected=expected, fix="convert the array with .astype"
        )
    return NpyHeader(dtype, shape, fortran, file.tell())


def read_npy(file: ByteStream, size: int, name: str, *, kinds: str = NUMBERS) -> NDArray[Any]:
    """Read a whole .npy from a stream.

    Args:
        file: at the beginning of the .npy.
        size: bytes that the stream has.
        name: the file, for errors.
        kinds: letters of the kinds of dtype to accept.

    Raises:
        InputError: no header, another kind of dtype, or more or fewer bytes than the header says.
    """
    header = read_npy_header(file, name, kinds=kinds)
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
    """A .npy that stays on the disk. Processes that receive it map the file themselves."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map = np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=HEADER_LIMIT)
        self.shape: tuple[int, ...] = self._map.shape
        self.dtype: np.dtype[Any] = self._map.dtype

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""
        return np.asarray(self._map[key])

    def __reduce__(self) -> tuple[type[MappedArray], tuple[Path]]:
        return MappedArray, (self._path,)


def open_npy(path: Path, variable: str | None, *, limit: int = MAPPED_LIMIT) -> StoredArray:
    """Map a .npy.

    Args:
        path: the file.
        variable: None; a .npy holds one array.
        limit: largest size of the values to accept, bytes.

    Raises:
        InputError: a variable is named; not a .npy of numbers, empty, cut short or beyond the limit.
    """
    name = str(path)
    if variable is not None:
        raise InputError(f"{name}: variable", got=variable, expected="none: a .npy holds one array")
    with as_input_error(name, _NPY):
        with path.open("rb") as file:
            header = read_npy_header(file, name)
            if not 0 < header.size <= limit:
                raise InputError(name, got=f"{header.size} bytes of values", expected=f"1 to {limit}")
            _check_size(header, path.stat().st_size, name)
        array = MappedArray(path)
    return StoredArray(array, (1,) * len(header.shape), FileAttributes(), None, False, [])


SIDE_LIMIT = 64 << 20
"""Bytes of each of the other arrays of an .npz once unpacked."""

FRAMES = "frames"
"""Key of the frames in framecast's layout of an .npz."""
PREDRNN = ("clips", "input_raw_data")
"""Keys of the layout of the PredRNN group's Moving MNIST."""


def open_npz(path: Path, variable: str | None, *, limit: int | None = None) -> StoredArray:
    """Read an .npz into memory.

    Args:
        path: the file.
        variable: key of the frames; None for "frames", or the only array that can be frames.
        limit: largest unpacked size of the frames to accept, bytes; None to judge by the memory at hand.

    Raises:
        InputError: not an .npz, damaged, no or several candidates, objects inside, or beyond a limit.
    """
    with as_input_error(str(path), "an .npz that can be read", zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return _Archive(archive, str(path), limit).read_frames(variable)


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, name: str, limit: int | None) -> None:
        self.archive = archive
        self.name = name
        self.limit = limit
        self.members = {
            info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")
        }

    def read_frames(self, variable: str | None) -> StoredArray:
        key, notes = self._choose_key(variable)
        array = self._read_member(key, self.limit, NUMBERS)
        raw = {name: self._read_member(name, SIDE_LIMIT, NUMBERS + KEYS[name]) for name in KEYS if name in self.members}
        clips = None
        if key == PREDRNN[1] and variable is None:
            clips = self._read_clips(array)
            raw["dims"] = np.array("tchw" if array.ndim == 4 else "thw")
        others = [name for name in self.members if is_foreign(name, KEYS) and name != key]
        more = {name: self._read_member(name, SIDE_LIMIT, NUMBERS + "U") for name in others}
        raw, translated = translate_attributes({**raw, **more}, KEYS)
        attributes = read_file_attributes(raw, array.dtype, self.name)
        return StoredArray(array, (1,) * array.ndim, attributes, clips, key == FRAMES, [*notes, *translated])

    def _choose_key(self, variable: str | None) -> tuple[str, list[str]]:
        keys = sorted(self.members)
        if variable is not None:
            if variable not in self.members:
                raise InputError(f"{self.name}: variable", got=variable, expected=f"one of {', '.join(keys) or 'none'}")
            return variable, []
        if FRAMES in self.members:
            others = [key for key in keys if key not in (*KEYS, FRAMES) and self._count_axes(key) >= 3]
            return FRAMES, [f"variable: {FRAMES}; beside it lie {shorten(', '.join(others))}"] if others else []
        if set(PREDRNN) <= set(keys):
            return PREDRNN[1], ["layout of the PredRNN group: clips of input_raw_data"]
        others = [key for key in keys if key not in KEYS and not is_foreign(key, KEYS)]
        if len(others) != 1:
            expected = "an array called frames, or one array only"
            got = f"arrays {', '.join(keys)}" if keys else "no arrays"
            raise InputError(self.name, got=got, expected=expected, fix="name one with --var" if keys else None)
        return others[0], [f"variable: {others[0]}, the only array"]

    def _count_axes(self, key: str) -> int:
        """Count the axes of an array of numbers; 0 of anything else."""
        try:
            with self.archive.open(self.members[key]) as file:
                return len(read_npy_header(file, self.name).shape)
        except InputError:
            return 0

    def _read_member(self, key: str, limit: int | None, kinds: str) -> NDArray[Any]:
        info, name = self.members[key], f"{self.name}: {key}"
        size = info.file_size
        check_unpacked(size, name, limit)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                name, got=f"compression {info.compress_type}", expected="stored or deflated, as numpy does"
            )
        with self.archive.open(info) as file:
            return read_npy(file, size, name, kinds=kinds)

    def _read_clips(self, array: NDArray[Any]) -> NDArray[np.int64]:
        name = f"{self.name}: clips"
        clips = self._read_member("clips", SIDE_LIMIT, "iu")
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
            fix = "read it as one sequence: --var input_raw_data --dims tchw"
            raise InputError(name, got="clips that share frames", expected="clips apart, so that splits are", fix=fix)
        return parts
