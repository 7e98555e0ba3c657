"""Conformal intervals: percentiles of the members, widened until they hold the truth as often as they say.

By lead time and class of the members' mean. The promise is that of Lee, Barber, Willett 2023 (arXiv 2306.06342) for
groups: if windows are exchangeable, as of the same weather in any order, truth at a random pixel of a new window lies
inside with at least the level's probability, whatever the errors are like. Pixels of a window are no independent cases,
so each window weighs the same, and one more counts as missed.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from framecast.types import Finite

USUAL_LEVELS = (0.5, 0.8, 0.9)
"""Shares of the cases that intervals are fitted for."""
CLASSES = (0.05, 0.15, 0.3, 0.45)
"""Means of the members between classes, on the scale of the errors: for rain 3.5, 10.5, 21 and 31.5 dBZ."""
BINS = 512
"""Bins of distances from -1 to 1 on that scale."""

Widening = Annotated[tuple[Finite | None, ...], Field(min_length=len(CLASSES) + 1, max_length=len(CLASSES) + 1)]


class Intervals(BaseModel):
    """Widening of the members' percentiles by level, lead time and class of their mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1, max_length=16)]
    widening: Annotated[tuple[tuple[Widening, ...], ...], Field(max_length=16)]
    """By level, lead time, class, on the scale of the errors; None where so few windows can promise nothing."""

    @model_validator(mode="after")
    def _check(self) -> Intervals:
        if len(self.widening) != len(self.levels) or not all(self.widening):
            raise ValueError("not one widening, of at least one lead time, for each level")
        return self

    def find_ends(self, members: Tensor, level: float, lead: int) -> tuple[Tensor, Tensor]:
        """Find the ends of the interval of each pixel.

        Args:
            members: (M, C, H, W), on the scale of the errors.
            level: one of `levels`.
            lead: 0 first; after the last fitted one as at that.

        Returns:
            (C, H, W) each; without ends (infinite) where nothing can be promised.
        """
        rows = self.widening[self.levels.index(level)]
        row = torch.tensor([torch.inf if one is None else one for one in rows[min(lead, len(rows) - 1)]])
        wider = row[_classify(members)].to(members.dtype)
        low, high = (find_quantile(members, share) for share in ((1 - level) / 2, (1 + level) / 2))
        low, high = low - wider, high + wider
        middle = torch.where(low > high, (low + high) / 2, torch.nan)  # narrowed to nothing
        return torch.where(low > high, middle, low), torch.where(low > high, middle, high)


class IntervalStatistics:
    """Sums over windows of how far truth lay beyond the percentiles of the members, each window weighing the same.

    Args:
        levels: of the intervals.
        horizon: K, lead times.
    """

    def __init__(self, levels: tuple[float, ...], horizon: int) -> None:
        self.levels = levels
        shape = len(levels), horizon, len(CLASSES) + 1
        self._shares = torch.zeros(*shape, BINS + 1, dtype=torch.float64)
        self._windows = torch.zeros(*shape, dtype=torch.float64)

    def update(self, lead: int, members: Tensor, truth: Tensor, seen: Tensor) -> None:
        """Include one lead time of one window.

        Args:
            lead: 0 first.
            members: (M, C, H, W), on the scale of the errors.
            truth: (C, H, W), on that scale.
            seen: (C, H, W), where it counts.
        """
        classes = _classify(members)[seen]
        count = torch.bincount(classes, minlength=len(CLASSES) + 1).double()
        for number, level in enumerate(self.levels):
            low, high = (find_quantile(members, share) for share in ((1 - level) / 2, (1 + level) / 2))
            beyond = torch.maximum(low - truth, truth - high)[seen].double()
            # rounded up, which may cover more but never less
            place = ((beyond + 1) * (BINS / 2)).sub(1e-6).ceil().long().clamp(0, BINS)
            table = torch.bincount(classes * (BINS + 1) + place, minlength=(BINS + 1) * len(count)).view(-1, BINS + 1)
            self._shares[number, lead] += table / count[:, None].clamp_min(1)
            self._windows[number, lead] += count > 0

    def close(self) -> Intervals:
        """Find the least widening that holds the levels, one more window counted as missed."""
        held = self._shares.cumsum(-1) / (self._windows[..., None] + 1)
        enough = held >= torch.tensor(self.levels, dtype=torch.float64)[:, None, None, None] - 1e-9
        # the last bin holds all distances that are larger, so it promises nothing
        first = enough.double().argmax(-1)
        known = enough[..., :-1].any(-1)
        widening = first / (BINS / 2) - 1
        rows = tuple(
            tuple(
                tuple(float(value) if there else None for value, there in zip(*pair, strict=True))
                for pair in zip(by_lead.tolist(), there.tolist(), strict=True)
            )
            for by_lead, there in zip(widening, known, strict=True)
        )
        return Intervals(levels=self.levels, widening=rows)


def _classify(members: Tensor) -> Tensor:
    """Number the class of the members' mean at each pixel, (C, H, W)."""
    return torch.bucketize(members.mean(0), torch.tensor(CLASSES, dtype=members.dtype))


def find_quantile(members: Tensor, share: float) -> Tensor:
    """Find the value that a share of the members (M, ...) lies below, between the sorted ones; NaN where any is."""
    # torch.quantile takes no more than 16 million values
    ordered = members.sort(0).values
    place = share * (len(members) - 1)
    first = min(int(place), len(members) - 1)
    return torch.lerp(ordered[first], ordered[min(first + 1, len(members) - 1)], place - first)
