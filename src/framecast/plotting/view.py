"""Choose what a plot shows: rows from north to south, and colours or the first channel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.units import PICTURE_UNITS, has_mixed_units, target_spec
from framecast.forecast import Forecast
from framecast.types import FrameSpec, Grid

Array = NDArray[np.floating[Any]]


class PlotView(NamedTuple):
    """How frames are seen."""

    spec: FrameSpec
    """Units and value range of what is seen: of one channel, or of three that are colours."""
    is_south_up: bool
    """Whether the first row of the frames is the southernmost one."""
    channel: str
    """Which channel is seen, in words, where others are left out; else empty."""

    def of(self, frames: Array) -> Array:
        """What is seen of frames (..., C, H, W), targets first, north up: (..., 1 or 3, H, W), not a copy."""
        frames = frames[..., : self.spec.targets, :, :]
        return frames[..., ::-1, :] if self.is_south_up else frames


def choose_view(spec: FrameSpec, grid: Grid, *frames: Array) -> PlotView:
    """How to look at frames.

    Of several channels that are no colours the first is seen. A value range that serves channels of several units shows
    nothing of one of them: then the range is that of the frames.

    Args:
        spec: of the frames.
        grid: of the frames.
        frames: (..., C, H, W), all that will be seen, targets first, raw units.
    """
    is_mixed = has_mixed_units(spec, grid)
    if spec.targets == 1 or (is_rgb(spec) and not is_mixed):
        return PlotView(spec, grid.is_south_up, "")
    first = target_spec(spec, grid, 0)
    if is_mixed:
        low, high = _range([part[..., 0, :, :] for part in frames], spec)
        first = first.model_copy(update={"low": low, "high": high})
    return PlotView(first, grid.is_south_up, f"{first.names[0]}, the first of {spec.targets} channels")


def view_forecast(forecast: Forecast, *others: Array) -> PlotView:
    """Choose how to look at a forecast, its context, and other frames of its targets, (..., C, H, W), raw units."""
    return choose_view(forecast.spec, forecast.grid, forecast.past_values, forecast.values, *others)


def is_rgb(spec: FrameSpec) -> bool:
    """Whether channels are red, green and blue."""
    return spec.targets == 3 and spec.units in PICTURE_UNITS


def is_plain(spec: FrameSpec) -> bool:
    """Whether frames are seen as they are, in colours or grey, and need no colour scale."""
    return is_rgb(spec) or spec.units == "grey level"


def _range(frames: list[Array], spec: FrameSpec) -> tuple[float, float]:
    """Of all that is not missing."""
    lows, highs = ([reduce(part, axis=None) for part in frames] for reduce in (np.fmin.reduce, np.fmax.reduce))
    low, high = float(np.fmin.reduce([spec.high, *lows])), float(np.fmax.reduce([spec.low, *highs]))
    return low, high if low < high else low + 1
