"""NumPy arrays with the axes of the input file: .npy of values, .npz with units, times and provenance too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import format_times, to_calendar
from framecast.cf.names import list_cf_variables
from framecast.forecast import Forecast
from framecast.output_file import open_output


def write_npy(path: Path, forecast: Forecast) -> str:
    """Write the values, float32, NaN where missing; several members are one more axis, the first."""
    array = _arrange_members(forecast) if forecast.members > 1 else _arrange_mean(forecast)
    with open_output(path) as file:
        np.save(file, array)
    return _describe(array, forecast)


def write_npz(path: Path, forecast: Forecast) -> str:
    """Write `frames`, `dims`, `units`, the provenance, and where known `step_minutes`, `step_months` and `start_time`.

    With several members, `frames` is their mean, so that its axes are always `dims`, and `members` holds all of them,
    with one more axis, the first. With several channels there are `channel_names` and `channel_units`. In a calendar
    that numpy lacks, `calendar` and `start_date`, a text, replace `start_time`.
    """
    array = _arrange_mean(forecast)
    arrays: dict[str, Any] = {**forecast.provenance.as_dict(), "frames": array}
    arrays |= {"dims": forecast.dims, "units": forecast.spec.units}
    if forecast.members > 1:
        arrays["members"] = _arrange_members(forecast)
    if len(channels := list_cf_variables(forecast.spec, forecast.grid)) > 1:
        arrays["channel_names"] = [channel.name for channel in channels]
        arrays["channel_units"] = [channel.units for channel in channels]
    if forecast.spec.step_minutes is not None:
        arrays["step_minutes"] = forecast.spec.step_minutes
    if forecast.spec.step_months is not None:
        arrays["step_months"] = forecast.spec.step_months
    grid, start = forecast.grid, None if forecast.times is None else forecast.times[:, 0]
    if start is not None and grid.time_origin is None:
        arrays["start_time"] = start
    elif start is not None:
        arrays |= {"calendar": grid.calendar, "start_date": format_times(to_calendar(start, grid))}
    with open_output(path) as file:
        np.savez_compressed(file, **arrays)
    return _describe(array, forecast)


def _describe(array: NDArray[np.float32], forecast: Forecast) -> str:
    """Describe axes, shape, members and units of an array, for the user."""
    channels = list_cf_variables(forecast.spec, forecast.grid)
    units = forecast.spec.units
    if len(channels) > 1:
        units = ", ".join(dict.fromkeys(channel.units for channel in channels))
    members = f", {forecast.members} members" if forecast.members > 1 else ""
    return f"axes {forecast.dims}, shape {'x'.join(map(str, array.shape[-len(forecast.dims) :]))}{members}, {units}"


def _arrange_mean(forecast: Forecast) -> NDArray[np.float32]:
    """Arrange the mean of the members in the axes of the input file."""
    return _arrange_members(forecast.mean())[0]


def _arrange_members(forecast: Forecast) -> NDArray[np.float32]:
    """Arrange all members as (M, axes of the input file), a view; an axis that the file lacks has length 1 here."""
    dims = forecast.dims
    absent = tuple(1 + axis for axis, letter in enumerate("ntchw") if letter not in dims)
    present = [letter for letter in "ntchw" if letter in dims]
    return (
        forecast.values.swapaxes(0, 1).squeeze(absent).transpose([0, *(1 + present.index(letter) for letter in dims)])
    )
