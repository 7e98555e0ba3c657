"""Arrays in zarr stores, read chunk by chunk; which arrays there are, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framecast.data.config import are_valid_dims
from framecast.data.formats.base import KEYS, NUMBERS, StoredArray, read_file_attributes
from framecast.data.formats.guards import as_input_error
from framecast.data.missing_values import CODE_KEYS, FILL_FIX, decode_fill, describe_fill, translate_attributes
from framecast.errors import InputError
from framecast.memory_usage import UNLIMITED

COUNT_LIMIT = 100_000
"""Chunks of an array up to which those that are stored are counted; zarr asks for them one by one."""
MARKS = ("zarr.json", ".zarray", ".zgroup")
"""Files that make a folder a zarr store: of version 3, of version 2."""
FRAMES = "frames"
"""Name of the array that is taken where nobody names one."""

_LETTERS = {
    **dict.fromkeys(("n", "sequence", "sample", "batch"), "n"),
    **dict.fromkeys(("t", "time"), "t"),
    **dict.fromkeys(("c", "channel", "band"), "c"),
    **dict.fromkeys(("h", "y", "height", "row", "lat", "latitude"), "h"),
    **dict.fromkeys(("w", "x", "width", "column", "lon", "longitude"), "w"),
}
_WORDS = "a zarr store that can be read"


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def has_named_axes(path: Path, variable: str | None) -> bool:
    """Whether a folder is a zarr group as xarray writes them: axes of its arrays have names, and coordinates.

    Raises:
        InputError: the store is damaged.
    """
    import zarr

    from framecast.data.formats.zarr.store import open_node, open_store

    with as_input_error(str(path), _WORDS):
        node = open_node(open_store(path, UNLIMITED))
        if not isinstance(node, zarr.Group) or (variable is None and FRAMES in node):
            return False
        axes = {str(axis) for _, array in node.arrays() if len(array.shape) >= 2 for axis in _read_axis_names(array)}
        return any(axis in node for axis in axes)


class ZarrArray:
    """A zarr array whose faults are input errors."""

    def __init__(self, array: Any, name: str) -> None:
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype
        self._array = array
        self._name = name

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""
        with as_input_error(self._name, _WORDS):
            return np.asarray(self._array[key])


def open_zarr(path: Path, variable: str | None, unpack_limit: int | None = None) -> StoredArray:
    """Open a zarr array, or an array of a group.

    Args:
        path: the folder.
        variable: name of the array inside a group; None for "frames" or the only array.
        unpack_limit: bytes of a chunk, unpacked; None to judge by the memory at hand.

    Raises:
        InputError: not a zarr store, damaged, no or several candidates, or a dtype that is no number.
    """
    import zarr

    from framecast.data.formats.zarr.store import open_node, open_store

    name = str(path)
    with as_input_error(name, _WORDS):
        node = open_node(open_store(path, unpack_limit))
        notes: list[str] = []
        if isinstance(node, zarr.Group):
            node, notes = _choose_array(node, variable, name)
        elif variable is not None:
            raise InputError(f"{name}: variable", got=variable, expected="none: it is one array, not a group")
        return _open_array(node, notes, name)


def _open_array(node: Any, notes: list[str], name: str) -> StoredArray:
    dtype = node.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind not in NUMBERS or dtype.itemsize > 8:
        raise InputError(name, got=f"dtype {dtype}", expected="numbers: float, int, unsigned int or bool")
    grain = tuple(node.shards or node.chunks)
    raw, translated = translate_attributes(dict(node.attrs), KEYS)
    notes += translated
    if "dims" not in raw:
        notes += _add_dims(node, raw)
    if not set(CODE_KEYS) & set(raw):
        # without coordinates nothing but the number tells whether the fill value is zarr's own
        fill = _read_fill_value(node, is_coordinate=False, is_zero_usual=True)
        notes += describe_fill(node.fill_value) if fill.code is None else []
        if fill.code is not None:
            raw["missing_value"] = fill.code
            notes.append(f"missing: {fill.code}, the fill value, which means missing in stores of version 2")
    notes += describe_storage(node)
    return StoredArray(ZarrArray(node, name), grain, read_file_attributes(raw, dtype, name), None, False, notes)


def describe_storage(array: Any) -> list[str]:
    """Describe which chunks were never written, and what they read as."""
    if array.nchunks > COUNT_LIMIT or (stored := array.nchunks_initialized) == array.nchunks:
        return []
    return [f"chunks: {stored} of {array.nchunks} are stored; the others read as {array.fill_value}"]


class FillValue(NamedTuple):
    """What the fill value of an array is taken for."""

    code: Any
    """Value of a missing pixel; None where the fill value only says what was never written."""
    notes: tuple[str, ...] = ()


def read_fill_values(group: Any) -> dict[str, FillValue]:
    """Read which values of the arrays of a group are missing, by the attribute `_FillValue` or by xarray's convention.

    What zarr calls fill value is the value of chunks that were never written. In version 2 xarray keeps `_FillValue`
    there, and gives coordinates none, while zarr itself gives every array a 0: where coordinates have it, it says
    nothing. In version 3 xarray writes the attribute.
    """
    arrays = dict(group.arrays())
    coordinates = {key for key, array in arrays.items() if _read_axis_names(array) == [key]}
    is_usual = any(arrays[key].metadata.zarr_format == 2 and arrays[key].fill_value == 0 for key in coordinates)
    return {key: _read_fill_value(array, key in coordinates, is_usual) for key, array in arrays.items()}


def _read_fill_value(array: Any, is_coordinate: bool, is_zero_usual: bool) -> FillValue:
    if "_FillValue" in array.attrs:
        return FillValue(decode_fill(array.attrs["_FillValue"]))
    fill = array.fill_value
    if fill is None or is_coordinate or getattr(array.dtype, "kind", "") not in "fiu" or np.isnan(fill):
        return FillValue(None)
    if array.metadata.zarr_format == 2:
        is_value = fill == 0 and is_zero_usual
        return FillValue(None, (f"missing: fill value 0 is a value: {FILL_FIX} 0",)) if is_value else FillValue(fill)
    return FillValue(None, tuple(describe_fill(fill)))


def _choose_array(group: Any, variable: str | None, name: str) -> tuple[Any, list[str]]:
    import zarr

    names = sorted(key for key, _ in group.arrays())
    if variable is not None:
        node = group.get(variable)
        if not isinstance(node, zarr.Array):
            raise InputError(f"{name}: variable", got=variable, expected=f"one of {', '.join(names) or 'none'}")
        return node, []
    large = [key for key in names if group[key].ndim >= 3]
    key = FRAMES if FRAMES in names else large[0] if len(large) == 1 else None
    if key is None:
        got = f"arrays {', '.join(names)}" if names else "no arrays"
        fix = "name one with --var" if names else None
        raise InputError(name, got=got, expected="an array called frames, or one of 3 to 5 axes only", fix=fix)
    return group[key], [f"variable: {key}"]


def _add_dims(node: Any, raw: dict[str, Any]) -> list[str]:
    """Take dims from the store's names of the axes, where all are well known."""
    names = _read_axis_names(node)
    letters = [_LETTERS.get(str(name).lower(), "") for name in names]
    if len(names) != len(node.shape) or not all(letters) or not are_valid_dims("".join(letters)):
        return []
    raw["dims"] = "".join(letters)
    return [f"dims: {raw['dims']}, from the axes {', '.join(map(str, names))}"]


def _read_axis_names(array: Any) -> list[Any]:
    """Names of the axes: metadata of zarr version 3, xarray's attribute in version 2; none where there are none."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    return list(names) if isinstance(names, list | tuple) else []
