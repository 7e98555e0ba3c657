"""One sequence as a film, input and then prediction, with times and a colour bar: what it shows, and GIF."""

from __future__ import annotations

from pathlib import Path

from framecast.forecast import Forecast
from framecast.plotting import animation

HELD = 5.0
"""Pictures a second where frames are minutes apart."""
FASTEST = 60.0


def gif(path: Path, forecast: Forecast) -> str:
    """Write a GIF that repeats."""
    animation.save_gif(path, animation.draw_pictures(forecast), round(1000 / picture_rate(forecast)))
    return describe_film(forecast)


def picture_rate(forecast: Forecast) -> float:
    """Pictures a second: the pace of the frames where they are less than a second apart."""
    step = forecast.spec.step_minutes
    return HELD if step is None or step * 60 >= 1 else min(FASTEST, 1 / (step * 60))


def describe_film(forecast: Forecast) -> str:
    """What is in a film, in words."""
    members = f", the mean of {forecast.members} members" if forecast.members > 1 else ""
    return f"{forecast.context.shape[1]} frames of input and {forecast.frames.shape[2]} of forecast{members}"
