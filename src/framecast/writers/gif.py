"""One sequence as a film, input and then prediction, with times and a colour bar: what it shows, and GIF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from framecast.calendars import to_calendar
from framecast.plotting import animation
from framecast.plotting.view import choose_view
from framecast.types import Forecast

HELD = 5.0
"""Pictures a second where frames are minutes apart."""
FASTEST = 60.0


def gif(path: Path, forecast: Forecast, about: Mapping[str, str]) -> str:
    """Write a GIF that repeats."""
    animation.save_gif(path, drawn(forecast), round(1000 / rate(forecast)))
    return said(forecast)


def drawn(forecast: Forecast) -> animation.Pictures:
    """The pictures of the first sequence, north up."""
    past, future = forecast.past_times, forecast.times
    times = None if past is None or future is None else np.concatenate([past[0], future[0]])
    stamps = None if times is None else to_calendar(times, forecast.grid)
    context, frames = forecast.context[0], forecast.frames[0]
    seen = choose_view(forecast.spec, forecast.grid, context, frames)
    return animation.draw_pictures(seen.of(context), seen.of(frames), seen.spec, times=stamps, channel=seen.channel)


def rate(forecast: Forecast) -> float:
    """Pictures a second: the pace of the frames where they are less than a second apart."""
    step = forecast.spec.step_minutes
    return HELD if step is None or step * 60 >= 1 else min(FASTEST, 1 / (step * 60))


def said(forecast: Forecast) -> str:
    """What is in a film, in words."""
    context, frames = forecast.context.shape[1], forecast.frames.shape[1]
    return f"{context} frames of input and {frames} of forecast"
