"""Scores of whole frames: the energy score, the variogram score, the probabilistic fractions skill score."""

from __future__ import annotations

from types import EllipsisType
from typing import final

import torch
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.metrics.categorical import name_at_threshold, scale_threshold
from framecast.metrics.ensemble.members import MemberFrame, SeenFrame, TrueFrame, keep_nan, score_leads, sum_frame
from framecast.metrics.fss import sum_windows
from framecast.metrics.reductions import divide_sums
from framecast.types import Frames, Valid


def _average_frames(score: Tensor, seen: SeenFrame) -> Tensor:
    """Statistics of a mean over frames: (score, 1), (0, 0) where nothing was observed."""
    scored = seen.flatten(1).any(1)
    return torch.stack([torch.where(scored, score, 0.0), scored.double()], -1)


@final
class EnergyScore(Metric):
    """Fair energy score: CRPS of whole frames, mean |x_i - y| - sum |x_i - x_j| / (2 M (M - 1)) of Euclidean norms.

    Over the observed pixels of a frame, mean over frames; in range. Less is better. Of one member it is the norm of
    the error.

    Source: Gneiting, Raftery 2007, J. Am. Stat. Assoc. 102, eq. 22.
    """

    name = "energy"
    unit = "range"
    better = "less"
    perfect = 0.0
    of_members = True

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Energy score of the frame, number of frames."""
        return score_leads(self._score, prediction, truth, valid)

    def _score(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        count, vectors = members.shape[1], members.flatten(2)
        error = (vectors - truth.flatten(1)[:, None]).norm(dim=-1).mean(1)
        # by differences: the product of large vectors would round to 1e-7
        pairs = [(vectors[:, i:] - vectors[:, i - 1 : i]).norm(dim=-1).sum(1) for i in range(1, count)]
        total = torch.stack(pairs).sum(0) if pairs else torch.zeros_like(error)
        return _average_frames(error - total / (count * max(count - 1, 1)), seen)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)


Cut = tuple[EllipsisType, slice, slice]
"""Rows and columns of frames, as an index."""
LAGS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 3), (3, 0))
"""Distances of the pairs of a variogram, pixels down and to the right."""


@final
class VariogramScore(Metric):
    """Variogram score: (|y_a - y_b|^p - mean |x_a - x_b|^p)^2 over pairs of pixels 1 to 3 apart. Less is better.

    p = 1/2; mean over the pairs of which both were observed, in range. It sees whether neighbours belong together,
    which scores of single pixels do not; it does not see a bias that all pixels share.

    Source: Scheuerer, Hamill 2015, Monthly Weather Review 143, with equal weights of the pairs in `LAGS`.
    """

    name = "variogram"
    unit = "range"
    better = "less"
    perfect = 0.0
    of_members = True

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum over pairs, number of pairs."""
        return score_leads(self._score, prediction, truth, valid)

    def _score(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        total, pairs = (truth.new_zeros(len(truth)) for _ in range(2))
        for lag in LAGS:
            first, second = _shift(lag, *truth.shape[-2:])
            both = seen[first] & seen[second]
            observed = (truth[first] - truth[second]).abs().sqrt()
            expected = (members[first] - members[second]).abs().sqrt().mean(1)
            total += sum_frame(torch.where(both, (observed - expected).square(), 0.0))
            pairs += sum_frame(both)
        return torch.stack([total, pairs], -1)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)


def _shift(lag: tuple[int, int], height: int, width: int) -> tuple[Cut, Cut]:
    """Slices of rows and columns that a lag takes to one another."""
    down, right = lag
    rows, columns = max(height - down, 0), max(width - abs(right), 0)
    left, other = max(-right, 0), max(right, 0)
    return (
        (..., slice(0, rows), slice(left, left + columns)),
        (..., slice(down, down + rows), slice(other, other + columns)),
    )


@final
class ProbabilisticFSS(Metric):
    """Probabilistic fractions skill score: FSS of the share of members and pixels with an event around each pixel.

    0..1; more is better. Of one member it is `fss`.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.
        scale: side of the window, pixels.

    Raises:
        UsageError: unless low < threshold <= high and the scale is at least 1.

    Source: Schwartz et al. 2010, Weather and Forecasting 25; Necker et al. 2024, Q. J. R. Meteorol. Soc. 150.
    """

    unit = "1"
    better = "more"
    perfect = 1.0
    size = 3
    of_members = True

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0, *, scale: int = 1) -> None:
        if scale < 1:
            raise UsageError("scale of pfss", got=scale, expected="at least 1 pixel")
        self.name = f"{name_at_threshold('pfss', threshold)}/{scale}px"
        self.threshold, self.scale = scale_threshold(threshold, low, high), scale

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Sums of p^2, p o and o^2 over the frame."""
        return score_leads(self._score, prediction, truth, valid)

    def _score(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        shares = []
        for event in ((members >= self.threshold).double().mean(1), (truth >= self.threshold).double()):
            inside = torch.where(seen, event, 0.0)[:, None]
            shares.append(sum_windows(inside, self.scale)[:, 0] / self.scale**2)
        p, o = shares
        return keep_nan(torch.stack([sum_frame(p * p), sum_frame(p * o), sum_frame(o * o)], -1), members)

    def close(self, sums: Sums) -> ScoreValues:
        """One minus the error of the shares over the largest that it could be."""
        predicted, both, observed = sums.unbind(-1)
        return 1 - (predicted - 2 * both + observed) / (predicted + observed)
