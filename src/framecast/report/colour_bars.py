"""Colour bars of a page: of values, with ticks in the classes of the data, and of errors, on a scale of their own."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.colors import BoundaryNorm
from matplotlib.ticker import MaxNLocator
from PIL import Image

from framecast.plotting.colours import colour_scale
from framecast.plotting.frames import to_diverging_colours
from framecast.plotting.view import is_plain, is_rgb
from framecast.report.blocks import ColourBar
from framecast.types import FrameSpec

SHADES = 128
"""Colours of a bar without classes."""


def draw_colour_bars(spec: FrameSpec, limit: float | None = None) -> list[ColourBar]:
    """Draw the bar of values, but for colour pictures, and that of errors.

    Args:
        spec: of the frames.
        limit: error at the ends of its scale, raw units; None where no errors are shown.
    """
    values = [] if is_rgb(spec) else [_draw_values(spec)]
    if limit is None:
        return values
    ramp = to_diverging_colours(np.linspace(-1, 1, SHADES + 1, dtype=np.float32)[None, None])
    ticks = [(50 + 50 * share, f"{share * limit:+g}" if share else "0") for share in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    error = ColourBar(_add_units("error", spec), encode_image(Image.fromarray(ramp)), ticks, True)
    return [*values, error]


def is_light(spec: FrameSpec) -> bool:
    """Whether frames without anything are drawn light: those of rain, in classes."""
    return not is_plain(spec) and isinstance(colour_scale(spec).norm, BoundaryNorm)


def encode_image(image: Image.Image) -> str:
    """Data URI of a PNG; with a palette where its colours fit into one, which loses nothing and is smaller."""
    if image.getcolors(256) is not None:
        pixels = np.asarray(image).reshape(-1, 3)
        palette, codes = np.unique(pixels, axis=0, return_inverse=True)
        image = Image.fromarray(codes.reshape(image.size[::-1]).astype(np.uint8))
        image.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _draw_values(spec: FrameSpec) -> ColourBar:
    scale = colour_scale(spec)
    if scale.ticks is not None:  # a class as wide as the other, whatever values it holds
        colours = scale.colormap(np.arange(len(scale.ticks) + 1))
        ticks = [(100 * number / len(colours), f"{edge:g}") for number, edge in enumerate(scale.ticks, 1)]
    else:
        colours = scale.colormap(np.linspace(0, 1, SHADES))
        round_values = MaxNLocator(5).tick_values(spec.low, spec.high)
        span = spec.high - spec.low
        ticks = [(100 * (v - spec.low) / span, f"{v:g}") for v in round_values if spec.low <= v <= spec.high]
    row = Image.fromarray((255 * colours[None, :, :3]).round().astype(np.uint8))
    return ColourBar(_add_units("value", spec), encode_image(row), ticks, is_light(spec))


def _add_units(name: str, spec: FrameSpec) -> str:
    return name if spec.units == "1" else f"{name}, {spec.units}"
