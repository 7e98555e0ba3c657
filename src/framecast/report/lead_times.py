"""Section of a report: scores of several forecasts by lead time, as tables and charts."""

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
"""Meaning of the sign of a difference; that of scores which should be 1 has none."""
CHARTS = 6
"""Number of charts that are not folded away, at most."""


def make_lead_times_section(
    metrics: Sequence[Metric], estimates: Estimates, step_minutes: float | None, notes: Sequence[str]
) -> Section:
    """Section with a table of means, a chart for each metric, and folded away the tables by lead time.

    Args:
        metrics: metrics of the scores.
        estimates: scores, {forecast: {metric: estimate}}.
        step_minutes: time between frames, minutes, where known.
        notes: on the windows that were scored and the intervals, in words.
    """
    blocks: list[Block] = [
        make_means_table(metrics, estimates),
        Text(" ".join(f"{note.rstrip('.')}." for note in notes)),
        plot_lead_times(metrics[:CHARTS], estimates, step_minutes),
        *_fold_charts(metrics[CHARTS:], estimates, step_minutes),
        Folded("Tables by lead time", [_make_lead_times_table(metric, estimates) for metric in metrics]),
    ]
    return Section("scores", "Scores by lead time", blocks)


def make_means_table(metrics: Sequence[Metric], estimates: Estimates) -> Table:
    """Table of means over lead times: one row per metric, one column per forecast."""
    rows = []
    for metric in metrics:
        row = [by_metric[metric.name] for by_metric in estimates.values()]
        best = find_best(metric, [estimate.mean for estimate in row])
        cells = [
            TableCell(format_number(estimate.mean), format_interval(estimate.mean_interval), column in best)
            for column, estimate in enumerate(row)
        ]
        rows.append((make_metric_cell(metric), cells))
    arrows = ", ".join(f"{ARROWS[better]} {words}" for better, words in DIRECTIONS.items())
    header = [TableCell("metric"), *(TableCell(name) for name in estimates)]
    return Table(f"Means over lead times, 95 % intervals below; {arrows}; the best is bold", header, rows)


def plot_lead_times(
    metrics: Sequence[Metric], estimates: Estimates, step_minutes: float | None, *, are_differences: bool = False
) -> Figures:
    """Plot estimates against lead time, one chart for each metric, one line for each forecast; intervals are bands.

    Args:
        metrics: metrics of the scores.
        estimates: scores or differences, {forecast: {metric: estimate}}.
        step_minutes: time between frames, minutes, where known.
        are_differences: whether the estimates are differences from a first forecast, which has the first style.
    """
    styles = {name: number + are_differences for number, name in enumerate(estimates)}
    step, unit = choose_time_unit(step_minutes) if step_minutes else (1.0, "frames")
    figures = []
    for metric in metrics:
        level = 0.0 if are_differences else 1.0 if metric.better == "one" else None
        lines = [_make_line(name, row[metric.name], step, styles[name]) for name, row in estimates.items()]
        direction = SIGNS[metric.better] if are_differences else DIRECTIONS[metric.better]
        chart = Chart(metric.name, f"lead time, {unit}", metric_unit(metric), lines, level=level)
        figures.append(Figure(f"{metric.name}: {direction}" if direction else metric.name, draw_chart(chart)))
    return Figures(figures, [(name, draw_swatch(style)) for name, style in styles.items()])


def choose_time_unit(step_minutes: float) -> tuple[float, str]:
    """Convert the time between frames to seconds, minutes or hours, whichever suits; and the unit's name."""
    if step_minutes < 1:
        return 60 * step_minutes, "seconds"
    return (step_minutes, "minutes") if step_minutes < 60 else (step_minutes / 60, "hours")


def make_metric_cell(metric: Metric) -> TableCell:
    """Table cell with a metric's name, which way is better, and its unit."""
    return TableCell(f"{metric.name} {ARROWS[metric.better]}", metric_unit(metric))


def _fold_charts(metrics: Sequence[Metric], estimates: Estimates, step_minutes: float | None) -> list[Block]:
    names = ", ".join(dict.fromkeys(metric.name.split("@")[0] for metric in metrics))
    return [Folded(f"Charts of {names}", [plot_lead_times(metrics, estimates, step_minutes)])] if metrics else []


def _make_line(name: str, estimate: Estimate, step: float, style: int) -> ChartLine:
    leads = [step * (lead + 1) for lead in range(len(estimate.by_lead))]
    low, high = zip(*estimate.by_lead_interval, strict=True)
    return ChartLine(name, leads, estimate.by_lead, low, high, style)


def _make_lead_times_table(metric: Metric, estimates: Estimates) -> Table:
    by_forecast = {name: by_metric[metric.name] for name, by_metric in estimates.items()}
    leads = shown_leads(len(next(iter(by_forecast.values())).by_lead))
    best = [find_best(metric, [estimate.by_lead[lead - 1] for estimate in by_forecast.values()]) for lead in leads]
    rows = []
    for row, (name, estimate) in enumerate(by_forecast.items()):
        mean = TableCell("" if math.isnan(estimate.mean) else format_number(estimate.mean))
        cells = [
            TableCell(format_number(estimate.by_lead[lead - 1]), "", row in best_rows)
            for lead, best_rows in zip(leads, best, strict=True)
        ]
        rows.append((TableCell(name), [mean, *cells]))
    caption = ", ".join(part for part in make_metric_cell(metric)[:2] if part)
    return Table(caption, [TableCell("forecast"), TableCell("mean"), *(TableCell(f"+{lead}") for lead in leads)], rows)
