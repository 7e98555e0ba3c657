"""Motion behind a forecast, as frames that every writer takes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from framecast.forecast import Forecast
from framecast.motion import TRACKED_FRAMES, average_channels, estimate_batch
from framecast.transforms.channels import target_ends

NAMES = ("motion_x", "motion_y")
UNITS = "pixel"


def estimate_motion_of_context(forecast: Forecast) -> Tensor:
    """Estimate the motion of the newest frames of the input: over the next step, to the right and down.

    Args:
        forecast: its context of two frames or more is tracked.

    Returns:
        (N, 2, H, W), pixels per time step; zero where nothing can be tracked.
    """
    spec, recent = forecast.spec, forecast.context[:, -TRACKED_FRAMES:]
    low, high = target_ends(recent, spec)
    seen = torch.isfinite(recent)
    units = (torch.where(seen, recent, low).clamp(low, high) - low) / (high - low)
    return estimate_batch(average_channels(units, seen))


def estimate_forecast_motion(forecast: Forecast) -> Forecast:
    """Estimate the motion of the newest frames of the input: over the next step, to the right and down.

    Args:
        forecast: its context of two frames or more is tracked.

    Returns:
        one frame of two channels, pixels per time step; zero where nothing can be tracked.
    """
    spec, motion = forecast.spec, estimate_motion_of_context(forecast)
    extent = max(1.0, float(motion.abs().max()))
    fields = {
        "channels": 2,
        "units": UNITS,
        "low": -extent,
        "high": extent,
        "ranges": (),
        "names": NAMES,
    }
    grid = forecast.grid.model_copy(update={"variables": NAMES, "units": (), "standard_names": (), "long_names": ()})
    mask = torch.ones(len(motion), *motion.shape[1:], dtype=torch.bool)
    return replace(
        forecast,
        frames=motion[:, None, None],
        mask=mask,
        context=motion[:, None],
        context_times=None if forecast.context_times is None else forecast.context_times[:, -1:],
        spec=spec.model_copy(update=fields),
        dims=forecast.dims if "c" in forecast.dims else forecast.dims.replace("h", "ch"),
        grid=grid,
    )
