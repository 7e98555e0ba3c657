"""Plain arrays with the axes of the input: .npy holds values only, .npz their units and times too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import format_times, to_calendar
from framecast.forecast import Forecast
from framecast.writers.cf_names import cf_variables


def npy(path: Path, forecast: Forecast) -> str:
    """Write the values, float32; NaN is missing. Several members are one more axis, the first."""
    array = _members(forecast) if forecast.members > 1 else _frames(forecast)
    with path.open("wb") as file:
        np.save(file, array)
    return _said(array, forecast)


def npz(path: Path, forecast: Forecast) -> str:
    """Write `frames`, `dims`, `units`, where known `step_minutes` and `start_time`, and where it comes from.

    Of several members `frames` holds the mean, so that it has the axes `dims`, and `members` all of them, in one more
    axis, the first. Of several channels there are `channel_names` and `channel_units`, too.
    Of a calendar that numpy does not have, `calendar` and `start_date`, a text, are in the place of `start_time`.
    """
    array = _frames(forecast)
    arrays: dict[str, Any] = {**forecast.provenance.as_dict(), "frames": array}
    arrays |= {"dims": forecast.dims, "units": forecast.spec.units}
    if forecast.members > 1:
        arrays["members"] = _members(forecast)
    if len(every := cf_variables(forecast)) > 1:
        arrays |= {"channel_names": [one.name for one in every], "channel_units": [one.units for one in every]}
    if forecast.spec.step_minutes is not None:
        arrays["step_minutes"] = forecast.spec.step_minutes
    grid, start = forecast.grid, None if forecast.times is None else forecast.times[:, 0]
    if start is not None and grid.time_origin is None:
        arrays["start_time"] = start
    elif start is not None:
        arrays |= {"calendar": grid.calendar, "start_date": format_times(to_calendar(start, grid))}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return _said(array, forecast)


def _said(array: NDArray[np.float32], forecast: Forecast) -> str:
    every = cf_variables(forecast)
    units = forecast.spec.units if len(every) == 1 else ", ".join(dict.fromkeys(one.units for one in every))
    members = f", {forecast.members} members" if forecast.members > 1 else ""
    return f"axes {forecast.dims}, shape {'x'.join(map(str, array.shape[-len(forecast.dims) :]))}{members}, {units}"


def _frames(forecast: Forecast) -> NDArray[np.float32]:
    """The mean of the members with the axes of the input."""
    return _members(forecast.mean())[0]


def _members(forecast: Forecast) -> NDArray[np.float32]:
    """All members, (M, the axes of the input), as a view; an axis that is not among these has length 1."""
    dims = forecast.dims
    absent = tuple(1 + axis for axis, letter in enumerate("ntchw") if letter not in dims)
    present = [letter for letter in "ntchw" if letter in dims]
    return (
        forecast.values.swapaxes(0, 1).squeeze(absent).transpose([0, *(1 + present.index(letter) for letter in dims)])
    )
