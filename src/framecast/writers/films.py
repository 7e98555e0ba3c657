"""One sequence as a film, input and then prediction, with times and a colour bar: GIF and mp4 (H.264)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from framecast import animation
from framecast.data.damage import library
from framecast.types import Forecast

HELD = 5.0
"""Pictures a second where frames are minutes apart."""
FASTEST = 60.0
SHARP = {"crf": "18", "preset": "medium"}
"""Of x264: no loss that the eye sees."""


def gif(path: Path, forecast: Forecast, about: Mapping[str, str]) -> str:
    """Write a GIF that repeats."""
    animation.save_gif(path, _drawn(forecast), round(1000 / _rate(forecast)))
    return _said(forecast)


def mp4(path: Path, forecast: Forecast, about: Mapping[str, str]) -> str:
    """Write an mp4; where frames are less than a second apart, at their own pace."""
    av = library("av", "video")
    rate = Fraction(_rate(forecast)).limit_denominator(1000)
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = "; ".join(f"{name} {text}" for name, text in about.items())
        stream = None
        for picture in _drawn(forecast):
            even = np.pad(picture, [(0, size % 2) for size in picture.shape[:2]] + [(0, 0)], "edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options=SHARP)
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                container.mux(packet)
        if stream is not None:
            container.mux(stream.encode())
    return _said(forecast)


def _drawn(forecast: Forecast) -> animation.Pictures:
    past, future = forecast.past_times, forecast.times
    times = None if past is None or future is None else np.concatenate([past[0], future[0]])
    return animation.pictures(forecast.context[0], forecast.frames[0], forecast.spec, times=times)


def _rate(forecast: Forecast) -> float:
    """Pictures a second."""
    step = forecast.spec.step_minutes
    return HELD if step is None or step * 60 >= 1 else min(FASTEST, 1 / (step * 60))


def _said(forecast: Forecast) -> str:
    context, frames = forecast.context.shape[1], forecast.frames.shape[1]
    return f"{context} frames of input and {frames} of forecast"
