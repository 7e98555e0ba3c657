"""Forecasts as an xarray.DataArray with the labels of the frames that they follow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray

from framecast.calendars import find_parts
from framecast.cf.given_frames import GivenFrames
from framecast.cf.labels import CHANNEL, LEAD, MEMBER, REFERENCE, SEQUENCE, TIME, make_labels, make_times
from framecast.forecast import Forecast

_DROPPED = ("comment", "bounds", "actual_range", "valid_min", "valid_max", "valid_range")
"""Attributes of the input that need not hold of its forecast."""


class ForecastLabels(NamedTuple):
    """Labels of the frames that a forecast follows."""

    name: Any
    dims: tuple[str, ...]
    """Axes in their order."""
    axes: dict[str, str]
    """Name of each axis by its letter of b t c y x."""
    coordinates: dict[str, Any]
    """Coordinates that do not change with time."""
    attributes: dict[str, Any]
    encoding: dict[str, Any]
    time_name: str
    time_attributes: dict[str, Any]
    has_own_times: bool
    """Whether each sequence has times of its own."""


def keep_labels(given: GivenFrames) -> ForecastLabels:
    """Keep the labels of frames that a user gave: all that does not change with time."""
    array, t = given.array, given.axes["t"]
    name = given.time_name or TIME
    times = None if given.time_name is None else array.coords[given.time_name]
    mapping = array.encoding.get("grid_mapping")
    return ForecastLabels(
        array.name,
        tuple(str(dim) for dim in array.dims),
        given.axes,
        {str(key): array.coords[key].variable for key in array.coords if t not in array.coords[key].dims},
        {key: value for key, value in array.attrs.items() if key not in _DROPPED},
        {} if mapping is None else {"grid_mapping": mapping},
        name,
        {} if times is None else {key: value for key, value in times.attrs.items() if key not in _DROPPED},
        times is not None and times.ndim > 1,
    )


def make_forecast_labels(forecast: Forecast) -> ForecastLabels:
    """Make the labels of a forecast of a file, from what the file says."""
    labels = make_labels(forecast.spec, forecast.grid)
    several = len(forecast.frames) > 1
    time = LEAD if several or forecast.times is None else TIME
    outer = {**({"b": SEQUENCE} if several else {}), "t": time}
    axes = {**outer, **dict(zip("cyx", labels.dims, strict=True))}
    return ForecastLabels(
        labels.name,
        tuple(axes.values()),
        axes,
        labels.coordinates,
        labels.attributes,
        {},
        TIME,
        {"standard_name": TIME},
        several,
    )


def label_forecast(forecast: Forecast, labels: ForecastLabels, *, with_members: bool = False) -> xarray.DataArray:
    """Make the DataArray of a forecast.

    Args:
        forecast: N sequences of M members.
        labels: of the frames that it follows.
        with_members: whether a single member has an axis, too.

    Returns:
        the axes of the frames, and `realization` before time where there are members. Along time there are valid times,
        and `lead_time`; `forecast_reference_time` is the time of the last frame that was used. Where times are not
        known, `lead_time` takes the place of time: a duration, or numbers of frames where the step is unknown.
    """
    has_members = with_members or forecast.members > 1
    axes = dict(labels.axes)
    axes["t"] = axes["t"] if forecast.times is not None else LEAD
    kept = [letter for letter in "bmtcyx" if letter in axes or (letter == "m" and has_members)]
    values = forecast.values
    values = values.squeeze(tuple(place for place, letter in enumerate("bmtcyx") if letter not in kept))
    axes["m"] = MEMBER
    coordinates = _select_targets(labels, forecast.spec.targets)
    coordinates |= {MEMBER: np.arange(forecast.members)} if has_members else {}
    coordinates |= _make_times(forecast, labels, axes)
    units = forecast.spec.units
    attributes = {**labels.attributes, **({} if units == "1" else {"units": units}), **forecast.provenance.as_dict()}
    attributes |= {"comment": "; ".join(forecast.notes)} if forecast.notes else {}
    array = xarray.DataArray(values, coordinates, [axes[letter] for letter in kept], labels.name, attributes)
    array.encoding |= labels.encoding
    old = {dim: letter for letter, dim in labels.axes.items()}
    order: list[str] = []
    for letter in (old[dim] for dim in labels.dims):
        order += [MEMBER, axes[letter]] if letter == "t" and has_members else [axes[letter]]
    return array.transpose(*order)


def _select_targets(labels: ForecastLabels, targets: int) -> dict[str, Any]:
    """Select the targets, the first channels, in coordinates along channels."""
    dim = labels.axes.get("c", CHANNEL)
    chosen = {}
    for name, coordinate in labels.coordinates.items():
        is_along = isinstance(coordinate, xarray.Variable) and dim in coordinate.dims
        chosen[name] = coordinate.isel({dim: slice(targets)}) if is_along else coordinate
    # a coordinate of an axis that the frames do not have is none of theirs
    return {name: one for name, one in chosen.items() if "c" in labels.axes or name != CHANNEL}


def _make_times(forecast: Forecast, labels: ForecastLabels, axes: dict[str, str]) -> dict[str, Any]:
    """Make the coordinates of valid times, lead times and reference times."""
    attributes = {"standard_name": "forecast_period", "long_name": "time ahead of the last frame that was used"}
    times, last = forecast.times, forecast.reference_times
    t = axes["t"]
    if times is None or last is None:
        return {LEAD: ((t,), *_count_leads(forecast, attributes))}
    outer = (axes["b"], t) if labels.has_own_times and "b" in axes else (t,)
    leads = (times - last[:, None]).astype("timedelta64[ns]")
    is_equal = bool((leads == leads[:1]).all())
    reference = {"standard_name": REFERENCE, "long_name": "time of the last frame that was used"}
    dates, origins = make_times(times, forecast.grid), make_times(last, forecast.grid)
    if len(outer) == 1:
        dates, origins, leads = dates[0], origins[0], leads[:1]
    return {
        labels.time_name: (outer, dates, labels.time_attributes),
        LEAD: ((t,), leads[0], attributes) if is_equal or len(outer) == 1 else (outer, leads, attributes),
        REFERENCE: (outer[:-1], origins, reference),
    }


def _count_leads(forecast: Forecast, attributes: dict[str, str]) -> tuple[NDArray[Any], dict[str, str]]:
    """Count lead times where dates are not known: durations, or numbers of frames where a step has no fixed length."""
    spec, numbers = forecast.spec, np.arange(1, forecast.frames.shape[2] + 1)
    if spec.step_minutes is None or spec.step_months is not None or find_parts(spec.step_minutes)[0] > 1:
        return numbers, {"long_name": "frames ahead of the last frame that was used"}
    return np.rint(numbers * spec.step_minutes * 60e9).astype("timedelta64[ns]"), attributes
