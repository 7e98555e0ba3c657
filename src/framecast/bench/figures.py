"""The pictures of docs/performance.md."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from framecast.bench import tables
from framecast.bench.results import Results, ScalingResult
from framecast.bench.settings import BENCHED
from framecast.plotting.figure import line_style, new_figure, save_figure

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
"""0.2 and 16, where matplotlib writes powers."""
AXES = {"batch": "sequences", "cells": "map cells per side", "frames": "frames", "layers": "layers"}


def draw_speed(path: Path, results: Results, setting: str) -> None:
    """How many times faster than the baseline (CPU seconds), one panel for each task and batch; targets are lines.

    Args:
        path: of the PNG.
        results: what was measured.
        setting: which setting.
    """
    parts = [part for part in results.times if part.setting.name == setting]
    panels = sorted({(part.task, part.batch) for part in parts}, reverse=True)
    figure = new_figure(4.0 * len(panels), 3.4)
    for axis, (task, batch) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        here = {part.model: part for part in parts if (part.task, part.batch) == (task, batch)}
        models = [model for model in BENCHED if model in here]
        names = list(dict.fromkeys(name for part in here.values() for name in part.contenders[1:]))
        wide = 0.8 / max(1, len(names))
        for number, name in enumerate(names):
            for place, model in enumerate(models):
                found = here[model].ratios.get(name)
                if found is None:
                    continue
                left = place - 0.4 + wide * number
                spread = [[max(0.0, found.cpu - found.cpu_low)], [max(0.0, found.cpu_high - found.cpu)]]
                colour, _ = line_style(number)
                bar = {"label": name} if place == 0 else {}
                axis.bar(left, found.cpu, wide, align="edge", color=colour, yerr=spread, capsize=2, **bar)
                aim = tables.speed_target(setting, model, task, batch, name)
                if aim is not None and here[model].contenders[0] == tables.PLAIN:
                    axis.hlines(aim, left, left + wide, color="black", linewidth=1.5)
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set_xticks(range(len(models)), models, fontsize=7)
        axis.set_title(f"{task}, batch {batch}", fontsize=9)
        axis.grid(axis="y", alpha=0.3)
        axis.set_ylim(0, 1.18 * axis.get_ylim()[1])  # room for the legend
        axis.legend(frameon=False, fontsize=7, loc="upper right")
    figure.axes[0].set_ylabel("times faster; black: target", fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def draw_scaling(path: Path, results: Results) -> None:
    """CPU seconds above, peak memory below, against each size, both logarithmic; grey is linear in the size.

    Args:
        path: of the PNG.
        results: what was measured.
    """
    names = [name for name in AXES if any(point.axis == name for point in results.growth)]
    figure = new_figure(3.2 * len(names), 5.2)
    grid = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        lines: dict[str, list[ScalingResult]] = {}
        for point in sorted(results.growth, key=lambda point: point.value):
            if point.axis == name:
                lines.setdefault(f"{point.model} {point.task}, {point.contender}", []).append(point)
        for number, (title, points) in enumerate(lines.items()):
            sizes = [point.value for point in points]
            colour, _ = line_style(number)
            grid[0, column].plot(sizes, [min(point.cpu) for point in points], "o-", color=colour, label=title)
            grid[1, column].plot(sizes, [point.peak / 1e6 for point in points], "o-", color=colour)
            _linear(grid[0, column], points)
        grid[0, column].legend(frameon=False, fontsize=6)
        grid[1, column].set_xlabel(AXES[name], fontsize=8)
        for axis in grid[:, column]:
            axis.set_xscale("log")
            axis.set_xticks(sorted({point.value for points in lines.values() for point in points}))
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            for line in (axis.xaxis, axis.yaxis):
                line.set_major_formatter(PLAIN)
                line.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=7)
    grid[0, 0].set_ylabel("CPU seconds", fontsize=8)
    grid[1, 0].set_ylabel("peak MB", fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def _linear(axis: Axes, points: list[ScalingResult]) -> None:
    """The line that begins at the first point and is linear in frames, sequences, layers or pixels."""
    power = 2 if points[0].axis == "cells" else 1
    sizes = [point.value for point in points]
    line = [min(points[0].cpu) * (size / sizes[0]) ** power for size in sizes]
    axis.plot(sizes, line, "--", color="grey", linewidth=0.7)
