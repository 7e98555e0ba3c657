"""Tables of scores on a terminal, in blocks of columns that fit its width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framecast.formatting import format_count, format_number
from framecast.metrics import DIRECTIONS, Metric, Summary

SHOWN_LEADS = 10
"""Lead times that become columns of a table, at most."""
ARROWS = {"less": "↓", "more": "↑", "one": "→1"}
_GAP = 2

Summaries = Mapping[str, Mapping[str, Summary]]


class _Column(NamedTuple):
    """Column of one metric: heading and cells of several lines, those after the first dim; a cell for each row."""

    heading: list[str]
    cells: list[list[str]]
    bold: set[int]
    """Rows whose first line is bold."""

    @property
    def width(self) -> int:
        return max(len(line) for cell in (self.heading, *self.cells) for line in cell)


def print_means(console: Console, summaries: Summaries) -> None:
    """Print a row for each forecast, a column for each metric: mean over lead times, its interval; last the samples."""
    columns = [_make_column(name, summaries) for name in next(iter(summaries.values()))]
    _print_columns(console, [*summaries, "samples"], columns)


def print_skill(console: Console, summaries: Summaries) -> None:
    """Print a row for each forecast and reference, a column for each metric that has a skill.

    A star marks an interval that does not hold 0. Nothing is printed where there is no reference.
    """
    pairs: list[tuple[str, str]] = []
    for other in summaries:
        for name, by_metric in summaries.items():
            # of two references, one way is enough
            if (other, name) not in pairs and any(other in summary.skill for summary in by_metric.values()):
                pairs.append((name, other))
    if not pairs:
        return
    columns = []
    for metric in [summary.metric for summary in next(iter(summaries.values())).values()]:
        if metric.perfect is None:
            continue
        estimates = [summaries[name][metric.name].skill[other] for name, other in pairs]
        cells = [[format_number(estimate.mean) + mark_significant(estimate.mean_interval)] for estimate in estimates]
        columns.append(_Column([metric.name], cells, set()))
    if columns:
        console.print(
            "Skill of these means: 1 is perfect, 0 as good as the other, below 0 worse; * the interval does not hold 0"
        )
        _print_columns(console, [f"{name} over {other}" for name, other in pairs], columns)


def print_by_lead(console: Console, summaries: Summaries, horizon: int) -> None:
    """Print a table for each metric: a row for each forecast, mean and lead times as columns, the best in bold."""
    leads = shown_leads(horizon)
    for name, summary in next(iter(summaries.values())).items():
        metric = summary.metric
        note = ", ".join(part for part in (metric_unit(metric), DIRECTIONS[metric.better]) if part)
        title = Text(name).append(f" ({note})", style="dim")
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
        for column in ("forecast", "mean", *(f"+{lead}" for lead in leads)):
            table.add_column(column, justify="left" if column == "forecast" else "right", no_wrap=True)
        best = _find_best_rows(name, summaries)
        for row, (forecast, by_metric) in enumerate(summaries.items()):
            score = by_metric[name].score
            cells = [format_number(score.mean), *(format_number(score.by_lead[lead - 1]) for lead in leads)]
            table.add_row(Text(forecast), *cells, style="bold" if row in best else "")
        console.print(table)


def metric_unit(metric: Metric) -> str:
    """Unit of a metric as text; empty for a pure number."""
    return "" if metric.unit == "1" else metric.unit


def shown_leads(horizon: int) -> list[int]:
    """Lead times 1 to K, thinned out evenly if there are many; the first and the last always."""
    if horizon <= SHOWN_LEADS:
        return list(range(1, horizon + 1))
    return sorted({1 + round(i * (horizon - 1) / (SHOWN_LEADS - 1)) for i in range(SHOWN_LEADS)})


def _make_column(name: str, summaries: Summaries) -> _Column:
    first = next(iter(summaries.values()))[name]
    cells = [
        [format_number(by_metric[name].score.mean), format_interval(by_metric[name].score.mean_interval)]
        for by_metric in summaries.values()
    ]
    return _Column(
        [f"{name} {ARROWS[first.metric.better]}", metric_unit(first.metric)],
        [*cells, _describe_samples(first)],
        _find_best_rows(name, summaries),
    )


def _describe_samples(summary: Summary) -> list[str]:
    """Describe the samples in words: sequences with anything to score; observed events of an event score, else pixels."""
    sequences = f"{max(summary.sequences)} seq"
    if summary.counts:
        return [sequences, f"{format_count(sum(summary.counts['hits']) + sum(summary.counts['misses']))} events"]
    return [sequences, f"{format_count(sum(summary.pixels))} px"]


def _find_best_rows(name: str, summaries: Summaries) -> set[int]:
    """Find the rows of the best mean."""
    metric = next(iter(summaries.values()))[name].metric
    return find_best(metric, [by_metric[name].score.mean for by_metric in summaries.values()])


def find_best(metric: Metric, values: Sequence[float]) -> set[int]:
    """Find the indices of the best values, several where they are equal; none of a single value."""
    distance = {"less": lambda value: value, "more": lambda value: -value, "one": lambda value: abs(value - 1)}[
        metric.better
    ]
    known = [distance(value) for value in values if not math.isnan(value)]
    return (
        {index for index, value in enumerate(values) if known and distance(value) == min(known)}
        if len(values) > 1
        else set()
    )


def format_interval(interval: tuple[float, float]) -> str:
    """Format an interval as lower..upper; a dash where it is undefined."""
    return "-" if math.isnan(interval[0]) else f"{format_number(interval[0])}..{format_number(interval[1])}"


def mark_significant(interval: tuple[float, float]) -> str:
    """A star where the interval of a difference does not hold 0, else a space."""
    return "*" if interval[0] > 0 or interval[1] < 0 else " "


def _print_columns(console: Console, names: list[str], columns: list[_Column]) -> None:
    """Print columns in blocks, as many at a time as the console is wide."""
    room = console.width - max(map(len, names)) - _GAP
    block: list[_Column] = []
    for column in columns:
        if block and sum(each.width + _GAP for each in (*block, column)) > room:
            _print_block(console, names, block)
            block = []
        block.append(column)
    _print_block(console, names, block)


def _print_block(console: Console, names: list[str], columns: list[_Column]) -> None:
    table = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False)
    table.add_column("forecast", no_wrap=True)
    for column in columns:
        table.add_column(_style_lines(column.heading, "bold"), justify="right", no_wrap=True)
    for row, name in enumerate(names):
        cells = [_style_lines(column.cells[row], "bold" if row in column.bold else "") for column in columns]
        table.add_row(Text(name), *cells)
    console.print(table)
    console.print()


def _style_lines(lines: list[str], style: str) -> Text:
    """Join lines, the first in a style, the others dim."""
    text = Text(lines[0], style=style)
    for line in lines[1:]:
        text.append(f"\n{line}", style="not bold dim")
    return text
