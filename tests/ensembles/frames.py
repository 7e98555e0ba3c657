"""Rain that moves and changes, small enough for quick tests."""

from __future__ import annotations

import numpy as np
import torch

from framecast.ensembles.error_tables import ErrorStatistics, ErrorTables
from framecast.forecast import Forecast
from framecast.forecasting.predictor import PastFrames
from framecast.types import FrameSpec, Grid

SPEC = FrameSpec(channels=1, height=48, width=56, units="dBZ", low=0.0, high=70.0, step_minutes=5.0)
TIMES = np.datetime64("2020-05-01T12:00", "ms") + np.arange(6) * np.timedelta64(300_000, "ms")


def make_rain(count: int = 1, length: int = 6, seed: int = 0, spec: FrameSpec = SPEC) -> torch.Tensor:
    """Smooth fields that move by 2 pixels a frame, half of them dry: (count, length, 1, H, W), dBZ."""
    rng = np.random.default_rng(seed)
    height, width = spec.height, spec.width + 2 * length
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    waves = np.fft.rfft2(rng.normal(size=(count, height, width))) * np.exp(-((14 * frequency) ** 2))
    field = np.fft.irfft2(waves, s=(height, width))
    values = np.clip(25 * field / field.std((-2, -1), keepdims=True), 0, 60)
    starts = [2 * (length - 1 - step) for step in range(length)]
    frames = np.stack([values[..., start : start + spec.width] for start in starts], 1)
    return torch.from_numpy(frames[:, :, None].astype(np.float32))


def make_past(count: int = 1, seed: int = 0, grid: Grid | None = None) -> PastFrames:
    frames = make_rain(count, seed=seed)
    valid = torch.ones_like(frames, dtype=torch.bool)
    valid[..., :3, :4] = False  # never observed
    times = np.repeat(TIMES[None], count, 0)
    return PastFrames(frames, SPEC, valid, times, grid=grid or Grid())


def make_tables(leads: int = 4, size: float = 0.05, spec: FrameSpec = SPEC) -> ErrorTables:
    """Tables of errors that grow with the root of time and are 12 pixels wide."""
    statistics = ErrorStatistics(spec, leads, "test")
    noise = make_rain(8, leads, seed=5, spec=spec) - 20
    truth = torch.full((8, leads, 1, spec.height, spec.width), 30.0)
    growth = torch.arange(1, leads + 1).sqrt()[:, None, None, None]
    seen = torch.ones_like(truth, dtype=torch.bool)
    known = seen.clone()
    known[..., :10] = False
    # forecasts that do not depend on the errors, which are then as large at any of their values
    statistics.update(truth, truth + 70 * size * growth * noise / noise.std(), seen, known)
    return statistics.close()


def single(forecast: Forecast) -> torch.Tensor:
    return forecast.frames[:, 0]
