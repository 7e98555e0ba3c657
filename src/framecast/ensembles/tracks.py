"""Frames that the newest one becomes as it moves: where members come from, and the values that they are matched to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.forecast import Forecast
from framecast.forecasting.baselines import Extrapolation
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.motion_output import estimate_motion_of_context
from framecast.forecasting.predictor import Predictor
from framecast.motion import advect, trace_back

SEEN = 0.5
"""Share of observed pixels in a moved one from which on it counts as known."""


class MovedFrame(NamedTuple):
    """The newest frame at a lead time."""

    values: Tensor | None
    """(B, C, H, W), raw units, whose distribution members have where it is known; None to leave members as they are."""
    known: Tensor
    """(B, 1, H, W), False where it is not known, as where air flows in."""
    position: Tensor | None
    """(B, 2, H, W), x and y of the place from which a pixel's air comes; None where nothing moves."""


def moves(predictor: Predictor) -> bool:
    """Whether a predictor moves frames: then errors move, too."""
    if isinstance(predictor, Forecaster):
        return predictor.base is not None and predictor.base.base.tracks
    return isinstance(predictor, Extrapolation)


def track(forecast: Forecast, horizon: int, motion: Tensor | None, *, moving: bool) -> Iterator[MovedFrame]:
    """Track the newest frame over K lead times.

    Args:
        forecast: gives the context, NaN where missing.
        horizon: K.
        motion: (B, 2, H, W), pixels per frame; None to estimate it.
        moving: whether it moves; else rain keeps its values in place, and other frames are not matched.
    """
    last = forecast.context[:, -1]
    seen = last.isfinite()
    filled = torch.where(seen, last, forecast.spec.low).float()
    observed = seen.all(1, keepdim=True)
    if not moving:
        is_rain = forecast.spec.units in (DBZ_UNITS, RATE_UNITS)
        yield from [MovedFrame(filled if is_rain else None, observed, None)] * horizon
        return
    field = estimate_motion_of_context(forecast) if motion is None else motion
    for path in islice(trace_back(field.float()), horizon):
        moved = advect(torch.cat([filled, observed.float()], 1), path)
        yield MovedFrame(moved[:, :-1], path.inside & (moved[:, -1:] > SEEN), path.position)
