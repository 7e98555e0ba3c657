"""Forecasts as xarray datasets by the CF conventions 1.11 (https://cfconventions.org).

One sequence has the axes (time, y, x): valid times, with `lead_time` along them and one `forecast_reference_time`, the
time of the last input frame. Several sequences have (sequence, lead_time, y, x), each with its own times; frames
without a date have (lead_time, y, x). Several members are one more axis, `realization`, before the times. A channel is
a variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray

from framecast.calendars import find_parts, format_step
from framecast.cf.georeference import make_axis_attributes, make_grid_mapping
from framecast.cf.names import list_cf_variables
from framecast.data.formats.intervals import make_bounds
from framecast.forecast import Forecast
from framecast.maps.reference_systems import in_units_of_crs
from framecast.types import Grid

CONVENTIONS = "CF-1.11"
BOUNDS = "time_bnds"
"""Variable with the start and the end of the interval of each frame."""
MAPPING = "crs"
"""Variable that holds the grid mapping."""
EPOCH = "1970-01-01 00:00:00"
"""Origin of times in a calendar that numpy has."""


def to_dataset(forecast: Forecast) -> xarray.Dataset:
    """Convert a forecast to an xarray.Dataset with CF attributes; the values are views of the forecast's, no copies."""
    forecast = replace(forecast, grid=in_units_of_crs(forecast.grid))
    has_many = [size > 1 for size in forecast.frames.shape[:2]]  # sequences, members: an axis of length 1 is left out
    time_axis = "lead_time" if has_many[0] or forecast.times is None else "time"
    outer = [name for name, present in zip(("sequence", "realization"), has_many, strict=True) if present]
    axes = (*outer, time_axis, forecast.grid.y_name, forecast.grid.x_name)
    absent = tuple(axis for axis, present in enumerate(has_many) if not present)
    crs = make_grid_mapping(forecast.grid)
    variables: dict[str, Any] = {}
    channels = list_cf_variables(forecast.spec, forecast.grid)
    # a method of a variable speaks of the bounds of the times
    has_bounds = forecast.times is not None and forecast.grid.interval is not None
    has_bounds = has_bounds and any(channel.cell_method not in ("", "point") for channel in channels)
    for number, channel in enumerate(channels):
        values = forecast.values[:, :, :, number].squeeze(absent)
        attributes = {"long_name": channel.long_name, "units": channel.units}
        attributes |= {"standard_name": channel.standard_name} if channel.standard_name else {}
        attributes |= {"grid_mapping": MAPPING} if crs else {}
        attributes |= {"cell_methods": f"time: {channel.cell_method}"} if channel.cell_method and has_bounds else {}
        variables[channel.name] = xarray.Variable(axes, values, attributes, {"_FillValue": np.float32(np.nan)})
    if crs:
        # without this encoding xarray gives the grid mapping an attribute `coordinates` too
        variables[MAPPING] = xarray.Variable((), np.int32(0), crs, {"coordinates": None})
    times = _make_time_coordinates(forecast, time_axis)
    if has_bounds:
        times["time"].attrs["bounds"] = BOUNDS
        variables[BOUNDS] = _make_bounds(forecast, times["time"].dims)
    data = xarray.Dataset(variables, attrs=_make_global_attributes(forecast.provenance.as_dict()))
    sides = make_grid_coordinates(forecast.grid, *forecast.frames.shape[-2:])
    return data.assign_coords({**_make_member_coordinate(forecast), **times, **sides})


def _make_member_coordinate(forecast: Forecast) -> dict[str, Any]:
    if forecast.members == 1:
        return {}
    attributes = {"standard_name": "realization", "long_name": "member of the ensemble", "units": "1"}
    return {
        "realization": _make_coordinate(("realization",), np.arange(forecast.members, dtype=np.int32), **attributes)
    }


def make_grid_coordinates(grid: Grid, height: int, width: int) -> dict[str, xarray.Variable]:
    """Make the coordinates of rows and columns, as far as the grid has them for frames of this size.

    Args:
        grid: in units of its CRS.
        height: rows.
        width: columns.
    """
    sides = (("y", grid.y_name, grid.y, height), ("x", grid.x_name, grid.x, width))
    return {
        name: xarray.Variable(name, np.array(values), make_axis_attributes(grid, letter), {"_FillValue": None})
        for letter, name, values, size in sides
        if len(values) == size
    }


def _make_time_coordinates(forecast: Forecast, time_axis: str) -> dict[str, Any]:
    """Make the coordinates of valid times, lead times and reference times."""
    count = len(forecast.frames)
    attributes, lead = _convert_lead_times(forecast)
    coordinates = {"lead_time": _make_coordinate((time_axis,), lead, **attributes)}
    if count > 1:
        sequences = _make_coordinate(("sequence",), np.arange(count), long_name="sequence of the input", units="1")
        coordinates["sequence"] = sequences
    if forecast.times is None or forecast.reference_times is None:
        return coordinates
    grid = forecast.grid
    origin = grid.time_origin or EPOCH
    moment = {"units": f"seconds since {origin}", "calendar": grid.calendar}
    valid, last = (_to_seconds(times, origin) for times in (forecast.times, forecast.reference_times))
    reference = {"standard_name": "forecast_reference_time", "long_name": "time of the last frame that was used"}
    valid_time = {"standard_name": "time", "long_name": "valid time"}
    if count > 1:
        coordinates["time"] = _make_coordinate(("sequence", "lead_time"), valid, **valid_time, **moment)
        coordinates["forecast_reference_time"] = _make_coordinate(("sequence",), last, **reference, **moment)
    else:
        coordinates["time"] = _make_coordinate(("time",), valid[0], **valid_time, **moment, axis="T")
        coordinates["forecast_reference_time"] = _make_coordinate((), last[0], **reference, **moment)
    return coordinates


def _make_bounds(forecast: Forecast, axes: tuple[str, ...]) -> Any:
    """Make the bounds of the valid times: without units, which are those of the times (CF 7.1)."""
    times, interval, origin = forecast.times, forecast.grid.interval, forecast.grid.time_origin or EPOCH
    assert times is not None
    assert interval is not None
    bounds = make_bounds(times, *interval).reshape(*(times.shape if len(axes) > 1 else times.shape[1:]), 2)
    encoding = {"_FillValue": None, "coordinates": None}  # of CF, bounds have no attributes of their own
    return xarray.Variable((*axes, "bnds"), _to_seconds(bounds, origin), {}, encoding)


def _convert_lead_times(forecast: Forecast) -> tuple[dict[str, str], NDArray[Any]]:
    """Convert the lead times to CF attributes and values.

    In hours where the step is a whole number of them, else in minutes, else in seconds; of calendar months in days where
    one sequence has dates. Numbers of months or frames where there is no such unit.
    """
    spec, numbers = forecast.spec, np.arange(1, forecast.frames.shape[2] + 1)
    name, step = "time ahead of the last frame that was used", spec.step_minutes
    if step is None:
        return {"long_name": name, "units": "1"}, numbers
    period = {"long_name": name, "standard_name": "forecast_period"}
    if spec.step_months is not None or find_parts(step)[0] > 1:
        valid, last = forecast.times, forecast.reference_times
        if valid is None or last is None or len(valid) > 1:  # months from other starts have other lengths
            word = f"steps of {format_step(step)}" if spec.step_months is None else "months"
            long_name = f"{word} {name.removeprefix('time ')}"
            return {"long_name": long_name, "units": "1"}, numbers * (spec.step_months or 1)
        return {**period, "units": "days"}, _to_integers((valid[0] - last[0]) / np.timedelta64(1, "D"))
    unit, length = next(
        ((unit, step / minutes) for unit, minutes in (("hours", 60.0), ("minutes", 1.0)) if step % minutes == 0),
        ("seconds", step * 60),
    )
    return {**period, "units": unit}, _to_integers(numbers * length)


def _to_seconds(times: NDArray[Any], origin: str) -> NDArray[Any]:
    """Convert times to seconds since an origin."""
    return _to_integers((times - np.datetime64(origin.replace(" ", "T"), "ms")) / np.timedelta64(1, "s"))


def _to_integers(values: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Convert to integers if all values are whole, so that times compare exactly."""
    rounded = np.rint(values)
    return rounded.astype(np.int64) if np.allclose(values, rounded, rtol=0, atol=1e-6) else values


def _make_coordinate(axes: tuple[str, ...], values: Any, **attributes: str) -> Any:
    # CF allows no missing values in coordinates, and xarray would name a fill value for floats
    return xarray.Variable(axes, values, attributes, {"_FillValue": None})


def _make_global_attributes(provenance: Mapping[str, str]) -> dict[str, str]:
    """Make the attributes of the file; a provenance entry that bears a name of CF's becomes model_NAME."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = provenance.get("framecast_version", "")
    attributes = {
        "Conventions": CONVENTIONS,
        "title": "forecast by framecast",
        "source": f"framecast {version}, {provenance.get('model', 'a model')}".replace("  ", " "),
        "history": f"{now} framecast predict",
    }
    return attributes | {f"model_{name}" if name in attributes else name: text for name, text in provenance.items()}
