"""STEPS, the ensemble of radar nowcasting, through pysteps: extrapolation with noise in a cascade of scales."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.ensembles.noise import make_key
from framecast.errors import UsageError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.baselines import Extrapolation
from framecast.forecasting.motion_output import estimate_motion_of_context
from framecast.forecasting.predictor import PastFrames
from framecast.optional_imports import require
from framecast.transforms.normalize import DBZ
from framecast.types import FrameSpec, Grid

LEAST_RATE = 0.1
"""Least rain, mm/h."""
DRY = -15.0
"""Value of no rain, dB of mm/h."""
LEVELS = 6
"""Scales of the cascade."""
FRAMES = 3
"""Newest frames that it takes."""


class Steps:
    """Ensemble of STEPS with the defaults of pysteps, along framecast's own motion; the extra `steps` installs it.

    It gives nothing where air flows in: there, members get the forecast of extrapolation, the mean of the context, all
    the same. Its motion perturbations take the size of a pixel from the grid, 1 km where that is unknown.

    Args:
        spec: rain, mm/h or dBZ, with its time step.
        members: M.
        seed: of its noise.

    Raises:
        UsageError: other frames, or pysteps is not installed.

    Source: Bowler, Pierce, Seed 2006, Q. J. R. Meteorol. Soc. 132; Pulkkinen et al. 2019, Geosci. Model Dev. 12.
    """

    context: int | None = Extrapolation.context

    def __init__(self, spec: FrameSpec, members: int = 20, seed: int = 0) -> None:
        if spec.units not in (DBZ_UNITS, RATE_UNITS) or spec.targets != 1 or spec.step_minutes is None:
            got = f"{spec.targets} channels in {spec.units}, steps of {spec.step_minutes} minutes"
            raise UsageError("steps", got=got, expected=f"one of {RATE_UNITS} or {DBZ_UNITS}, with a time step")
        with contextlib.redirect_stdout(io.StringIO()):  # it says where its configuration lies
            self._method: Any = require("pysteps.nowcasts", "steps").get_method("steps")
        self.spec, self.members, self.seed = spec, members, seed
        self.scale = DBZ(high=70.0 if spec.units == RATE_UNITS else max(spec.high, 1.0))
        self.origin = ModelOrigin("steps")

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, as a Forecast of M members.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        single = Extrapolation(self.spec).forecast(past, horizon)
        motion = (estimate_motion_of_context(single) if past.motion is None else past.motion[:, -1]).numpy()
        times = single.reference_times
        frames = torch.empty(len(motion), self.members, *single.frames.shape[2:])
        for n, context in enumerate(single.past_values):
            key = make_key(None if times is None else times[n], context[-1])
            ahead = self._run(context[-FRAMES:, 0], motion[n], horizon, past.grid, (self.seed + key) % 2**31)
            base = single.frames[n, 0, :, 0].float()
            values = torch.from_numpy(self._from_decibels(ahead))
            frames[n, :, :, 0] = torch.where(values.isnan(), base, values)
        return past.make_forecast(frames, self.origin)

    def _run(
        self, frames: NDArray[np.float32], motion: NDArray[np.float32], horizon: int, grid: Grid, seed: int
    ) -> NDArray[np.float64]:
        decibels = self._to_decibels(np.nan_to_num(frames.astype(np.float64), nan=self.spec.low))
        if not (decibels > DRY).any():  # it needs some rain for its spectrum
            return np.full((self.members, horizon, *frames.shape[1:]), DRY)
        spacing = {"m": 0.001, "km": 1.0}.get(grid.axis_units, 0.0)
        size = abs(grid.x[1] - grid.x[0]) * spacing if len(grid.x) > 1 and spacing else 1.0
        with contextlib.redirect_stdout(io.StringIO()):
            made: NDArray[np.float64] = self._method(
                decibels,
                motion.astype(np.float64),
                horizon,
                n_ens_members=self.members,
                n_cascade_levels=LEVELS,
                precip_thr=10 * np.log10(LEAST_RATE),
                kmperpixel=size,
                timestep=self.spec.step_minutes,
                seed=seed,
                num_workers=1,
            )
        return made

    def _to_decibels(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert raw units to dB of mm/h."""
        rates = values
        if self.spec.units == DBZ_UNITS:
            a, b = DBZ().coefficients
            rates = np.where(values > 0, (10 ** (values / 10) / a) ** (1 / b), 0.0)
        return np.where(rates >= LEAST_RATE, 10 * np.log10(np.maximum(rates, LEAST_RATE)), DRY)

    def _from_decibels(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Convert dB of mm/h to raw units; NaN stays."""
        rates = np.where(values <= 10 * np.log10(LEAST_RATE), 0.0, 10 ** (values / 10))
        rates = np.where(np.isnan(values), np.nan, rates)
        if self.spec.units == DBZ_UNITS:
            a, b = DBZ().coefficients
            rates = 10 * np.log10(np.maximum(a * rates**b, 1.0))
            rates = np.minimum(rates, self.spec.high)
        return rates.astype(np.float32)
