"""Choose what a plot shows: rows from north to south, and colours or the first channel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framecast.data.units import PICTURE_UNITS, has_mixed_units, target_spec
from framecast.forecast import Forecast
from framecast.types import FloatArray, FrameSpec, Grid


class PlotView(NamedTuple):
    """Choice of rows and channels that a plot shows."""

    spec: FrameSpec
    """Units and value range of the shown channel, or of three channels that are colours."""
    is_south_up: bool
    """Whether the first row of the frames is the southernmost one."""
    channel: str
    """The shown channel in words, where others are left out; else empty."""

    def of(self, frames: FloatArray) -> FloatArray:
        """View frames (..., C, H, W), targets first, as a plot shows them: targets only, north up; not a copy."""
        frames = frames[..., : self.spec.targets, :, :]
        return frames[..., ::-1, :] if self.is_south_up else frames


def choose_view(spec: FrameSpec, grid: Grid, *frames: FloatArray) -> PlotView:
    """Choose how a plot shows frames.

    Where several channels are no colours, the first is shown. A value range that covers channels of several units would
    hide the variation of one of them: then the range is that of the frames.

    Args:
        spec: units and value range of the frames.
        grid: grid of the frames.
        frames: (..., C, H, W), all frames of the plot, targets first, raw units.
    """
    is_mixed = has_mixed_units(spec, grid)
    if spec.targets == 1 or (is_rgb(spec) and not is_mixed):
        return PlotView(spec, grid.is_south_up, "")
    first = target_spec(spec, grid, 0)
    if is_mixed:
        low, high = _find_range([part[..., 0, :, :] for part in frames], spec)
        first = first.model_copy(update={"low": low, "high": high})
    return PlotView(first, grid.is_south_up, f"{first.names[0]}, the first of {spec.targets} channels")


def view_forecast(forecast: Forecast, *others: FloatArray) -> PlotView:
    """Choose how a plot shows a forecast, its context, and other frames of its targets, (..., C, H, W), raw units."""
    return choose_view(forecast.spec, forecast.grid, forecast.past_values, forecast.values, *others)


def is_rgb(spec: FrameSpec) -> bool:
    """Whether the target channels are red, green and blue."""
    return spec.targets == 3 and spec.units in PICTURE_UNITS


def is_plain(spec: FrameSpec) -> bool:
    """Whether frames are shown as pictures, in colours or grey, without a colour scale."""
    return is_rgb(spec) or spec.units == "grey level"


def _find_range(frames: list[FloatArray], spec: FrameSpec) -> tuple[float, float]:
    """Find a value range that holds all values that are not missing; its ends differ in any case."""
    lows, highs = ([reduce(part, axis=None) for part in frames] for reduce in (np.fmin.reduce, np.fmax.reduce))
    # fmin and fmax ignore NaN.
    low, high = float(np.fmin.reduce([spec.high, *lows])), float(np.fmax.reduce([spec.low, *highs]))
    return low, high if low < high else low + 1
