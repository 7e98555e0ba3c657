"""Figures: the empty figure, colours and markers of lines, the common legend, the file."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

from framecast import files
from framecast.plotting.line_styles import LINE_STYLES

COLOURS = tuple(style.colour for style in LINE_STYLES)
"""Colours of lines, by number."""

NOTE_LETTERS = 18
"""Letters of a note that fit into an inch."""


class _NotebookFigure(Figure):
    """Figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        _take_literally(self)
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches; no display is needed."""
    figure = _NotebookFigure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    return figure


def line_style(number: int) -> tuple[str, str]:
    """Choose colour and marker of the line with a number, from 0."""
    style = LINE_STYLES[number % len(LINE_STYLES)]
    return style.colour, style.marker


def add_legend(figure: Figure, axes: Sequence[Axes], note: str = "") -> None:
    """Draw one legend of some axes at the top, each name once, and a note at the foot; panels fill the rest."""
    pairs = [pair for axis in axes for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    named = {label: handle for handle, label in reversed(pairs)}  # the first handle of a name wins
    labels = list(dict.fromkeys(label for _, label in pairs))
    width, height = figure.get_size_inches()
    per_row = max(1, int(width // 1.6))
    lines = math.ceil(len(labels) / per_row)
    if labels:
        handles = [named[label] for label in labels]
        figure.legend(handles, labels, loc="upper center", ncols=min(per_row, len(labels)), frameon=False, fontsize=8)
    _take_literally(figure)
    rows = textwrap.wrap(note, int(width * NOTE_LETTERS))
    if rows:
        figure.text(0.01, 0.008, "\n".join(rows), fontsize=7, color="0.3", va="bottom")
    figure.tight_layout(
        rect=(0, (0.08 + 0.12 * len(rows)) / height if rows else 0, 1, 1 - (0.1 + 0.22 * lines) / height)
    )


def label_line(name: str) -> str:
    """Make the label of a line of its name: matplotlib leaves labels that begin with _ out of legends."""
    return f" {name}" if name.startswith("_") else name or "_"


def _take_literally(figure: Figure) -> None:
    """Take a dollar sign in a name for what it is, and not for the beginning of a formula, which may be a wrong one."""
    axes = [part for axis in figure.axes for part in (axis.xaxis, axis.yaxis)]
    # the numbers of a logarithmic axis are formulas, 10 to some power
    powers = [part for part in axes if isinstance(part.get_major_formatter(), LogFormatter)]
    ticks = [tick for part in powers for tick in (*part.majorTicks, *part.minorTicks)]
    formulas = {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        text.set_parse_math(id(text) in formulas)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix, PNG without one; a crash leaves the old file or the new one."""
    _take_literally(figure)
    files.write(path, lambda file: figure.savefig(file, format=path.suffix.removeprefix(".") or None))
