"""GIF film of one sequence, input and then prediction, with times and a colour bar; rate and description of films."""

from __future__ import annotations

from pathlib import Path

from framecast.forecast import Forecast
from framecast.plotting import animation

DEFAULT_RATE = 5.0
"""Pictures a second where frames are a second or more apart, or their step is unknown."""
MAX_RATE = 60.0
"""Pictures a second, at most."""


def write_gif(path: Path, forecast: Forecast) -> str:
    """Write a GIF that repeats; it shows the mean of the members."""
    animation.save_gif(path, animation.draw_pictures(forecast), round(1000 / choose_picture_rate(forecast)))
    return describe_film(forecast)


def choose_picture_rate(forecast: Forecast) -> float:
    """Choose the pictures a second: real time where frames are less than a second apart, as in a video."""
    step = forecast.spec.step_minutes
    return DEFAULT_RATE if step is None or step * 60 >= 1 else min(MAX_RATE, 1 / (step * 60))


def describe_film(forecast: Forecast) -> str:
    """Describe the content of a film, for the user."""
    members = f", the mean of {forecast.members} members" if forecast.members > 1 else ""
    return f"{forecast.context.shape[1]} frames of input and {forecast.frames.shape[2]} of forecast{members}"
