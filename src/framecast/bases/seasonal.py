"""Base that repeats the values one period earlier, as of the same hour of the day before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.bases.base import Base, BaseFields, RunningMean, all_known
from framecast.bases.constant import HISTORY, smooth_trends


class Season(NamedTuple):
    """Frames of the last period and the one before the newest."""

    frames: tuple[Tensor, ...]
    """Up to period + 1 frames, the newest last, (B, C, H, W) each."""
    mean: RunningMean


class Seasonal(Base):
    """Base that repeats the values one period earlier; the last frame where the context does not reach back so far.

    Its first change is the newest frame's difference from the season: how much warmer it is than yesterday.

    Args:
        period: frames.
    """

    changes = 4

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period

    def observe(self, frame: Tensor, seen: Tensor, state: Season | None, motion: Tensor | None = None) -> Season:
        """Keep the frame for one period."""
        if state is None:
            return Season((frame,), RunningMean.update(None, frame))
        kept = max(self.period, HISTORY) + 1
        return Season((*state.frames, frame)[-kept:], RunningMean.update(state.mean, frame))

    def look_ahead(self, state: Season, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Repeat the last period."""
        frames, last, known = state.frames, state.frames[-1], all_known(state.frames[-1])
        trends = smooth_trends([last - earlier for earlier in frames[-2::-1]], last)
        anomaly = last - frames[-1 - self.period] if len(frames) > self.period else torch.zeros_like(last)
        lead = 0
        while lead := lead + 1:
            back = self.period - (lead - 1) % self.period
            earlier = frames[-back] if back <= len(frames) else last
            changes = torch.cat([anomaly[:, None], trends * lead], 1)
            yield BaseFields(earlier, known, state.mean.mean, changes, earlier)
