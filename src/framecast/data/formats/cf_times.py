"""Times of the frames of CF grids: which coordinate dates them, the calendar, and the intervals that bounds give."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import from_calendar
from framecast.data.formats.cf_axes import NAMES, PERIOD, REFERENCE
from framecast.data.formats.guards import SERIES_LIMIT, as_input_error
from framecast.data.formats.intervals import (
    SUM,
    Interval,
    TimePlace,
    TimeTile,
    describe_tiles,
    find_interval,
    tile_intervals,
)
from framecast.data.timestamps import normalize_epoch
from framecast.errors import InputError
from framecast.optional_imports import require

_MILLISECONDS = {
    **dict.fromkeys(("d", "day", "days"), 86_400_000.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600_000.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60_000.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("microsecond", "microseconds"), 1e-3),
    **dict.fromkeys(("nanosecond", "nanoseconds"), 1e-6),
}
"""Milliseconds of each unit of a duration."""
_MONTHS = {**dict.fromkeys(("month", "months", "mon"), 1), **dict.fromkeys(("year", "years", "yr"), 12)}
"""Months of each unit of time that has no fixed length."""
_ALIASES = {"360": "360_day", "365": "noleap", "366": "all_leap", "365_day": "noleap", "366_day": "all_leap"}
"""CF's names of calendars by other spellings."""
_METHOD = re.compile(r"\btime\d*:(?:\s*\w+:)*\s*(\w+)")
"""How values are combined in time, in an attribute cell_methods."""
_SPAN = re.compile(r"\btime\d*:\s*sum\s*\(\s*interval:")
"""A sum whose interval stands with it."""


class AxisTimes(NamedTuple):
    """Times along a dimension."""

    values: NDArray[Any] | None
    """UTC; None where there are none."""
    calendar: str = "standard"
    origin: str | None = None
    """Date on which a calendar that numpy does not have, and numpy's, agree."""
    notes: tuple[str, ...] = ()
    tiles: list[TimeTile] | None = None
    """Frames as differences of entries along the dimension, where these are sums since a common start; else None."""
    interval: tuple[str, TimePlace] | None = None
    """Length of the intervals of which frames are a sum or mean, and where in them their times lie."""


def read_times(data: Any, field: Any, dim: str | None, name: str, origin: str | None = None) -> AxisTimes:
    """Read the times of frames.

    Times for which frames are valid come first, then the start of a forecast plus lead times, then the starts alone.
    Dates of calendars that numpy does not have keep their distances, from the first of the month of the first frame on.
    A sum over an interval is valid at its end, where the file gives its bounds (CF 7.1, 7.3).

    Args:
        data: an xarray.Dataset.
        field: the variable whose frames they are.
        dim: the dimension; None where frames have none.
        name: the file, for errors.
        origin: from where to count such dates instead, so that those of several files agree: `AxisTimes.origin`.

    Raises:
        InputError: times that cannot be read.
    """
    count = field.sizes[dim] if dim else 1
    if count > SERIES_LIMIT:
        return AxisTimes(None)
    if _is_unreadable(data.variables.get(dim)):
        return _leave_out(str(dim), _read_units(data.variables[dim]))
    fitting = {str(key): array for key, array in data.variables.items() if array.size in (1, count)}
    fitting = {key: array for key, array in fitting.items() if array.dtype.kind in "fium"}
    key, lead = _find_valid_times(fitting, field, dim, count), None
    if key is None:
        key, lead = _find_forecast(fitting, dim, count)
    if key is None:
        other = next((key for key in ("time", "valid_time") if _is_dated(data.variables.get(key))), None)
        own = data.variables.get(dim)
        if other is None and own is not None and _read_units(own).lower() not in ("", "1", *_MILLISECONDS):
            return _leave_out(str(dim), _read_units(own))
        size = 0 if other is None else data.variables[other].size
        return AxisTimes(
            None, notes=(f"times: {other} has {size} for {count} frames, and is not used",) if size else ()
        )
    stated, calendar = str(fitting[key].attrs["units"]), str(fitting[key].attrs.get("calendar", "standard")).lower()
    units = normalize_epoch(stated)
    if units is None:
        return _leave_out(key, stated)
    with as_input_error(f"{name}: {key}", f"times in {units}", fix=None):
        raw = _read_finite(fitting[key], f"{name}: {key}")
        if lead is not None:
            unit, _, start = units.partition(" since ")
            raw = _to_milliseconds(raw, unit) + _read_lead_times(fitting[lead], f"{name}: {lead}")
            units = f"milliseconds since {start}"
        times = _decode_times(raw, units, calendar, origin)
        if times is None:
            return _leave_out(key, units)
        return times if lead is not None else _apply_bounds(data, field, dim, times, (key, units, calendar), name)


def _read_units(array: Any) -> str:
    return str(array.attrs.get("units", "")).strip()


def _is_named(array: Any, standard_name: str) -> bool:
    return array is not None and str(array.attrs.get("standard_name", "")) == standard_name


def _is_dated(array: Any) -> bool:
    return array is not None and " since " in _read_units(array)


def _is_time(array: Any) -> bool:
    """Whether a coordinate says that it is the time, whatever its units are."""
    return _is_named(array, "time") or str(array.attrs.get("axis", "")).lower() == "t"


def _is_unreadable(array: Any) -> bool:
    """Whether a coordinate is the time in units that are neither dates nor durations, as CDO's `day as %Y%m%d.%f`."""
    if array is None or not _is_time(array) or _is_dated(array):
        return False
    return _read_units(array).lower() not in ("", "1", *_MILLISECONDS)


def _find_valid_times(fitting: dict[str, Any], field: Any, dim: str | None, count: int) -> str | None:
    """Choose the coordinate with the times for which frames are valid; None if there is none."""
    own = fitting.get(str(dim))
    listed = str(field.encoding.get("coordinates", field.attrs.get("coordinates", ""))).split()
    if own is not None and (_is_time(own) or NAMES.get(str(dim).lower()) == "t"):
        listed = []  # the dimension has a time already; of another only its name or standard name says that it is one
    along = [key for key, array in fitting.items() if array.dims == (dim,) and key != dim]
    along = [key for key in along if _is_named(fitting[key], "time") or key in listed]
    # on an axis of lead times one `time` for all is when the forecast was started
    is_start = _is_named(own, PERIOD) and "time" in fitting and fitting["time"].dims != (dim,)
    times = [] if is_start and not _is_named(fitting["time"], "time") else ["time"]
    for key in (dim, *times, "valid_time", *along):
        array = fitting.get(str(key))
        if array is not None and _is_dated(array) and array.size == count and not _is_named(array, REFERENCE):
            return str(key)
    return None


def _find_forecast(fitting: dict[str, Any], dim: str | None, count: int) -> tuple[str | None, str | None]:
    """Choose the coordinates of starts and lead times; starts alone date frames unless these are of several leads."""
    near = {key: array for key, array in fitting.items() if array.size == 1 or array.dims == (dim,)}
    leads = [key for key, array in near.items() if _is_named(array, PERIOD) and _is_duration(array)]
    lead = next(iter(sorted(leads, key=lambda key: key != dim)), None)
    starts = [key for key, array in near.items() if _is_dated(array) and _is_named(array, REFERENCE)]
    if lead is not None and near[lead].dims == (dim,) and _is_dated(near.get("time")):
        starts.append("time")
    starts.sort(key=lambda key: key != dim)
    for key in starts if lead is not None else []:
        if (
            count in (near[key].size, near[str(lead)].size)
            and _read_units(near[key]).split()[0].lower() in _MILLISECONDS
        ):
            return key, lead
    if _is_named(fitting.get(str(dim)), PERIOD):
        return None, None
    return next((key for key in starts if key in (dim, "time") and near[key].size == count), None), None


def _is_duration(array: Any) -> bool:
    return array.dtype.kind == "m" or _read_units(array).lower() in _MILLISECONDS


def _read_finite(array: Any, name: str) -> NDArray[Any]:
    raw = np.asarray(array.values).reshape(-1)
    if (raw.dtype.kind == "f" and not np.isfinite(raw).all()) or (raw.dtype.kind == "m" and np.isnat(raw).any()):
        raise InputError(name, got="a time that is missing", expected="a time for each frame")
    return raw


def _read_lead_times(array: Any, name: str) -> NDArray[np.int64]:
    """Read lead times in milliseconds."""
    raw = _read_finite(array, name)
    if raw.dtype.kind == "m":
        return raw.astype("timedelta64[ms]").astype(np.int64)
    return _to_milliseconds(raw, _read_units(array))


def _to_milliseconds(raw: NDArray[Any], unit: str) -> NDArray[np.int64]:
    return np.round(raw.astype(np.float64) * _MILLISECONDS[unit.strip().lower()]).astype(np.int64)


def _leave_out(key: str, units: str) -> AxisTimes:
    fix = "they are not used; say how far frames are apart with --step-minutes"
    return AxisTimes(None, notes=(f"times: {key} is in {units!r}, which is not understood: {fix}",))


def _decode_times(raw: NDArray[Any], units: str, calendar: str, origin: str | None) -> AxisTimes | None:
    """Decode times; None where their units are not understood."""
    cftime = require("cftime", "grids")
    calendar = _ALIASES.get(calendar, calendar)
    unit, _, start = units.partition(" since ")
    months = _MONTHS.get(unit.strip().lower())
    if months is None and unit.strip().lower() not in _MILLISECONDS:
        return None
    standard = calendar in ("standard", "gregorian", "proleptic_gregorian")
    if months is not None:
        moments = _decode_months(raw.astype(np.float64) * months, start, calendar)
        if moments is None:
            return None
    else:
        moments = list(cftime.num2date(raw, units, calendar))
    if standard:
        # to the nearest millisecond: 0.04 s is 39.999 ms in floating point
        microseconds = np.array([moment.isoformat() for moment in moments], "datetime64[us]")
        return AxisTimes((microseconds + np.timedelta64(500, "us")).astype("datetime64[ms]"), calendar)
    first = min(moments).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if origin is not None:
        first = first.replace(year=int(origin[:4]), month=int(origin[5:7]))
    origin = f"{first.year:04}-{first.month:02}-01 00:00:00"
    notes = (f"calendar: {calendar}; days are counted from {origin[:10]} on",)
    return AxisTimes(from_calendar(moments, calendar, origin), calendar, origin, notes)


def _decode_months(months: NDArray[np.float64], start: str, calendar: str) -> list[Any] | None:
    """Decode months since a date as dates; None where they are neither whole nor half months from the first of one.

    A month has no fixed length, but so many whole months after the first of one is the first of another.
    """
    cftime = require("cftime", "grids")
    origin = cftime.num2date(0, f"days since {start}", calendar)
    halves = np.rint(2 * months)
    if not np.allclose(2 * months, halves, atol=1e-3) or (origin.day > 1 and (halves % 2).any()) or origin.day > 28:
        return None
    dates = []
    for whole, half in zip((halves // 2).astype(int).tolist(), (halves % 2).tolist(), strict=True):
        number = origin.year * 12 + origin.month - 1 + whole
        date, following = (origin.replace(year=n // 12, month=n % 12 + 1) for n in (number, number + 1))
        dates.append(date + (following - date) / 2 if half else date)
    return dates


def _apply_bounds(
    data: Any, field: Any, dim: str | None, times: AxisTimes, source: tuple[str, str, str], name: str
) -> AxisTimes:
    """Move the times of sums to the end of their intervals, take differences of sums since a common start; say so.

    Args:
        data: an xarray.Dataset.
        field: the variable whose frames they are.
        dim: its dimension of time.
        times: as the coordinate has them.
        source: name of the coordinate, its units and its calendar.
        name: the file, for errors.
    """
    key, units, calendar = source
    method = _METHOD.search(str(field.attrs.get("cell_methods", "")))
    kind = method[1].lower() if method else ""
    if times.values is None or kind in ("", "point"):
        return times
    array = data.variables.get(str(data.variables[key].attrs.get("bounds", "")))
    if array is None or array.shape != (len(times.values), 2):
        if kind != SUM or _SPAN.search(str(field.attrs.get("cell_methods", ""))):
            return times
        note = f"times: {key} has no bounds, so when each sum begins is not known; its times are taken as they are"
        return times._replace(notes=(*times.notes, note))
    stored = _read_finite(array, f"{name}: {key} bounds")
    own = normalize_epoch(str(array.attrs.get("units", units)))
    bounds = None if own is None else _decode_times(stored, own, calendar, times.origin)
    if bounds is None or bounds.values is None:
        return times
    starts, ends = bounds.values.reshape(-1, 2).T
    if kind != SUM:
        places = {"end": ends, "start": starts, "middle": starts + (ends - starts) / 2}
        place = next((word for word, moments in places.items() if np.array_equal(moments, times.values)), "place")
        words = f"the {place} of" if place in places else "within"
        note = f"times: {key}, {words} the intervals of which frames are the {kind}"
        return times._replace(notes=(*times.notes, note), interval=find_interval(times.values, starts, ends))
    tiles = None
    if len(np.unique(starts)) < len(starts) or (starts >= ends).any():
        intervals = [Interval(start, end, SUM) for start, end in zip(starts, ends, strict=True)]
        tiles = tile_intervals(intervals, None, name, "cut out the sums of one length first")
        starts, ends = np.array([tile.interval[:2] for tile in tiles], "datetime64[ms]").T
        notes = tuple(describe_tiles(tiles))
    else:
        notes = (f"times: the end of the interval of each sum, by the bounds of {key}",)
    interval = find_interval(ends, starts, ends)
    return times._replace(values=ends, tiles=tiles, notes=(*times.notes, *notes), interval=interval)
