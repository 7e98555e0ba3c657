"""Dressing: members of a single forecast, each with noise as large, as wide and as lasting as its past errors were.

A member is the forecast, plus noise with the spectrum of past errors (`noise`), times their local size (`error_tables`)
and a scale for today (`hindcast`), cut to the possible values, and then matched by rank to the moved frame where that is
known, so that each member has as much rain, as heavy and as dry, as a frame has, and is as rough (`roughness`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from framecast.bases.matching import match_values
from framecast.ensembles.censoring import uncensor
from framecast.ensembles.error_tables import ErrorTables
from framecast.ensembles.hindcast import measure_scale
from framecast.ensembles.noise import MovedNoise, make_key
from framecast.ensembles.roughness import ROUNDS, correct_amplitude
from framecast.ensembles.tracks import MovedFrame, moves, track
from framecast.errors import UsageError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.predictor import PastFrames, Predictor

DRY = 1e-4
"""Factor of values below nothing, before they are cut to it."""


@dataclass(frozen=True)
class Ensemble:
    """Members of a forecast, made lead time by lead time: only those of one are in memory.

    Args:
        forecast: the single forecast of N sequences.
        tables: errors of its predictor.
        members: M.
        seed: of the noise.
        scale: (N,), factor of the noise.
        moving: whether errors move with the frames.
        motion: (N, 2, H, W), pixels per frame, or None to estimate it from the context.
    """

    forecast: Forecast
    tables: ErrorTables
    members: int
    seed: int
    scale: Tensor
    moving: bool
    motion: Tensor | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """Iterate over lead times: (N, M, C, H, W), raw units, NaN where the forecast has none."""
        forecast, shape = self.forecast, self.forecast.frames.shape
        times = forecast.reference_times
        keys = [make_key(None if times is None else times[n], forecast.past_values[n, -1]) for n in range(shape[0])]
        noises = [MovedNoise(self.seed, key, (shape[3], shape[4], shape[5]), self.tables.correlation) for key in keys]
        tracked = track(forecast, shape[2], self.motion, moving=self.moving)
        for lead, moved in enumerate(tracked):
            yield torch.stack([self._make_lead(n, lead, moved, noises[n]) for n in range(shape[0])])

    def _make_lead(self, sequence: int, lead: int, moved: MovedFrame, noise: MovedNoise) -> Tensor:
        """Make the members of one sequence at one lead time, (M, C, H, W)."""
        one = slice(sequence, sequence + 1)
        raw = self.forecast.frames[one, 0, lead].float().cpu()
        finite = raw.isfinite()
        mean = self.tables.scale.normalize(torch.where(finite, raw, self.forecast.spec.low))
        errors = self.tables.at(lead, self.forecast.spec.step_minutes)
        sd = float(self.scale[sequence]) * errors.find_sd(mean, moved.known[one])
        if self.tables.bounded:
            mean, sd = uncensor(mean, sd)
        places = noise.locate(None if moved.position is None else moved.position[sequence])
        values = None if moved.values is None else self.tables.scale.normalize(moved.values[one])

        def make(member: int, filters: Tensor) -> Tensor:
            # drawn anew at each lead time: of all members the white noise would take as much memory as they
            field = noise.shape_spectrum(noise.draw(member), places, filters)
            return self._finish(mean + sd * field, values, moved.known[one])

        filters = noise.make_filter(errors.amplitude)
        if values is not None:
            compared, amplitude = (moved.known[one] & finite)[0], errors.amplitude
            for _ in range(ROUNDS):  # by the first member alone, so that a member does not depend on their number
                amplitude = correct_amplitude(amplitude, make(0, filters)[0], values[0], compared)
                filters = noise.make_filter(amplitude)
        members = [self.tables.scale.denormalize(make(member, filters)) for member in range(self.members)]
        return torch.stack([torch.where(finite, member, torch.nan)[0] for member in members])

    def _finish(self, frame: Tensor, values: Tensor | None, known: Tensor) -> Tensor:
        """Cut a noisy frame (1, C, H, W) to possible values, and match it to those of the moved frame where known."""
        if self.tables.bounded:  # what is cut off keeps its order, by which dry pixels become wet first
            frame = torch.where(frame < 0, DRY * frame, frame)
        if values is not None:
            frame = match_values(frame, values, known)
            # where air flows in, too, nothing is heavier than the heaviest that is known
            top = values[known.expand_as(values)]
            frame = frame.clamp(max=float(top.max())) if len(top) else frame
        return frame.clamp(0, 1) if self.tables.bounded else frame

    def to_forecast(self) -> Forecast:
        """Make the Forecast of all members and lead times."""
        return replace(self.forecast, frames=torch.stack(list(self), 2))


class DressedPredictor:
    """Ensemble of any deterministic predictor.

    Args:
        predictor: makes the single forecast; a network that moves frames the raw one, not matched.
        tables: its past errors.
        members: M.
        seed: of the noise, which depends on it, the reference time and the member only.
        moving: whether errors move with the frames; None to see it in the predictor.
        hindcast: whether the size of the noise is scaled by a forecast of the newest frames.

    Raises:
        UsageError: no members.

    Example:
        >>> import framecast, numpy as np, torch
        >>> from framecast.ensembles.dressing import DressedPredictor
        >>> from framecast.ensembles.error_tables import ErrorStatistics
        >>> spec = framecast.FrameSpec(channels=1, height=16, width=16)
        >>> statistics = ErrorStatistics(spec, horizon=2, model="persistence")
        >>> truth = torch.rand(4, 2, 1, 16, 16)
        >>> seen = torch.ones_like(truth, dtype=torch.bool)
        >>> statistics.update(torch.full_like(truth, 0.5), truth, seen, seen)
        >>> ensemble = DressedPredictor(framecast.Persistence(spec), statistics.close(), members=3)
        >>> past = framecast.PastFrames.from_arrays(np.full((1, 3, 1, 16, 16), 0.5, np.float32), spec)
        >>> ensemble.forecast(past, horizon=2).values.shape    # sequences, members, lead times, channels, rows, columns
        (1, 3, 2, 1, 16, 16)
    """

    def __init__(
        self,
        predictor: Predictor,
        tables: ErrorTables,
        *,
        members: int = 20,
        seed: int = 0,
        moving: bool | None = None,
        hindcast: bool = True,
    ) -> None:
        if members < 1 or seed < 0:
            raise UsageError("members, seed", got=f"{members}, {seed}", expected="at least 1 and 0")
        self.predictor, self.tables, self.members, self.seed = predictor, tables, members, seed
        self.moving = moves(predictor) if moving is None else moving
        self.hindcast = hindcast
        self.context: Any = getattr(predictor, "context", None)
        self.origin: ModelOrigin = getattr(predictor, "origin", ModelOrigin(tables.model))

    def dress(self, past: PastFrames, horizon: int) -> Ensemble:
        """Prepare the members of the K frames that follow each sequence.

        Raises:
            InputError: frames that do not fit the predictor or the tables.
            UsageError: a horizon below 1.
        """
        self.tables.check(past.spec)
        return self.dress_forecast(self.predictor.forecast(past, horizon), past)

    def dress_forecast(self, forecast: Forecast, past: PastFrames) -> Ensemble:
        """Prepare the members of a forecast that was made already.

        Args:
            forecast: of the predictor, from `past`.
            past: the frames behind it, from which the scale is measured.
        """
        scale = torch.ones(len(forecast.frames))
        if self.hindcast:
            scale = measure_scale(self.predictor, past, self.tables, moving=self.moving)
        motion = None if past.motion is None else past.motion[:, -1]
        return Ensemble(forecast, self.tables, self.members, self.seed, scale, self.moving, motion)

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, as a Forecast of M members.

        Raises:
            InputError: frames that do not fit the predictor or the tables.
            UsageError: a horizon below 1.
        """
        return self.dress(past, horizon).to_forecast()
