"""Section of a comparison: what each run cost, and its score against the time of its training and its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from framecast.formatting import format_duration
from framecast.plotting.chart import Chart, ChartLine
from framecast.report.blocks import Block, Figure, Figures, Section, Table, TableCell, Text
from framecast.report.headline import find_strongest
from framecast.report.svg_charts import draw_chart, draw_swatch
from framecast.runs.record import Record, describe_network

if TYPE_CHECKING:
    from framecast.evaluation.comparison import Comparison


def make_costs_section(comparison: Comparison) -> Section:
    """Section with a table of the runs and, for three entries or more, charts of score against cost.

    Args:
        comparison: scored runs.
    """
    rows = [
        (TableCell(name, describe_network(record)), _list_costs(record)) for name, record in comparison.records.items()
    ]
    header = ["run", "seed", "parameters", "multiply-adds", "iterations", "time", "an iteration", "best after"]
    first = next(iter(comparison.records.values()))
    hashes = f"All on data {first.data['fingerprint']}, split {first.data['split']}. {comparison.budget}."
    caption = "Multiply-adds: forward, for each sequence; iterations: times sequences in each; time: in iterations"
    blocks: list[Block] = [Text(hashes), Table(caption, [TableCell(name) for name in header], rows)]
    if len(comparison.groups) > 2:
        blocks.append(_draw_charts(comparison))
    return Section("runs", "Runs and budget", blocks)


def _list_costs(record: Record) -> list[TableCell]:
    cost = record.cost()
    cells = [
        str(record.recipe.seed),
        f"{cost.parameters:,}",
        f"{cost.multiply_adds / 1e9:.3g} G",
        f"{record.iterations} x {record.recipe.train.batch_size}",
        format_duration(record.seconds),
        f"{record.seconds / max(1, record.iterations):.3g} s",
        str(record.model.get("about", {}).get("step", "-")),
    ]
    return [TableCell(text) for text in cells]


def _draw_charts(comparison: Comparison) -> Figures:
    """Draw the first score of each entry against time and parameters, and the strongest baseline as a line across."""
    metric, styles = comparison.scoreboard.metrics[0], comparison.styles
    strongest = find_strongest(metric, comparison.estimates, comparison.suite.baselines)
    level = comparison.estimates[strongest[0]][metric.name].mean if strongest else None
    axes: list[tuple[str, str, Callable[[Record], float]]] = [
        (
            "time",
            "seconds of training (processor time, where measured)",
            lambda record: record.cpu_seconds or record.seconds,
        ),
        ("parameters", "million parameters", lambda record: record.cost().parameters / 1e6),
    ]
    figures = []
    for what, label, measure in axes:
        lines = []
        for name, runs in comparison.groups.items():
            costs = [measure(comparison.records[run]) for run in runs]
            score = comparison.estimates[name][metric.name].mean
            lines.append(ChartLine(name, [sum(costs) / len(costs)], [score], style=styles[name]))
        chart = Chart("", label, metric.name, lines, level=level, log_x=True)
        figures.append(Figure(f"{metric.name} against {what}", draw_chart(chart)))
    legend = [(name, draw_swatch(styles[name])) for name in comparison.groups]
    note = f" The line across is {strongest[0]}." if strongest else ""
    return Figures(figures, legend, f"A point is the mean of an entry's runs.{note}")
