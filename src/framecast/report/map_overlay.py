"""Map over the films of a page, as SVG: coastlines, borders, meridians and parallels with their degrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from framecast.maps.outlines import CREDIT, MapLines, Meridian
from framecast.maps.place import Line

SIDE = 1000
"""Length of the longer side of a frame in the drawing; coordinates are rounded to whole numbers."""
TURNED = 20.0
"""Degrees by which north may lean and still count as up."""


def draw_map(lines: MapLines, number: int) -> Markup:
    """Define the drawing of a map, once for all films that show it.

    Args:
        lines: of the frames.
        number: of the map on its page.
    """
    scale = SIDE / max(lines.height, lines.width)
    width, height = round(scale * lines.width), round(scale * lines.height)
    groups = {
        "degrees": [line for degree in lines.degrees for line in degree.lines],
        "borders": lines.borders,
        "coasts": lines.coasts,
    }
    paths = "".join(
        f'<path id="map{number}-{name}" class="outline" d="{_trace(parts, scale)}"/>' for name, parts in groups.items()
    )
    labels = "".join(_label(degree, scale, width, height) for degree in lines.degrees)
    return Markup(
        f'<svg class="defined" aria-hidden="true"><defs>{paths}<g id="map{number}-labels">{labels}</g>'
        f'<symbol id="map{number}" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f'<use class="degrees" href="#map{number}-degrees"/>'
        f'<use class="under" href="#map{number}-borders"/><use class="borders" href="#map{number}-borders"/>'
        f'<use class="under" href="#map{number}-coasts"/><use class="coasts" href="#map{number}-coasts"/></symbol>'
        f'<symbol id="map{number}-named" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f'<use href="#map{number}-labels"/></symbol></defs></svg>'
    )


def describe_map(lines: MapLines) -> str:
    """Describe where north is on a map, and whose its lines are."""
    lean = (lines.north + 180) % 360 - 180
    side = "right" if lean > 0 else "left"
    north = "North is up" if abs(lean) <= TURNED else f"North is {abs(lean):.0f}° to the {side} of up"
    return f"{north}. {CREDIT}."


def _trace(lines: Sequence[Line], scale: float) -> str:
    """SVG path through all lines, in steps from point to point; points that fall on one are left out."""
    parts = []
    for line in lines:
        points = np.round(scale * (line + 0.5)).astype(int)
        points = points[np.concatenate([[True], (np.diff(points, axis=0) != 0).any(1)])]
        steps = " ".join(f"{x} {y}" for x, y in np.diff(points, axis=0).tolist())
        if steps:
            parts.append(f"M{points[0, 0]} {points[0, 1]}l{steps}".replace(" -", "-"))
    return "".join(parts)


def _label(degree: Meridian, scale: float, width: int, height: int) -> str:
    """Name a parallel at the left edge of the frame, a meridian at its lower edge; none near a corner."""
    points = scale * (np.concatenate(degree.lines) + 0.5)
    x, y = points[points[:, 0].argmin()] if degree.is_parallel else points[points[:, 1].argmax()]
    if degree.is_parallel:
        is_clear = x < width / 20 and 50 < y < height - 70
        place = f'x="8" y="{y - 8:.0f}"'
    else:
        is_clear = y > height * 19 / 20 and 60 < x < width - 90
        place = f'x="{x + 8:.0f}" y="{height - 10}"'
    return f'<text class="degree" {place}>{escape(degree.label)}</text>' if is_clear else ""
