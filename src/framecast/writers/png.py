"""PNGs in a folder, one for each frame, without axes or titles: 8-bit values of pictures, else the colour scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from framecast.forecast import Forecast
from framecast.plotting.frames import to_colours
from framecast.plotting.view import is_plain, view_forecast
from framecast.types import FrameSpec
from framecast.writers.frame_files import list_frame_files


def write_pngs(path: Path, forecast: Forecast) -> str:
    """Write PNGs into a folder, north up; text chunks hold the meaning of the colours, times and provenance."""
    view = view_forecast(forecast)
    spec = view.spec
    scale = "8 bits for" if is_plain(spec) else "the colour scale of"
    values = f"{scale} {spec.low:g} to {spec.high:g} {spec.units}"
    channel = {"channel": view.channel} if view.channel else {}
    provenance, count = forecast.provenance.as_dict(), 0
    for frame_file in list_frame_files(path, forecast, ".png"):
        info = PngInfo()
        for name, text in {"values": values, **channel, **frame_file.tags, **provenance}.items():
            info.add_text(name, text)
        Image.fromarray(_colour(view.of(frame_file.frame), spec)).save(frame_file.path, pnginfo=info)
        count += 1
    return ", ".join([f"{count} pictures", *channel.values(), values])


def _colour(frame: NDArray[np.float32], spec: FrameSpec) -> NDArray[np.uint8]:
    """Convert a frame to 8-bit pixels: (H, W) for grey ones without missing pixels, else (H, W, 3)."""
    pixels = to_colours(frame, spec)
    return pixels[..., 0] if is_plain(spec) and spec.targets == 1 and not np.isnan(frame).any() else pixels
