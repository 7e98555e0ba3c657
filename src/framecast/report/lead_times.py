"""Section: scores by lead time, forecasts beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from framecast.evaluation.tables import ARROWS, find_best, format_interval, metric_unit, shown_leads
from framecast.formatting import format_number
from framecast.metrics import DIRECTIONS, Estimate, Metric
from framecast.metrics.summary import Estimates
from framecast.report.blocks import Block, Figure, Figures, Folded, Section, Table, TableCell, Text
from framecast.report.svg_charts import Chart, ChartLine, draw_chart, draw_swatch

SIGNS = {"less": "below 0 is better", "more": "above 0 is better", "one": ""}
"""What differences mean; those of scores that should be 1 mean nothing by their sign."""
CHARTS = 6
"""Charts that are not folded away."""


def lead_times_section(
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
        means_table(metrics, found),
        Text(" ".join(f"{note.rstrip('.')}." for note in notes)),
        lead_time_charts(metrics[:CHARTS], found, step_minutes),
        *_more(metrics[CHARTS:], found, step_minutes),
        Folded("Tables by lead time", [_table(metric, found) for metric in metrics]),
    ]
    return Section("scores", "Scores by lead time", blocks)


def means_table(metrics: Sequence[Metric], found: Estimates) -> Table:
    """One row per metric, one column per forecast."""
    rows = []
    for metric in metrics:
        estimates = [one[metric.name] for one in found.values()]
        winners = find_best(metric, [estimate.mean for estimate in estimates])
        cells = [
            TableCell(format_number(estimate.mean), format_interval(estimate.mean_interval), place in winners)
            for place, estimate in enumerate(estimates)
        ]
        rows.append((metric_title(metric), cells))
    arrows = ", ".join(f"{ARROWS[better]} {words}" for better, words in DIRECTIONS.items())
    header = [TableCell("metric"), *(TableCell(name) for name in found)]
    return Table(f"Means over lead times, 95 % intervals below; {arrows}; the best is bold", header, rows)


def lead_time_charts(
    metrics: Sequence[Metric], found: Estimates, step_minutes: float | None, *, differ: bool = False
) -> Figures:
    """Estimates against lead time, intervals as bands.

    Args:
        metrics: one chart for each.
        found: one line for each.
        step_minutes: between frames, where known.
        differ: whether these are differences, from a forecast that comes before them.
    """
    styles = {name: place + differ for place, name in enumerate(found)}
    step, word = lead_time_unit(step_minutes) if step_minutes else (1.0, "frames")
    across = f"lead time, {word}"
    figures = []
    for metric in metrics:
        level = 0.0 if differ else 1.0 if metric.better == "one" else None
        lines = [_line(name, one[metric.name], step, styles[name]) for name, one in found.items()]
        said = SIGNS[metric.better] if differ else DIRECTIONS[metric.better]
        drawn = draw_chart(Chart(metric.name, across, metric_unit(metric), lines, level=level))
        figures.append(Figure(": ".join(part for part in (metric.name, said) if part), drawn))
    return Figures(figures, [(name, draw_swatch(style)) for name, style in styles.items()])


def lead_time_unit(step_minutes: float) -> tuple[float, str]:
    """The time between frames in seconds, minutes or hours, whichever fits."""
    if step_minutes < 1:
        return 60 * step_minutes, "seconds"
    return (step_minutes, "minutes") if step_minutes < 60 else (step_minutes / 60, "hours")


def metric_title(metric: Metric) -> TableCell:
    """Its name, which way is better, its unit."""
    return TableCell(f"{metric.name} {ARROWS[metric.better]}", metric_unit(metric))


def _more(metrics: Sequence[Metric], found: Estimates, step_minutes: float | None) -> list[Block]:
    names = ", ".join(dict.fromkeys(metric.name.split("@")[0] for metric in metrics))
    return [Folded(f"Charts of {names}", [lead_time_charts(metrics, found, step_minutes)])] if metrics else []


def _line(name: str, estimate: Estimate, step: float, style: int) -> ChartLine:
    leads = [step * (lead + 1) for lead in range(len(estimate.by_lead))]
    low, high = zip(*estimate.by_lead_interval, strict=True)
    return ChartLine(name, leads, estimate.by_lead, low, high, style)


def _table(metric: Metric, found: Estimates) -> Table:
    leads = shown_leads(len(next(iter(found.values()))[metric.name].by_lead))
    winners = [find_best(metric, [one[metric.name].by_lead[lead - 1] for one in found.values()]) for lead in leads]
    rows = []
    for place, (name, one) in enumerate(found.items()):
        values = [one[metric.name].by_lead[lead - 1] for lead in leads]
        cells = [
            TableCell(format_number(value), "", place in winner) for value, winner in zip(values, winners, strict=True)
        ]
        rows.append(
            (
                TableCell(name),
                [TableCell("" if math.isnan(one[metric.name].mean) else format_number(one[metric.name].mean)), *cells],
            )
        )
    caption = ", ".join(part for part in metric_title(metric)[:2] if part)
    return Table(caption, [TableCell("forecast"), TableCell("mean"), *(TableCell(f"+{lead}") for lead in leads)], rows)
