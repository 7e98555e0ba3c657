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
    diagonal: bool = False
    """Whether a line shows where both axes have the same value; then both have the same ends."""
    log_x: bool = False
    """Whether the horizontal axis is logarithmic."""
    reading: str = ""
    """How to read it, one or two sentences."""


def choose_time_unit(step_minutes: float, step_months: int | None = None) -> tuple[float, str]:
    """Choose seconds, minutes, hours or months for the time between frames; return it in that unit, and its name."""
    if step_months is not None:
        return float(step_months), "months"
    if step_minutes < 1:
        return 60 * step_minutes, "seconds"
    return (step_minutes, "minutes") if step_minutes < 60 else (step_minutes / 60, "hours")
