"""Colours, markers and dashes of lines: one for a forecast on every page and in every picture.

The usual baselines have styles of their own, muted and dashed. What a model is called decides on its colour, so that it
keeps it beside other models; of two that would share one, the later takes the next that is free.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple


class LineStyle(NamedTuple):
    """Look of a line."""

    colour: str
    """On white."""
    dark: str
    """On a dark page."""
    marker: str
    """Marker, by matplotlib's letters."""
    is_dashed: bool = False


_SALT = 1711
"""Number that gives each of the networks here a colour of its own."""
MARKERS = "os^DvP"
"""Markers of lines, which differ without their colours too."""
_MODELS = (
    ("#0072b2", "#56b4e9"),
    ("#c14e00", "#f08a3c"),
    ("#00805a", "#2fc298"),
    ("#b5558c", "#e39ac0"),
    ("#a87200", "#e6b83c"),
    ("#6a4fb3", "#b09cf0"),
    ("#9b1c31", "#ff8a94"),
    ("#00707a", "#54c8d4"),
)
_BASELINES = {
    "persistence": ("#6b7280", "#a2abb5"),
    "extrapolation": ("#8a5a2b", "#cf9f70"),
    "mean": ("#5d7a3a", "#a6c47e"),
    "blank": ("#8a8a8a", "#7d8790"),
    "linear": ("#4a6a8a", "#93b3d3"),
    "calibrated": ("#7d4a7d", "#c795c7"),
    "seasonal": ("#3f7a74", "#86c2bb"),
    "linear:": ("#9a4f4f", "#e0a0a0"),
}
"""Colours of baselines by name; with a colon, those of a period."""
_COLOURS = [*((*pair, False) for pair in _MODELS), *((*pair, True) for pair in _BASELINES.values())]
LINE_STYLES = tuple(
    LineStyle(colour, dark, MARKERS[number % len(MARKERS)], is_dashed)
    for number, (colour, dark, is_dashed) in enumerate(_COLOURS)
)
"""Styles by number: those of models, which contrast by Okabe and Ito's rules, then those of baselines."""


def choose_styles(names: Iterable[str]) -> dict[str, int]:
    """Choose the number of the style of each forecast.

    Args:
        names: of forecasts, baselines among them, the more important before.

    Example:
        >>> from framecast.plotting.line_styles import LINE_STYLES, choose_styles
        >>> one, other = choose_styles(["rain", "persistence"]), choose_styles(["persistence", "predrnn", "rain"])
        >>> one["rain"] == other["rain"], one["persistence"] == other["persistence"]
        (True, True)
        >>> LINE_STYLES[one["persistence"]].is_dashed
        True
    """
    chosen: dict[str, int] = {}
    for name in names:
        baseline = _find_baseline(name)
        if baseline is not None:
            chosen[name] = len(_MODELS) + list(_BASELINES).index(baseline)
            continue
        first = zlib.crc32(f"{_SALT}{name}".encode())
        candidates = [(first + step) % len(_MODELS) for step in range(len(_MODELS))]
        chosen[name] = next((style for style in candidates if style not in chosen.values()), candidates[0])
    return chosen


def _find_baseline(name: str) -> str | None:
    kind, colon, _ = name.partition(":")
    return next((known for known in (kind + colon, kind) if known in _BASELINES), None)
