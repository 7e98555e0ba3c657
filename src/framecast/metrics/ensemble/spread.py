"""Spread of the members, alone and over the error of their mean."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.metrics.ensemble.members import MemberFrame, SeenFrame, TrueFrame, score_leads, sum_frame
from framecast.types import Frames, Valid


def _sum_variances(members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
    """Sum the variance of members times (M + 1) / M, the squared error of their mean, and the observed pixels."""
    count, mean = members.shape[1], members.mean(1)
    variance = (members - mean[:, None]).square().sum(1) / max(count - 1, 1) * (count + 1) / count
    # both are 0 where missing, as members and truth are
    return torch.stack([sum_frame(variance), sum_frame((mean - truth).square()), sum_frame(seen)], -1)


class _VarianceMetric(Metric):
    """Metric of the variance of the members and the squared error of their mean."""

    size = 3
    shared = "spread"
    of_members = True

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Sums of the variance and of the squared error of the mean, number of observed pixels."""
        return score_leads(_sum_variances, prediction, truth, valid)


@final
class Spread(_VarianceMetric):
    """Spread: root of the mean variance of the members times (M + 1) / M. In range; neither less nor more is better.

    With the factor it is what the error of the mean of M members would be if truth were one more member. Of a single
    forecast it is 0.

    Source: Fortin et al. 2014, J. Hydrometeorol. 15, eq. 15.
    """

    name = "spread"
    unit = "range"
    better = "more"

    def close(self, sums: Sums) -> ScoreValues:
        """Root of the mean variance."""
        return (sums[:, 0] / sums[:, 2]).sqrt()


@final
class SpreadError(_VarianceMetric):
    """Spread over the root mean squared error of the mean of the members. No unit; closer to 1 is better.

    Below 1 the members agree more than they should, above 1 less. Of a single forecast it is 0.

    Source: Fortin et al. 2014, J. Hydrometeorol. 15; Leutbecher, Palmer 2008, J. Comput. Phys. 227.
    """

    name = "spread_error"
    unit = "1"
    better = "one"

    def close(self, sums: Sums) -> ScoreValues:
        """Root of the variance over the squared error."""
        return (sums[:, 0] / sums[:, 1]).sqrt()
