"""One sequence as a film: mp4 (H.264)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from framecast.forecast import Forecast
from framecast.optional_imports import require
from framecast.plotting.animation import draw_pictures
from framecast.writers.gif import describe_film, picture_rate

SHARP = {"crf": "18", "preset": "medium"}
"""Of x264: no loss that the eye sees."""

av = require("av", "video")


def film(path: Path, forecast: Forecast) -> str:
    """Write an mp4; where frames are less than a second apart, at their own pace."""
    pace = Fraction(picture_rate(forecast)).limit_denominator(1000)
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = "; ".join(
            f"{name} {text}" for name, text in forecast.provenance.as_dict().items()
        )
        stream = None
        for picture in draw_pictures(forecast):
            even = np.pad(picture, [(0, size % 2) for size in picture.shape[:2]] + [(0, 0)], "edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=pace, options=SHARP)
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                container.mux(packet)
        if stream is not None:
            container.mux(stream.encode())
    return describe_film(forecast)
