"""Plots of frames: strips of a forecast, error maps, loss curve, survey of a data set. None needs a display.

Frames are (T, C, H, W) arrays in raw units with NaN at missing pixels, rows from north to south as a `PlotView` gives
them; those of a Forecast and its truth are turned north up here. Three channels of pictures are shown as colours, else
the first channel is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from framecast.calendars import caption, to_calendar
from framecast.forecast import Forecast
from framecast.maps.outlines import MapLines, trace_map
from framecast.plotting.colours import colour_scale
from framecast.plotting.figure import COLOURS, new_figure, save_figure
from framecast.plotting.view import is_plain, is_rgb, view_forecast
from framecast.types import FloatArray, FrameSpec

MISSING = (0.55, 0.55, 0.6)
"""Blue-grey of missing pixels, RGB from 0 to 1."""
COVERED = 0.98
"""Share of the errors that a colour scale tells apart."""
STRIP_MEMBERS = 4
"""Members of an ensemble that a strip shows."""
STRIP_COLUMNS = 20
"""Most frames in a row of a strip."""


def to_colours(frame: FloatArray, spec: FrameSpec) -> NDArray[np.uint8]:
    """Colour one frame (C, H, W), raw units, by its units, as a picture (H, W, 3); missing pixels are blue-grey."""
    frame = _select_shown(frame, spec)
    missing: NDArray[np.bool_] = np.asarray(np.isnan(frame).any(axis=0))
    values = np.clip(np.nan_to_num(frame, nan=spec.low), spec.low, spec.high)
    if is_plain(spec):  # no colour map: its 256 entries would round values down
        picture = ((values - spec.low) / (spec.high - spec.low)).transpose(1, 2, 0)
    else:
        scale = colour_scale(spec)
        picture = scale.colormap(scale.norm(values[0]))[..., :3]
    picture = np.where(missing[..., None], MISSING, picture)
    return (picture * 255).round().astype(np.uint8)


def find_error_limit(pairs: Iterable[tuple[FloatArray, FloatArray]], spec: FrameSpec) -> float:
    """Choose the error at the ends of a colour scale, raw units: a round number that hardly any of the errors exceeds.

    Args:
        pairs: predictions and truths, (..., C, H, W), NaN where missing.
        spec: of the frames.
    """
    sizes = [np.abs(_compute_error(prediction, truth, spec)).ravel() for prediction, truth in pairs]
    known = np.concatenate([size[np.isfinite(size)] for size in sizes]) if sizes else np.empty(0)
    span = spec.high - spec.low
    # of the pixels that are wrong at all: most of a dry or dark frame is right
    wrong = known[known > span / 1000]
    if not len(wrong):
        return span
    large = float(np.quantile(wrong, COVERED))
    step = 10.0 ** math.floor(math.log10(large))
    return min(span, next(factor * step for factor in (1, 2, 5, 10) if factor * step >= large * (1 - 1e-9)))


def to_error_colours(
    prediction: FloatArray, truth: FloatArray, spec: FrameSpec, limit: float | None = None
) -> NDArray[np.uint8]:
    """Colour the error of one frame (C, H, W), both clipped to the value range, as a picture (H, W, 3), red too high.

    Args:
        prediction: raw units.
        truth: raw units.
        spec: of the frames.
        limit: error of the strongest colours, raw units; by default the length of the value range.
    """
    return to_diverging_colours(_compute_error(prediction, truth, spec) / (limit or spec.high - spec.low))


def _compute_error(prediction: FloatArray, truth: FloatArray, spec: FrameSpec) -> FloatArray:
    y, x = (_select_shown(frames, spec).clip(spec.low, spec.high) for frames in (prediction, truth))
    return y - x


def to_diverging_colours(error: FloatArray) -> NDArray[np.uint8]:
    """Colour an error (C, H, W) from -1 to 1, the mean over channels, as (H, W, 3): blue too low, red too high."""
    missing: NDArray[np.bool_] = np.asarray(np.isnan(error).any(axis=0))
    picture = colormaps["RdBu_r"](np.clip(np.nan_to_num(error).mean(0) / 2 + 0.5, 0, 1))[..., :3]
    return (np.where(missing[..., None], MISSING, picture) * 255).round().astype(np.uint8)


def draw_strip(path: Path, forecast: Forecast, truth: FloatArray | None = None) -> None:
    """Draw rows of frames, evenly thinned where they are many: input, prediction; with a truth also truth and error.

    Of an ensemble the prediction is the mean of its members, and the first of them have rows of their own.

    Args:
        path: path of the PNG.
        forecast: its first sequence is drawn; its time stands above.
        truth: (K, C, H, W), raw units, rows as in the forecast; or None.
    """
    mean = forecast.mean()
    view = view_forecast(mean, *([] if truth is None else [truth]))
    context, prediction, spec = view.of(mean.past_values[0]), view.of(mean.values[0, 0]), view.spec
    truth = None if truth is None else view.of(truth)
    times = forecast.reference_times
    last = None if times is None else to_calendar(times[:1], forecast.grid)[0]
    title = caption(view.channel, last, forecast.spec.step_minutes, forecast.spec.step_months)
    past, future = _thin(len(context)), _thin(len(prediction))
    limit = None
    rows = [("input", {i + 1 - len(context): to_colours(context[i], spec) for i in past})]
    if truth is not None:
        rows.append(("truth", {i + 1: to_colours(truth[i], spec) for i in future}))
    is_many = forecast.members > 1
    rows.append(("mean" if is_many else "prediction", {i + 1: to_colours(prediction[i], spec) for i in future}))
    for number in range(min(forecast.members, STRIP_MEMBERS) if is_many else 0):
        member = view.of(forecast.values[0, number])
        rows.append((f"member {number + 1}", {i + 1: to_colours(member[i], spec) for i in future}))
    if truth is not None:
        limit = find_error_limit([(prediction, truth)], spec)
        rows.append(("error", {i + 1: to_error_colours(prediction[i], truth[i], spec, limit) for i in future}))
    lines = trace_map(forecast.grid)
    columns = max(len(past), len(future))
    bar = 0.0 if is_plain(spec) else 0.9
    width, height = columns * 0.9 + 0.9 + bar, len(rows) * 1.0 + 0.5
    figure = new_figure(width, height)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, frames) in zip(grid, rows, strict=True):
        for axis in line:
            axis.axis("off")
        for axis, (lead, picture) in zip(line, frames.items(), strict=False):
            axis.imshow(picture, interpolation="nearest")
            draw_map_lines(axis, lines)
            axis.set_title(f"{lead:+d}" if lead else "0", fontsize=7, pad=2)
        line[0].text(-0.12, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=10)
    figure.subplots_adjust(
        left=0.9 / width,
        right=0.995 - bar / width,
        bottom=0.02,
        top=max(0.86, 1 - 0.63 / height) if title else max(0.94, 1 - 0.27 / height),
        wspace=0.05,
        hspace=0.15,
    )
    if bar:
        _draw_scales(figure, grid, spec, limit)
    save_figure(figure, path)


def draw_loss_curve(
    path: Path, steps: Sequence[int], losses: Sequence[float], validation: Mapping[int, float], metric: str
) -> None:
    """Draw the training loss against iterations, on a logarithmic axis, and the validation metric on a second axis.

    Args:
        path: path of the PNG.
        steps: iterations of the losses.
        losses: one for each of the steps.
        validation: validation scores by iteration.
        metric: name of the validation metric.
    """
    figure = new_figure(7.0, 3.6)
    axis = figure.subplots()
    axis.semilogy(steps, losses, color=COLOURS[0], linewidth=0.8, label="training loss")
    axis.set_xlabel("iteration")
    axis.set_ylabel("training loss")
    lines = axis.get_lines()
    if validation:
        right = axis.twinx()
        right.plot(list(validation), list(validation.values()), "o-", color=COLOURS[1], label=f"validation {metric}")
        right.set_ylabel(f"validation {metric}")
        lines = [*lines, *right.get_lines()]
    axis.legend(lines, [str(line.get_label()) for line in lines], frameon=False, fontsize=8)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    save_figure(figure, path)


def draw_map_lines(axis: Axes, lines: MapLines | None) -> None:
    """Draw coasts and borders, if any are known, over a picture whose pixels are one unit wide; its edges stay."""
    if lines is None:
        return
    for colour, width in (("white", 1.3), ("black", 0.5)):  # seen on every colour
        parts = [(lines.coasts, 1.0), (lines.borders, 0.6)]
        for group, alpha in parts:
            drawn = LineCollection(
                group, colors=colour, linewidths=width, alpha=alpha * (0.5 if colour == "white" else 1)
            )
            axis.add_collection(drawn, autolim=False)


def _draw_scales(figure: Figure, grid: NDArray[Any], spec: FrameSpec, limit: float | None) -> None:
    """Draw colour bars to the right of a strip: for the values, and for errors up to `limit`, if any, in the last row."""
    error = limit is not None
    scale = colour_scale(spec)
    bars = [(len(grid) - 1 - error, scale.norm, scale.colormap, spec.units, scale.ticks)]
    if limit is not None:
        bars.append((len(grid) - 1, Normalize(-limit, limit), colormaps["RdBu_r"], f"error, {spec.units}", None))
    for row, norm, colormap, label, ticks in bars:
        first = 0 if row < len(grid) - 1 or not error else row
        top, bottom = grid[first, -1].get_position().y1, grid[row, -1].get_position().y0
        right = grid[0, -1].get_position().x1
        axis = figure.add_axes((right + 0.012, bottom, 0.010, top - bottom))
        bar = figure.colorbar(ScalarMappable(norm, colormap), cax=axis, ticks=ticks)
        bar.set_label("" if label == "1" else label.removesuffix(", 1"), fontsize=7, labelpad=2)
        bar.ax.minorticks_off()
        bar.ax.tick_params(labelsize=6, length=2, pad=1)


def _select_shown(frames: FloatArray, spec: FrameSpec) -> FloatArray:
    """Select the channels that are shown, of frames (..., C, H, W)."""
    return frames[..., : 3 if is_rgb(spec) else 1, :, :]


def _thin(count: int) -> list[int]:
    """Choose all frames, or evenly spaced ones if they are many; always the first and the last."""
    return sorted({round(i * (count - 1) / (STRIP_COLUMNS - 1)) for i in range(STRIP_COLUMNS)})


def draw_survey(
    path: Path,
    frames: Sequence[FloatArray],
    titles: Sequence[str],
    spec: FrameSpec,
    histogram: tuple[FloatArray, NDArray[np.integer[Any]]],
    course: tuple[FloatArray, FloatArray],
    breaks: Sequence[int],
    title: str = "",
    units: str | None = None,
) -> None:
    """Draw a few frames of a data set, and below them its histogram, and the course of mean and missing pixels.

    Args:
        path: path of the PNG.
        frames: (C, H, W) each, raw units.
        titles: one for each frame.
        spec: units and value range.
        histogram: edges and counts.
        course: mean, and share of missing pixels, of each frame in order.
        breaks: positions in the course, before which a new sequence begins.
        title: title above the frames.
        units: units of the histogram and the mean; by default those of `spec`.
    """
    units = spec.units if units is None else units
    figure = new_figure(11.0, 5.6)
    grid = figure.add_gridspec(2, 2 * max(1, len(frames)), height_ratios=(1.25, 1), hspace=0.35, wspace=0.12)
    for column, (frame, name) in enumerate(zip(frames, titles, strict=True)):
        axis = figure.add_subplot(grid[0, 2 * column : 2 * column + 2])
        step = max(1, max(frame.shape[1:]) // 800)
        axis.imshow(to_colours(frame[:, ::step, ::step], spec), interpolation="nearest")
        axis.set_title(name, fontsize=7, pad=3)
        axis.axis("off")
    half = max(1, len(frames))
    below = [figure.add_subplot(grid[1, :half]), figure.add_subplot(grid[1, half:])]
    edges, counts = histogram
    below[0].stairs(counts / max(1, counts.sum()), edges, fill=True, color=COLOURS[0])
    below[0].set_yscale("log")
    below[0].set_xlabel(f"value, {units}", fontsize=8)
    below[0].set_ylabel("share of pixels", fontsize=8)
    positions = np.arange(1, len(course[0]) + 1)
    below[1].plot(positions, course[0], ".-", color=COLOURS[0], markersize=3)
    below[1].set_ylabel(f"mean, {units}", fontsize=8, color=COLOURS[0])
    below[1].set_xlabel("frame that was looked at; dashed: a gap or a new sequence", fontsize=8)
    right = below[1].twinx()
    right.plot(positions, 100 * course[1], color=COLOURS[1], linewidth=0.9)
    right.set_ylabel("missing pixels, %", fontsize=8, color=COLOURS[1])
    right.set_ylim(0, max(1.0, 110 * float(course[1].max())))
    for position in breaks[:100]:
        below[1].axvline(position + 0.5, color="0.6", linestyle="--", linewidth=0.7)
    for axis in (*below, right):
        axis.tick_params(which="both", labelsize=7)
    if title:
        figure.suptitle(title, fontsize=9, y=0.99)
    figure.subplots_adjust(left=0.07, right=0.93, top=0.91 if title else 0.94, bottom=0.1)
    below[0].set_position((0.07, 0.1, 0.38, 0.33))
    for axis in (below[1], right):
        axis.set_position((0.54, 0.1, 0.39, 0.33))
    save_figure(figure, path)
