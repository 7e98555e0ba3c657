"""A folder of PNGs, one for each frame, and nothing else on them: 8-bit values of pictures, else the colour scale."""

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
from framecast.writers.frame_files import frame_files


def series(path: Path, forecast: Forecast) -> str:
    """Write them, north up; the text in each tells what its values stand for, its times, and where it comes from."""
    seen = view_forecast(forecast)
    spec = seen.spec
    shown = f"{spec.low:g} to {spec.high:g} {spec.units}"
    kind = "8 bits for" if is_plain(spec) else "the colour scale of"
    told = {"values": f"{kind} {shown}", **({"channel": seen.channel} if seen.channel else {})}
    about, count = forecast.provenance.as_dict(), 0
    for leaf in frame_files(path, forecast, ".png"):
        info = PngInfo()
        for name, text in {**told, **leaf.said, **about}.items():
            info.add_text(name, text)
        Image.fromarray(_pixels(seen.of(leaf.frame), spec)).save(leaf.path, pnginfo=info)
        count += 1
    return ", ".join([f"{count} pictures", *([seen.channel] if seen.channel else []), f"{kind} {shown}"])


def _pixels(frame: NDArray[np.float32], spec: FrameSpec) -> NDArray[np.uint8]:
    """(H, W) of grey pictures, else (H, W, 3)."""
    pixels = to_colours(frame, spec)
    return pixels[..., 0] if is_plain(spec) and spec.targets == 1 and not np.isnan(frame).any() else pixels
