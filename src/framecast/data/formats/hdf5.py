"""HDF5 files: links that lead out of them are refused, sizes are checked before anything is read; plain arrays."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import KEYS, NUMBERS, StoredArray, read_file_attributes
from framecast.data.formats.guards import FRAME_LIMIT, as_input_error
from framecast.data.formats.unpacking import DEFLATE_RATIO, SMALL, check_packed, check_unpacked, refuse_size
from framecast.data.missing_values import CODE_KEYS, describe_fill, translate_attributes
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.types import Grid

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
MEMBERS = 10_000
"""Groups and arrays of a file."""
CODECS = dict(zip((1, 2, 3, 4), ("zlib", "shuffle", "fletcher32", "szip"), strict=True))
CODECS |= {307: "bz2", 32000: "lzf", 32001: "blosc", 32015: "zstd"}
"""Codecs by HDF5's number of the filter; others are in `_CLAIMS`, or rare."""
_CLAIMS: dict[int, Callable[[Sequence[int]], int]] = {
    5: lambda values: math.prod(values[2:5:2]),
    6: lambda values: math.prod(values[2:5:2]),
    32000: lambda values: sum(values[2:3]),
}
"""Bytes that a filter unpacks a chunk to by its own parameters: n-bit and scale-offset (values, bytes of one), lzf."""
CHECKSUM = 32
"""Bytes that a checksum, or the head of scale-offset, may add to a chunk."""

_WORDS = "an HDF5 file that can be read"


@contextmanager
def open_file(path: Path) -> Iterator[Any]:
    """Open an h5py.File; whatever goes wrong inside is an InputError.

    Raises:
        InputError: no HDF5 file, or damaged.
    """
    import h5py

    with as_input_error(str(path), _WORDS), h5py.File(path, "r") as file:
        yield file


def find_member(file: Any, key: str, name: str) -> Any:
    """Find a group or an array by its path, over hard links only; None if there is none.

    Args:
        file: an h5py.File or group.
        key: its path, with slashes.
        name: the file, for errors.

    Raises:
        InputError: a link that leads out of the file or around in it.
    """
    import h5py

    node = file
    for part in key.split("/"):
        if not isinstance(node, h5py.Group):
            return None
        link = node.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            got = f"{part}, a link to another place"
            raise InputError(name, got=got, expected="arrays that lie in the file itself", fix="copy them into it")
        node = node.get(part)
    return node


def list_numbered(group: Any, word: str) -> list[str]:
    """List the members dataset1, dataset2, ... dataset10 in the order of their numbers."""
    keys = [key for key in group or () if re.fullmatch(rf"{word}\d{{1,4}}", key)]
    return sorted(keys, key=lambda key: int(key[len(word) :]))


def check_storage(array: Any, name: str) -> None:
    """Check that the values of an h5py.Dataset lie in the file itself.

    Raises:
        InputError: they lie in others.
    """
    if array.external or array.is_virtual:
        fix = "copy them into it"
        raise InputError(f"{name}: {array.name}", got="values in other files", expected="values in the file", fix=fix)


def check_array(array: Any, name: str, unpack_limit: int | None = None) -> Any:
    """Return an h5py.Dataset if it can be read without harm.

    Args:
        array: an h5py.Dataset, or what a file holds in its place.
        name: the file, for errors.
        unpack_limit: bytes of a chunk, unpacked; None to judge by the memory at hand.

    Raises:
        InputError: no array of numbers, one that is stored elsewhere, or chunks that are too large.
    """
    import h5py

    if not isinstance(array, h5py.Dataset):
        raise InputError(name, got="no array", expected="an array of numbers")
    where = f"{name}: {array.name}"
    check_storage(array, name)
    if array.dtype.kind not in NUMBERS or array.dtype.itemsize > 8:
        raise InputError(where, got=f"dtype {array.dtype}", expected="numbers: float, int, unsigned int or bool")
    check_unpacked(math.prod(array.chunks or (1,)) * array.dtype.itemsize, where, unpack_limit)
    if array.nbytes > SMALL and not array.id.get_storage_size():
        raise InputError(where, got=f"shape {array.shape} without a value", expected="values", fix="none was written")
    return array


def read_part(array: Any, key: Any, name: str, checked: set[tuple[int, ...]] | None = None) -> NDArray[Any]:
    """Read a part of an h5py.Dataset that `check_array` returned, after a look at its chunks; see `check_chunks`."""
    check_chunks(array, key, f"{name}: {array.name}", set() if checked is None else checked)
    return np.asarray(array[key])


def check_chunks(array: Any, key: Any, name: str, checked: set[tuple[int, ...]]) -> None:
    """Check what the chunks of a part of an array unpack to, as HDF5 sets deflate no bounds.

    Args:
        array: an h5py.Dataset.
        key: index of the part; slices, numbers or lists of numbers.
        name: the array, for errors.
        checked: corners of the chunks that have been looked at; those of this part are added.

    Raises:
        InputError: a chunk that unpacks to more than its size.
    """
    if array.chunks is None:
        return
    plist = array.id.get_create_plist()
    filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    declared = math.prod(array.chunks) * array.dtype.itemsize + CHECKSUM
    for code, _, values, _ in filters:
        if code in _CLAIMS and (claimed := _CLAIMS[code](values)) > declared:
            raise refuse_size(str(claimed), declared, name)
    codecs = [CODECS.get(code, "") for code, *_ in filters]
    has_packer = any(codecs) and ("szip" in codecs or DEFLATE_RATIO * array.id.get_storage_size() > SMALL)
    if not has_packer:
        return
    for corner in _list_corners(array.shape, array.chunks, key):
        if corner not in checked:
            _check_chunk(array, corner, codecs, declared, name)
            checked.add(corner)


def _check_chunk(array: Any, corner: tuple[int, ...], codecs: Sequence[str], declared: int, name: str) -> None:
    size = array.id.get_chunk_info_by_coord(corner).size or 0
    if size and ("szip" in codecs or DEFLATE_RATIO * size > max(SMALL, declared)):
        if size > 2 * declared + SMALL:
            raise InputError(name, got=f"a chunk of {size} bytes", expected=f"{declared} at most", fix="get it again")
        skipped, packed = array.id.read_direct_chunk(corner)
        # what a packer makes larger is stored as it is
        used = [codec for number, codec in enumerate(codecs) if codec and not skipped >> number & 1]
        check_packed(used[::-1], packed, declared, f"{name}, chunk {corner}")


def _list_corners(shape: tuple[int, ...], chunks: tuple[int, ...], key: Any) -> Iterator[tuple[int, ...]]:
    """List where the chunks begin that a part of an array lies in."""
    parts = [*(key if isinstance(key, tuple) else (key,)), *[slice(None)] * len(shape)]
    starts: list[Sequence[int]] = []
    for part, size, step in zip(parts, shape, chunks, strict=False):
        if isinstance(part, slice):
            first, last, _ = part.indices(size)
            starts.append(range(first // step * step, last, step))
        else:
            starts.append(sorted({int(number) // step * step for number in np.atleast_1d(part)}))
    return itertools.product(*starts)


def check_frame_array(array: Any, name: str) -> Any:
    """Return an h5py.Dataset if it can be read without harm, has two axes and is no larger than a frame may be.

    Raises:
        InputError: it is none, cannot be read without harm, or is too large.
    """
    check_array(array, name)
    if array.ndim != 2 or not 0 < array.size <= FRAME_LIMIT:
        raise InputError(f"{name}: {array.name}", got=f"shape {array.shape}", expected="rows and columns")
    return array


def read_attributes(node: Any) -> dict[str, Any]:
    """Read the attributes of a group or an array as plain numbers and texts; arrays of one value as that value."""
    attributes = {}
    for key, value in {} if node is None else node.attrs.items():
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(())[()]
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        attributes[key] = value.item() if isinstance(value, np.generic) else value
    return attributes


def read_number(attributes: Mapping[str, Any], key: str, default: float | None, name: str) -> float | None:
    """Read an attribute that must be one finite number.

    Raises:
        InputError: it is something else.
    """
    value = attributes.get(key, default)
    if value is None:
        return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name}: {key}", got=shorten(str(value), 60), expected="a finite number")
    return float(value)


def read_code(attributes: Mapping[str, Any], key: str, name: str) -> float | None:
    """Read an attribute that marks stored values: a number, NaN and infinity among them.

    Raises:
        InputError: it is something else.
    """
    value = attributes.get(key)
    is_open = isinstance(value, float) and not math.isfinite(value)
    return float(value) if is_open else read_number(attributes, key, None, name)  # type: ignore[arg-type]


def list_arrays(file: Any, name: str, least_axes: int = 3) -> list[str]:
    """List the paths of all arrays of numbers with three axes or more, or as many as are asked for, sorted.

    Raises:
        InputError: more members than can be meant.
    """
    import h5py

    paths: list[str] = []
    groups = [("", file)]
    for _ in range(MEMBERS):
        if not groups:
            return sorted(paths)
        prefix, group = groups.pop()
        for key in group:
            node = group.get(key) if isinstance(group.get(key, getlink=True), h5py.HardLink) else None
            if isinstance(node, h5py.Group):
                groups.append((f"{prefix}{key}/", node))
            elif isinstance(node, h5py.Dataset) and node.ndim >= least_axes and node.dtype.kind in NUMBERS:
                paths.append(f"{prefix}{key}")
    raise InputError(name, got="an endless file", expected=f"at most {MEMBERS} groups")


def _describe_storage(array: Any) -> list[str]:
    """Describe which chunks were never written, and what they read as."""
    if array.chunks is None:
        return []
    total = math.prod(-(-size // step) for size, step in zip(array.shape, array.chunks, strict=True))
    stored = array.id.get_num_chunks()
    return [f"chunks: {stored} of {total} are stored; the others read as {array.fillvalue}"] if stored < total else []


class HDF5Array:
    """An array of an HDF5 file, opened anew for each part that is read, as open files do not travel to workers."""

    def __init__(
        self, path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype[Any], unpack_limit: int | None
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._path, self._key, self._unpack_limit = path, key, unpack_limit
        self._checked: set[tuple[int, ...]] = set()

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""
        with open_file(self._path) as file:
            array = check_array(find_member(file, self._key, str(self._path)), str(self._path), self._unpack_limit)
            return read_part(array, key, str(self._path), self._checked)


def open_hdf5(path: Path, variable: str | None, unpack_limit: int | None = None, least_axes: int = 3) -> StoredArray:
    """Open an array of a plain HDF5 file.

    Args:
        path: the file.
        variable: the array's path inside; None where there is one of three axes or more only.
        unpack_limit: bytes of a chunk, unpacked; None to judge by the memory at hand.
        least_axes: of the array, where there is none of three or more.

    Raises:
        InputError: damaged, no or several candidates, or a dtype that is no number.
    """
    name = str(path)
    with open_file(path) as file:
        candidates = list_arrays(file, name) or list_arrays(file, name, least_axes)
        key = variable or (candidates[0] if len(candidates) == 1 else None)
        node = None if key is None else find_member(file, key.strip("/"), name)
        if key is None or node is None:
            got = variable or f"{len(candidates)} arrays that could be frames"
            expected = (
                shorten(f"one of {', '.join(candidates)}", 300) if candidates else "an array of three axes or more"
            )
            fix = "name one with --var" if candidates else None
            raise InputError(f"{name}: variable", got=got, expected=expected, fix=fix)
        array = check_array(node, name, unpack_limit)
        raw, translated = translate_attributes(read_attributes(array), KEYS)
        notes = [f"read as: HDF5, array {key.strip('/')}", *translated, *_describe_storage(array)]
        if not set(CODE_KEYS) & set(raw):
            notes += describe_fill(array.fillvalue)
        grain = tuple(array.chunks or (1,) * array.ndim)
        stored = HDF5Array(path, key.strip("/"), tuple(array.shape), array.dtype, unpack_limit)
    grid = Grid(variables=(key.rsplit("/", 1)[-1],))
    return StoredArray(
        stored, grain, read_file_attributes(raw, array.dtype, name), None, False, notes, about="HDF5", grid=grid
    )
