"""Hindcast scale: how large the errors of today are beside those of the tables."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from framecast.ensembles.error_tables import ErrorTables
from framecast.ensembles.tracks import track
from framecast.errors import InputError
from framecast.forecasting.predictor import PastFrames, Predictor

STEPS = 4
"""Newest frames that a forecast from before them is verified on."""
LEAST, MOST = 1 / 3, 3.0
"""Ends of a scale: a few frames say no more."""


def measure_scale(predictor: Predictor, past: PastFrames, tables: ErrorTables, *, moving: bool) -> Tensor:
    """Measure the factor between the errors of a forecast of the newest frames and those that the tables expect.

    Args:
        predictor: forecasts them from the frames before.
        past: B sequences of J frames.
        tables: past errors.
        moving: whether errors move with the frames.

    Returns:
        (B,): root mean squared error over the rms of the tables, 1/3 to 3; 1 where nothing can be verified, as with less
        than 4 + 2 frames.
    """
    count, context = len(past.frames), past.frames.shape[1]
    steps = min(STEPS, context - 2)
    if steps < 1:
        return torch.ones(count)
    valid = None if past.valid is None else past.valid[:, :-steps]
    times = None if past.times is None else past.times[:, :-steps]
    covariates = None if past.covariates is None else past.covariates[:, :context]
    before = replace(past, frames=past.frames[:, :-steps], valid=valid, times=times, covariates=covariates, motion=None)
    try:
        forecast = predictor.forecast(before, steps)
    except InputError:  # a context too short for this predictor, as of less than a season
        return torch.ones(count)
    targets = past.spec.targets
    truth = past.frames[:, -steps:, :targets].float()
    seen = torch.isfinite(truth) if past.valid is None else past.valid[:, -steps:, :targets]
    squares, expected = (torch.zeros(count, dtype=torch.float64) for _ in range(2))
    tracked = track(forecast, steps, None, moving=moving)
    for lead, moved in enumerate(tracked):
        raw = forecast.frames[:, 0, lead].float().cpu()
        both = seen[:, lead] & raw.isfinite()
        mean, observed = (
            tables.scale.normalize(torch.where(both, frames, past.spec.low)) for frames in (raw, truth[:, lead])
        )
        sd = tables.at(lead, past.spec.step_minutes).find_sd(mean, moved.known)
        for total, part in ((squares, observed - mean), (expected, sd)):
            total += torch.where(both, part, 0.0).double().square().sum((1, 2, 3))
    ratio = (squares / expected).sqrt().clamp(LEAST, MOST)
    return torch.where(ratio.isfinite(), ratio, 1.0).float()
