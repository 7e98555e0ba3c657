"""Colour scales: rain in classes, pictures in grey, everything else in viridis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize

from framecast.types import FrameSpec

RAIN_CLASSES = {
    "dBZ": (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0),
    "mm/h": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
}
"""Lower ends of the classes, by units; below the first there is no rain."""
NO_RAIN = (0.94, 0.94, 0.94)
"""Light grey, RGB from 0 to 1."""


class ColourScale(NamedTuple):
    """Colours of the values of one channel."""

    colormap: Colormap
    norm: Normalize
    ticks: tuple[float, ...] | None
    """Values at which a colour bar is labelled; None to leave the choice to matplotlib."""


def colour_scale(spec: FrameSpec) -> ColourScale:
    """Choose the colours of a channel by its units and value range.

    Rain is drawn in classes, light grey for none and then ever darker, so that the order is seen by every eye and in
    print; the rainbows that are usual for radar do not have one.
    """
    edges = tuple(edge for edge in RAIN_CLASSES.get(spec.units, ()) if spec.low < edge < spec.high)
    if not edges:
        name = "gray" if spec.units == "grey level" else "viridis"
        return ColourScale(colormaps[name], Normalize(spec.low, spec.high), None)
    rain = colormaps["viridis_r"](np.linspace(0, 1, len(edges)))[:, :3]
    listed = ListedColormap([NO_RAIN, *map(tuple, rain)])
    return ColourScale(listed, BoundaryNorm([spec.low, *edges, spec.high], listed.N), edges)
