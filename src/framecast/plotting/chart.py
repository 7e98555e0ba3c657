"""Line chart as a value, which pages draw as SVG and folders get as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class ChartLine(NamedTuple):
    """Curve of a chart; NaN leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    """Lower end of a band around the curve; empty for none."""
    high: Sequence[float] = ()
    """Upper end of the band."""
    style: int = 0
    """Number of the colour and of the marker."""


class Chart(NamedTuple):
    """Curves over a common horizontal axis."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[ChartLine]
    log: bool = False
    """Whether the vertical axis is logarithmic."""
    marks: Sequence[tuple[float, str]] = ()
    """Positions on the horizontal axis that get a dashed line, each with its label."""
    level: float | None = None
    """Value at which a horizontal line is drawn."""
    span: tuple[float, float] | None = None
    """Ends of the horizontal axis; by default those of the curves."""
