"""Charts of scores, and of spectra. Figures are drawn without a display."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from framecast.plotting.chart import Chart
from framecast.plotting.figure import add_legend, label_line, line_style, new_figure, save_figure
from framecast.plotting.line_styles import LINE_STYLES, choose_styles

_WIDE = 6
"""More panels than this stand four in a row."""


class Spectra(NamedTuple):
    """Power spectra at one lead time: the truth, and the forecasts by name."""

    title: str
    truth: Sequence[float]
    forecasts: Mapping[str, Sequence[float]]


def draw_charts(path: Path, charts: Sequence[Chart], note: str = "") -> None:
    """Draw the figure of `plot_charts` into a PNG; the other arguments are its."""
    save_figure(plot_charts(charts, note), path)


def plot_charts(charts: Sequence[Chart], note: str = "") -> Figure:
    """Draw one panel per chart, as of a score against lead time: one line per forecast, its interval as a band.

    Args:
        charts: in the order of the panels; of those in a column the axis of the lowest is named where all have the same.
        note: text at the foot: meaning of the bands, number of samples.
    """
    columns = min(4 if len(charts) > _WIDE else 3, len(charts))
    rows = math.ceil(len(charts) / columns)
    figure = new_figure(3.1 * columns + 0.3, 2.4 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axis, chart in zip(grid.flat, charts, strict=False):
        _draw(axis, chart)
    for axis in list(grid.flat)[len(charts) :]:
        axis.axis("off")
    for number, chart in enumerate(charts):
        below = charts[number + columns :: columns]
        if any(other.x_label != chart.x_label for other in below) or not below:
            grid.flat[number].set_xlabel(chart.x_label, fontsize=8)
    add_legend(figure, [grid[0, 0]], note)
    return figure


def draw_spectra(
    path: Path, wavelengths: Sequence[float], pictures: Sequence[Spectra], unit: str, note: str = ""
) -> None:
    """Draw power against wavelength, one panel per lead time: power below that of the truth has been smoothed away.

    Args:
        path: path of the PNG.
        wavelengths: pixels, longest first.
        pictures: spectra, one per lead time.
        unit: unit of the power.
        note: text at the foot.
    """
    figure = new_figure(3.6 * len(pictures) + 0.5, 3.9)
    grid = figure.subplots(1, len(pictures), squeeze=False, sharey=True)[0]
    for axis, picture in zip(grid, pictures, strict=True):
        axis.loglog(wavelengths, _mask_nonpositive(picture.truth), color="black", linewidth=2.4, label="truth")
        for name, number in choose_styles(picture.forecasts).items():
            power, (colour, marker) = picture.forecasts[name], line_style(number)
            every = max(1, len(wavelengths) // 8)
            axis.loglog(
                wavelengths,
                _mask_nonpositive(power),
                color=colour,
                linestyle=_dash(number),
                marker=marker,
                markersize=4,
                markevery=every,
                label=label_line(name),
            )
        axis.set_xlim(max(wavelengths), min(wavelengths))
        ticks = [2**n for n in range(1, 20) if min(wavelengths) <= 2**n <= max(wavelengths)]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(picture.title, fontsize=9)
        axis.set_xlabel("wavelength, pixels", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    powers = [power for picture in pictures for power in picture.truth if power > 0]
    if powers:  # from the truth: tiny powers of a blurred forecast would stretch the axis
        grid[0].set_ylim(min(powers) / 100, max(powers) * 3)
    grid[0].set_ylabel(f"power, {unit}", fontsize=8)
    add_legend(figure, [grid[0]], note)
    save_figure(figure, path)


def _draw(axis: Axes, chart: Chart) -> None:
    for line in chart.lines:
        colour, marker = line_style(line.style)
        if line.low:
            axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
        axis.plot(
            line.x,
            line.y,
            _dash(line.style),
            color=colour,
            marker=marker,
            markersize=3.5,
            linewidth=1.2,
            label=label_line(line.name),
        )
    for position, label in chart.marks:
        axis.axvline(position, color="black", linewidth=0.8, linestyle=":")
        axis.text(position, 0.98, f" {label}", transform=axis.get_xaxis_transform(), fontsize=7, va="top")
    if chart.level is not None:
        axis.axhline(chart.level, color="black", linewidth=0.8, linestyle=":")
    if chart.span is not None:
        axis.set_xlim(*chart.span)
    if chart.diagonal:
        _draw_diagonal(axis)
    if chart.log:
        axis.set_yscale("log")
    axis.set_title(chart.title, fontsize=8)
    axis.set_ylabel(chart.y_label, fontsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=max(axis.get_xlim()) > 5))
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)


def _draw_diagonal(axis: Axes) -> None:
    """Draw where both axes have the same value, and give them the same ends."""
    ends = [*axis.get_xlim(), *axis.get_ylim()]
    both = min(ends), max(ends)
    axis.plot(both, both, color="black", linewidth=0.8, linestyle=":")
    axis.set(xlim=both, ylim=both)


def _dash(number: int) -> str:
    return "--" if LINE_STYLES[number % len(LINE_STYLES)].is_dashed else "-"


def _mask_nonpositive(values: Sequence[float]) -> list[float]:
    """Replace by NaN the values that a logarithmic axis cannot show."""
    return [value if value > 0 else math.nan for value in values]
