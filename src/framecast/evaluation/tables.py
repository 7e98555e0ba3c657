"""Scores as tables of a terminal, cut into blocks of columns that fit its width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from framecast.formatting import format_count, format_number
from framecast.metrics import DIRECTIONS, Metric, Summary

SHOWN_LEADS = 10
"""At most this many lead times become columns of a table."""
ARROWS = {"less": "↓", "more": "↑", "one": "→1"}
_GAP = 2

Summaries = Mapping[str, Mapping[str, Summary]]


class _Column(NamedTuple):
    """One metric: a heading of several lines and a cell of several lines for each row; lines after the first are dim."""

    heading: list[str]
    cells: list[list[str]]
    bold: set[int]

    @property
    def width(self) -> int:
        return max(len(line) for cell in (self.heading, *self.cells) for line in cell)


def print_means(console: Console, summaries: Summaries) -> None:
    """One row per forecast, one column per metric: the mean over lead times, its interval, and below all the samples."""
    columns = [_means(name, summaries) for name in next(iter(summaries.values()))]
    _print(console, [*summaries, "samples"], columns)


def print_skill(console: Console, summaries: Summaries) -> None:
    """One row per forecast and reference, one column per metric that has a skill; nothing where there is no reference.

    A star stands where the interval does not hold 0.
    """
    pairs: list[tuple[str, str]] = []
    for other in summaries:
        for name, found in summaries.items():
            # of two references, one way is enough
            if (other, name) not in pairs and any(other in summary.skill for summary in found.values()):
                pairs.append((name, other))
    if not pairs:
        return
    columns = []
    for metric in [summary.metric for summary in next(iter(summaries.values())).values()]:
        if metric.perfect is None:
            continue
        estimates = [summaries[name][metric.name].skill[other] for name, other in pairs]
        cells = [[format_number(found.mean) + mark_significant(found.mean_interval)] for found in estimates]
        columns.append(_Column([metric.name], cells, set()))
    if columns:
        console.print(
            "Skill of these means: 1 is perfect, 0 as good as the other, below 0 worse; * the interval does not hold 0"
        )
        _print(console, [f"{name} over {other}" for name, other in pairs], columns)


def print_by_lead(console: Console, summaries: Summaries, horizon: int) -> None:
    """One table per metric: a row for each forecast, the mean and the lead times as columns, the best in bold."""
    leads = shown_leads(horizon)
    for name, summary in next(iter(summaries.values())).items():
        metric = summary.metric
        said = ", ".join(part for part in (metric_unit(metric), DIRECTIONS[metric.better]) if part)
        table = Table(title=f"{escape(name)} [dim]({said})[/dim]", title_justify="left", box=None, padding=(0, 1))
        for column in ("forecast", "mean", *(f"+{lead}" for lead in leads)):
            table.add_column(column, justify="left" if column == "forecast" else "right", no_wrap=True)
        best = _best(name, summaries)
        for row, (forecast, found) in enumerate(summaries.items()):
            score = found[name].score
            cells = [format_number(score.mean), *(format_number(score.by_lead[lead - 1]) for lead in leads)]
            table.add_row(forecast, *cells, style="bold" if row in best else "")
        console.print(table)


def metric_unit(metric: Metric) -> str:
    """Its unit; nothing for a pure number."""
    return "" if metric.unit == "1" else metric.unit


def shown_leads(horizon: int) -> list[int]:
    """Lead times 1 to K, thinned out evenly if there are many; the first and the last always."""
    if horizon <= SHOWN_LEADS:
        return list(range(1, horizon + 1))
    return sorted({1 + round(i * (horizon - 1) / (SHOWN_LEADS - 1)) for i in range(SHOWN_LEADS)})


def _means(name: str, summaries: Summaries) -> _Column:
    first = next(iter(summaries.values()))[name]
    cells = [
        [format_number(found[name].score.mean), format_interval(found[name].score.mean_interval)]
        for found in summaries.values()
    ]
    return _Column(
        [f"{name} {ARROWS[first.metric.better]}", metric_unit(first.metric)],
        [*cells, _samples(first)],
        _best(name, summaries),
    )


def _samples(summary: Summary) -> list[str]:
    """Sequences that had something to score, and observed events where events are scored, else pixels."""
    sequences = f"{max(summary.sequences)} seq"
    if summary.counts:
        return [sequences, f"{format_count(sum(summary.counts['hits']) + sum(summary.counts['misses']))} events"]
    return [sequences, f"{format_count(sum(summary.pixels))} px"]


def _best(name: str, summaries: Summaries) -> set[int]:
    """Rows whose mean is the best."""
    metric = next(iter(summaries.values()))[name].metric
    return find_best(metric, [found[name].score.mean for found in summaries.values()])


def find_best(metric: Metric, values: Sequence[float]) -> set[int]:
    """Places of the best of several values; none where there is only one."""
    distance = {"less": lambda value: value, "more": lambda value: -value, "one": lambda value: abs(value - 1)}[
        metric.better
    ]
    known = [distance(value) for value in values if not math.isnan(value)]
    return (
        {place for place, value in enumerate(values) if known and distance(value) == min(known)}
        if len(values) > 1
        else set()
    )


def format_interval(interval: tuple[float, float]) -> str:
    """An interval in words; a dash where there is none."""
    return "-" if math.isnan(interval[0]) else f"{format_number(interval[0])}..{format_number(interval[1])}"


def mark_significant(interval: tuple[float, float]) -> str:
    """A star where the interval of a difference does not hold 0, else a space."""
    return "*" if interval[0] > 0 or interval[1] < 0 else " "


def _print(console: Console, names: list[str], columns: list[_Column]) -> None:
    """As many columns at a time as the console is wide."""
    room = console.width - max(map(len, names)) - _GAP
    part: list[_Column] = []
    for column in columns:
        if part and sum(one.width + _GAP for one in (*part, column)) > room:
            _print_part(console, names, part)
            part = []
        part.append(column)
    _print_part(console, names, part)


def _print_part(console: Console, names: list[str], columns: list[_Column]) -> None:
    table = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False)
    table.add_column("forecast", no_wrap=True)
    for column in columns:
        table.add_column(_lines(column.heading, "bold"), justify="right", no_wrap=True)
    for row, name in enumerate(names):
        cells = [_lines(column.cells[row], "bold" if row in column.bold else "") for column in columns]
        table.add_row(Text(name), *cells)
    console.print(table)
    console.print()


def _lines(lines: list[str], style: str) -> Text:
    """The first line in a style, the others dim."""
    text = Text(lines[0], style=style)
    for line in lines[1:]:
        text.append(f"\n{line}", style="not bold dim")
    return text
