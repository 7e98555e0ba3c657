"""Pictures of frames: PNGs of tiles and of whole maps, with a palette, transparent where nothing is."""

from __future__ import annotations

import io
from typing import Literal

from PIL import Image

from framecast.serving.newest.colours import dbz_codes, probability_palette, value_palette
from framecast.serving.newest.forecast import MapFrame, NewestForecast
from framecast.serving.newest.projection import MapExtent, sample

Style = Literal["light", "dark", "codes"]
"""Colours for a light or a dark map; grey levels that code the values."""


def draw_picture(
    newest: NewestForecast,
    frame: MapFrame,
    extent: MapExtent | None,
    *,
    style: Style = "light",
    smooth: bool = False,
    threshold: float | None = None,
) -> bytes:
    """Draw a frame as PNG.

    Args:
        newest: the forecast.
        frame: one of its frames.
        extent: of the picture; None for the grid as it is, rows from the north.
        style: which colours.
        smooth: whether to draw between pixels, not the nearest one.
        threshold: raw units; the probability of at least this much is drawn in place of the values.
    """
    values = newest.load(frame) if threshold is None else newest.load_probability(frame, threshold)
    positions = newest.projection.find_positions(extent)
    if positions is None and newest.grid.is_south_up:
        values = values[::-1]
    shown, inside = sample(values, positions, smooth=smooth)
    if style == "codes":
        return _encode(Image.fromarray(dbz_codes(shown, inside, newest.spec), "LA"))
    dark = style == "dark"
    palette = value_palette(newest.spec, dark=dark) if threshold is None else probability_palette(dark=dark)
    picture = Image.fromarray(palette.find_entries(shown, inside), "P")
    picture.putpalette(palette.colours[:, :3].tobytes())
    return _encode(picture, palette.colours[:, 3].tobytes())


def draw_blank(size: int) -> bytes:
    """Draw a tile on which nothing is."""
    return _encode(Image.new("LA", (size, size), 0))


def _encode(picture: Image.Image, alpha: bytes | None = None) -> bytes:
    content = io.BytesIO()
    transparency = {} if alpha is None else {"transparency": alpha}
    picture.save(content, "PNG", compress_level=4, **transparency)
    return content.getvalue()
