"""Scores as an xarray.Dataset and as a table of pandas: one entry for each forecast, metric and lead time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from framecast.errors import UsageError
from framecast.formatting import format_number, make_html_table
from framecast.metrics import ChannelMetric, Estimate, Metric, Summary
from framecast.metrics.summary import Estimates
from framecast.types import FrameSpec

if TYPE_CHECKING:
    import pandas
    import xarray

_NAME = re.compile(r"(?P<base>[^@/]+)(?:@(?P<threshold>[^/]+))?(?:/(?P<scale>\d+)px)?")
"""Name of a metric: its base, threshold and scale, as in fss@15/4px."""
_SHOWN_METRICS = 8
"""Metrics that a table in a notebook shows, at most."""


def make_dataset(estimates: Estimates, metrics: Sequence[Metric], spec: FrameSpec) -> xarray.Dataset:
    """Make the Dataset of scores with their intervals.

    Args:
        estimates: {forecast: {metric: estimate}}.
        metrics: those of the estimates, in order.
        spec: frames, of which the time between them counts, where it is known.

    Returns:
        `score`, `score_low`, `score_high` (forecast, metric, lead_time), and `mean`, `mean_low`, `mean_high`
        (forecast, metric) over lead times. Along `metric` lie its base name, `threshold` (raw units), `scale` (pixels),
        `channel`, `unit`, and which way is `better`.
    """
    import xarray

    names = [metric.name for metric in metrics]
    rows = [[by_metric[name] for name in names] for by_metric in estimates.values()]
    whole, outer = ("forecast", "metric", "lead_time"), ("forecast", "metric")
    variables = {
        "score": (whole, _collect(rows, lambda one: one.by_lead)),
        "score_low": (whole, _collect(rows, lambda one: [low for low, _ in one.by_lead_interval])),
        "score_high": (whole, _collect(rows, lambda one: [high for _, high in one.by_lead_interval])),
        "mean": (outer, _collect(rows, lambda one: one.mean)),
        "mean_low": (outer, _collect(rows, lambda one: one.mean_interval[0])),
        "mean_high": (outer, _collect(rows, lambda one: one.mean_interval[1])),
    }
    horizon = len(rows[0][0].by_lead)
    coordinates = {
        "forecast": list(estimates),
        "metric": names,
        "lead_time": _count_leads(horizon, spec),
        **{name: ("metric", values) for name, values in _describe_metrics(metrics).items()},
    }
    return xarray.Dataset(variables, coordinates)


def add_samples(data: xarray.Dataset, summaries: Mapping[str, Mapping[str, Summary]]) -> xarray.Dataset:
    """Add what the scores are of: numbers of sequences and pixels, counts of events, and the skill over references.

    Args:
        data: as `make_dataset` gives it.
        summaries: {forecast: {metric: summary}}, of the same forecasts and metrics.

    Returns:
        `sequences` and `pixels` (metric, lead_time); `hits`, `misses` and so on (forecast, metric, lead_time), NaN for
        metrics without; `skill`, `skill_low`, `skill_high` (forecast, metric, reference) of the means.
    """
    first = list(next(iter(summaries.values())).values())
    rows = [list(by_metric.values()) for by_metric in summaries.values()]
    data = data.assign(
        sequences=(("metric", "lead_time"), np.array([one.sequences for one in first])),
        pixels=(("metric", "lead_time"), np.array([one.pixels for one in first])),
    )
    absent = [math.nan] * data.sizes["lead_time"]
    for part in dict.fromkeys(part for one in first for part in one.counts):
        counts = np.array([[one.counts.get(part, absent) for one in row] for row in rows])
        data[part.replace(" ", "_")] = ("forecast", "metric", "lead_time"), counts
    references = list(dict.fromkeys(name for row in rows for one in row for name in one.skill))
    if not references:
        return data
    unknown = Estimate(math.nan, (math.nan, math.nan), [], [])
    skills = [[[one.skill.get(name, unknown) for name in references] for one in row] for row in rows]
    ends = {"skill": lambda one: one.mean, "skill_low": lambda one: one.mean_interval[0]}
    ends["skill_high"] = lambda one: one.mean_interval[1]
    values = {
        name: np.array([[[end(one) for one in inner] for inner in row] for row in skills]) for name, end in ends.items()
    }
    data = data.assign_coords(reference=references)
    return data.assign({name: (("forecast", "metric", "reference"), array) for name, array in values.items()})


def add_differences(data: xarray.Dataset, differences: Estimates) -> xarray.Dataset:
    """Add differences of means from those of a reference, with their intervals; NaN for forecasts without one.

    Args:
        data: as `make_dataset` gives it.
        differences: {forecast: {metric: estimate}}, of some of its forecasts.
    """
    unknown = Estimate(math.nan, (math.nan, math.nan), [], [])
    metrics = data["metric"].values.tolist()
    rows = [[differences.get(str(name), {}).get(one, unknown) for one in metrics] for name in data["forecast"].values]
    outer = ("forecast", "metric")
    return data.assign(
        difference=(outer, _collect(rows, lambda one: one.mean)),
        difference_low=(outer, _collect(rows, lambda one: one.mean_interval[0])),
        difference_high=(outer, _collect(rows, lambda one: one.mean_interval[1])),
    )


def make_dataframe(data: xarray.Dataset) -> pandas.DataFrame:
    """Make a table with a row for each forecast, metric and lead time, from the Dataset of the scores."""
    columns = [name for name in data.data_vars if data[name].dims == ("forecast", "metric", "lead_time")]
    table = data[columns].to_dataframe().reset_index()
    front = ["forecast", "metric", "base", "threshold", "scale", "channel", "unit", "better", "lead_time"]
    return table[[*front, *columns]]


def choose_metrics(metrics: Sequence[Metric], names: Sequence[str]) -> list[Metric]:
    """Choose metrics by name; all of them for no name.

    Raises:
        UsageError: a name that is none of them.
    """
    known = {metric.name: metric for metric in metrics}
    for name in names:
        if name not in known:
            raise UsageError.unknown("metric", name, known)
    return [known[name] for name in names] if names else list(metrics)


def make_means_table(estimates: Estimates) -> str:
    """Make the HTML table of means over lead times: a row for each forecast, a column for each of the first metrics."""
    metrics = list(next(iter(estimates.values())))[:_SHOWN_METRICS]
    rows = [[name, *(format_number(row[metric].mean) for metric in metrics)] for name, row in estimates.items()]
    return make_html_table(["mean over lead times", *metrics], rows)


def _collect(rows: Sequence[Sequence[Estimate]], choose: Callable[[Estimate], Any]) -> NDArray[np.float64]:
    return np.array([[choose(one) for one in row] for row in rows], np.float64)


def _count_leads(horizon: int, spec: FrameSpec) -> NDArray[Any]:
    """Count lead times as durations; as numbers of frames where a step has no fixed length."""
    numbers = np.arange(1, horizon + 1)
    if spec.step_minutes is None or spec.step_months is not None:
        return numbers
    return np.rint(numbers * spec.step_minutes * 60e9).astype("timedelta64[ns]")


def _describe_metrics(metrics: Sequence[Metric]) -> dict[str, list[Any]]:
    """List the base name, threshold, scale, channel, unit and direction of each metric."""
    described: dict[str, list[Any]] = {name: [] for name in ("base", "threshold", "scale", "channel", "unit", "better")}
    for metric in metrics:
        inner = metric.metric if isinstance(metric, ChannelMetric) else metric
        match = _NAME.fullmatch(inner.name)
        parts = {"base": inner.name} if match is None else match.groupdict()
        described["base"].append(parts["base"])
        for key in ("threshold", "scale"):
            described[key].append(float(parts.get(key) or math.nan))
        described["channel"].append(metric.spec.names[0] if isinstance(metric, ChannelMetric) else "")
        described["unit"].append(metric.unit)
        described["better"].append(metric.better)
    return described
