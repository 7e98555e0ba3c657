"""Line charts as inline SVG: vectors that take their colours from the page's style sheet, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 22, 36
STYLES = 8
"""Colours of page.css."""
MARKED = 40
"""Lines of at most so many points have a marker at each, with the number to hover on."""
_SHAPES = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "M-2.7-2.7h5.4v5.4h-5.4z",
    "M0-3.6L3.4 2.6H-3.4z",
    "M0-3.8L3.8 0L0 3.8L-3.8 0z",
    "M0 3.6L3.4-2.6H-3.4z",
    "M-3.4-1.1h2.3v-2.3h2.2v2.3h2.3v2.2h-2.3v2.3h-2.2v-2.3h-2.3z",
)


class ChartLine(NamedTuple):
    """One curve; NaN leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    """Lower end of a band around the curve; empty for none."""
    high: Sequence[float] = ()
    style: int = 0
    """Colour and marker."""


class Chart(NamedTuple):
    """Curves over a common axis."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[ChartLine]
    log: bool = False
    """Whether the vertical axis is logarithmic."""
    marks: Sequence[tuple[float, str]] = ()
    """Places on the horizontal axis that are marked by a dashed line, and what they are."""
    level: float | None = None
    """Where a horizontal line is drawn."""
    span: tuple[float, float] | None = None
    """Ends of the horizontal axis; by default those of the curves."""


class _Scale(NamedTuple):
    """Values of an axis to places in the drawing."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        if self.log and self.high / self.low > 20:
            found = LogLocator(numticks=6).tick_values(self.low, self.high)
        else:
            found = MaxNLocator(5, integer=self.high - self.low > 5).tick_values(self.low, self.high)
        return [float(value) for value in found if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]


def draw_chart(chart: Chart) -> Markup:
    """A chart as an SVG element; without anything to show, an empty frame that says so."""
    chart = chart._replace(lines=[_floats(line) for line in chart.lines])
    xs = [x for line in chart.lines for x in line.x]
    ys = [y for line in chart.lines for y in (*line.y, *line.low, *line.high) if _shown(y, log=chart.log)]
    if not xs or not ys:
        return _wrapped(
            chart, [f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no number to show</text>']
        )
    first, last = chart.span or (min(xs), max(xs))
    across = _Scale(*_wide(float(first), float(last), share=0.0), float(LEFT), float(WIDTH - RIGHT))
    if chart.level is not None:
        ys.append(chart.level)
    up = _Scale(*_high(min(ys), max(ys), log=chart.log), float(HEIGHT - BOTTOM), float(TOP), chart.log)
    parts = [*_grid(across, up), *_labels(chart)]
    if chart.level is not None:
        parts.append(f'<path class="level" d="M{LEFT} {up(chart.level)}H{WIDTH - RIGHT}"/>')
    parts += [part for mark in chart.marks for part in _mark(mark, across)]
    parts += [_curve(line, across, up) for line in chart.lines]
    return _wrapped(chart, parts)


def draw_swatch(number: int, *, marked: bool = True) -> Markup:
    """The piece of a line that stands in a legend."""
    shape = f'<path transform="translate(14 6)" d="{_SHAPES[number % len(_SHAPES)]}"/>' if marked else ""
    return Markup(
        f'<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true"><g class="s{number % STYLES}">'
        f'<path class="line" d="M1 6H27"/>{shape}</g></svg>'
    )


def _floats(line: ChartLine) -> ChartLine:
    x, y, low, high = ([float(value) for value in part] for part in (line.x, line.y, line.low, line.high))
    return line._replace(x=x, y=y, low=low, high=high)


def _wrapped(chart: Chart, parts: list[str]) -> Markup:
    label = escape(f"{chart.title}: {chart.y_label or 'value'} against {chart.x_label}; {_ends(chart)}")
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
    return Markup("".join([head, *parts, "</svg>"]))


def _ends(chart: Chart) -> str:
    """The curves in words, for who cannot see them."""
    said = []
    for line in chart.lines:
        seen = [y for y in line.y if math.isfinite(y)]
        said.append(f"{line.name} from {seen[0]:.3g} to {seen[-1]:.3g}" if seen else f"{line.name} undefined")
    return ", ".join(said)


def _shown(value: float, *, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _wide(low: float, high: float, *, share: float) -> tuple[float, float]:
    """With some room at both ends."""
    room = share * (high - low) if high > low else abs(low) / 10 or 1.0
    return low - room, high + room


def _high(low: float, high: float, *, log: bool) -> tuple[float, float]:
    if log:
        return (low / 1.1, high * 1.1) if high > low else (low / 2, high * 2)
    return _wide(low, high, share=0.05)


def _grid(across: _Scale, up: _Scale) -> list[str]:
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>']
    for value in up.ticks():
        y = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3.5}" text-anchor="end">{_number(value)}</text>')
    for value in across.ticks():
        x = across(value)
        parts.append(f'<path class="axis" d="M{x} {HEIGHT - BOTTOM}v4"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{_number(value)}</text>')
    return parts


def _labels(chart: Chart) -> list[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts = [f'<text x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">{escape(chart.x_label)}</text>']
    if chart.y_label:
        parts.append(f'<text x="2" y="10">{escape(chart.y_label)}</text>')
    return parts


def _mark(mark: tuple[float, str], across: _Scale) -> list[str]:
    x = across(float(mark[0]))
    right = x > (LEFT + WIDTH) / 2
    place = f'x="{x - 4}" text-anchor="end"' if right else f'x="{x + 4}"'
    return [
        f'<path class="mark" d="M{x} {TOP}V{HEIGHT - BOTTOM}"/>',
        f'<text class="halo" {place} y="{TOP + 10}">{escape(mark[1])}</text>',
    ]


def _curve(line: ChartLine, across: _Scale, up: _Scale) -> str:
    points = [(across(x), up(y) if _shown(y, log=up.log) else None) for x, y in zip(line.x, line.y, strict=True)]
    parts = [_band(line, across, up), f'<path class="line" d="{_path(points)}"/>']
    if len(points) <= MARKED:
        shape = _SHAPES[line.style % len(_SHAPES)]
        for (x, y), at, value in zip(points, line.x, line.y, strict=True):
            if y is not None:
                title = f"<title>{escape(line.name)} at {_number(at)}: {value:.4g}</title>"
                parts.append(f'<path transform="translate({x} {y})" d="{shape}">{title}</path>')
    return f'<g class="s{line.style % STYLES}">{"".join(parts)}</g>'


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """Through all points, lifted over the gaps."""
    parts, down = [], False
    for x, y in points:
        if y is not None:
            parts.append(f"{'L' if down else 'M'}{x} {y}")
        down = y is not None
    return "".join(parts)


def _band(line: ChartLine, across: _Scale, up: _Scale) -> str:
    """Piece by piece, so that gaps stay open."""
    ends = [
        (across(x), up(low), up(high)) if _shown(low, log=up.log) and _shown(high, log=up.log) else None
        for x, low, high in zip(line.x, line.low, line.high, strict=False)
    ]
    pieces = [f"M{a[0]} {a[1]}L{b[0]} {b[1]}L{b[0]} {b[2]}L{a[0]} {a[2]}z" for a, b in pairwise(ends) if a and b]
    return f'<path class="band" d="{"".join(pieces)}"/>' if pieces else ""


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e5 else f"{value:.3g}"
