"""Everything that is said of forecasts scored on the same sequences: scores, intervals, samples, skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.metrics.aggregation import Scores
from framecast.metrics.base import Metric
from framecast.metrics.bootstrap import Block, Resampled, bootstrap_interval, resample, skill_score
from framecast.metrics.per_channel import ChannelMetric

Ends = tuple[float, float]
"""Lower and upper end of an interval; NaN where there is none."""


class Estimate(NamedTuple):
    """A score, or a skill, with what it would scatter over."""

    mean: float
    """Over lead times."""
    mean_interval: Ends
    by_lead: list[float]
    by_lead_interval: list[Ends]


class Summary(NamedTuple):
    """One metric of one forecast."""

    metric: Metric
    score: Estimate
    sequences: list[int]
    """How many sequences had anything to score, by lead time."""
    pixels: list[int]
    """How many pixels were observed, by lead time."""
    counts: dict[str, list[float]]
    """Hits and their kin by lead time, where the metric has them."""
    skill: dict[str, Estimate]
    """Over other forecasts, by their names."""

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
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
    scores: Mapping[str, Scores], references: Sequence[str], *, block: Block = 1, seed: int = 0
) -> dict[str, dict[str, Summary]]:
    """Summarise forecasts that were scored by the same metrics on the same sequences.

    The skill of a mean over lead times is formed of the two means, and its interval of the two on the same draws.

    Args:
        scores: by name of the forecast, each made with `keep`.
        references: names of the forecasts to form the skill over; those that were not scored are passed over.
        block: which sequences are one event, see `resample`.
        seed: of the draws.

    Returns:
        {forecast: {metric: Summary}}.

    Raises:
        UsageError: nothing was kept.
    """
    drawn = {name: _drawn(one, block, seed) for name, one in scores.items()}
    found: dict[str, dict[str, Summary]] = {}
    for name, one in scores.items():
        counts, pixels = one.counts(), one.pixels
        others = [other for other in references if other != name and other in scores]
        found[name] = {}
        for metric, rows in one.by_sequence():
            key = metric.name
            own = metric.own_sums(rows) if isinstance(metric, ChannelMetric) else rows
            found[name][key] = Summary(
                metric=metric,
                score=estimate(*drawn[name][key]),
                sequences=(own != 0).any(dim=-1).sum(dim=0).tolist(),
                pixels=metric.pixels(rows.sum(dim=0)) if isinstance(metric, ChannelMetric) else pixels,
                counts=counts.get(key, {}),
                skill={
                    other: _skill(metric.perfect, drawn[name][key], drawn[other][key])
                    for other in others
                    if metric.perfect is not None
                },
            )
    return found


class _Drawn(NamedTuple):
    by_lead: Tensor
    mean: Tensor
    resampled: Resampled


def _drawn(scores: Scores, block: Block, seed: int) -> dict[str, _Drawn]:
    """By metric, the scores themselves and those of the resamplings."""
    by_lead, mean = scores.by_lead(), scores.mean()
    return {
        name: _Drawn(
            torch.tensor(by_lead[name], dtype=torch.float64), torch.tensor(mean[name], dtype=torch.float64), resampled
        )
        for name, resampled in resample(scores, block=block, seed=seed).items()
    }


def estimate(by_lead: Tensor, mean: Tensor, resampled: Resampled) -> Estimate:
    """A score by lead time (K,) and over all lead times (), with the intervals of its resamplings."""
    ends = bootstrap_interval(resampled.by_lead).T.tolist()
    low, high = bootstrap_interval(resampled.mean).tolist()
    return Estimate(float(mean), (low, high), by_lead.tolist(), [(first, last) for first, last in ends])


def _skill(perfect: float, ours: _Drawn, theirs: _Drawn) -> Estimate:
    resampled = (skill_score(*pair, perfect) for pair in zip(ours.resampled, theirs.resampled, strict=True))
    return estimate(
        skill_score(ours.by_lead, theirs.by_lead, perfect),
        skill_score(ours.mean, theirs.mean, perfect),
        Resampled(*resampled),
    )


Estimates = Mapping[str, Mapping[str, Estimate]]
"""{forecast: {metric: estimate}}."""
