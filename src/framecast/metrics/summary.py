"""Summaries of forecasts scored on the same sequences: scores, intervals, samples, skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.metrics.aggregation import Scores
from framecast.metrics.base import Metric
from framecast.metrics.bootstrap import BlockLengths, Resampled, bootstrap_interval, compute_skill, resample
from framecast.metrics.per_channel import ChannelMetric

Ends = tuple[float, float]
"""Lower and upper end of an interval; NaN where there is none."""


class Estimate(NamedTuple):
    """A score, a skill or a difference of scores, with bootstrap intervals."""

    mean: float
    """Mean over lead times."""
    mean_interval: Ends
    by_lead: list[float]
    by_lead_interval: list[Ends]


class Summary(NamedTuple):
    """Summary of one forecast by one metric."""

    metric: Metric
    score: Estimate
    sequences: list[int]
    """Number of sequences with anything to score, by lead time."""
    pixels: list[int]
    """Number of observed pixels by lead time."""
    counts: dict[str, list[float]]
    """Hits, misses, false alarms and correct negatives by lead time, where the metric has them."""
    skill: dict[str, Estimate]
    """Skill over other forecasts, by their names."""

    def as_dict(self) -> dict[str, Any]:
        """Turn into plain numbers and lists."""
        return {
            "unit": self.metric.unit,
            "better": self.metric.better,
            **self.score._asdict(),
            "sequences": self.sequences,
            "pixels": self.pixels,
            **({"counts": self.counts} if self.counts else {}),
            "skill": {name: estimate._asdict() for name, estimate in self.skill.items()},
        }


def summarise(
    scores: Mapping[str, Scores], references: Sequence[str], *, block: BlockLengths = 1, seed: int = 0
) -> dict[str, dict[str, Summary]]:
    """Summarise forecasts that were scored by the same metrics on the same sequences.

    The skill of a mean over lead times is formed of the two means, and its interval of the two on the same draws.

    Args:
        scores: by name of the forecast, each made with `keep`.
        references: names of forecasts to form the skill over; those that are not in `scores` are passed over.
        block: sequences that are drawn together, as for `resample`.
        seed: of the draws.

    Returns:
        {forecast: {metric: Summary}}.

    Raises:
        UsageError: scores made without `keep`.
    """
    drawn = {name: draw_scores(forecast, block=block, seed=seed) for name, forecast in scores.items()}
    summaries: dict[str, dict[str, Summary]] = {}
    for name, forecast in scores.items():
        counts, pixels = forecast.counts(), forecast.pixels
        others = [other for other in references if other != name and other in scores]
        summaries[name] = {}
        for metric, rows in forecast.by_sequence():
            key = metric.name
            statistics = metric.drop_pixels(rows) if isinstance(metric, ChannelMetric) else rows
            summaries[name][key] = Summary(
                metric=metric,
                score=estimate(*drawn[name][key]),
                # Statistics are all zero where nothing of a sequence could be scored.
                sequences=(statistics != 0).any(dim=-1).sum(dim=0).tolist(),
                pixels=metric.count_pixels(rows.sum(dim=0)) if isinstance(metric, ChannelMetric) else pixels,
                counts=counts.get(key, {}),
                skill={
                    other: _estimate_skill(metric.perfect, drawn[name][key], drawn[other][key])
                    for other in others
                    if metric.perfect is not None
                },
            )
    return summaries


class DrawnScore(NamedTuple):
    """A score with its bootstrap draws."""

    by_lead: Float64[Tensor, " K"]
    mean: Float64[Tensor, ""]
    """Mean over lead times."""
    resampled: Resampled


def draw_scores(scores: Scores, *, block: BlockLengths, seed: int) -> dict[str, DrawnScore]:
    """Score the sequences and their resamplings, by metric; arguments are those of `resample`."""
    by_lead, mean = scores.by_lead(), scores.mean()
    return {
        name: DrawnScore(
            torch.tensor(by_lead[name], dtype=torch.float64), torch.tensor(mean[name], dtype=torch.float64), resampled
        )
        for name, resampled in resample(scores, block=block, seed=seed).items()
    }


def estimate(by_lead: Tensor, mean: Tensor, resampled: Resampled) -> Estimate:
    """Estimate a score by lead time (K,) and its mean (), with intervals from its resamplings."""
    ends = bootstrap_interval(resampled.by_lead).T.tolist()
    low, high = bootstrap_interval(resampled.mean).tolist()
    return Estimate(float(mean), (low, high), by_lead.tolist(), [(first, last) for first, last in ends])


def _estimate_skill(perfect: float, ours: DrawnScore, theirs: DrawnScore) -> Estimate:
    resampled = (compute_skill(*pair, perfect) for pair in zip(ours.resampled, theirs.resampled, strict=True))
    return estimate(
        compute_skill(ours.by_lead, theirs.by_lead, perfect),
        compute_skill(ours.mean, theirs.mean, perfect),
        Resampled(*resampled),
    )


Estimates = Mapping[str, Mapping[str, Estimate]]
"""{forecast: {metric: estimate}}."""
