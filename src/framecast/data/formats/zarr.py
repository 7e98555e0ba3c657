"""Arrays in .zarr form, local folders only, read chunk by chunk."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from framecast.data.formats.base import KEYS, NUMBERS, StoredArray, read_file_attributes
from framecast.errors import InputError

CHUNK_LIMIT = 1 << 30
"""Bytes of one unpacked chunk."""
COUNTED = 100_000
"""Up to so many chunks it is looked up which are stored; zarr asks for them one by one."""
MARKS = ("zarr.json", ".zarray", ".zgroup")
OWN = "frames"

_LETTERS = {
    **dict.fromkeys(("n", "sequence", "sample", "batch"), "n"),
    **dict.fromkeys(("t", "time"), "t"),
    **dict.fromkeys(("c", "channel", "band"), "c"),
    **dict.fromkeys(("h", "y", "height", "row", "lat", "latitude"), "h"),
    **dict.fromkeys(("w", "x", "width", "column", "lon", "longitude"), "w"),
}
_DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    AssertionError,
    ArithmeticError,
)
_DAMAGE += (MemoryError, EOFError, ImportError)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def has_named_axes(path: Path, variable: str | None) -> bool:
    """Whether a folder is a zarr group as xarray writes them: axes of its arrays have names, and coordinates.

    Raises:
        InputError: the store is damaged.
    """
    return guarded(lambda: _named(path, variable), str(path))


def _named(path: Path, variable: str | None) -> bool:
    import zarr

    node = zarr.open(path, mode="r")
    if not isinstance(node, zarr.Group) or (variable is None and OWN in node):
        return False
    names: set[str] = set()
    for _, array in node.arrays():
        said = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
        if isinstance(said, list | tuple) and len(array.shape) >= 2:
            names |= {str(name) for name in said}
    return any(name in node for name in names)


class ZarrArray:
    """A zarr array whose faults are input errors."""

    def __init__(self, array: Any, name: str) -> None:
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype
        self._array = array
        self._name = name

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""
        return guarded(lambda: np.asarray(self._array[key]), self._name)


def guarded(read: Callable[[], Any], name: str) -> Any:
    """Return `read()`.

    Raises:
        InputError: whatever goes wrong; zarr and its codecs raise all sorts of things on damaged stores.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except InputError:
        raise
    except _DAMAGE as error:
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            name, got=got, expected="a zarr store that can be read", fix="write or get it again"
        ) from error


def open_zarr(path: Path, variable: str | None) -> StoredArray:
    """Open a zarr array, or an array of a group.

    Args:
        path: the folder.
        variable: name of the array inside a group; None for "frames" or the only array.

    Raises:
        InputError: not a zarr store, damaged, no or several candidates, or a dtype that is no number.
    """
    return guarded(lambda: _opened(path, variable), str(path))


def _opened(path: Path, variable: str | None) -> StoredArray:
    import zarr

    name = str(path)
    node = zarr.open(path, mode="r")
    notes: list[str] = []
    if isinstance(node, zarr.Group):
        node, notes = _member(node, variable, name)
    elif variable is not None:
        raise InputError(f"{name}: variable", got=variable, expected="none: it is one array, not a group")
    dtype = node.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind not in NUMBERS or dtype.itemsize > 8:
        raise InputError(name, got=f"dtype {dtype}", expected="numbers: float, int, unsigned int or bool")
    grain = tuple(node.shards or node.chunks)
    if math.prod(grain) * dtype.itemsize > CHUNK_LIMIT:
        raise InputError(name, got=f"chunks of {grain}", expected=f"at most {CHUNK_LIMIT} bytes each", fix="rechunk it")
    raw = {key: node.attrs[key] for key in KEYS if key in node.attrs}
    if "dims" not in raw:
        notes += _named_axes(node, raw)
    if node.nchunks <= COUNTED and (stored := node.nchunks_initialized) < node.nchunks:
        notes.append(f"chunks: {stored} of {node.nchunks} are stored; the others read as {node.fill_value}")
    return StoredArray(ZarrArray(node, name), grain, read_file_attributes(raw, name), None, False, notes)


def _member(group: Any, variable: str | None, name: str) -> tuple[Any, list[str]]:
    import zarr

    names = sorted(key for key, _ in group.arrays())
    if variable is not None:
        node = group.get(variable)
        if not isinstance(node, zarr.Array):
            raise InputError(f"{name}: variable", got=variable, expected=f"one of {', '.join(names) or 'none'}")
        return node, []
    large = [key for key in names if group[key].ndim >= 3]
    found = OWN if OWN in names else large[0] if len(large) == 1 else None
    if found is None:
        got = f"arrays {', '.join(names)}" if names else "no arrays"
        raise InputError(
            name, got=got, expected="an array called frames, or one of 3 to 5 axes only", fix="name one with variable"
        )
    return group[found], [f"variable: {found}"]


def _named_axes(node: Any, raw: dict[str, Any]) -> list[str]:
    """Take dims from the store's own names of the axes, where all are well known."""
    names = getattr(node.metadata, "dimension_names", None) or node.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, (list, tuple)) or len(names) != len(node.shape):
        return []
    letters = [_LETTERS.get(str(name).lower(), "") for name in names]
    if not all(letters) or len(set(letters)) != len(letters) or not set("thw") <= set(letters):
        return []
    raw["dims"] = "".join(letters)
    return [f"dims: {raw['dims']}, from the axes {', '.join(map(str, names))}"]
