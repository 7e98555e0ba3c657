"""Verdict of an evaluation or a comparison: which forecast is better, by how much, and whether that is certain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from framecast.formatting import format_number
from framecast.metrics import LEVEL, ChannelMetric, Estimate, Metric, Paired, Scores
from framecast.metrics.bootstrap import BlockLengths

BEST = "the best baseline"
"""Role of the forecast that a model is judged beside."""


def judge(
    scores: Mapping[str, Scores], baselines: Sequence[str], *, block: BlockLengths = 1, seed: int = 0
) -> str | None:
    """Say whether the first forecast beats the best of the baselines, in the first score of each channel.

    Args:
        scores: by name of the forecast, each made with `keep`; the judged one first.
        baselines: names of those that are baselines.
        block: sequences that are drawn together for intervals.
        seed: of the draws.

    Returns:
        the sentence; None where the first forecast is a baseline or has none beside it.
    """
    model, others = next(iter(scores)), [name for name in scores if name in baselines]
    metrics = _choose_metrics(scores[model].metrics)
    if model in baselines or not others or not metrics:
        return None
    # spectra and the like take memory by the thousand draws
    chosen = {name: [scores[name].select([metric.name for metric in metrics])] for name in (model, *others)}
    paired = Paired(chosen, block=block, seed=seed)
    estimates = paired.estimate_scores()
    sentences = []
    for metric in metrics:
        sign = 1 if metric.better == "less" else -1
        known = [name for name in others if math.isfinite(estimates[name][metric.name].mean)]
        if not known or not math.isfinite(estimates[model][metric.name].mean):
            continue
        best = min(known, key=lambda name: sign * estimates[name][metric.name].mean)
        difference = paired.estimate_differences(best)[model][metric.name]
        sentences.append(_make_sentence(model, best, metric, estimates[best][metric.name].mean, difference))
    return ". ".join(sentences) or None


def judge_entries(
    scores: Mapping[str, Sequence[Scores]], baselines: Sequence[str], *, block: BlockLengths = 1, seed: int = 0
) -> str | None:
    """Say which entry of a comparison is the best, whether it beats the next, and whether it beats the best baseline.

    Args:
        scores: of the trainings of each entry, and of each baseline, by name, made with `keep`.
        baselines: names of those that are baselines.
        block: sequences that are drawn together for intervals.
        seed: of the draws.

    Returns:
        the sentences, on the first score of each channel; None where no score says which is better.
    """
    metrics = _choose_metrics(next(iter(scores.values()))[0].metrics)
    if not metrics:
        return None
    names = [metric.name for metric in metrics]
    chosen = {name: [one.select(names) for one in trainings] for name, trainings in scores.items()}
    paired = Paired(chosen, block=block, seed=seed)
    estimates = paired.estimate_scores()
    sentences = []
    for metric in metrics:
        means = {name: by_metric[metric.name].mean for name, by_metric in estimates.items()}
        known = [(mean, name) for name, mean in means.items() if math.isfinite(mean)]
        ranking = [name for _, name in sorted(known, reverse=metric.better == "more")]
        entries = [name for name in ranking if name not in baselines]
        plain = [name for name in ranking if name in baselines][:1]
        if not entries:
            continue
        for other, role in [*((name, "the next best") for name in entries[1:2]), *((name, BEST) for name in plain)]:
            difference = paired.estimate_differences(other)[entries[0]][metric.name]
            sentences.append(_make_sentence(entries[0], other, metric, means[other], difference, role))
    return ". ".join(sentences) or None


def _choose_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Choose the first score of each channel that is the better the less, or the more."""
    chosen: dict[int, Metric] = {}
    for metric in metrics:
        if metric.better != "one":
            chosen.setdefault(metric.index if isinstance(metric, ChannelMetric) else -1, metric)
    return list(chosen.values())


def _make_sentence(
    model: str, best: str, metric: Metric, reference: float, difference: Estimate, role: str = BEST
) -> str:
    gain = -difference.mean if metric.better == "less" else difference.mean
    is_certain = difference.mean_interval[0] > 0 or difference.mean_interval[1] < 0
    side = "below" if difference.mean < 0 else "above"
    amount = f"{metric.name} is {_format_share(abs(difference.mean), reference)} {side} it"
    if math.isnan(difference.mean_interval[0]):
        certainty = "no interval: one sequence, block or event cannot scatter"
    else:
        ends = sorted(
            abs(end) if is_certain else end * math.copysign(1, difference.mean) for end in difference.mean_interval
        )
        low, high = (_format_share(end, reference) for end in ends)
        certainty = f"{100 * LEVEL:g} %: {low} to {high}"
    if not is_certain:
        words = "is ahead of" if gain > 0 else "is behind" if gain < 0 else "equals"
        return f"{model} {words} {best}, {role}, but not for certain: {amount} ({certainty})"
    return f"{model} {'beats' if gain > 0 else 'loses to'} {best}, {role}: {amount} ({certainty})"


def _format_share(value: float, reference: float) -> str:
    """Format a difference as a share of the reference, or as it is where that is near zero."""
    if abs(reference) < 1e-12:
        return format_number(value)
    share = 100 * value / abs(reference)
    return f"{share:.0f} %" if abs(share) >= 10 else f"{share:.2g} %"
