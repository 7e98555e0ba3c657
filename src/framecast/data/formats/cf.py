"""NetCDF and Zarr grids by the CF conventions, through xarray; values are read when they are asked for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import NUMBERS, FileHeader, ReaderOptions
from framecast.data.formats.cell_methods import read_sum_minutes
from framecast.data.formats.cf_axes import (
    GridAxes,
    VariableAxes,
    assign_axes,
    choose_axes,
    choose_level,
    name_entries,
    read_coordinate,
)
from framecast.data.formats.cf_files import CFDataset, open_dataset
from framecast.data.formats.cf_intervals import FileTimes, IntervalFrames, add_intervals, check_methods
from framecast.data.formats.cf_times import AxisTimes, read_times
from framecast.data.formats.cf_values import describe_missing
from framecast.data.formats.guards import FRAME_LIMIT, SERIES_LIMIT, as_input_error
from framecast.data.formats.intervals import is_window
from framecast.data.formats.variable_names import split_brackets
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.types import Grid

SUFFIXES = (".nc", ".nc4", ".cdf", ".netcdf")
OPEN_LIMIT = 8
"""Files that are held open in a process."""
MAPPING_LIMIT = 4096
"""Characters of an attribute of the grid mapping."""


class CFReader:
    """Variables on one grid with one axis of time; those without (orography, a land mask) are the same in all frames.

    Args:
        files: all of the source.
        options: variable, one name, or several with commas between them, which become channels; in brackets the level or
            the length of sums, as in t[500], tp[6h], where a file holds several of those.
    """

    name = "CF grid"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._files = list(files)
        words = [] if options.variable is None else [part.strip() for part in options.variable.split(",")]
        chosen = [_split_window(word) for word in words]
        self._requested = [text for text, _ in chosen]
        self._windows = sorted({window for _, windows in chosen for window in windows})
        self._axes = options.axes
        self._datasets: dict[tuple[int, Path], CFDataset] = {}
        self._origin: str | None = None
        self._known: dict[Path, FileTimes] = {}
        self._frames: IntervalFrames | None = None
        self._unpack_limit = options.unpack_limit

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_datasets": {}, "_known": {}}

    def read_header(self, path: Path) -> FileHeader:
        """Read variables, axes, coordinates and times; which intervals there are decides all files together."""
        file = self._read_file(path)
        if file.times.intervals is not None and self._frames is None:
            files = [self._read_file(each) for each in self._files]
            self._frames = IntervalFrames(
                files, self._windows, self._requested[0] if self._requested else file.header.grid.variables[0]
            )
        if self._frames is None and self._windows:
            got = f"{' '.join(self._windows)}, where the file gives no intervals of time"
            raise InputError(f"{path}: interval", got=got, expected="none", fix="leave it out of --var")
        return file.header if self._frames is None else self._frames.complete(file)

    def _read_file(self, path: Path) -> FileTimes:
        """Read the header of a file, once."""
        if path in self._known:
            return self._known[path]
        with self._open(path) as dataset:
            variables = self._choose_variables(dataset, str(path))
            axes = [assign_axes(dataset.data, dataset.axes, key, str(path)) for key in variables]
            # a variable without time has the axes of the others but for it
            lead = next((each for each in axes if each.t is not None), axes[0])
            differ = any(each not in (lead, lead._replace(t=None, step=None)) for each in axes)
            if differ or (len(variables) > 1 and lead.c is not None):
                got = "; ".join(f"{key} ({', '.join(dataset.data[key].dims)})" for key in variables)
                raise InputError(f"{path}: variable", got=got, expected="variables of the same axes: time, y, x")
            dataset.check(variables)
            data, first = dataset.data, dataset.data[variables[axes.index(lead)]]
            fields = [data[key] for key in variables]
            times = add_intervals(data, fields, read_times(data, first, lead, str(path), self._origin), str(path))
            header = _describe(dataset, variables, lead, times, str(path))
        self._origin = times.origin
        file = FileTimes(path, header, times)
        notes = check_methods(next(iter(self._known.values()), file), file)
        self._known[path] = file._replace(header=header._replace(notes=(*header.notes, *notes)))
        return self._known[path]

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read frames; missing values are NaN, scale and offset applied."""
        return (
            self._read_stored(path, indices)
            if self._frames is None
            else self._frames.read(path, indices, self._read_stored)
        )

    def _read_stored(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read entries along the axis of time that the file has."""
        with self._open(path) as dataset:
            variables = self._choose_variables(dataset, str(path))
            data, axes = dataset.data, dataset.axes
            parts = [_read_frames(dataset, key, assign_axes(data, axes, key, str(path)), indices) for key in variables]
            parts = [np.repeat(part, len(indices), 0) if len(part) < len(indices) else part for part in parts]
            return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _choose_variables(self, dataset: CFDataset, name: str) -> list[str]:
        data, axes = dataset.data, dataset.axes
        grids = [str(key) for key in data.data_vars if _is_grid(data[key], axes)]
        fields = [key for key in grids if key not in axes.positions]
        chosen = self._requested or (fields if len(fields) == 1 else [])
        if chosen and set(chosen) <= set(grids):
            return chosen
        if not grids:
            arrays = [f"{key} ({', '.join(map(str, data[key].dims))})" for key in data.data_vars if data[key].ndim > 1]
            raise InputError(
                f"{name}: variable",
                got=shorten(f"none on a grid; {', '.join(arrays) or 'no array of two axes or more'}", 300),
                expected="axes of rows and columns, by CF's attributes or by names such as y and x, lat and lon",
                fix="give the coordinates the attribute axis or standard_name",
            )
        got = ", ".join(self._requested) or f"{len(fields)} variables on grids"
        fix = "name one with --var, or several with commas between them"
        expected = shorten(f"one of {', '.join(fields or grids)}", 300)
        raise InputError(f"{name}: variable", got=got, expected=expected, fix=fix)

    @contextmanager
    def _open(self, path: Path) -> Iterator[CFDataset]:
        """Open a file with xarray, once in each process."""
        with as_input_error(str(path), "a NetCDF file or a zarr store that can be read"):
            key = (os.getpid(), path)
            if key not in self._datasets:
                while len(self._datasets) >= OPEN_LIMIT:
                    self._datasets.pop(next(iter(self._datasets))).stored.close()
                dataset = open_dataset(path, self._unpack_limit)
                data, axes = choose_axes(dataset.data, self._axes, str(path))
                for text in self._requested:
                    data = choose_level(data, axes, text, str(path))
                self._datasets[key] = dataset._replace(data=data, axes=axes)
            yield self._datasets[key]


def _split_window(text: str) -> tuple[str, list[str]]:
    """Split the length of sums off the name of a variable: tp[6h], t[850 6h]."""
    if "[" not in text:
        return text, []
    name, words = split_brackets(text)
    rest = " ".join(sorted(word for word in words if not is_window(word)))
    return (
        (text, [])
        if not any(map(is_window, words))
        else (f"{name}[{rest}]" if rest else name, [*filter(is_window, words)])
    )


def _is_grid(array: Any, axes: GridAxes) -> bool:
    return array.dtype.kind in NUMBERS and {"y", "x"} <= {axes.letters.get(str(dim)) for dim in array.dims}


def _describe(dataset: CFDataset, variables: list[str], axes: VariableAxes, times: AxisTimes, name: str) -> FileHeader:
    data = dataset.data
    first = next(data[key] for key in variables if axes.t is None or axes.t in data[key].dims)
    count = axes.count_frames(first)
    height, width = first.sizes[axes.y], first.sizes[axes.x]
    levels = first.sizes[axes.c] if axes.c else 1
    channels = levels * len(variables)
    if not (0 < channels * height * width <= FRAME_LIMIT and 0 < count <= SERIES_LIMIT):
        got = f"{count} frames of {channels} x {height} x {width}"
        raise InputError(name, got=got, expected=f"at most {SERIES_LIMIT} frames of {FRAME_LIMIT} values")
    packings = [dataset.packing(key) for key in variables]
    dtype = np.result_type(*(packing.dtype for packing in packings))
    missing = "; ".join(dict.fromkeys(map(describe_missing, packings)))
    grid = _read_grid(data, variables, axes, levels, times, name).model_copy(update={"missing": missing})
    curvilinear = sorted(key for key in dataset.axes.positions if {axes.y, axes.x} <= set(data[key].dims))
    notes = (*times.notes, *(note for packing in packings for note in packing.notes))
    if curvilinear and not (grid.y and grid.x):
        notes += (f"grid: curvilinear; the positions of its pixels, {', '.join(curvilinear)}, are not taken over",)
    units = grid.units[0] if len(set(grid.units)) == 1 else None
    chunks = first.encoding.get("preferred_chunks", {})
    grain = int(chunks.get(axes.step or axes.t, 1)) if axes.t else 1
    return FileHeader(
        (channels, height, width),
        dtype,
        frames=count,
        times=times.values,
        units=units or None,
        grid=grid,
        grain=grain,
        notes=notes,
        runs=times.runs,
    )


def _read_frames(dataset: CFDataset, key: str, axes: VariableAxes, indices: Sequence[int]) -> NDArray[Any]:
    if axes.step is None:
        return _read_along(dataset, key, axes, {} if axes.t is None else {axes.t: list(indices)})
    steps = dataset.data[key].sizes[axes.step]
    places = [divmod(index, steps) for index in indices]
    parts = [
        _read_along(dataset, key, axes, {str(axes.t): [run], axes.step: [step for _, step in members]})
        for run, members in itertools.groupby(places, key=lambda place: place[0])
    ]
    return np.concatenate(parts)


def _read_along(dataset: CFDataset, key: str, axes: VariableAxes, chosen: dict[str, list[int]]) -> NDArray[Any]:
    """Read some entries of a variable, (entries, C, H, W): by their numbers along its one or two axes of time."""
    array = dataset.data[key]
    parts = {dim: slice(numbers[0], numbers[-1] + 1) for dim, numbers in chosen.items()}
    dataset.check_chunks(key, parts)
    together = {dim: numbers == list(range(numbers[0], numbers[-1] + 1)) for dim, numbers in chosen.items()}
    picked = array.isel({dim: parts[dim] if together[dim] else numbers for dim, numbers in chosen.items()})
    keep = [dim for dim in (axes.t, axes.step, axes.c, axes.y, axes.x) if dim is not None]
    picked = picked.isel({dim: 0 for dim in picked.dims if dim not in keep}).transpose(*keep)
    values = dataset.packing(key).unpack(np.asarray(picked.values))
    if axes.step is not None:
        values = values[0]
    if axes.t is None:
        values = values[None]
    return values if axes.c is not None else values[:, None]


def _read_grid(data: Any, variables: list[str], axes: VariableAxes, levels: int, times: AxisTimes, name: str) -> Grid:
    arrays = [data[key] for key in variables]
    mapping = _read_mapping(data, arrays[0])
    y, y_units = read_coordinate(data, axes.y, name)
    x, _ = read_coordinate(data, axes.x, name)
    degrees = y_units.startswith("degree")
    entries = name_entries(data, axes.c) if axes.c and levels > 1 else [""]
    names = tuple(f"{key}[{entry}]" if entry else key for key in variables for entry in entries)
    long = [str(array.attrs.get("long_name", "")) for array in arrays]
    crs = next((mapping[key] for key in ("crs_wkt", "spatial_ref", "proj4") if isinstance(mapping.get(key), str)), None)
    return Grid(
        variables=names,
        units=tuple(_read_units(array) for array in arrays for _ in range(levels)),
        standard_names=tuple(str(array.attrs.get("standard_name", "")) for array in arrays for _ in range(levels)),
        long_names=tuple(f"{name} [{entry}]" if name and entry else name for name in long for entry in entries),
        cell_methods=tuple(str(array.attrs.get("cell_methods", "")) for array in arrays for _ in range(levels)),
        y=y,
        x=x,
        y_name=axes.y,
        x_name=axes.x,
        axis_units="degrees" if degrees else y_units or "1",
        crs=crs or ("EPSG:4326" if degrees and not mapping else None),
        mapping=mapping,
        calendar=times.calendar,
        time_origin=times.origin,
    )


def _read_mapping(data: Any, array: Any) -> dict[str, Any]:
    """Read the attributes of the CF grid mapping, as plain numbers and texts."""
    name = array.attrs.get("grid_mapping", array.encoding.get("grid_mapping"))
    if not isinstance(name, str) or name.split(":")[0] not in data.variables:
        return {}
    mapping = {}
    for key, value in data[name.split(":")[0]].attrs.items():
        plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        if isinstance(plain, int | float | list) or (isinstance(plain, str) and len(plain) <= MAPPING_LIMIT):
            mapping[str(key)] = plain
    return mapping


def _read_units(array: Any) -> str:
    """Read the units; a depth of rain with its interval, which CF keeps in cell_methods."""
    units = str(array.attrs.get("units", "")).strip()
    minutes = read_sum_minutes(str(array.attrs.get("cell_methods", "")))
    return f"mm per {minutes:g} min" if units == "mm" and minutes else units or "1"
