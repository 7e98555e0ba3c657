"""Charts of ensembles, as values: spread against error, rank histograms, reliability diagrams with their counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from framecast.metrics import ChannelMetric, Metric, Scores
from framecast.metrics.base import Sums
from framecast.metrics.ensemble.pooled import Pooled
from framecast.metrics.ensemble.probabilities import EventScore, EventTable
from framecast.metrics.ensemble.ranks import RankHistogram
from framecast.metrics.ensemble.spread import SpreadError
from framecast.plotting.chart import Chart, ChartLine
from framecast.plotting.line_styles import choose_styles

SPREAD = (
    "A point for each lead time, usually the first at the lower left. On the diagonal members differ by as much as "
    "their mean is wrong; below it they are too sure, above it not sure enough."
)
RANKS = (
    "Where truth lies among the members, all lead times. Flat at 1: truth is like one more member. High at both ends: "
    "members are too alike; high at one end: too low or too high; high in the middle: too different."
)
RELIABILITY = (
    "All lead times. On the diagonal what is given 30 % comes in 30 % of the cases; below it the event comes more "
    "rarely than was said. Look at the counts: where they are small, it scatters."
)
COUNTS = (
    "How often each probability was given. Sharp forecasts are mostly near 0 and 1; those that know little, between."
)


class _Tallied(NamedTuple):
    """Statistics of one metric of an ensemble."""

    name: str
    """Name of the forecast."""
    sums: Sums
    """(K, S), over all sequences, of the metric without its wrappers."""


def make_ensemble_charts(scores: Mapping[str, Scores], styles: Mapping[str, int] | None = None) -> list[Chart]:
    """Make the charts that the scores of ensembles allow, a line for each ensemble; single forecasts are left out.

    Args:
        scores: by name of the forecast, on the same metrics.
        styles: number of the style of each forecast; by default those that `choose_styles` gives all of them.

    Returns:
        no chart without an ensemble, or where no score keeps what a chart shows.
    """
    styles = choose_styles(scores) if styles is None else styles
    ensembles = {name: one for name, one in scores.items() if one.members > 1}
    columns = {name: list(one.by_metric()) for name, one in ensembles.items()}
    charts: dict[str, Chart] = {}
    for number, metric in enumerate(next(iter(ensembles.values())).metrics if ensembles else []):
        inner, strip, where = _unwrap(metric)
        tallied = [_Tallied(name, strip(parts[number][1])) for name, parts in columns.items()]
        for chart in _make_charts(inner, tallied, where, styles):
            charts.setdefault(chart.title, chart)  # scores of one event share its table
    return list(charts.values())


def _unwrap(metric: Metric) -> tuple[Metric, Callable[[Sums], Sums], str]:
    """Take a metric out of what wraps it: the metric, what makes its sums of the wrapped ones, and where it is scored."""
    if isinstance(metric, ChannelMetric):
        inner, strip, where = _unwrap(metric.metric)
        return inner, lambda sums: strip(metric.drop_pixels(sums)), f"{where}, {metric.spec.names[0]}"
    if isinstance(metric, Pooled):
        return metric.metric, lambda sums: sums, f", {metric.side}-pixel means"
    return metric, lambda sums: sums, ""


def _make_charts(metric: Metric, tallied: Sequence[_Tallied], where: str, styles: Mapping[str, int]) -> Iterator[Chart]:
    if isinstance(metric, SpreadError):
        lines = [_make_spread_line(one, styles) for one in tallied]
        axes = "error of the mean, rms, range", "spread, range"
        yield Chart(f"Spread against error{where}", *axes, lines, diagonal=True, reading=SPREAD)
    elif isinstance(metric, RankHistogram):
        lines = [_make_rank_line(one, styles) for one in tallied]
        axes = "members below the truth", "share over that of all ranks"
        yield Chart(f"Rank histogram{where}", *axes, lines, level=1.0, reading=RANKS)
    elif isinstance(metric, EventScore):
        event = f", {metric.name.partition('@')[2]} or more{where}"
        diagrams = [_make_reliability_lines(one, metric.table, styles) for one in tallied]
        shares, counts = zip(*diagrams, strict=True)
        across = "probability that was given"
        span = (0.0, 1.0)
        yield Chart(
            f"Reliability{event}", across, "how often it came", shares, span=span, diagonal=True, reading=RELIABILITY
        )
        yield Chart(f"Counts{event}", across, "pixels", counts, log=True, span=span, reading=COUNTS)


def _make_spread_line(one: _Tallied, styles: Mapping[str, int]) -> ChartLine:
    variance, error, count = one.sums.unbind(-1)
    points = [((e / n).sqrt().item(), (v / n).sqrt().item()) for v, e, n in zip(variance, error, count, strict=True)]
    return _make_line(one.name, points, styles)


def _make_rank_line(one: _Tallied, styles: Mapping[str, int]) -> ChartLine:
    counts = one.sums.sum(0)
    shares = (counts / counts.mean()).tolist()
    return _make_line(one.name, [(float(rank), share) for rank, share in enumerate(shares)], styles)


def _make_reliability_lines(one: _Tallied, table: EventTable, styles: Mapping[str, int]) -> tuple[ChartLine, ChartLine]:
    """Make the lines of frequencies and of counts over the mean probability of each class that came."""
    diagram = table.divide(one.sums.sum(0, keepdim=True))
    probability, frequency, cases = (values[0].tolist() for values in diagram)
    lines = [_make_line(one.name, list(zip(probability, values, strict=True)), styles) for values in (frequency, cases)]
    return lines[0], lines[1]


def _make_line(name: str, points: Sequence[tuple[float, float]], styles: Mapping[str, int]) -> ChartLine:
    known = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    return ChartLine(name, [x for x, _ in known], [y for _, y in known], style=styles[name])
