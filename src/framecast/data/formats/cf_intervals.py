"""Frames of CF files as intervals of time: sums and means since a common start are differenced across all files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.file_names import forecasts_from_names
from framecast.data.formats.base import AbsentError, FileHeader
from framecast.data.formats.cell_methods import TimeMethod, read_time_method
from framecast.data.formats.cf_times import AxisTimes, decode_times, read_finite, read_units, to_milliseconds
from framecast.data.formats.guards import as_input_error
from framecast.data.formats.intervals import (
    INSTANT,
    SUM,
    Interval,
    TimeTile,
    choose_tiles,
    describe_lengths,
    describe_tiles,
    find_interval,
    measure_lengths,
)
from framecast.data.timestamps import normalize_epoch
from framecast.errors import InputError

_CONSTANT = "the same in all frames"
_MONTH_DAYS = (28, 31)


def add_intervals(data: Any, fields: Sequence[Any], times: AxisTimes, name: str) -> AxisTimes:
    """Add what frames stand for: how values are combined in time, and over which intervals, where the file gives them.

    Args:
        data: an xarray.Dataset.
        fields: the variables whose frames they are.
        times: as `read_times` read them.
        name: the file, for errors.

    Raises:
        InputError: bounds that cannot be read.
    """
    moments = times.values
    if moments is None:
        return times
    coordinate, key = data.variables[times.key], times.lead or times.key
    methods = [
        read_time_method(field.attrs, [*map(str, coordinate.dims), key])
        if {*coordinate.dims} <= {*field.dims}
        else TimeMethod(_CONSTANT)
        for field in fields
    ]
    # where one is over intervals, these are the frames of all
    method = next((each for each in methods if each.kind not in ("", INSTANT, _CONSTANT)), methods[0])
    if any(each != method for each in methods):
        named = zip(fields, map(str, methods), strict=True)
        times = times._replace(mixture="; ".join(f"{field.name}: {each or 'not said'}" for field, each in named))
    if "climatology" in coordinate.attrs:
        note = (
            f"times: {key} is of a climatology: each frame is made of several years, and its time is that of the file"
        )
        return times._replace(notes=(*times.notes, note))
    if method.kind in ("", INSTANT):
        return times._replace(method=method)
    times = times._replace(method=method)
    read = _read_edges if times.lead is None else _read_lead_edges
    own = _find_bounded(data, times)
    times, read = (times, read) if own is None else (times._replace(key=own), _read_edges)
    with as_input_error(f"{name}: {key}", "bounds of times", fix=None):
        edges = read(data, times, f"{name}: {key}")
    if edges is None:
        if method.kind != SUM or method.interval:
            return times
        note = f"times: {key} has no bounds, so when each sum begins is not known; its times are taken as they are"
        return times._replace(notes=(*times.notes, note))
    starts, ends = edges.T
    stamp = f"times: the end of the interval of each sum, by the bounds of {key}"
    if method.kind != SUM:
        places = {"end": ends, "start": starts, "middle": starts + (ends - starts) / 2}
        place = next((word for word, values in places.items() if np.array_equal(values, moments)), "place")
        words = f"the {place} of" if place in places else "within"
        stamp = f"times: {key}, {words} the intervals of which frames are the {method.kind}"
    intervals = [Interval(start, end, method.kind) for start, end in edges]
    return times._replace(intervals=intervals, stamp=stamp)


def _find_bounded(data: Any, times: AxisTimes) -> str | None:
    """Find valid times of several forecasts that have bounds of their own: valid_time(time, step)."""
    if times.lead is None or times.values is None or "bounds" in data.variables[times.lead].attrs:
        return None
    dims = (*data.variables[times.key].dims, *data.variables[times.lead].dims)
    near = [str(key) for key, array in data.variables.items() if array.dims == dims and "bounds" in array.attrs]
    return next((key for key in near if " since " in read_units(data.variables[key])), None)


def _read_edges(data: Any, times: AxisTimes, name: str) -> NDArray[Any] | None:
    """Read the intervals of a coordinate of times, (frames, 2); None where there are none (CF 7.1)."""
    coordinate = data.variables[times.key]
    array = data.variables.get(str(coordinate.attrs.get("bounds", "")))
    if array is None or times.values is None or array.size != 2 * len(times.values) or array.shape[-1] != 2:
        return None
    own = normalize_epoch(str(array.attrs.get("units", read_units(coordinate))))
    stored = read_finite(array, f"{name} bounds")
    bounds = None if own is None else decode_times(stored, own, times.calendar, times.origin)
    return None if bounds is None or bounds.values is None else np.sort(bounds.values.reshape(-1, 2), 1)


def _read_lead_edges(data: Any, times: AxisTimes, name: str) -> NDArray[Any] | None:
    """Read the intervals of lead times, added to the starts of the forecasts: (frames, 2)."""
    coordinate = data.variables[str(times.lead)]
    array = data.variables.get(str(coordinate.attrs.get("bounds", "")))
    if array is None or times.runs is None or array.size != 2 * coordinate.size or array.shape[-1] != 2:
        return None
    raw = read_finite(array, f"{name} bounds")
    passed = (
        to_milliseconds(raw, str(array.attrs.get("units", read_units(coordinate)))) if raw.dtype.kind != "m" else raw
    )
    passed = np.sort(passed.reshape(-1, 2).astype("timedelta64[ms]"), 1)
    edges: NDArray[Any] = times.runs[:, None] + np.tile(passed, (len(times.runs) // len(passed), 1))
    return edges


class FileTimes(NamedTuple):
    """What the header of a file says, before it is known which of its entries are frames."""

    path: Path
    header: FileHeader
    times: AxisTimes


class EntryFrame(NamedTuple):
    """A frame: an entry of a file, or one less an earlier one, which may lie in another file."""

    entry: int
    earlier: tuple[Path, int] | None
    tile: TimeTile


class IntervalFrames:
    """Frames of files, all over intervals of one length.

    Args:
        files: all of a source, those without intervals too.
        windows: words of the user for a length, as 6h or run.
        variable: as a user names it, for advice.

    Raises:
        InputError: intervals of several lengths, or none of the length that is asked for.
    """

    def __init__(self, files: Sequence[FileTimes], windows: Sequence[str], variable: str) -> None:
        self._windows, self._notes = list(windows), tuple[str, ...]()
        entries = [(file, index) for file in files for index in range(len(file.times.intervals or ()))]
        intervals = [(file.times.intervals or [])[index] for file, index in entries]
        self._frames: dict[Path, list[EntryFrame]] = {file.path: [] for file in files if file.times.intervals}
        self._has_extent = any(each.start < each.end for each in intervals)
        if not self._has_extent:
            return
        labels = forecasts_from_names([file.path.name for file in files]) or [""] * len(files)
        by_file = {file.path: f"{file.path.parent}/{label}" for file, label in zip(files, labels, strict=True)}
        folders = {file.path: str(file.path.parent) for file in files}
        groups: list[Hashable] = [
            by_file[file.path] if file.times.runs is None else (folders[file.path], file.times.runs[index])
            for file, index in entries
        ]
        counts = Counter(zip(groups, (interval.start for interval in intervals), strict=True))
        is_since_start = [
            counts[group, interval.start] > 1
            if file.times.runs is None
            else bool(file.times.runs[index] == interval.start)
            for (file, index), group, interval in zip(entries, groups, intervals, strict=True)
        ]
        name = str(files[0].path if len(files) == 1 else files[0].path.parent)
        tiles = choose_tiles(intervals, is_since_start, groups, self._windows, variable, name)
        for tile in tiles:
            file, index = entries[tile.entry]
            earlier = None if tile.earlier is None else (entries[tile.earlier][0].path, entries[tile.earlier][1])
            self._frames[file.path].append(EntryFrame(index, earlier, tile))
        self._are_differences = any(tile.earlier is not None for tile in tiles)
        mixture = next((file.times.mixture for file in files if file.times.mixture), "")
        if mixture and self._are_differences:
            got = f"{mixture}, of which some are since an earlier start"
            fix = "name those of one kind with --var"
            raise InputError(f"{name}: variable", got=got, expected="variables combined alike in time", fix=fix)
        self._notes = tuple(_describe(tiles, self._windows)) if self._are_differences or windows else ()
        if mixture:
            self._notes += (
                f"times: values are combined in different ways, {mixture}; their times are of the intervals",
            )
        lengths = describe_lengths([tile.interval for tile in tiles])
        if not self._notes and " to " in lengths and not _are_months(tiles):
            self._notes = (f"times: the intervals are of {lengths}",)

    def complete(self, file: FileTimes) -> FileHeader:
        """Complete the header of a file: how many frames there are, and when.

        Raises:
            AbsentError: no entry of the file is a frame.
        """
        times, stamp = file.times, (file.times.stamp,)
        if times.intervals is None:
            return file.header
        if not self._has_extent:
            note = "times: the bounds of times have no length, and are not used"
            return file.header._replace(notes=(*file.header.notes, note))
        frames = self._frames[file.path]
        if not frames:
            got = f"no interval of {' '.join(self._windows) or 'any length'}"
            raise AbsentError(str(file.path), got=got, expected="values of an interval of time")
        assert times.values is not None
        kept = [frame.entry for frame in frames]
        is_moved = self._are_differences or times.method.kind == "sum"
        ends = np.array([frame.tile.interval.end for frame in frames], "datetime64[ms]")
        dtype = np.result_type(file.header.dtype, np.float32) if self._are_differences else file.header.dtype
        moments = ends if is_moved else times.values[kept]
        starts = np.array([frame.tile.interval.start for frame in frames], "datetime64[ms]")
        grid = file.header.grid.model_copy(update={"interval": find_interval(moments, starts, ends)})
        return file.header._replace(
            frames=len(frames),
            grid=grid,
            times=moments,
            runs=None if times.runs is None else times.runs[kept],
            dtype=dtype,
            notes=(*file.header.notes, *(self._notes if self._are_differences else (*stamp, *self._notes))),
        )

    def read(
        self, path: Path, indices: Sequence[int], read: Callable[[Path, Sequence[int]], NDArray[Any]]
    ) -> NDArray[Any]:
        """Read frames, each stored entry once.

        Args:
            path: a file.
            indices: numbers of its frames.
            read: gives entries of a file by their indices, ascending.
        """
        chosen = [self._frames[path][index] for index in indices] if self._has_extent and path in self._frames else None
        if chosen is None:
            return read(path, indices)
        needed: dict[Path, set[int]] = {path: {frame.entry for frame in chosen}}
        for frame in chosen:
            if frame.earlier is not None:
                needed.setdefault(frame.earlier[0], set()).add(frame.earlier[1])
        stored = {
            (other, index): values
            for other, used in needed.items()
            for index, values in zip(sorted(used), read(other, sorted(used)), strict=True)
        }
        return np.stack(
            [
                frame.tile.combine(stored[path, frame.entry], None if frame.earlier is None else stored[frame.earlier])
                for frame in chosen
            ]
        )


def check_methods(first: FileTimes, other: FileTimes) -> tuple[str, ...]:
    """Check that values of two files are combined alike in time; a note where one of them does not say.

    Raises:
        InputError: they are not.
    """
    methods = [first.times.method, other.times.method]
    intervals = {method.interval for method in methods if method.interval}
    kinds = {method.kind.replace(INSTANT, "") for method in methods}
    if len(kinds) == 1 and len(intervals) < 2:
        return ()
    if not all(method.kind for method in methods):
        silent, telling = (first, other) if not methods[0].kind else (other, first)
        got = f"times: {silent.path.name} does not say how its values are combined in time"
        return (f"{got}; they are taken for the {telling.times.method}, as in {telling.path.name}",)
    fix = "put each kind into a folder of its own"
    got, expected = (f"values that are the {each} over time" for each in reversed(methods))
    raise InputError(str(other.path), got=got, expected=f"{expected}, as in {first.path.name}", fix=fix)


def _describe(tiles: Sequence[TimeTile], windows: Sequence[str]) -> list[str]:
    """Describe frames of which some are differences, or of which others have been left out by the user's word."""
    lines = describe_tiles(tiles)
    return lines if any(tile.earlier is not None for tile in tiles) else lines[:1] if windows else []


def _are_months(tiles: Sequence[TimeTile]) -> bool:
    """Whether the lengths are those of months, whatever the calendar."""
    days = measure_lengths([tile.interval for tile in tiles]) / 86_400_000
    return bool(_MONTH_DAYS[0] <= days.min() and days.max() <= _MONTH_DAYS[1])
