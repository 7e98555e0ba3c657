"""Colours of the map: values and probabilities to the entries of a palette, and the legend of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from framecast.data.units import DBZ_UNITS
from framecast.plotting.colours import colour_scale
from framecast.types import FrameSpec

OUTSIDE, MISSING, FIRST = 0, 1, 2
"""Entries of a palette: outside the grid, missing, and the first of the values."""
MISSING_COLOUR = (130, 130, 145, 70)
STEPS = 250
"""Entries of a scale without classes."""
DARKEST = 0.3
"""Part of the colour map below which nothing is seen on a dark map."""
PROBABILITIES = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Lower ends of the classes of probabilities but the first, which is not drawn."""


class Palette(NamedTuple):
    """Colours of classes."""

    edges: NDArray[np.float64]
    """(N - 1,), lower ends of all classes but the first."""
    colours: NDArray[np.uint8]
    """(FIRST + N, 4), RGBA."""
    labels: tuple[float, ...]
    """Values that a legend names, lower ends of classes."""

    def find_entries(self, values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Find the entry of each value."""
        known = np.nan_to_num(values)
        entries = FIRST + np.searchsorted(self.edges, known, side="right")
        entries = np.where(np.isfinite(values), entries, MISSING)
        return np.where(inside, entries, OUTSIDE).astype(np.uint8)

    def describe(self) -> list[dict[str, Any]]:
        """Describe the drawn classes, lowest first: the value from which each begins, and its colour."""
        places = np.searchsorted(self.edges, self.labels, side="right")
        return [
            {"from": float(value), "colour": "#" + bytes(self.colours[FIRST + place, :3]).hex()}
            for value, place in zip(self.labels, places, strict=True)
        ]


def value_palette(spec: FrameSpec, *, dark: bool = False) -> Palette:
    """Make the palette of a channel, as pictures have it; rain below the first class is not drawn.

    Args:
        spec: units and value range.
        dark: for a dark map, on which much is bright.
    """
    scale = colour_scale(spec)
    if scale.ticks is None:
        shown = np.linspace(0, 1, STEPS)
        edges = np.linspace(spec.low, spec.high, STEPS + 1)[1:-1]
        drawn = (255 * scale.colormap(shown)).round()
        labels = tuple(np.linspace(spec.low, spec.high, 9)[:-1].tolist())
        return Palette(edges, _add_special(drawn), labels)
    drawn = (255 * np.array([scale.colormap(number) for number in range(1, len(scale.ticks) + 1)])).round()
    if dark:  # the darkest would not be seen
        drawn = (255 * colormaps["viridis"](np.linspace(DARKEST, 1, len(drawn)))).round()
    return Palette(np.array(scale.ticks), _add_special(np.vstack([np.zeros(4), drawn])), scale.ticks)


def probability_palette(*, dark: bool = False) -> Palette:
    """Make the palette of probabilities; those below the first class are not drawn."""
    shown = np.linspace(0.95, 0.15, len(PROBABILITIES))
    drawn = (255 * colormaps["magma"](shown[::-1] if dark else shown)).round()
    return Palette(np.array(PROBABILITIES), _add_special(np.vstack([np.zeros(4), drawn])), PROBABILITIES)


def dbz_codes(values: NDArray[np.float32], inside: NDArray[np.bool_], spec: FrameSpec) -> NDArray[np.uint8]:
    """Code values as grey and alpha, (H, W, 2), as clients of weather maps read them: dBZ + 32, at most 127.

    Other units than dBZ are scaled from the value range to 0..127.
    """
    scaled = values + 32 if spec.units == DBZ_UNITS else 127 * (values - spec.low) / (spec.high - spec.low)
    grey = np.nan_to_num(scaled).clip(0, 127).round()
    alpha = 255 * (inside & np.isfinite(values) & (grey > 0))
    return np.stack([grey, alpha], axis=-1).astype(np.uint8)


def _add_special(drawn: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Put the entries of what is no value before the others."""
    return np.vstack([np.zeros(4), np.array(MISSING_COLOUR), drawn]).astype(np.uint8)
