"""Section: scores by lead time, forecasts beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from framecast.metrics import DIRECTIONS, Estimate, Metric
from framecast.report.blocks import Block, Cell, Figure, Figures, Folded, Section, Table, Text
from framecast.report.svg import Chart, Line, draw, swatch
from framecast.score_tables import ARROWS, best, ends, number, shown, unit

Estimates = Mapping[str, Mapping[str, Estimate]]
"""{forecast: {metric: estimate}}."""


def lead_times(
    metrics: Sequence[Metric], found: Estimates, step_minutes: float | None, notes: Sequence[str]
) -> Section:
    """A table of means, a chart for each metric, and behind a line the tables by lead time.

    Args:
        metrics: what was scored.
        found: estimates of each forecast.
        step_minutes: between frames, where known.
        notes: what was scored, and what the intervals are.
    """
    blocks: list[Block] = [
        means(metrics, found),
        Text(" ".join(f"{note.rstrip('.')}." for note in notes)),
        charts(metrics, found, step_minutes),
        Folded("Tables by lead time", [_table(metric, found) for metric in metrics]),
    ]
    return Section("scores", "Scores by lead time", blocks)


def means(metrics: Sequence[Metric], found: Estimates) -> Table:
    """One row per metric, one column per forecast."""
    rows = []
    for metric in metrics:
        estimates = [one[metric.name] for one in found.values()]
        winners = best(metric, [estimate.mean for estimate in estimates])
        cells = [
            Cell(number(estimate.mean), ends(estimate.mean_interval), place in winners)
            for place, estimate in enumerate(estimates)
        ]
        rows.append((title(metric), cells))
    arrows = ", ".join(f"{ARROWS[better]} {words}" for better, words in DIRECTIONS.items())
    header = [Cell("metric"), *(Cell(name) for name in found)]
    return Table(f"Means over lead times, 95 % intervals below; {arrows}; the best is bold", header, rows)


def charts(metrics: Sequence[Metric], found: Estimates, step_minutes: float | None, *, level: float | None = None,
           first_style: int = 0) -> Figures:  # fmt: skip
    """Estimates against lead time, intervals as bands.

    Args:
        metrics: one chart for each.
        found: one line for each.
        step_minutes: between frames, where known.
        level: where a horizontal line is drawn, if anywhere but at the 1 that some metrics aim for.
        first_style: colour of the first line.
    """
    legend = [(name, swatch(first_style + place)) for place, name in enumerate(found)]
    figures = []
    for metric in metrics:
        aim = 1.0 if level is None and metric.better == "one" else level
        lines = [_line(name, one[metric.name], step_minutes) for name, one in found.items()]
        across = "lead time, minutes" if step_minutes else "lead time, frames"
        drawn = draw(Chart(metric.name, across, unit(metric), lines, level=aim, first_style=first_style))
        figures.append(Figure(f"{metric.name}: {DIRECTIONS[metric.better]}" if level is None else metric.name, drawn))
    return Figures(figures, legend)


def title(metric: Metric) -> str:
    """Its name, which way is better, its unit."""
    said = f"{metric.name} {ARROWS[metric.better]}"
    return f"{said} ({unit(metric)})" if unit(metric) else said


def _line(name: str, estimate: Estimate, step_minutes: float | None) -> Line:
    leads = [(step_minutes or 1.0) * (lead + 1) for lead in range(len(estimate.by_lead))]
    low, high = zip(*estimate.by_lead_interval, strict=True)
    return Line(name, leads, estimate.by_lead, low, high)


def _table(metric: Metric, found: Estimates) -> Table:
    leads = shown(len(next(iter(found.values()))[metric.name].by_lead))
    winners = [best(metric, [one[metric.name].by_lead[lead - 1] for one in found.values()]) for lead in leads]
    rows = []
    for place, (name, one) in enumerate(found.items()):
        values = [one[metric.name].by_lead[lead - 1] for lead in leads]
        cells = [Cell(number(value), "", place in winner) for value, winner in zip(values, winners, strict=True)]
        rows.append((name, [Cell("" if math.isnan(one[metric.name].mean) else number(one[metric.name].mean)), *cells]))
    return Table(title(metric), [Cell("forecast"), Cell("mean"), *(Cell(f"+{lead}") for lead in leads)], rows)
