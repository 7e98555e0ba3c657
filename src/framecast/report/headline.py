"""Choice of the scores that a page shows first, and sentences on where a plain baseline is better and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

from framecast.metrics import ChannelMetric, Metric
from framecast.metrics.summary import Estimates
from framecast.plotting.chart import choose_time_unit
from framecast.types import FrameSpec

EVENTS = ("mae_raw", "mae", "csi", "fss")
PICTURES = ("sse", "ssim", "psnr", "sharpness", "mae")
FIELDS = ("mae_raw", "rmse_raw", "mse", "mae", "rapsd", "ssim", "psnr")
"""Scores that come first, by kind: of rain and other events, of pictures, of other fields."""
MOST = 5
"""Scores that come first, beside the one that forecasts are judged by."""
THRESHOLDS = 3
"""Thresholds of one score that come first."""
BLANK = "blank"
"""Baseline of empty frames."""
_PIXELWISE = ("mse", "mae", "sse", "fmae", "mae_raw", "rmse_raw", "rmse", "psnr", "ssim")


def choose_headline(metrics: Sequence[Metric]) -> list[Metric]:
    """Choose the scores that fit the data, of all that were computed, in the order of these.

    Args:
        metrics: the first one is what forecasts are judged by, and always chosen.
    """
    if len(metrics) <= MOST + 1:
        return list(metrics)
    kinds = {_name_kind(metric) for metric in metrics}
    order: tuple[str, ...] = EVENTS if "csi" in kinds else PICTURES if "sse" in kinds else FIELDS
    order = tuple(kind for kind in order if kind != "mae" or "mae_raw" not in kinds)
    ranked: list[Metric] = []
    for kind in order:
        of_kind = [metric for metric in metrics if _name_kind(metric) == kind]
        # one neighbourhood of one threshold, in the middle of those that there are
        ranked += [of_kind[-(-len(of_kind) // 2)]] if kind == "fss" and len(of_kind) > 1 else _spread(of_kind)
    chosen = {metric.name for metric in ranked[:MOST]} | {metrics[0].name}
    return [metric for metric in metrics if metric.name in chosen]


def find_strongest(metric: Metric, estimates: Estimates, baselines: Sequence[str]) -> list[str]:
    """Find the baseline of the best mean; none where there are no baselines, or the score does not say."""
    sign = {"less": 1, "more": -1, "one": 0}[metric.better]
    means = {name: sign * estimates[name][metric.name].mean for name in baselines if name in estimates}
    known = {name: mean for name, mean in means.items() if math.isfinite(mean)}
    return [min(known, key=lambda name: known[name])] if known and sign else []


def say_where_baselines_win(
    metric: Metric, estimates: Estimates, model: str, baselines: Sequence[str], spec: FrameSpec
) -> str:
    """Say at which lead times a baseline is better than the model, as a part of a sentence; empty where none is known.

    Args:
        metric: the score.
        estimates: scores, {forecast: {metric: estimate}}.
        model: name of the judged forecast.
        baselines: names of those that are baselines.
        spec: frames, of which the time between them counts.
    """
    sign = 1 if metric.better == "less" else -1
    ours = estimates[model][metric.name].by_lead
    winners: dict[int, str] = {}
    for lead, score in enumerate(ours, 1):
        others = {
            name: sign * estimates[name][metric.name].by_lead[lead - 1] for name in baselines if name in estimates
        }
        known = {name: value for name, value in others.items() if math.isfinite(value)}
        best = min(known, key=lambda name: known[name], default=None)
        if best is not None and math.isfinite(score) and known[best] < sign * score:
            winners[lead] = best
    if metric.better == "one" or not any(name in estimates for name in baselines) or not ours:
        return ""
    if not winners:
        return f"{model} is ahead of all baselines at every lead time"
    names = ", ".join(dict.fromkeys(winners.values()))
    when = "every lead time" if len(winners) == len(ours) else _format_leads(list(winners), spec)
    return f"a plain baseline is better at {when} ({names})"


def explain_blank(metrics: Sequence[Metric], estimates: Estimates, model: str) -> str:
    """Explain scores that are better for empty frames than for the model; empty where there are none."""
    if BLANK not in estimates:
        return ""
    preferring = []
    for metric in metrics:
        sign = 1 if metric.better == "less" else -1
        empty, ours = (sign * estimates[name][metric.name].mean for name in (BLANK, model))
        if _name_kind(metric) in _PIXELWISE and empty < ours:
            preferring.append(metric.name)
    if not preferring:
        return ""
    names = " and ".join([", ".join(preferring[:-1]), preferring[-1]] if len(preferring) > 1 else preferring)
    words = f"{names} {'prefer' if len(preferring) > 1 else 'prefers'}"
    return (
        f"{words} blank frames to {model}: most pixels are empty, with which a blank frame agrees, while what is "
        "forecast a little beside its place is wrong twice. That alone does not say which forecast is of use"
    )


def _name_kind(metric: Metric) -> str:
    """Name of a metric without its channel, threshold and scale."""
    inner = metric.metric if isinstance(metric, ChannelMetric) else metric
    return inner.name.split("@")[0]


def _spread(metrics: Sequence[Metric]) -> list[Metric]:
    """Choose thresholds of one score: the lowest, the highest, and between."""
    if len(metrics) <= THRESHOLDS:
        return list(metrics)
    return [metrics[round(place * (len(metrics) - 1) / (THRESHOLDS - 1))] for place in range(THRESHOLDS)]


def _format_leads(leads: Sequence[int], spec: FrameSpec) -> str:
    """Format lead times in words, neighbours as ranges: 5 to 15 and 40 minutes."""
    step, unit = (1.0, "") if spec.step_minutes is None else choose_time_unit(spec.step_minutes, spec.step_months)
    ranges: list[list[int]] = []
    for lead in leads:
        if ranges and ranges[-1][-1] == lead - 1:
            ranges[-1].append(lead)
        else:
            ranges.append([lead])
    sign = "" if unit else "+"
    ends = [[f"{sign}{step * lead:.4g}" for lead in (part[0], part[-1])] for part in ranges]
    words = [first if first == last else f"{first} to {last}" for first, last in ends]
    return f"{' and '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)}{unit and f' {unit}'}"
