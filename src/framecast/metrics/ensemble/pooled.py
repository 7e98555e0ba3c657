"""Scores on means over areas, where members that are right pixel by pixel but not together are found out."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.types import Frames, Valid

LEAST_SHARE = 0.5
"""Share of an area that has to be observed, so that its mean counts."""


@final
class Pooled(Metric):
    """Score of an ensemble on means over squares of pixels, clipped to the value range before they are averaged.

    Squares of which less than half was observed are left out, and rows and columns that fill none.

    Args:
        metric: a score of members.
        side: of a square, pixels.
    """

    of_members = True

    def __init__(self, metric: Metric, side: int = 16) -> None:
        self.metric, self.side = metric, side
        self.name = f"{metric.name}/{side}px"
        self.unit, self.better, self.perfect = metric.unit, metric.better, metric.perfect
        self.size, self.parts = metric.size, metric.parts
        self.shared = metric.shared and f"{metric.shared}/{side}px"

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Statistics of the metric on the means."""
        seen = torch.ones_like(truth, dtype=torch.bool) if valid is None else valid
        share = self._average(seen.double())
        means = self._average(torch.where(seen, truth.double(), 0.0)) / share
        # lead by lead: all members in double precision at once would be twice what they take
        frames = [
            self._average(torch.where(seen[:, None, lead], prediction[:, :, lead].double().clamp(0, 1), 0.0))
            / share[:, None, lead]
            for lead in range(truth.shape[1])
        ]
        # half and half falls to the observed, on any grid of equal squares
        return self.metric.statistics(torch.stack(frames, 2), means, share >= LEAST_SHARE)

    def _average(self, maps: Tensor) -> Tensor:
        return avg_pool2d(maps.flatten(0, -4), self.side).unflatten(0, maps.shape[:-3])

    def close(self, sums: Sums) -> ScoreValues:
        """Close the sums of the metric."""
        return self.metric.close(sums)
