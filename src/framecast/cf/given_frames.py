"""Frames that a user gives as an xarray.DataArray: its axes, times, units and values, for a forecast of what follows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray

from framecast.calendars import count_steps, from_calendar
from framecast.data.formats.cf_axes import find_axes
from framecast.data.times import ALIKE, count_absent, order_frames
from framecast.data.units import canonical_units
from framecast.errors import InputError
from framecast.types import FrameSpec, Grid

_NAMES = {
    **dict.fromkeys(("sequence", "sequences", "sample", "samples", "batch", "event", "n", "b"), "b"),
    **dict.fromkeys(("frame", "frames", "lead_time", "step"), "t"),
    **dict.fromkeys(("h",), "y"),
    **dict.fromkeys(("w", "width"), "x"),
}
"""Letters of axes by names that files do not have: b sequences, t time, y rows, x columns."""
_ORDERS = {3: "tyx", 4: "tcyx", 5: "btcyx"}
"""Axes by their number, where their names say nothing."""
_STANDARD = ("standard", "gregorian", "proleptic_gregorian")
_WORDS = {"b": "sequences", "t": "time", "c": "channels", "y": "rows", "x": "columns"}


class GivenFrames(NamedTuple):
    """The newest frames of a DataArray, as a forecast takes them."""

    array: xarray.DataArray
    """The part that is used, axes as they were given."""
    axes: dict[str, str]
    """Name of each axis by its letter of b t c y x."""
    times: NDArray[Any] | None
    """(B, J), datetime64[ms], UTC; None where unknown."""
    time_name: str | None
    """Name of the coordinate of times."""
    step_minutes: float | None
    step_months: int | None
    grid: Grid
    """Calendar of the times."""
    units: str | None
    """Canonical units; None where the array has none."""
    factor: float
    """From the array's units to these."""
    notes: tuple[str, ...] = ()
    absent: tuple[int, ...] = ()
    """Places of frames that are absent among the J of the context; their values are NaN."""

    @property
    def values(self) -> NDArray[Any]:
        """(B, J, C, H, W), in canonical units, NaN where missing; read now."""
        order = [self.axes[letter] for letter in "btcyx" if letter in self.axes]
        values = np.asarray(self.array.transpose(*order).values)
        absent = tuple(place for place, letter in enumerate("btcyx") if letter not in self.axes)
        values = np.expand_dims(values, absent)
        if self.absent:
            places = np.setdiff1d(np.arange(values.shape[1] + len(self.absent)), self.absent)
            whole = np.full((len(values), len(places) + len(self.absent), *values.shape[2:]), np.nan, np.float32)
            whole[:, places] = values
            values = whole
        return values if self.factor == 1 else values * np.float32(self.factor)


def read_given(array: xarray.DataArray, spec: FrameSpec, last: int | None, max_filled: int = 0) -> GivenFrames:
    """Find out what a DataArray holds, and choose its newest frames: `last` at most, with few absent ones among them.

    Args:
        array: (time, y, x), with channels and sequences as further axes, in any order. Axes are known by the CF
            attributes of their coordinates, or by their names.
        spec: frames that the model takes.
        last: frames that the model was trained to see; None for all.
        max_filled: frames that may be absent among them, so that what lies before a gap is used.

    Raises:
        InputError: axes that cannot be told, too few or too many, or times out of order.
    """
    axes = find_letters(array)
    array = _order_channels(array, axes, spec)
    coordinate = _find_times(array, axes)
    times, grid = (None, Grid()) if coordinate is None else _read_times(coordinate, axes, array)
    length = array.sizes[axes["t"]]
    if not length:
        raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
    used = length if last is None else min(last, length)
    step: float | None = None
    months: int | None = None
    notes: tuple[str, ...] = ()
    absent: tuple[int, ...] = ()
    if times is not None:
        stretch, step, months = _find_stretch(times, grid, axes["t"])
        slots = _find_slots(times, (step, months), grid, length + max_filled if last is None else last, max_filled)
        used = sum(slots) if slots else min(used, stretch)
        notes = (f"times: a gap lies {used} frames before the end; those after it are used",)
        absent = tuple(place for place, is_there in enumerate(slots) if not is_there)
        notes *= used < length and (last is None or used + len(absent) < last)
        times = _fill_times(times[:, length - used :], slots, (step, months), grid)
    units, factor = (None, 1.0) if "units" not in array.attrs else canonical_units(str(array.attrs["units"]))
    return GivenFrames(
        array.isel({axes["t"]: slice(length - used, None)}),
        axes,
        times,
        None if coordinate is None else str(coordinate.name),
        step,
        months,
        grid,
        units,
        factor,
        notes,
        absent,
    )


def find_letters(array: xarray.DataArray) -> dict[str, str]:
    """Find the name of each axis by its letter of b t c y x.

    Raises:
        InputError: an axis that cannot be told, twice one meaning, or no time, rows or columns.
    """
    dims = [str(dim) for dim in array.dims]
    by_attribute = find_axes(array.to_dataset(name="framecast frames")).letters
    letters = {dim: by_attribute.get(dim) or _NAMES.get(dim.lower()) for dim in dims}
    if {"height", "width"} <= {dim.lower() for dim in dims}:  # as of pictures: no height above the ground
        letters |= {dim: "y" for dim in dims if dim.lower() == "height"}
    unknown = [dim for dim in dims if letters[dim] is None]
    wanted = [letter for letter in _ORDERS.get(len(dims), "") if letter not in letters.values()]
    guess = {**letters, **dict(zip(unknown, wanted, strict=False))}
    if len(unknown) == len(wanted) and "".join(map(str, guess.values())) == _ORDERS.get(len(dims)):
        letters, unknown = guess, []
    members = [dim for dim in dims if letters[dim] in ("m", "v")]
    if members:
        fix = f"choose one, as in frames.isel({members[0]}=0)"
        raise InputError("frames", got=f"the axis {members[0]}", expected="sequences, time, channels, y, x", fix=fix)
    axes = {str(letter): dim for dim, letter in letters.items()}
    absent = [_WORDS[letter] for letter in "tyx" if letter not in axes]
    if unknown or absent or len(axes) < len(dims):
        got = f"axes ({', '.join(dims)})" + (f", none of {' and '.join(absent)} among them" if absent else "")
        fix = "name them, as in frames.rename(a='sequence', b='time', c='channel', d='y', e='x')"
        raise InputError(
            "frames", got=got, expected="(time, y, x), with channel and sequence where there are any", fix=fix
        )
    return axes


def _order_channels(array: xarray.DataArray, axes: dict[str, str], spec: FrameSpec) -> xarray.DataArray:
    """Put channels in the order of the model, where both have names."""
    names = [*spec.names, *(channel.name for channel in spec.past)]
    dim = axes.get("c")
    if dim is None or dim not in array.coords or len(names) != spec.channels:
        return array
    known = [str(name) for name in array.coords[dim].values]
    if known == names or len(set(known)) < len(known) or not set(names) <= set(known):
        return array
    return array.isel({dim: [known.index(name) for name in names]})


def _find_times(array: xarray.DataArray, axes: dict[str, str]) -> xarray.DataArray | None:
    """Find the coordinate of the valid times: that of the axis, else one along it that says so, else any with dates."""
    t, inner = axes["t"], {axes["t"], axes.get("b")}
    dated = {
        str(name): array.coords[name]
        for name in array.coords
        if t in array.coords[name].dims and set(array.coords[name].dims) <= inner and _are_dates(array.coords[name])
    }
    said = [name for name, one in dated.items() if one.attrs.get("standard_name") == "time"]
    chosen = next((name for name in (t, *said, "time", "valid_time", *dated) if name in dated), None)
    if chosen is None and " since " in str(array.coords[t].attrs.get("units", "") if t in array.coords else ""):
        fix = "decode them, as in xarray.decode_cf(dataset), which xarray.open_dataset does"
        raise InputError(f"coordinate {t}", got="times as numbers", expected="dates", fix=fix)
    return None if chosen is None else dated[chosen]


def _are_dates(coordinate: xarray.DataArray) -> bool:
    if coordinate.dtype.kind == "M":
        return not np.isnat(coordinate.values).any()
    return coordinate.dtype == object and all(hasattr(date, "calendar") for date in coordinate.values.flat)


def _read_times(
    coordinate: xarray.DataArray, axes: dict[str, str], array: xarray.DataArray
) -> tuple[NDArray[Any], Grid]:
    """Read times as (B, T) datetime64[ms], and the calendar in which they are dates."""
    order = [axes[letter] for letter in "bt" if axes.get(letter) in coordinate.dims]
    values = coordinate.transpose(*order).values
    grid = Grid()
    if values.dtype.kind != "M":
        dates = list(values.flat)
        calendar = str(dates[0].calendar)
        if calendar in _STANDARD:
            values = np.array([date.isoformat() for date in dates], "datetime64[ms]").reshape(values.shape)
        else:
            first = min(dates)
            grid = Grid(calendar=calendar, time_origin=f"{first.year:04}-{first.month:02}-01 00:00:00")
            values = from_calendar(dates, calendar, str(grid.time_origin)).reshape(values.shape)
    count = array.sizes[axes["b"]] if "b" in axes else 1
    times = values.astype("datetime64[ms]")
    return np.broadcast_to(times, (count, array.sizes[axes["t"]])), grid


def _find_slots(
    times: NDArray[Any], step: tuple[float | None, int | None], grid: Grid, last: int, max_filled: int
) -> list[bool]:
    """Find which of the `last` newest slots, oldest first, have a frame, with at most `max_filled` that have none.

    Empty where nothing may be absent, or the sequences have gaps at different times.
    """
    if not max_filled or (times - times[:, :1] != (times - times[:, :1])[0]).any():
        return []
    slots, moments = [True], times[0]
    for before, after in zip(moments[-2::-1], moments[::-1], strict=False):
        absent = count_absent(before, after, *step, grid, max_filled - slots.count(False))
        if absent is None or len(slots) + absent >= last:
            break
        slots[:0] = [True] + [False] * absent
    return slots


def _fill_times(
    times: NDArray[Any], slots: list[bool], step: tuple[float | None, int | None], grid: Grid
) -> NDArray[Any]:
    """Fill the times of absent frames in, each counted on from the frame before."""
    if all(slots) or step[0] is None:
        return times
    whole, remaining = list[NDArray[Any]](), iter(times.T)
    for is_there in slots:
        last = times[:0, 0] if is_there else whole[-1]
        counted = [count_steps(row[None], np.arange(1, 2), step[0], step[1], grid)[0] for row in last]
        whole.append(next(remaining) if is_there else np.array(counted))
    return np.stack(whole, 1)


def _find_stretch(times: NDArray[Any], grid: Grid, dim: str) -> tuple[int, float | None, int | None]:
    """Find the frames after the last gap of any sequence, and the step: in minutes, and in calendar months.

    Raises:
        InputError: times out of order or twice, or sequences of different steps.
    """
    lines = [order_frames([len(row)], row, None, None, grid) for row in times]
    if any(line.disorder or line.duplicates for line in lines):
        fix = f"put them in order, as in frames.sortby({dim!r}).drop_duplicates({dim!r})"
        raise InputError(f"coordinate {dim}", got="times out of order, or twice", expected="ascending times", fix=fix)
    steps = [line.step_minutes for line in lines if line.step_minutes is not None]
    if steps and max(steps) > (1 + ALIKE) * min(steps):
        got = f"sequences of steps from {min(steps):g} to {max(steps):g} min"
        raise InputError(f"coordinate {dim}", got=got, expected="one step", fix="forecast them one by one")
    stretch = min(line.runs[-1][1] for line in lines)
    return stretch, steps[0] if steps else None, lines[0].step_months
