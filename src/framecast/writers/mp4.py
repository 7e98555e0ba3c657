"""One sequence as a film: mp4 (H.264)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from framecast.optional import require
from framecast.types import Forecast
from framecast.writers.gif import drawn, rate, said

SHARP = {"crf": "18", "preset": "medium"}
"""Of x264: no loss that the eye sees."""

av = require("av", "video")


def film(path: Path, forecast: Forecast, about: Mapping[str, str]) -> str:
    """Write an mp4; where frames are less than a second apart, at their own pace."""
    pace = Fraction(rate(forecast)).limit_denominator(1000)
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = "; ".join(f"{name} {text}" for name, text in about.items())
        stream = None
        for picture in drawn(forecast):
            even = np.pad(picture, [(0, size % 2) for size in picture.shape[:2]] + [(0, 0)], "edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=pace, options=SHARP)
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                container.mux(packet)
        if stream is not None:
            container.mux(stream.encode())
    return said(forecast)
