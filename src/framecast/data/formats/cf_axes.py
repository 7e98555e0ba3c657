"""Axes of CF grids: which dimensions are time, rows and columns, and the coordinates along them.

cf_xarray reads the attributes (axis, standard_name, units, those of THREDDS and GrADS). Files that have none, or whose
times are not called so, are read by the names that weather and ocean models give to their dimensions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.guards import SERIES_LIMIT, as_input_error
from framecast.errors import InputError
from framecast.optional_imports import require

AXES = "tyx"
_KEYS = (("T", "t"), ("Y", "y"), ("X", "x"), ("latitude", "y"), ("longitude", "x"))
"""cf_xarray's names of axes and coordinates; where a variable is both, the axis counts."""
_TIMES = ("forecast_reference_time", "forecast_period")
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


def read_times(data: Any, dim: str | None, count: int, name: str, origin: str | None = None) -> AxisTimes:
    """Read the times of frames.

    Times for which frames are valid come before those at which forecasts were started. Dates of calendars that numpy
    does not have keep their distances, from the first of the month of the first frame on.

    Args:
        data: an xarray.Dataset.
        dim: the dimension; None where frames have none.
        count: frames; a coordinate of another number of times is not theirs.
        name: the file, for errors.
        origin: from where to count such dates instead, so that those of several files agree: `AxisTimes.origin`.

    Raises:
        InputError: times that cannot be read.
    """
    key = _find_times(data, dim, count)
    array = None if key is None else data.variables[key]
    if array is None or array.size > SERIES_LIMIT or array.dtype.kind not in "fiu":
        return AxisTimes(None)
    if array.size != count:
        return AxisTimes(None, notes=(f"times: {key} has {array.size} for {count} frames, and is not used",))
    units, calendar = str(array.attrs["units"]), str(array.attrs.get("calendar", "standard")).lower()
    raw = np.asarray(array.values).reshape(-1)
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        raise InputError(f"{name}: {key}", got="a time that is missing", expected="a time for each frame")
    with as_input_error(f"{name}: {key}", f"times in {units}"):
        return _decode_times(raw, units, calendar, origin)


def _find_times(data: Any, dim: str | None, count: int) -> str | None:
    """Choose the coordinate that dates the frames; None if there is none."""
    along = [str(key) for key, array in data.variables.items() if array.dims == (dim,) and str(key) != dim]
    keys = [key for key in (dim, "time", "valid_time", *along) if key in data.variables]
    dated = [key for key in keys if " since " in str(data.variables[key].attrs.get("units", ""))]
    dated.sort(key=lambda key: data.variables[key].attrs.get("standard_name") == "forecast_reference_time")
    return next((key for key in dated if data.variables[key].size == count), dated[0] if dated else None)


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
