"""Numbers in, charts out: scores and spectra. Nothing here knows a model, and figures are drawn without a display."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from framecast.plotting.chart import Chart
from framecast.plotting.figure import add_legend, line_style, new_figure, save_figure

_WIDE = 6
"""More panels than this stand four in a row."""


class Spectra(NamedTuple):
    """Power by wavelength at one lead time, by name of the forecast; the truth goes by itself."""

    title: str
    truth: Sequence[float]
    forecasts: Mapping[str, Sequence[float]]


def draw_by_lead(path: Path, charts: Sequence[Chart], note: str = "") -> None:
    """One panel per metric: score against lead time, one line per forecast, its interval as a band.

    Args:
        path: of the PNG.
        charts: in the order in which they are drawn.
        note: small, at the foot: what the bands are and how many samples there were.
    """
    columns = min(4 if len(charts) > _WIDE else 3, len(charts))
    rows = math.ceil(len(charts) / columns)
    figure = new_figure(3.1 * columns + 0.3, 2.4 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axis, chart in zip(grid.flat, charts, strict=False):
        _draw(axis, chart)
    for axis in list(grid.flat)[len(charts) :]:
        axis.axis("off")
    for number in range(columns):  # the lowest panel of each column
        lowest = max(row for row in range(rows) if row * columns + number < len(charts))
        grid[lowest, number].set_xlabel(charts[lowest * columns + number].x_label, fontsize=8)
    add_legend(figure, [grid[0, 0]], note)
    save_figure(figure, path)


def draw_spectra(
    path: Path, wavelengths: Sequence[float], pictures: Sequence[Spectra], unit: str, note: str = ""
) -> None:
    """Power against wavelength, one panel per lead time: what lies below the truth has been smoothed away.

    Args:
        path: of the PNG.
        wavelengths: pixels, longest first.
        pictures: one per lead time.
        unit: of the power.
        note: small, at the foot.
    """
    figure = new_figure(3.6 * len(pictures) + 0.5, 3.9)
    grid = figure.subplots(1, len(pictures), squeeze=False, sharey=True)[0]
    for axis, picture in zip(grid, pictures, strict=True):
        axis.loglog(wavelengths, _positive(picture.truth), color="black", linewidth=2.4, label="truth")
        for number, (name, power) in enumerate(picture.forecasts.items()):
            colour, marker = line_style(number)
            every = max(1, len(wavelengths) // 8)
            axis.loglog(
                wavelengths, _positive(power), color=colour, marker=marker, markersize=4, markevery=every, label=name
            )
        axis.set_xlim(max(wavelengths), min(wavelengths))
        ticks = [2**n for n in range(1, 20) if min(wavelengths) <= 2**n <= max(wavelengths)]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(picture.title, fontsize=9)
        axis.set_xlabel("wavelength, pixels", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    shown = [value for picture in pictures for value in picture.truth if value > 0]
    if shown:
        grid[0].set_ylim(min(shown) / 100, max(shown) * 3)
    grid[0].set_ylabel(f"power, {unit}", fontsize=8)
    add_legend(figure, [grid[0]], note)
    save_figure(figure, path)


def _draw(axis: Axes, chart: Chart) -> None:
    for line in chart.lines:
        colour, marker = line_style(line.style)
        if line.low:
            axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
        axis.plot(line.x, line.y, color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=line.name)
    if chart.level is not None:
        axis.axhline(chart.level, color="black", linewidth=0.8, linestyle=":")
    axis.set_title(chart.title, fontsize=8)
    axis.set_ylabel(chart.y_label, fontsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)


def _positive(values: Sequence[float]) -> list[float]:
    """Without what a logarithmic axis cannot show."""
    return [value if value > 0 else math.nan for value in values]
