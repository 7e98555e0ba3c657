"""Lagged extrapolation: the newest frames, each moved to the lead time along motion that is a little wrong."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch

from framecast.ensembles.noise import make_key
from framecast.errors import UsageError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.baselines import Extrapolation, Mean
from framecast.forecasting.motion_output import estimate_motion_of_context
from framecast.forecasting.predictor import PastFrames
from framecast.motion import trace_back
from framecast.motion.advection import look_up
from framecast.types import FrameSpec

ORIGINS = 4
"""Newest frames that members begin from."""
SHIFT = 0.6
"""Standard deviation of the error of motion, pixels per step in x and y, the same for all pixels of a member."""
_STREAM = 0x1A6


class LaggedExtrapolation:
    """Ensemble without any training: member m moves the newest frame but m mod 4, along its own motion.

    Pixels reached from beyond the border get the mean of the context, in all members the same.

    Args:
        spec: channels, step and value ranges of the frames.
        members: M.
        seed: of the errors of motion.
    """

    context: int | None = Extrapolation.context

    def __init__(self, spec: FrameSpec, members: int = 20, seed: int = 0) -> None:
        if members < 1:
            raise UsageError("members", got=members, expected="at least 1")
        self.spec, self.members, self.seed = spec, members, seed
        self.origin = ModelOrigin("lagged")

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, as a Forecast of M members.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        single = Extrapolation(self.spec).forecast(past, horizon)
        motion = estimate_motion_of_context(single) if past.motion is None else past.motion[:, -1]
        targets = single.context
        low, high = self.spec.low, self.spec.high
        filled = torch.where(targets.isfinite(), targets, low).float()
        filled = filled if self.spec.ranges else filled.clamp(low, high)
        mean = Mean(self.spec).predict_targets(filled, 1, targets.isfinite())[:, 0]
        lags = min(ORIGINS, targets.shape[1])
        paths = list(islice(trace_back(motion.float()), horizon + lags - 1))
        times = single.reference_times
        keys = [make_key(None if times is None else times[n], single.past_values[n, -1]) for n in range(len(filled))]
        frames = torch.empty(len(filled), self.members, horizon, *filled.shape[2:])
        for n, key in enumerate(keys):
            for member in range(self.members):
                lag = member % lags
                shift = np.random.default_rng([_STREAM, self.seed, key, member]).normal(0, SHIFT, 2)
                for lead in range(horizon):
                    path = paths[lead + lag]
                    wrong = torch.tensor(shift * (lead + 1), dtype=torch.float32)[:, None, None]
                    moved = look_up(filled[n : n + 1, -1 - lag], path.position[n : n + 1] + wrong)[0]
                    frames[n, member, lead] = torch.where(path.inside[n], moved, mean[n])
        return past.make_forecast(frames, self.origin)
