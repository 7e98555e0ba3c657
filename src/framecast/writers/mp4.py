"""MP4 film (H.264) of one sequence, input and then prediction."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from framecast.forecast import Forecast
from framecast.optional_imports import require
from framecast.output_file import open_output
from framecast.plotting.animation import draw_pictures
from framecast.writers.gif import choose_picture_rate, describe_film

X264_OPTIONS = {"crf": "18", "preset": "medium"}
"""Quality of the encoder: no loss that the eye sees."""

av = require("av", "video")


def write_mp4(path: Path, forecast: Forecast) -> str:
    """Write an MP4 file at the rate of `choose_picture_rate`; it shows the mean of the members."""
    rate = Fraction(choose_picture_rate(forecast)).limit_denominator(1000)
    with open_output(path) as file, av.open(file, "w", format="mp4") as container:
        container.metadata["comment"] = "; ".join(
            f"{name} {text}" for name, text in forecast.provenance.as_dict().items()
        )
        stream = None
        for picture in draw_pictures(forecast):
            # yuv420p halves the resolution of colours, so that rows and columns must be even in number
            even = np.pad(picture, [(0, size % 2) for size in picture.shape[:2]] + [(0, 0)], "edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options=X264_OPTIONS)
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                container.mux(packet)
        if stream is not None:  # the frames that the encoder still holds
            container.mux(stream.encode())
    return describe_film(forecast)
