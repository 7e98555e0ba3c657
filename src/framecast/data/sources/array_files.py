"""Folders of plain arrays (.npy, .npz, HDF5), one frame or consecutive frames in each file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import ArrayLike, FileHeader, StoredArray
from framecast.data.sources.layout import COLOURS, ArrayLayout, infer_layout
from framecast.errors import InputError


class ArrayFilesReader:
    """Arrays of rows and columns, or of time, rows and columns; others where the user, or the file, states dims.

    Args:
        open_array: opens one of the files.
        dims: axes that the user gives, or None.
    """

    name = "arrays"

    def __init__(self, open_array: Callable[[Path], StoredArray], dims: str | None) -> None:
        self._open_array, self._dims = open_array, dims

    def read_header(self, path: Path) -> FileHeader:
        """Read shape, dtype and attributes."""
        stored, layout = self._open(path)
        if layout.size("n") != 1:
            got, fix = f"{layout.size('n')} sequences in one file of a folder", "name one file, or list them as source"
            raise InputError(str(path), got=got, expected="one sequence", fix=fix)
        attributes, count = stored.attributes, layout.size("t")
        times = None
        if attributes.start_time is not None and (count == 1 or attributes.step_minutes is not None):
            step = np.timedelta64(round((attributes.step_minutes or 0) * 60_000), "ms")
            times = attributes.start_time[0].astype("datetime64[ms]") + step * np.arange(count)
        notes = ("split: labels in the files of a folder have no say",) if attributes.split else ()
        return FileHeader(
            (layout.size("c"), layout.size("h"), layout.size("w")),
            stored.array.dtype,
            count,
            times,
            step_minutes=attributes.step_minutes,
            units=attributes.units,
            grid=stored.grid,
            notes=notes,
            stored=attributes._replace(split=None, start_time=None),
        )

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read frames as they are stored."""
        stored, layout = self._open(path)
        first = indices[0]
        return layout.read(stored.array, 0, first, indices[-1] + 1)[[index - first for index in indices]]

    def _open(self, path: Path) -> tuple[StoredArray, ArrayLayout]:
        stored = self._open_array(path)
        shape = stored.array.shape
        if len(shape) == 2:
            stored = stored._replace(array=_OneFrame(stored.array), own_layout=False)
            stored = stored._replace(attributes=stored.attributes._replace(dims=None), clips=None)
            return stored, infer_layout(stored, "thw", str(path))[0]
        stated = self._dims or stored.attributes.dims
        if stated is None and len(shape) == 3 and shape[-1] in COLOURS:
            got, fix = f"shape {shape}, which may be one picture in colours", "say what it is with --dims, as in thw"
            raise InputError(str(path), got=got, expected="time, rows and columns", fix=fix)
        return stored, infer_layout(stored, self._dims, str(path))[0]


class _OneFrame:
    """An array of rows and columns, with an axis of time before them."""

    def __init__(self, array: ArrayLike) -> None:
        self.shape: tuple[int, ...] = (1, *array.shape)
        self.dtype: np.dtype[Any] = array.dtype
        self._array = array

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part."""
        first, *rest = key
        return np.asarray(self._array[tuple(rest)])[None][first]
