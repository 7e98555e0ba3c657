"""Line charts as inline SVG, whose colours come from the page's style sheet, light or dark."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator

from framecast.plotting.chart import Chart, ChartLine
from framecast.plotting.line_styles import LINE_STYLES

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 22, 36
MARKED = 40
"""Number of points up to which a line has a marker at each."""
_SHAPES = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "M-2.7-2.7h5.4v5.4h-5.4z",
    "M0-3.6L3.4 2.6H-3.4z",
    "M0-3.8L3.8 0L0 3.8L-3.8 0z",
    "M0 3.6L3.4-2.6H-3.4z",
    "M-3.4-1.1h2.3v-2.3h2.2v2.3h2.3v2.2h-2.3v2.3h-2.2v-2.3h-2.3z",
)


class _Scale(NamedTuple):
    """Mapping from the values of an axis to coordinates of the drawing."""

    low: float
    high: float
    start: float
    """Coordinate of `low`."""
    end: float
    """Coordinate of `high`."""
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def list_ticks(self) -> list[float]:
        if self.log and self.high / self.low > 20:
            ticks = LogLocator(numticks=6).tick_values(self.low, self.high)
        else:
            ticks = MaxNLocator(5, integer=self.high - self.low > 5).tick_values(self.low, self.high)
        return [float(value) for value in ticks if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]


def draw_chart(chart: Chart) -> Markup:
    """Draw a chart as an SVG element; one without a finite value is an empty frame that says so."""
    chart = chart._replace(lines=[_convert_to_floats(line) for line in chart.lines])
    xs = [x for line in chart.lines for x in line.x]
    ys = [y for line in chart.lines for y in (*line.y, *line.low, *line.high) if _is_drawable(y, log=chart.log)]
    if not xs or not ys:
        return _wrap(chart, [f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no number to show</text>'])
    first, last = chart.span or (min(xs), max(xs))
    if chart.diagonal:
        first, last = min(first, *ys), max(last, *ys)
        ys = [first, last]
    x_range = (
        _pad_log(first, last) if chart.log_x else _pad(float(first), float(last), share=0.05 if chart.diagonal else 0.0)
    )
    x_scale = _Scale(x_range[0], x_range[1], float(LEFT), float(WIDTH - RIGHT), chart.log_x)
    if chart.level is not None:
        ys.append(chart.level)
    y_range = _pad_log(min(ys), max(ys)) if chart.log else _pad(min(ys), max(ys), share=0.05)
    y_scale = _Scale(*y_range, float(HEIGHT - BOTTOM), float(TOP), chart.log)
    parts = [*_draw_grid(x_scale, y_scale), *_draw_labels(chart)]
    if chart.level is not None:
        parts.append(f'<path class="level" d="M{LEFT} {y_scale(chart.level)}H{WIDTH - RIGHT}"/>')
    if chart.diagonal:
        parts.append(f'<path class="level" d="M{x_scale.start} {y_scale.start}L{x_scale.end} {y_scale.end}"/>')
    parts += [part for position, label in chart.marks for part in _draw_mark(x_scale(float(position)), label)]
    parts += [_draw_line(line, x_scale, y_scale) for line in chart.lines]
    return _wrap(chart, parts, _list_values(chart, x_scale))


def draw_swatch(number: int, *, marked: bool = True) -> Markup:
    """Draw the piece of a line that goes into a legend.

    Args:
        number: of the line's style.
        marked: whether it has the style's marker.
    """
    shape = f'<path transform="translate(14 6)" d="{_SHAPES[number % len(_SHAPES)]}"/>' if marked else ""
    return Markup(
        f'<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true"><g class="{_name_class(number)}">'
        f'<path class="line" d="M1 6H27"/>{shape}</g></svg>'
    )


def _convert_to_floats(line: ChartLine) -> ChartLine:
    x, y, low, high = ([float(value) for value in part] for part in (line.x, line.y, line.low, line.high))
    return line._replace(x=x, y=y, low=low, high=high)


def _wrap(chart: Chart, parts: list[str], values: str = "") -> Markup:
    label = escape(f"{chart.title}: {chart.y_label or 'value'} against {chart.x_label}; {_describe_ends(chart)}")
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"{values}>'
    return Markup("".join([head, *parts, "</svg>"]))


def _list_values(chart: Chart, x_scale: _Scale) -> str:
    """Attribute with the values of all curves, which page.js shows beside the pointer."""
    lines = [
        {
            "name": line.name,
            "style": line.style,
            "at": [round(x_scale(x)) for x in line.x],
            "x": [_format_tick(x) for x in line.x],
            "y": [f"{y:.4g}" if math.isfinite(y) else None for y in line.y],
        }
        for line in chart.lines
    ]
    return f' data-lines="{escape(json.dumps({"label": chart.x_label, "lines": lines}, separators=(",", ":")))}"'


def _describe_ends(chart: Chart) -> str:
    """The curves in words, for readers who cannot see them."""
    words = []
    for line in chart.lines:
        values = [y for y in line.y if math.isfinite(y)]
        words.append(f"{line.name} from {values[0]:.3g} to {values[-1]:.3g}" if values else f"{line.name} undefined")
    return ", ".join(words)


def _is_drawable(value: float, *, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _pad(low: float, high: float, *, share: float) -> tuple[float, float]:
    """Widen a range by a share of its length at both ends."""
    margin = share * (high - low) if high > low else abs(low) / 10 or 1.0
    return low - margin, high + margin


def _pad_log(low: float, high: float) -> tuple[float, float]:
    """Widen a range by a factor at both ends."""
    factor = 1.1 if high > low else 2
    return low / factor, high * factor


def _draw_grid(x_scale: _Scale, y_scale: _Scale) -> list[str]:
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>']
    for value in y_scale.list_ticks():
        y = y_scale(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3.5}" text-anchor="end">{_format_tick(value)}</text>')
    for value in x_scale.list_ticks():
        x = x_scale(value)
        parts.append(f'<path class="axis" d="M{x} {HEIGHT - BOTTOM}v4"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{_format_tick(value)}</text>')
    return parts


def _draw_labels(chart: Chart) -> list[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts = [f'<text x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">{escape(chart.x_label)}</text>']
    if chart.y_label:
        parts.append(f'<text x="2" y="10">{escape(chart.y_label)}</text>')
    return parts


def _draw_mark(x: float, label: str) -> list[str]:
    is_right = x > (LEFT + WIDTH) / 2
    anchor = f'x="{x - 4}" text-anchor="end"' if is_right else f'x="{x + 4}"'
    return [
        f'<path class="mark" d="M{x} {TOP}V{HEIGHT - BOTTOM}"/>',
        f'<text class="halo" {anchor} y="{TOP + 10}">{escape(label)}</text>',
    ]


def _draw_line(line: ChartLine, x_scale: _Scale, y_scale: _Scale) -> str:
    points = [
        (x_scale(x), y_scale(y) if _is_drawable(y, log=y_scale.log) else None)
        for x, y in zip(line.x, line.y, strict=True)
    ]
    parts = [_draw_band(line, x_scale, y_scale), f'<path class="line" d="{_trace_path(points)}"/>']
    if len(points) <= MARKED:
        shape = _SHAPES[line.style % len(_SHAPES)]
        parts += [f'<path transform="translate({x} {y})" d="{shape}"/>' for x, y in points if y is not None]
    return f'<g class="{_name_class(line.style)}">{"".join(parts)}</g>'


def _name_class(style: int) -> str:
    return f"s{style} dashed" if LINE_STYLES[style % len(LINE_STYLES)].is_dashed else f"s{style}"


def _trace_path(points: Sequence[tuple[float, float | None]]) -> str:
    """SVG path through all points; the pen is lifted over gaps."""
    parts, is_down = [], False
    for x, y in points:
        if y is not None:
            parts.append(f"{'L' if is_down else 'M'}{x} {y}")
        is_down = y is not None
    return "".join(parts)


def _draw_band(line: ChartLine, x_scale: _Scale, y_scale: _Scale) -> str:
    """Band of one piece for each pair of neighbouring points, so that gaps stay open."""
    ends = [
        (x_scale(x), y_scale(low), y_scale(high))
        if all(_is_drawable(y, log=y_scale.log) for y in (low, high))
        else None
        for x, low, high in zip(line.x, line.low, line.high, strict=False)
    ]
    pieces = [f"M{a[0]} {a[1]}L{b[0]} {b[1]}L{b[0]} {b[2]}L{a[0]} {a[2]}z" for a, b in pairwise(ends) if a and b]
    return f'<path class="band" d="{"".join(pieces)}"/>' if pieces else ""


def _format_tick(value: float) -> str:
    if value == round(value) and abs(value) < 1e5:
        return f"{value:.0f}"
    # 3.15e-4 takes less room than 0.000315
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.2e}".replace("e-0", "e-")
