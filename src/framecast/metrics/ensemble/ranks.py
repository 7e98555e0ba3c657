"""Rank histogram: where the truth lies among the members, and a test whether it lies anywhere alike."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.metrics.categorical import scale_threshold
from framecast.metrics.ensemble.members import MemberFrame, SeenFrame, TrueFrame, keep_nan, score_leads
from framecast.types import Frames, Valid

LEAST_RAIN = {"dBZ": 5.0, "mm/h": 0.1}
"""Least value of rain by units: pixels where neither truth nor a member has it are left out, as they flatten ranks."""
_STREAM = 0x7135


@final
class RankHistogram(Metric):
    """Outer bins of the rank histogram: their mean count over that of all bins. No unit; closer to 1 is better.

    Above 1, truth lies outside of the members too often: too little spread, or a bias. Below 1, too much spread. The
    histogram itself is `histogram`. Among members that are equal to the truth its rank is drawn at random, from
    numbers that depend on the pixel only. An ensemble of another size than was said is spread over the same bins.

    Args:
        members: M; there are M + 1 bins.
        wet: only pixels where truth or a member reaches this value count, raw units; None for all.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Source: Hamill 2001, Monthly Weather Review 129.
    """

    unit = "1"
    better = "one"
    of_members = True

    def __init__(self, members: int, wet: float | None = None, low: float = 0.0, high: float = 1.0) -> None:
        self.name = "rank_outer"
        self.size = members + 1
        self.wet = None if wet is None else scale_threshold(wet, low, high)

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Number of pixels whose truth has each rank."""
        return score_leads(self._count, prediction, truth, valid)

    def _count(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        count = members.shape[1]
        below, equal = ((compare(members, truth[:, None])).sum(1) for compare in (torch.lt, torch.eq))
        generator = torch.Generator().manual_seed(_STREAM)  # on the CPU, so that devices draw alike
        lots = torch.rand(2, *truth.shape[1:], dtype=torch.float64, generator=generator).to(truth.device)
        rank = below + (lots[0] * (equal + 1)).floor()
        # of M members each rank is a bin; of others, a share of the bins
        bins = ((rank + lots[1]) * self.size / (count + 1)).floor() if count + 1 != self.size else rank
        counted = seen
        if self.wet is not None:
            counted = seen & ((truth >= self.wet) | (members >= self.wet).any(1))
        index = bins.long().clamp(0, self.size - 1).flatten(1)
        histogram = truth.new_zeros(len(truth), self.size).scatter_add(1, index, counted.double().flatten(1))
        return keep_nan(histogram, members)

    def close(self, sums: Sums) -> ScoreValues:
        """Mean of the two outer bins over the mean of all."""
        return (sums[:, 0] + sums[:, -1]) / 2 / sums.mean(-1)

    def histogram(self, sums: Sums) -> Float64[Tensor, "T S"]:
        """Share of each rank by lead time, (K, M + 1)."""
        return sums / sums.sum(-1, keepdim=True)


def flatness_test(counts: Float64[Tensor, "*rows S"]) -> tuple[Float64[Tensor, "*rows"], Float64[Tensor, "*rows"]]:
    """Test whether a rank histogram is flat, by Pearson's chi squared.

    Args:
        counts: (..., S), of independent cases. Pixels of a frame are none: take those of a few far places, or read
            the bootstrap interval of `rank_outer`, which draws whole sequences.

    Returns:
        chi squared, and the probability of one as large if truth were one of the members.

    Source: Jolliffe, Primo 2008, Monthly Weather Review 136.
    """
    expected = counts.mean(-1, keepdim=True)
    statistic = ((counts - expected).square() / expected).sum(-1)
    freedom = torch.full_like(statistic, (counts.shape[-1] - 1) / 2)
    return statistic, torch.special.gammaincc(freedom, statistic / 2)
