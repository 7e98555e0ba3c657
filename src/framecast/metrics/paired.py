"""Paired comparison of models over several seeds: means over seeds, bootstrap of the differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from framecast.metrics.aggregation import Scores
from framecast.metrics.bootstrap import BlockLengths, Resampled
from framecast.metrics.summary import DrawnScore, Estimate, draw_scores, estimate

Entries = Mapping[str, Sequence[Scores]]
"""Scores of the trainings of each entry, all by equal metrics on the same sequences, made with `keep`."""


class Paired:
    """Scores of entries, each the mean over its trainings, resampled together.

    Every draw takes the same sequences for all entries, so a difference does not scatter with how hard they are.
    Intervals are over sequences; how far the trainings of one entry lie apart is measured by `measure_spread`.

    Args:
        entries: by name.
        block: sequences that are drawn together, as for `resample`.
        seed: of the draws.

    Raises:
        UsageError: scores made without `keep`.
    """

    def __init__(self, entries: Entries, *, block: BlockLengths = 1, seed: int = 0) -> None:
        self.entries = entries
        self._averages = {
            name: _average([draw_scores(scores, block=block, seed=seed) for scores in trainings])
            for name, trainings in entries.items()
        }

    def estimate_scores(self) -> dict[str, dict[str, Estimate]]:
        """Estimate {entry: {metric: mean over its trainings}}."""
        return {
            name: {metric: estimate(*score) for metric, score in scores.items()}
            for name, scores in self._averages.items()
        }

    def estimate_differences(self, reference: str) -> dict[str, dict[str, Estimate]]:
        """Estimate {other entry: {metric: its score less that of `reference`}}, with intervals of the paired draws."""
        theirs = self._averages[reference]
        return {
            name: {metric: _estimate_difference(score, theirs[metric]) for metric, score in scores.items()}
            for name, scores in self._averages.items()
            if name != reference
        }

    def measure_spread(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Measure {entry: {metric: smallest and largest mean of its trainings}}."""
        spread = {}
        for name, trainings in self.entries.items():
            means = [scores.mean() for scores in trainings]
            spread[name] = {
                metric: (min(mean[metric] for mean in means), max(mean[metric] for mean in means))
                for metric in means[0]
            }
        return spread


def _average(trainings: Sequence[Mapping[str, DrawnScore]]) -> dict[str, DrawnScore]:
    """Average the trainings of an entry, draw by draw, by metric."""
    averages = {}
    for metric in trainings[0]:
        by_lead, mean, resampled = zip(*(training[metric] for training in trainings), strict=True)
        draws = (torch.stack(values).mean(0) for values in zip(*resampled, strict=True))
        averages[metric] = DrawnScore(torch.stack(by_lead).mean(0), torch.stack(mean).mean(0), Resampled(*draws))
    return averages


def _estimate_difference(ours: DrawnScore, theirs: DrawnScore) -> Estimate:
    draws = (a - b for a, b in zip(ours.resampled, theirs.resampled, strict=True))
    return estimate(ours.by_lead - theirs.by_lead, ours.mean - theirs.mean, Resampled(*draws))
