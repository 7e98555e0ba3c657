"""Times of the frames of CF grids: which coordinate dates them, in which calendar, and when forecasts were started."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import from_calendar
from framecast.data.formats.cell_methods import TimeMethod
from framecast.data.formats.cf_axes import MILLISECONDS, NAMES, PERIOD, REFERENCE, VariableAxes
from framecast.data.formats.guards import SERIES_LIMIT, as_input_error
from framecast.data.formats.intervals import Interval
from framecast.data.timestamps import normalize_epoch
from framecast.errors import InputError

_MONTHS = {**dict.fromkeys(("month", "months", "mon"), 1), **dict.fromkeys(("year", "years", "yr"), 12)}
"""Months of each unit of time that has no fixed length."""
_ALIASES = {"360": "360_day", "365": "noleap", "366": "all_leap", "365_day": "noleap", "366_day": "all_leap"}
"""CF's names of calendars by other spellings."""


class AxisTimes(NamedTuple):
    """Times along a dimension."""

    values: NDArray[Any] | None
    """UTC; None where there are none."""
    calendar: str = "standard"
    origin: str | None = None
    """Date on which a calendar that numpy does not have, and numpy's, agree."""
    notes: tuple[str, ...] = ()
    runs: NDArray[Any] | None = None
    """Start of the forecast of each frame; None where the file does not say."""
    key: str = ""
    """Coordinate that dates the frames, or their forecasts; empty where there is none."""
    lead: str | None = None
    """Coordinate of lead times that are added to it."""
    method: TimeMethod = TimeMethod()
    """How the values of a frame are combined in time."""
    intervals: list[Interval] | None = None
    """Interval of each entry along the dimension; None for instants, and where the file does not give them."""
    mixture: str = ""
    """Variables and how each is combined in time, where they differ; empty where they do not."""
    stamp: str = ""
    """What the times are, of frames that are entries along the dimension; one line."""


def read_times(data: Any, field: Any, axes: VariableAxes, name: str, origin: str | None = None) -> AxisTimes:
    """Read the times of frames.

    Times for which frames are valid come first, then the start of a forecast plus lead times, then the starts alone.
    Dates of calendars that numpy does not have keep their distances, from the first of the month of the first frame on.

    Args:
        data: an xarray.Dataset.
        field: the variable whose frames they are.
        axes: of the variable.
        name: the file, for errors.
        origin: from where to count such dates instead, so that those of several files agree: `AxisTimes.origin`.

    Raises:
        InputError: times that cannot be read.
    """
    count, dim = axes.count_frames(field), axes.t
    if count > SERIES_LIMIT:
        return AxisTimes(None)
    if axes.step is not None:
        return _read_forecasts(data, axes, name, origin)
    if _is_unreadable(data.variables.get(dim)):
        return _leave_out(str(dim), read_units(data.variables[dim]))
    fitting = {str(key): array for key, array in data.variables.items() if array.size in (1, count)}
    fitting = {key: array for key, array in fitting.items() if array.dtype.kind in "fium"}
    key, lead = _find_valid_times(fitting, field, dim, count), None
    if key is None:
        key, lead = _find_forecast(fitting, dim, count)
    if key is None:
        return _explain_absence(data, dim, count)
    stated, calendar = str(fitting[key].attrs["units"]), str(fitting[key].attrs.get("calendar", "standard")).lower()
    units = normalize_epoch(stated)
    if units is None:
        return _leave_out(key, stated)
    with as_input_error(f"{name}: {key}", f"times in {units}", fix=None):
        raw = read_finite(fitting[key], f"{name}: {key}")
        if lead is not None:
            unit, _, start = units.partition(" since ")
            starts = to_milliseconds(raw, unit)
            raw = starts + _read_lead_times(fitting[lead], f"{name}: {lead}")
            units = f"milliseconds since {start}"
        times = decode_times(raw, units, calendar, origin)
        if times is None or times.values is None:
            return _leave_out(key, units)
        if lead is not None:
            times = times._replace(runs=times.values - (raw - starts).astype("timedelta64[ms]"))
        else:
            times = times._replace(runs=_read_runs(fitting, dim, times, name))
        return times._replace(key=key, lead=lead)


def _read_forecasts(data: Any, axes: VariableAxes, name: str, origin: str | None) -> AxisTimes:
    """Read the times of several forecasts, (starts, lead times), one after another."""
    key, lead = str(axes.t), str(axes.step)
    starts, calendar = data.variables[key], str(data.variables[key].attrs.get("calendar", "standard")).lower()
    units = normalize_epoch(read_units(starts)) or ""
    unit, _, start = units.partition(" since ")
    if unit.lower() not in MILLISECONDS:
        return _leave_out(key, read_units(starts))
    with as_input_error(f"{name}: {key}", f"times in {units}", fix=None):
        passed = _read_lead_times(data.variables[lead], f"{name}: {lead}")
        raw = np.add.outer(to_milliseconds(read_finite(starts, f"{name}: {key}"), unit), passed).ravel()
        times = decode_times(raw, f"milliseconds since {start}", calendar, origin)
        assert times is not None
        assert times.values is not None
        delays = np.tile(passed, len(raw) // len(passed)).astype("timedelta64[ms]")
        return times._replace(runs=times.values - delays, key=key, lead=lead)


def _explain_absence(data: Any, dim: str | None, count: int) -> AxisTimes:
    """Say why frames have no times, where the file has something that looks like them."""
    other = next((key for key in ("time", "valid_time") if _is_dated(data.variables.get(key))), None)
    own = data.variables.get(dim)
    units = "" if own is None else read_units(own)
    if other is not None:
        size = data.variables[other].size
        return AxisTimes(None, notes=(f"times: {other} has {size} for {count} frames, and is not used",))
    if units.lower() not in ("", "1", *MILLISECONDS):
        return _leave_out(str(dim), units)
    return _describe_undated(data, dim) if count > 1 else AxisTimes(None)


def _describe_undated(data: Any, dim: str | None) -> AxisTimes:
    """Name the coordinate that would be the time of frames if its units had a date."""
    along = {str(key): array for key, array in data.variables.items() if array.dims == (dim,)}
    along = {key: array for key, array in along.items() if array.dtype.kind in "fiu"}
    keys = [key for key, array in along.items() if _is_time(array) or NAMES.get(key.lower()) == "t"]
    if not keys:
        return AxisTimes(None)
    units = read_units(along[keys[0]])
    got = "no units" if units in ("", "1") else f"units {units!r} without a date"
    fix = "they are not used; say how far frames are apart with --step-minutes"
    return AxisTimes(
        None, notes=(f"times: {keys[0]} has {got}, where hours since 2024-05-01 or such is expected: {fix}",)
    )


def read_units(array: Any) -> str:
    """Read the units of a coordinate; empty where it has none."""
    return str(array.attrs.get("units", "")).strip()


def _is_named(array: Any, standard_name: str) -> bool:
    return array is not None and str(array.attrs.get("standard_name", "")) == standard_name


def _is_dated(array: Any) -> bool:
    return array is not None and " since " in read_units(array)


def _is_time(array: Any) -> bool:
    """Whether a coordinate says that it is the time, whatever its units are."""
    return _is_named(array, "time") or str(array.attrs.get("axis", "")).lower() == "t"


def _is_unreadable(array: Any) -> bool:
    """Whether a coordinate is the time in units that are neither dates nor durations, as CDO's `day as %Y%m%d.%f`."""
    if array is None or not _is_time(array) or _is_dated(array):
        return False
    return read_units(array).lower() not in ("", "1", *MILLISECONDS)


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
        if count in (near[key].size, near[str(lead)].size) and read_units(near[key]).split()[0].lower() in MILLISECONDS:
            return key, lead
    if _is_named(fitting.get(str(dim)), PERIOD):
        return None, None
    return next((key for key in starts if key in (dim, "time") and near[key].size == count), None), None


def _is_duration(array: Any) -> bool:
    return array.dtype.kind == "m" or read_units(array).lower() in MILLISECONDS


def read_finite(array: Any, name: str) -> NDArray[Any]:
    """Read the values of a coordinate of times, as they are stored.

    Raises:
        InputError: some are missing.
    """
    raw = np.asarray(array.values).reshape(-1)
    if (raw.dtype.kind == "f" and not np.isfinite(raw).all()) or (raw.dtype.kind == "m" and np.isnat(raw).any()):
        raise InputError(name, got="a time that is missing", expected="a time for each frame")
    return raw


def _read_lead_times(array: Any, name: str) -> NDArray[np.int64]:
    """Read lead times in milliseconds."""
    raw = read_finite(array, name)
    if raw.dtype.kind == "m":
        return raw.astype("timedelta64[ms]").astype(np.int64)
    return to_milliseconds(raw, read_units(array))


def to_milliseconds(raw: NDArray[Any], unit: str) -> NDArray[np.int64]:
    """Convert durations to milliseconds from a unit of MILLISECONDS."""
    return np.round(raw.astype(np.float64) * MILLISECONDS[unit.strip().lower()]).astype(np.int64)


def _leave_out(key: str, units: str) -> AxisTimes:
    fix = "they are not used; say how far frames are apart with --step-minutes"
    return AxisTimes(None, notes=(f"times: {key} is in {units!r}, which is not understood: {fix}",))


def decode_times(raw: NDArray[Any], units: str, calendar: str, origin: str | None) -> AxisTimes | None:
    """Decode times.

    Args:
        raw: as they are stored.
        units: as `normalize_epoch` writes them.
        calendar: as CF names it.
        origin: from where to count dates of calendars that numpy does not have; None for the month of the first.

    Returns:
        UTC; None where the units are not understood.
    """
    import cftime

    calendar = _ALIASES.get(calendar, calendar)
    unit, _, start = units.partition(" since ")
    months = _MONTHS.get(unit.strip().lower())
    if months is None and unit.strip().lower() not in MILLISECONDS:
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
    import cftime

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


def _read_runs(fitting: dict[str, Any], dim: str | None, times: AxisTimes, name: str) -> NDArray[Any] | None:
    """Read when the forecasts were started, for each frame; None where the file does not say."""
    near = {key: array for key, array in fitting.items() if array.size == 1 or array.dims == (dim,)}
    keys = [key for key, array in near.items() if _is_dated(array) and _is_named(array, REFERENCE)]
    own, time = fitting.get(str(dim)), near.get("time")
    if _is_named(own, PERIOD) and time is not None and _is_dated(time) and not _is_named(time, "time"):
        keys += ["time"] * (time.dims != (dim,))
    units = normalize_epoch(read_units(near[keys[0]])) if keys else None
    if units is None or times.values is None:
        return None
    array = near[keys[0]]
    with as_input_error(f"{name}: {keys[0]}", f"times in {units}", fix=None):
        raw = np.asarray(array.values).reshape(-1)
        if not np.isfinite(raw).all():
            return None
        calendar = str(array.attrs.get("calendar", times.calendar)).lower()
        found = decode_times(raw, units, calendar, times.origin)
    if found is None or found.values is None:
        return None
    return np.broadcast_to(found.values, times.values.shape).copy()
