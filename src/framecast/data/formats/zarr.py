"""Arrays in .zarr form, local folders only, read chunk by chunk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from framecast.data.config import are_valid_dims
from framecast.data.formats.base import KEYS, NUMBERS, StoredArray, read_file_attributes
from framecast.data.formats.guards import as_input_error
from framecast.errors import InputError

CHUNK_LIMIT = 1 << 30
"""Bytes of one unpacked chunk."""
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

    with as_input_error(str(path), _WORDS):
        node = zarr.open(path, mode="r")
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


def open_zarr(path: Path, variable: str | None) -> StoredArray:
    """Open a zarr array, or an array of a group.

    Args:
        path: the folder.
        variable: name of the array inside a group; None for "frames" or the only array.

    Raises:
        InputError: not a zarr store, damaged, no or several candidates, or a dtype that is no number.
    """
    import zarr

    name = str(path)
    with as_input_error(name, _WORDS):
        node = zarr.open(path, mode="r")
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
    if math.prod(grain) * dtype.itemsize > CHUNK_LIMIT:
        raise InputError(name, got=f"chunks of {grain}", expected=f"at most {CHUNK_LIMIT} bytes each", fix="rechunk it")
    raw = {key: node.attrs[key] for key in KEYS if key in node.attrs}
    if "dims" not in raw:
        notes += _add_dims(node, raw)
    if node.nchunks <= COUNT_LIMIT and (stored := node.nchunks_initialized) < node.nchunks:
        notes.append(f"chunks: {stored} of {node.nchunks} are stored; the others read as {node.fill_value}")
    return StoredArray(ZarrArray(node, name), grain, read_file_attributes(raw, name), None, False, notes)


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
