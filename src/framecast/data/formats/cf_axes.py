"""Axes of CF grids: which dimensions are time, rows and columns, and the coordinates along them.

cf_xarray reads the attributes (axis, standard_name, units, those of THREDDS and GrADS). Files that have none, or whose
times are not called so, are read by the names that weather and ocean models give to their dimensions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.guards import SERIES_LIMIT, as_input_error
from framecast.data.timestamps import normalize_epoch
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.optional_imports import require

AXES = "tyx"
_KEYS = (("T", "t"), ("Y", "y"), ("X", "x"), ("latitude", "y"), ("longitude", "x"))
"""cf_xarray's names of axes and coordinates; where a variable is both, the axis counts."""
_REFERENCE, _PERIOD = _TIMES = ("forecast_reference_time", "forecast_period")
"""Standard names of times that CF does not take for the axis T: frames follow one another along them, too."""
_UNITS = {
    **dict.fromkeys(("degrees_north", "degree_north", "degree_n", "degrees_n"), "y"),
    **dict.fromkeys(("degrees_east", "degree_east", "degree_e", "degrees_e"), "x"),
}
"""In lower case; CF and cf_xarray heed upper and lower case."""
_NAMES = {
    **dict.fromkeys(("t", "time", "times", "valid_time", "date", "datetime"), "t"),
    **dict.fromkeys(("y", "yc", "ny", "nlat", "lat", "latitude", "row", "rows", "j", "nj", "northing"), "y"),
    **dict.fromkeys(("rlat", "south_north"), "y"),
    **dict.fromkeys(("x", "xc", "nx", "nlon", "lon", "longitude", "column", "columns", "i", "ni", "easting"), "x"),
    **dict.fromkeys(("rlon", "west_east"), "x"),
}
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


class GridAxes(NamedTuple):
    """Axes of the grids in a dataset."""

    letters: dict[str, str]
    """t, y or x of each dimension that is one of them."""
    positions: frozenset[str]
    """Variables that are latitudes or longitudes of pixels; they are frames only where a user names them."""


def find_axes(data: Any) -> GridAxes:
    """Find time, rows and columns among the dimensions of an xarray.Dataset.

    The coordinate of a dimension decides, by its attributes; else the dimension's name; else other coordinates along it,
    where they agree (CF 5: auxiliary coordinates, as valid_time along step). Dimensions of a curvilinear grid, whose
    latitudes and longitudes have two axes (CF 5.2), are rows and columns in the order in which these have them.

    Raises:
        UsageError: cf_xarray is not installed.
    """
    by_variable = _read_attributes(data)
    along: dict[str, set[str]] = {}
    for key, letter in by_variable.items():
        if data.variables[key].ndim == 1:
            along.setdefault(str(data.variables[key].dims[0]), set()).add(letter)
    letters: dict[str, str] = {}
    for dim in map(str, data.dims):
        auxiliary = along.get(dim, set())
        if known := by_variable.get(dim) or _NAMES.get(dim.lower()):
            letters[dim] = known
        elif len(auxiliary) == 1:
            (letters[dim],) = auxiliary
    positions = frozenset(key for key, letter in by_variable.items() if letter in "yx" and key not in data.dims)
    for rows, columns in _find_curvilinear(data, by_variable, letters):
        letters.setdefault(rows, "y" if letters.get(columns) != "y" else "x")
        letters.setdefault(columns, "x" if letters.get(rows) != "x" else "y")
    return GridAxes(letters, positions)


def _read_attributes(data: Any) -> dict[str, str]:
    """Read the letter t, y or x of each variable from its attributes alone."""
    require("cf_xarray", "grids")
    # cf_xarray looks at coordinates only, and compares attributes with texts, which fails on arrays
    view = data.set_coords(list(data.data_vars))
    view.attrs, view.encoding = {}, {}
    letters: dict[str, str] = {}
    for key, variable in view.variables.items():
        variable.attrs = {name: text for name, text in variable.attrs.items() if isinstance(text, str)}
        axis, units = (variable.attrs.get(name, "").lower() for name in ("axis", "units"))
        if " since " in units or variable.attrs.get("standard_name") in _TIMES:
            letters[str(key)] = "t"
        elif axis in tuple(AXES) or units in _UNITS:
            letters[str(key)] = _UNITS.get(units, axis)
    named = {**view.cf.coordinates, **view.cf.axes}
    for name, letter in reversed(_KEYS):
        letters |= {str(key): letter for key in named.get(name, [])}
    return letters


def _find_curvilinear(data: Any, by_variable: dict[str, str], letters: dict[str, str]) -> list[tuple[str, str]]:
    """Find pairs of dimensions that a latitude and a longitude share; both may have one of time, too (WRF)."""
    pairs: dict[str, list[tuple[str, ...]]] = {"y": [], "x": []}
    for key, letter in by_variable.items():
        dims = tuple(str(dim) for dim in data.variables[key].dims if letters.get(str(dim)) != "t")
        if letter in pairs and len(dims) == 2:
            pairs[letter].append(dims)
    return [(dims[0], dims[1]) for dims in dict.fromkeys(pairs["y"]) if dims in pairs["x"]]


def read_coordinate(data: Any, dim: str, name: str) -> tuple[tuple[float, ...], str]:
    """Read the values along a dimension and their units; nothing where the file has none.

    Raises:
        InputError: values that are no numbers, or not finite.
    """
    array = data.variables.get(dim)
    if array is None or array.ndim != 1 or array.dtype.kind not in "fiu" or array.size > SERIES_LIMIT:
        return (), ""
    values = np.asarray(array.values, np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name}: {dim}", got="NaN or infinity", expected="finite coordinates")
    return tuple(values.tolist()), str(array.attrs.get("units", ""))


class AxisTimes(NamedTuple):
    """Times along a dimension."""

    values: NDArray[Any] | None
    """UTC; None where there are none."""
    calendar: str = "standard"
    origin: str | None = None
    """Date on which a calendar that numpy does not have, and numpy's, agree."""
    notes: tuple[str, ...] = ()


def read_times(data: Any, field: Any, dim: str | None, name: str, origin: str | None = None) -> AxisTimes:
    """Read the times of frames.

    Times for which frames are valid come first, then the start of a forecast plus lead times, then the starts alone.
    Dates of calendars that numpy does not have keep their distances, from the first of the month of the first frame on.

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
    if count > SERIES_LIMIT or _is_unreadable(data.variables.get(dim)):
        return AxisTimes(None)
    fitting = {str(key): array for key, array in data.variables.items() if array.size in (1, count)}
    fitting = {key: array for key, array in fitting.items() if array.dtype.kind in "fium"}
    key, lead = _find_valid_times(fitting, field, dim, count), None
    if key is None:
        key, lead = _find_forecast(fitting, dim, count)
    if key is None:
        other = next((key for key in ("time", "valid_time") if _is_dated(data.variables.get(key))), None)
        size = 0 if other is None else data.variables[other].size
        return AxisTimes(
            None, notes=(f"times: {other} has {size} for {count} frames, and is not used",) if size else ()
        )
    stated, calendar = str(fitting[key].attrs["units"]), str(fitting[key].attrs.get("calendar", "standard")).lower()
    units = normalize_epoch(stated)
    if units is None:
        return AxisTimes(None, notes=(f"times: {key} in {shorten(stated, 60)}, which is not understood, is not used",))
    with as_input_error(f"{name}: {key}", f"times in {units}", fix=None):
        raw = _read_finite(fitting[key], f"{name}: {key}")
        if lead is not None:
            unit, _, start = units.partition(" since ")
            raw = _to_milliseconds(raw, unit) + _read_lead_times(fitting[lead], f"{name}: {lead}")
            units = f"milliseconds since {start}"
        return _decode_times(raw, units, calendar, origin)


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
    if own is not None and (_is_time(own) or _NAMES.get(str(dim).lower()) == "t"):
        listed = []  # the dimension has a time already; of another only its name or standard name says that it is one
    along = [key for key, array in fitting.items() if array.dims == (dim,) and key != dim]
    along = [key for key in along if _is_named(fitting[key], "time") or key in listed]
    # on an axis of lead times one `time` for all is when the forecast was started
    is_start = _is_named(own, _PERIOD) and "time" in fitting and fitting["time"].dims != (dim,)
    times = [] if is_start and not _is_named(fitting["time"], "time") else ["time"]
    for key in (dim, *times, "valid_time", *along):
        array = fitting.get(str(key))
        if array is not None and _is_dated(array) and array.size == count and not _is_named(array, _REFERENCE):
            return str(key)
    return None


def _find_forecast(fitting: dict[str, Any], dim: str | None, count: int) -> tuple[str | None, str | None]:
    """Choose the coordinates of starts and lead times; starts alone date frames unless these are of several leads."""
    near = {key: array for key, array in fitting.items() if array.size == 1 or array.dims == (dim,)}
    leads = [key for key, array in near.items() if _is_named(array, _PERIOD) and _is_duration(array)]
    lead = next(iter(sorted(leads, key=lambda key: key != dim)), None)
    starts = [key for key, array in near.items() if _is_dated(array) and _is_named(array, _REFERENCE)]
    if lead is not None and near[lead].dims == (dim,) and _is_dated(near.get("time")):
        starts.append("time")
    starts.sort(key=lambda key: key != dim)
    for key in starts if lead is not None else []:
        if (
            count in (near[key].size, near[str(lead)].size)
            and _read_units(near[key]).split()[0].lower() in _MILLISECONDS
        ):
            return key, lead
    if _is_named(fitting.get(str(dim)), _PERIOD):
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


def _decode_times(raw: NDArray[Any], units: str, calendar: str, origin: str | None) -> AxisTimes:
    cftime = require("cftime", "grids")
    if calendar in ("standard", "gregorian", "proleptic_gregorian"):
        moments = cftime.num2date(raw, units, calendar, only_use_cftime_datetimes=False, only_use_python_datetimes=True)
        return AxisTimes(np.array(moments, "datetime64[ms]"), calendar)
    moments = cftime.num2date(raw, units, calendar)
    first = min(moments).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if origin is not None:
        first = first.replace(year=int(origin[:4]), month=int(origin[5:7]))
    passed = np.array([round((moment - first).total_seconds() * 1000) for moment in moments], "timedelta64[ms]")
    origin = f"{first.year:04}-{first.month:02}-01 00:00:00"
    notes = (f"calendar: {calendar}; days are counted from {origin[:10]} on",)
    return AxisTimes(np.datetime64(origin.replace(" ", "T"), "ms") + passed, calendar, origin, notes)
