"""Continuous ranked probability score, fair or of the ensemble as it is, of all values or of those above a threshold."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.metrics.categorical import name_at_threshold, scale_threshold
from framecast.metrics.ensemble.members import MemberFrame, SeenFrame, TrueFrame, score_leads, sum_frame
from framecast.metrics.reductions import divide_sums
from framecast.types import Frames, Valid


def compute_crps(members: MemberFrame, truth: TrueFrame, *, fair: bool) -> TrueFrame:
    """Compute mean |x_i - y| - sum |x_i - x_j| / (2 M (M - 1)), fair; or / (2 M^2), of the ensemble.

    Of one member it is the absolute error.

    Source: Gneiting, Raftery 2007, J. Am. Stat. Assoc. 102; Ferro 2014, Q. J. R. Meteorol. Soc. 140 (fair).
    """
    count = members.shape[1]
    error = (members - truth[:, None]).abs().mean(1)
    if count == 1:
        return error
    # of sorted members, the sum over pairs of |x_i - x_j| is a sum of weighted members
    ranks = torch.arange(count, dtype=members.dtype, device=members.device)
    weights = (2 * ranks - count + 1).view(-1, *[1] * (members.ndim - 2))
    pairs = (members.sort(dim=1).values * weights).sum(1)
    return error - pairs / (count * (count - 1) if fair else count**2)


def _pool(members: MemberFrame, truth: TrueFrame, seen: SeenFrame, *, fair: bool) -> Tensor:
    crps = torch.where(seen, compute_crps(members, truth, fair=fair), 0.0)
    return torch.stack([sum_frame(crps), sum_frame(seen)], -1)


@final
class CRPS(Metric):
    """Continuous ranked probability score: mean over observed pixels, members clipped. In range; less is better.

    The mean absolute error of an ensemble: of one member it is that. Fair, it is what infinitely many members of the
    same kind would have, so that ensembles of different sizes can be compared.

    Args:
        fair: whether pairs of members count M (M - 1) times, `crps`; else M^2 times, `crps_ensemble`.

    Note:
        It looks at each pixel alone and cannot see whether neighbours belong together: members of white noise score
        as well as those of rain. Read it beside that of 16-pixel means (`crps/16px`).

    Source: Gneiting, Raftery 2007, J. Am. Stat. Assoc. 102; Ferro 2014, Q. J. R. Meteorol. Soc. 140.
    """

    unit = "range"
    better = "less"
    perfect = 0.0
    of_members = True

    def __init__(self, *, fair: bool = True) -> None:
        self.name = "crps" if fair else "crps_ensemble"
        self.fair = fair

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of the CRPS of pixels, number of observed pixels."""
        return score_leads(lambda *frame: _pool(*frame, fair=self.fair), prediction, truth, valid)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)


@final
class ThresholdWeightedCRPS(Metric):
    """Fair CRPS of what lies above a threshold: of max(x, t) and max(y, t). In range; less is better.

    Args:
        threshold: t, raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.

    Source: Allen, Ginsbourger, Ziegel 2023, SIAM/ASA J. Uncertain. Quantif. 11 (chaining function max(x, t)).
    """

    unit = "range"
    better = "less"
    perfect = 0.0
    of_members = True

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0) -> None:
        self.name = name_at_threshold("twcrps", threshold)
        self.threshold = scale_threshold(threshold, low, high)

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of the CRPS of pixels, number of observed pixels."""
        return score_leads(self._score, prediction, truth, valid)

    def _score(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        # clamp keeps a NaN
        return _pool(members.clamp_min(self.threshold), truth.clamp_min(self.threshold), seen, fair=True)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)
