"""Base that repeats the values one period earlier, as of the same hour of the day before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.bases.base import Base, BaseFields, RunningMean, all_known
from framecast.bases.constant import HISTORY, list_differences, smooth_trends


class Season(NamedTuple):
    """Frames of the last period and the one before the newest."""

    frames: tuple[Tensor, ...]
    """Up to period + 1 frames, the newest last, (B, C, H, W) each."""
    seen: tuple[Tensor, ...]
    """Their masks, False where missing."""
    mean: RunningMean

    def change_since(self, back: int) -> Tensor:
        """Find the newest frame's difference from the `back`-th one from the end; zero where either is missing."""
        both = self.seen[-1] & self.seen[-back]
        return torch.where(both, self.frames[-1] - self.frames[-back], 0)


class LastPeriod(Base):
    """Base that repeats the values one period earlier; the last frame where the context does not reach back so far.

    Its first changes are the newest frame's difference from the forecast, which leads to persistence, and from the frame
    one period before it: how much warmer it is than yesterday. Where the context is just one period long, as a day is of
    hours, the frame after that one stands in.

    Args:
        period: frames.
    """

    changes = 5

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period

    def observe(self, frame: Tensor, seen: Tensor, state: Season | None, motion: Tensor | None = None) -> Season:
        """Keep the frame for one period."""
        kept = max(self.period, HISTORY) + 1
        frames = ((frame,) if state is None else (*state.frames, frame))[-kept:]
        masks = ((seen,) if state is None else (*state.seen, seen))[-kept:]
        return Season(frames, masks, RunningMean.update(None if state is None else state.mean, frame, seen))

    def look_ahead(self, state: Season, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Repeat the last period."""
        frames, last, known = state.frames, state.frames[-1], all_known(state.frames[-1])
        recent = list_differences(frames[-HISTORY - 1 :], state.seen[-HISTORY - 1 :])
        trends = smooth_trends(recent, last)
        anomaly = state.change_since(min(self.period + 1, len(frames)) if len(frames) >= self.period else 1)
        lead = 0
        while lead := lead + 1:
            back = self.period - (lead - 1) % self.period
            back = back if back <= len(frames) else 1
            changes = torch.cat([torch.stack([state.change_since(back), anomaly], 1), trends * lead], 1)
            earlier = torch.where(state.seen[-back], frames[-back], last)
            yield BaseFields(earlier, known, state.mean.mean, changes, earlier)
