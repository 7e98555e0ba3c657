"""Bases that forecast one frame for all lead times: the last one, or the mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.bases.base import Base, BaseFields, RunningMean, all_known, smooth

HISTORY = 3
"""Steps back to the earlier frame of the longer trend."""


class History(NamedTuple):
    """Last frames and their mean."""

    frames: tuple[Tensor, ...]
    """The last frames, up to `HISTORY` + 1, the newest last, (B, C, H, W) each."""
    seen: tuple[Tensor, ...]
    """Their masks, False where missing."""
    mean: RunningMean


class LastFrame(Base):
    """Base that repeats the last frame; its changes are smoothed trends over one step and over three."""

    changes = 3

    def observe(self, frame: Tensor, seen: Tensor, state: History | None, motion: Tensor | None = None) -> History:
        """Keep the frame."""
        frames = ((frame,) if state is None else (*state.frames, frame))[-HISTORY - 1 :]
        masks = ((seen,) if state is None else (*state.seen, seen))[-HISTORY - 1 :]
        return History(frames, masks, RunningMean.update(None if state is None else state.mean, frame, seen))

    def look_ahead(self, state: History, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Repeat the last frame."""
        last, known, mean = state.frames[-1], all_known(state.frames[-1]), state.mean.mean
        rates = smooth_trends(list_differences(state.frames, state.seen), last)
        lead = 0
        while lead := lead + 1:
            yield BaseFields(last, known, mean, rates * lead, last)


class ContextMean(LastFrame):
    """Base that repeats the mean of the context; its first change is the way from there to the last frame."""

    changes = 4

    def look_ahead(self, state: History, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Repeat the mean."""
        for fields in super().look_ahead(state):
            away = fields.forecast - fields.mean
            yield fields._replace(
                forecast=fields.mean, values=fields.mean, changes=torch.cat([away[:, None], fields.changes], 1)
            )


def list_differences(frames: Sequence[Tensor], seen: Sequence[Tensor]) -> list[Tensor]:
    """List the newest frame less those 1, 2, ... steps before it, (B, C, H, W) each; 0 where one of both is missing."""
    pairs = zip(frames[-2::-1], seen[-2::-1], strict=True)
    return [torch.where(seen[-1] & mask, frames[-1] - earlier, 0) for earlier, mask in pairs]


def smooth_trends(differences: list[Tensor], like: Tensor) -> Tensor:
    """Smooth the changes per step up to now: over one step by 5 and 15 pixels, over three steps by 15 pixels, twice each.

    Args:
        differences: the newest frame less those 1, 2, ... steps before it, each (B, C, H, W); zero for those not there.
        like: (B, C, H, W).

    Returns:
        (B, 3, C, H, W), change per step.
    """
    nothing = torch.zeros_like(like)
    short = differences[0] if differences else nothing
    long = differences[HISTORY - 1] / HISTORY if len(differences) >= HISTORY else nothing
    return torch.stack([smooth(smooth(short, 1), 2), smooth(smooth(short, 7), 7), smooth(smooth(long, 7), 7)], 1)
