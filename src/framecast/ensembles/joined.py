"""One ensemble of several predictors, as of trainings from several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from framecast.errors import InputError, UsageError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.predictor import PastFrames, Predictor


class JoinedPredictor:
    """Ensemble whose members are those of several predictors of the same frames.

    Args:
        predictors: one or more.

    Raises:
        UsageError: none.
    """

    def __init__(self, predictors: Sequence[Predictor]) -> None:
        if not predictors:
            raise UsageError("predictors to join", got="none", expected="at least one")
        self.predictors = list(predictors)
        contexts = [getattr(predictor, "context", None) for predictor in predictors]
        self.context: int | None = max((one for one in contexts if one is not None), default=None)
        names = [getattr(predictor, "origin", ModelOrigin("model")).name for predictor in predictors]
        self.origin = ModelOrigin(" + ".join(dict.fromkeys(names)))

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, with the members of all predictors.

        Raises:
            InputError: frames that do not fit one of them.
            UsageError: a horizon below 1.
        """
        return join_members([predictor.forecast(past, horizon) for predictor in self.predictors], self.origin)


def join_members(forecasts: Sequence[Forecast], origin: ModelOrigin) -> Forecast:
    """Join forecasts of the same frames along their members.

    Raises:
        InputError: forecasts of other frames, units or lead times.
    """
    first = forecasts[0]
    for other in forecasts[1:]:
        ours, theirs = ((one.frames.shape[0], *one.frames.shape[2:], one.spec.units) for one in (first, other))
        if ours != theirs:
            raise InputError("forecasts to join", got=theirs, expected=f"{ours}, as the first")
    frames = torch.cat([one.frames.float().cpu() for one in forecasts], 1)
    mask = torch.stack([one.mask for one in forecasts]).all(0)
    frames = torch.where(mask[:, None, None], frames, torch.nan)
    return replace(first, frames=frames, mask=mask, provenance=replace(first.provenance, model=origin))
