"""Section of a report: scores of several forecasts by lead time, as tables and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from framecast.evaluation.charts import make_lead_time_chart
from framecast.evaluation.tables import ARROWS, find_best, format_interval, metric_unit, shown_leads
from framecast.formatting import format_number
from framecast.metrics import DIRECTIONS, Metric
from framecast.metrics.summary import Estimates
from framecast.plotting.line_styles import choose_styles
from framecast.report.blocks import Block, Figure, Figures, Folded, Section, Table, TableCell, Text
from framecast.report.headline import choose_headline, explain_blank
from framecast.report.svg_charts import draw_chart, draw_swatch
from framecast.types import FrameSpec


def make_lead_times_section(
    metrics: Sequence[Metric], estimates: Estimates, spec: FrameSpec, notes: Sequence[str]
) -> Section:
    """Section with a table of means and charts of the scores that fit the data; folded away are all others.

    Args:
        metrics: metrics of the scores.
        estimates: scores, {forecast: {metric: estimate}}, the judged one first.
        spec: frames, of which the time between them counts, where it is known.
        notes: on the windows that were scored and the intervals, in words.
    """
    first = choose_headline(metrics)
    others = [metric for metric in metrics if metric not in first]
    about_blank = explain_blank(metrics, estimates, next(iter(estimates)))
    blocks: list[Block] = [
        *([Text(f"{about_blank}.")] if about_blank else []),
        make_means_table(first, estimates),
        plot_lead_times(first, estimates, spec),
        Text(" ".join(f"{note.rstrip('.')}." for note in notes), small=True),
        *_fold_others(others, estimates, spec),
        Folded("Tables by lead time", [_make_lead_times_table(metric, estimates) for metric in metrics]),
    ]
    return Section("scores", "Scores by lead time", blocks)


def make_means_table(metrics: Sequence[Metric], estimates: Estimates, what: str = "Means over lead times") -> Table:
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
    return Table(f"{what}, 95 % intervals below; {arrows}; the best is bold", header, rows)


def plot_lead_times(
    metrics: Sequence[Metric],
    estimates: Estimates,
    spec: FrameSpec,
    *,
    are_differences: bool = False,
    styles: Mapping[str, int] | None = None,
) -> Figures:
    """Plot estimates against lead time, one chart for each metric, one line for each forecast; intervals are bands.

    Args:
        metrics: metrics of the scores.
        estimates: scores or differences, {forecast: {metric: estimate}}.
        spec: frames, of which the time between them counts, where it is known.
        are_differences: whether the estimates are differences from another forecast.
        styles: number of the style of each forecast; by default those that `choose_styles` gives these.
    """
    styles = choose_styles(estimates) if styles is None else styles
    charts = []
    for metric in metrics:
        scores = {name: by_metric[metric.name] for name, by_metric in estimates.items()}
        charts.append(make_lead_time_chart(metric, scores, spec, are_differences=are_differences, styles=styles))
    swatches = [(name, draw_swatch(styles[name])) for name in estimates]
    return Figures([Figure(chart.title, draw_chart(chart)) for chart in charts], swatches)


def make_metric_cell(metric: Metric) -> TableCell:
    """Table cell with a metric's name, which way is better, and its unit."""
    return TableCell(f"{metric.name} {ARROWS[metric.better]}", metric_unit(metric))


def _fold_others(metrics: Sequence[Metric], estimates: Estimates, spec: FrameSpec) -> list[Block]:
    names = ", ".join(dict.fromkeys(metric.name.split("@")[0] for metric in metrics))
    what = "Means of the other scores"
    blocks = [make_means_table(metrics, estimates, what), plot_lead_times(metrics, estimates, spec)]
    return [Folded(f"{len(metrics)} other scores: {names}", blocks)] if metrics else []


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
