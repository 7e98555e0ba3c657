"""NetCDF and Zarr by the CF conventions, through xarray: axes found by their attributes, values read when asked for."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats import hdf5
from framecast.data.formats.base import NUMBERS, FileHeader, ReaderOptions
from framecast.data.formats.cf_axes import AXES, AxisTimes, find_axis, read_coordinate, read_times
from framecast.data.formats.guards import FRAME_LIMIT, RATIO_LIMIT, SERIES_LIMIT, SMALL, as_input_error
from framecast.errors import InputError
from framecast.optional import require
from framecast.types import Grid

SUFFIXES = (".nc", ".nc4", ".cdf", ".netcdf")
CLASSIC = b"CDF"
CHUNK_LIMIT = 1 << 30
"""Bytes of one unpacked chunk."""
OPEN = 8
"""So many files are held open in a process."""
CHANNELS = 64
"""An axis of levels or bands up to this length may be channels."""
MAPPING_LIMIT = 4096
"""Characters of a text about the grid."""

_INTERVAL = re.compile(r"time:\s*sum\s*\(\s*interval:\s*(\d+(?:\.\d+)?)\s*(s|sec|min|minutes?|h|hours?)\s*\)")


class _Axes(NamedTuple):
    """Names of a variable's dimensions."""

    t: str | None
    c: str | None
    y: str
    x: str


class CFReader:
    """Variables on one grid with one axis of time; those without (orography, a land mask) are the same in all frames.

    Args:
        wish: variable, one name, or several with commas between them, which become channels.
    """

    name = "CF grid"

    def __init__(self, wish: ReaderOptions) -> None:
        self._wanted = [] if wish.variable is None else [part.strip() for part in wish.variable.split(",")]
        self._open: dict[tuple[int, Path], Any] = {}
        self._origin: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_wanted": self._wanted, "_open": {}, "_origin": self._origin}

    def look(self, path: Path) -> FileHeader:
        """Variables, axes, coordinates, times."""
        with self._opened(path) as data:
            variables = self._variables(data, str(path))
            axes = [_axes(data, data[key], str(path)) for key in variables]
            lead = next((found for found in axes if found.t is not None), axes[0])
            apart = any(found not in (lead, lead._replace(t=None)) for found in axes)
            if apart or (len(variables) > 1 and lead.c is not None):
                got = "; ".join(f"{key} ({', '.join(data[key].dims)})" for key in variables)
                raise InputError(f"{path}: variable", got=got, expected="variables of the same axes: time, y, x")
            leaf = _leaf(data, variables, lead, str(path), self._origin)
            self._origin = leaf.grid.time_origin
            return leaf

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read frames; fill values are NaN, scale and offset applied."""
        with self._opened(path) as data:
            variables = self._variables(data, str(path))
            axes = [_axes(data, data[key], str(path)) for key in variables]
            frames = [_frames(data[key], own, indices) for key, own in zip(variables, axes, strict=True)]
            frames = [np.repeat(part, len(indices), 0) if len(part) < len(indices) else part for part in frames]
            return frames[0] if len(frames) == 1 else np.concatenate(frames, axis=1)

    def _variables(self, data: Any, name: str) -> list[str]:
        candidates = [str(key) for key in data.data_vars if _is_grid(data, data[key])]
        wanted = self._wanted or (candidates if len(candidates) == 1 else [])
        if not wanted or not set(wanted) <= set(candidates):
            got = ", ".join(self._wanted) or (
                f"{len(candidates)} variables on grids" if candidates else "none on a grid"
            )
            expected = f"one of {', '.join(candidates) or 'none'}"[:300]
            fix = "name one with --var, or several with commas between them"
            raise InputError(f"{name}: variable", got=got, expected=expected, fix=fix)
        return wanted

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Any]:
        """The file as xarray sees it, opened once in each process."""
        require("xarray", "grids")
        with as_input_error(str(path), "a NetCDF file or a zarr store that can be read"):
            key = (os.getpid(), path)
            if key not in self._open:
                while len(self._open) >= OPEN:
                    self._open.pop(next(iter(self._open))).close()
                self._open[key] = _dataset(path)
            yield self._open[key]


def _dataset(path: Path) -> Any:
    import xarray

    said: dict[str, Any] = {"decode_times": False, "cache": False, "chunks": None, "create_default_indexes": False}
    if path.is_dir():
        _check_zarr(path)
        return xarray.open_dataset(path, engine="zarr", consolidated=None, **said)
    if _is_classic(path):
        require("scipy", "grids")
        return xarray.open_dataset(path, engine="scipy", **said)
    _check_netcdf(path)
    return xarray.open_dataset(path, engine="h5netcdf", **said)


def _is_classic(path: Path) -> bool:
    """Whether a file is NetCDF 3."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return file.read(3) == CLASSIC


def _check_netcdf(path: Path) -> None:
    """Refuse what HDF5 would follow or unpack without asking; xarray looks at all arrays of the root."""
    require("h5netcdf", "grids")
    with hdf5.open_file(path) as file:
        import h5py

        for key in list(file)[: hdf5.MEMBERS]:
            node = hdf5.find_member(file, key, str(path))
            if not isinstance(node, h5py.Dataset):
                continue
            if node.dtype.kind in NUMBERS and node.shape is not None and node.nbytes:
                hdf5.check_array(node, str(path))
            elif node.external or node.is_virtual:
                raise InputError(f"{path}: {key}", got="values in other files", expected="values in the file itself")


def _check_zarr(path: Path) -> None:
    import zarr

    group = zarr.open_group(path, mode="r")
    for key, array in group.arrays():
        size = math.prod(array.shards or array.chunks) * getattr(array.dtype, "itemsize", 8)
        if size > CHUNK_LIMIT:
            raise InputError(f"{path}: {key}", got=f"chunks of {size} bytes", expected=f"at most {CHUNK_LIMIT}")
        if len(array.shape) == 1 and array.shape[0] > SERIES_LIMIT:
            raise InputError(f"{path}: {key}", got=f"{array.shape[0]} entries", expected=f"at most {SERIES_LIMIT}")


def _is_grid(data: Any, array: Any) -> bool:
    if array.dtype.kind not in NUMBERS:
        return False
    letters = [find_axis(data, dim) for dim in array.dims]
    return "y" in letters and "x" in letters


def _axes(data: Any, array: Any, name: str) -> _Axes:
    letters = {str(dim): find_axis(data, dim) for dim in array.dims}
    found = {letter: [dim for dim, is_ in letters.items() if is_ == letter] for letter in AXES}
    twice = [", ".join(dims) for dims in found.values() if len(dims) > 1]
    others = [dim for dim, letter in letters.items() if letter is None and array.sizes[dim] > 1]
    if twice or len(others) > 1 or (others and array.sizes[others[0]] > CHANNELS):
        got = f"axes {', '.join(f'{dim} ({array.sizes[dim]})' for dim in letters)}"
        expected = f"time, y, x and at most one more of up to {CHANNELS}, which becomes channels"
        raise InputError(f"{name}: {array.name}", got=got, expected=expected, fix="cut out what is meant first")
    time = found["t"][0] if found["t"] else None
    return _Axes(time, others[0] if others else None, found["y"][0], found["x"][0])


def _leaf(data: Any, variables: list[str], axes: _Axes, name: str, origin: str | None) -> FileHeader:
    first = next(data[key] for key in variables if axes.t is None or axes.t in data[key].dims)
    count = first.sizes[axes.t] if axes.t else 1
    height, width = first.sizes[axes.y], first.sizes[axes.x]
    levels = first.sizes[axes.c] if axes.c else 1
    channels = levels * len(variables)
    if not (0 < channels * height * width <= FRAME_LIMIT and 0 < count <= SERIES_LIMIT):
        got = f"{count} frames of {channels} x {height} x {width}"
        raise InputError(name, got=got, expected=f"at most {SERIES_LIMIT} frames of {FRAME_LIMIT} values")
    dtype = np.result_type(*(data[key].dtype for key in variables))
    _check_packed(data, variables, name)
    times = read_times(data, axes.t, count, name, origin)
    grid, notes = _grid(data, variables, axes, levels, times, name), times.notes
    units = grid.units[0] if len(set(grid.units)) == 1 else None
    chunks = first.encoding.get("preferred_chunks", {})
    grain = int(chunks.get(axes.t, 1)) if axes.t else 1
    return FileHeader(
        (channels, height, width), dtype, count, times.values, None, None, units or None, None, grid, grain, notes
    )


def _check_packed(data: Any, variables: list[str], name: str) -> None:
    """The ratio rule for classic files, which are not looked at before xarray opens them; they are never packed."""
    path = Path(name)
    if not _is_classic(path):
        return
    # of values as they are stored: they grow where scale and offset turn them into floats
    size = sum(
        data[key].size * np.dtype(data[key].encoding.get("dtype", data[key].dtype)).itemsize for key in variables
    )
    if size > SMALL and size > RATIO_LIMIT * path.stat().st_size:
        got = f"{size} bytes of values in a file of {path.stat().st_size}"
        raise InputError(name, got=got, expected=f"at most {RATIO_LIMIT} times as many", fix="it looks like a bomb")


def _frames(array: Any, axes: _Axes, indices: Sequence[int]) -> NDArray[Any]:
    begin, end = indices[0], indices[-1] + 1
    close = list(indices) == list(range(begin, end))
    picked = array.isel({axes.t: slice(begin, end) if close else list(indices)}) if axes.t else array
    keep = [dim for dim in (axes.t, axes.c, axes.y, axes.x) if dim is not None]
    picked = picked.isel({dim: 0 for dim in picked.dims if dim not in keep}).transpose(*keep)
    values = np.asarray(picked.values)
    if axes.t is None:
        values = values[None]
    return values if axes.c is not None else values[:, None]


def _grid(data: Any, variables: list[str], axes: _Axes, levels: int, times: AxisTimes, name: str) -> Grid:
    arrays = [data[key] for key in variables]
    mapping = _mapping(data, arrays[0])
    y, y_units = read_coordinate(data, axes.y, name)
    x, _ = read_coordinate(data, axes.x, name)
    degrees = y_units.startswith("degree")
    names = tuple(f"{key}[{level}]" if levels > 1 else key for key in variables for level in range(levels))
    packed = arrays[0].encoding.get("_FillValue", arrays[0].encoding.get("missing_value"))
    crs = next((mapping[key] for key in ("crs_wkt", "spatial_ref", "proj4") if isinstance(mapping.get(key), str)), None)
    return Grid(
        variables=names,
        units=tuple(_units(array) for array in arrays for _ in range(levels)),
        standard_names=tuple(str(array.attrs.get("standard_name", "")) for array in arrays for _ in range(levels)),
        long_names=tuple(_words(array, level, levels) for array in arrays for level in range(levels)),
        y=y,
        x=x,
        y_name=axes.y,
        x_name=axes.x,
        axis_units="degrees" if degrees else y_units or "1",
        crs=crs or ("EPSG:4326" if degrees and not mapping else None),
        mapping=mapping,
        calendar=times.calendar,
        time_origin=times.origin,
        missing="NaN" if packed is None else f"fill value {packed}",
    )


def _words(array: Any, level: int, levels: int) -> str:
    said = str(array.attrs.get("long_name", ""))
    return f"{said} [{level}]" if said and levels > 1 else said


def _mapping(data: Any, array: Any) -> dict[str, Any]:
    """Attributes of the CF grid mapping, as plain numbers and texts."""
    name = array.attrs.get("grid_mapping", array.encoding.get("grid_mapping"))
    if not isinstance(name, str) or name.split(":")[0] not in data.variables:
        return {}
    found = {}
    for key, value in data[name.split(":")[0]].attrs.items():
        plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        if isinstance(plain, int | float | list) or (isinstance(plain, str) and len(plain) <= MAPPING_LIMIT):
            found[str(key)] = plain
    return found


def _units(array: Any) -> str:
    """Units; a depth of rain with its interval, which CF keeps in cell_methods."""
    units = str(array.attrs.get("units", "")).strip()
    found = _INTERVAL.search(str(array.attrs.get("cell_methods", "")))
    if units != "mm" or found is None:
        return units or "1"
    minutes = float(found[1]) * {"s": 1 / 60, "m": 1.0, "h": 60.0}[found[2][0]]
    return f"mm per {minutes:g} min"
