"""Plain arrays with the axes of the input: .npy holds values only, .npz their units and times too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import format_times, to_calendar
from framecast.types import Forecast
from framecast.writers.cf_names import cf_variables


def npy(path: Path, forecast: Forecast, about: Mapping[str, str]) -> str:
    """Write the values, float32; NaN is missing."""
    array = _arranged(forecast.frames, forecast.dims)
    with path.open("wb") as file:
        np.save(file, array)
    return _said(array, forecast)


def npz(path: Path, forecast: Forecast, about: Mapping[str, str]) -> str:
    """Write `frames`, `dims`, `units`, where known `step_minutes` and `start_time`, and where it comes from.

    Of several channels there are `channel_names` and `channel_units`, too.
    Of a calendar that numpy does not have, `calendar` and `start_date`, a text, are in the place of `start_time`.
    """
    array = _arranged(forecast.frames, forecast.dims)
    arrays: dict[str, Any] = {**about, "frames": array, "dims": forecast.dims, "units": forecast.spec.units}
    if len(every := cf_variables(forecast)) > 1:
        arrays |= {"channel_names": [one.name for one in every], "channel_units": [one.units for one in every]}
    if forecast.spec.step_minutes is not None:
        arrays["step_minutes"] = forecast.spec.step_minutes
    grid, start = forecast.grid, forecast.start_time
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
    return f"axes {forecast.dims}, shape {'x'.join(map(str, array.shape))}, {units}"


def _arranged(frames: NDArray[np.float32], dims: str) -> NDArray[np.float32]:
    """(N, K, C, H, W) with the axes of `dims`, as a view; an axis that is not among them has length 1."""
    absent = tuple(axis for axis, letter in enumerate("ntchw") if letter not in dims)
    present = [letter for letter in "ntchw" if letter in dims]
    return frames.squeeze(absent).transpose([present.index(letter) for letter in dims])
