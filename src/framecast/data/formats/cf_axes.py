"""Axes of CF grids: which is time, rows or columns, and what stands on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.guards import SERIES_LIMIT, as_input_error
from framecast.errors import InputError
from framecast.optional import require

AXES = "tyx"
_STANDARD = {
    "time": "t",
    "forecast_reference_time": "t",
    "projection_y_coordinate": "y",
    "latitude": "y",
    "grid_latitude": "y",
    "projection_x_coordinate": "x",
    "longitude": "x",
    "grid_longitude": "x",
}
_UNITS = {
    **dict.fromkeys(("degrees_north", "degree_north", "degree_n", "degrees_n"), "y"),
    **dict.fromkeys(("degrees_east", "degree_east", "degree_e", "degrees_e"), "x"),
}
_NAMES = {
    **dict.fromkeys(("t", "time", "times", "valid_time", "date", "datetime"), "t"),
    **dict.fromkeys(("y", "yc", "lat", "latitude", "row", "rows", "nj", "northing", "rlat", "south_north"), "y"),
    **dict.fromkeys(("x", "xc", "lon", "longitude", "column", "columns", "ni", "easting", "rlon", "west_east"), "x"),
}


def find_axis(data: Any, dim: Any) -> str | None:
    """Letter t, y or x of a dimension of an xarray.Dataset, by axis, standard_name, units, then name; else None."""
    attributes = data[dim].attrs if dim in data.variables else {}
    axis = str(attributes.get("axis", "")).lower()
    if axis in ("t", "y", "x"):
        return axis
    units = str(attributes.get("units", "")).lower()
    if " since " in units:
        return "t"
    found = _STANDARD.get(str(attributes.get("standard_name", ""))) or _UNITS.get(units)
    return found or _NAMES.get(str(dim).lower())


def read_coordinate(data: Any, dim: str, name: str) -> tuple[tuple[float, ...], str]:
    """Values along a dimension and their units; nothing where the file has none.

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
    """Of calendars that numpy does not have: the date on which both agree."""
    notes: tuple[str, ...] = ()


def read_times(data: Any, dim: str | None, count: int, name: str, origin: str | None = None) -> AxisTimes:
    """Times along a dimension.

    Dates of calendars that numpy does not have keep their distances, from the first of the month of the first frame on.

    Args:
        data: an xarray.Dataset.
        dim: the dimension; None where frames have none.
        count: frames; what has another number of times does not say theirs.
        name: the file, for errors.
        origin: from where to count such dates instead, so that those of several files agree: see `Times`.

    Raises:
        InputError: times that cannot be read.
    """
    keys = [key for key in (dim, "time", "valid_time") if key in data.variables]
    key = next((key for key in keys if data.variables[key].size == count), keys[0] if keys else None)
    array = None if key is None else data.variables[key]
    if array is None or array.ndim > 1 or array.size > SERIES_LIMIT or array.dtype.kind not in "fiu":
        return AxisTimes(None)
    if array.size != count:
        return AxisTimes(None, notes=(f"times: {key} has {array.size} for {count} frames, and is not used",))
    units, calendar = str(array.attrs.get("units", "")), str(array.attrs.get("calendar", "standard")).lower()
    if " since " not in units:
        return AxisTimes(None, calendar)
    raw = np.atleast_1d(np.asarray(array.values))
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        raise InputError(f"{name}: {key}", got="a time that is missing", expected="a time for each frame")
    cftime = require("cftime", "grids")
    with as_input_error(f"{name}: {key}", f"times in {units}"):
        if calendar in ("standard", "gregorian", "proleptic_gregorian"):
            moments = cftime.num2date(
                raw, units, calendar, only_use_cftime_datetimes=False, only_use_python_datetimes=True
            )
            return AxisTimes(np.array(moments, "datetime64[ms]"), calendar)
        moments = cftime.num2date(raw, units, calendar)
        first = min(moments).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if origin is not None:
            first = first.replace(year=int(origin[:4]), month=int(origin[5:7]))
        passed = np.array([round((moment - first).total_seconds() * 1000) for moment in moments], "timedelta64[ms]")
        origin = f"{first.year:04}-{first.month:02}-01 00:00:00"
        notes = (f"calendar: {calendar}; days are counted from {origin[:10]} on",)
        return AxisTimes(np.datetime64(origin.replace(" ", "T"), "ms") + passed, calendar, origin, notes)
