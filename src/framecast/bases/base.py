"""Interface of a base: it observes the true frames of a sequence, and forecasts all lead times from the newest one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BaseFields(NamedTuple):
    """Forecast of a base for one lead time, network units."""

    forecast: Tensor
    """(B, C, H, W)."""
    known: Tensor
    """(B, 1, H, W), whether the base knows the pixel; elsewhere `forecast` is a guess, as where air flows in."""
    mean: Tensor
    """(B, C, H, W), mean of the frames observed so far."""
    changes: Tensor
    """(B, D, C, H, W), estimates of the change that the forecast leaves out, as of growth and decay."""
    values: Tensor
    """(B, C, H, W), the field whose distribution a forecast of this time should have."""


class Base(nn.Module, ABC):
    """Forecast that is known before any training, in network units, frame by frame.

    Its state is a value, a NamedTuple: a forecast from the middle of a stream is that of the frames up to there.
    """

    changes: int
    """D, number of changes that it gives."""
    tracks: bool = False
    """Whether it needs the motion of the frames."""

    @abstractmethod
    def observe(self, frame: Tensor, seen: Tensor, state: Any, motion: Tensor | None = None) -> Any:
        """Take a true frame.

        Args:
            frame: (B, C, H, W), network units, missing pixels filled.
            seen: (B, C, H, W), False where missing.
            state: after the frame before; None before the first one.
            motion: (B, 2, H, W), at this frame, pixels per frame; None to estimate it from the frames.
        """

    @abstractmethod
    def look_ahead(self, state: Any, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Forecast the lead times 1, 2, ... from the newest frame, without end.

        Args:
            state: after the newest frame.
            pace: (B,), time between frames, steps of the training; None for 1.
        """


def smooth(maps: Tensor, radius: int) -> Tensor:
    """Average maps (..., H, W) over squares of 2 radius + 1 pixels; at the border over what lies within the map."""
    return _smooth_last(_smooth_last(maps, radius).transpose(-1, -2), radius).transpose(-1, -2)


def _smooth_last(maps: Tensor, radius: int) -> Tensor:
    """Average along the last axis, by differences of cumulated sums: the width costs nothing."""
    size = maps.shape[-1]
    radius = min(radius, size - 1)
    sums = maps.cumsum(-1)
    # beyond the ends the sum stays what it is there
    padded = torch.cat([F.pad(sums, (radius + 1, 0)), sums[..., -1:].expand(*sums.shape[:-1], radius)], -1)
    centre = torch.arange(size, device=maps.device)
    count = (centre + radius + 1).clamp_max(size) - (centre - radius).clamp_min(0)
    return (padded[..., 2 * radius + 1 :] - padded[..., :size]) / count


class RunningMean(NamedTuple):
    """ContextMean of the frames so far."""

    mean: Tensor
    """(B, C, H, W)."""
    frames: int

    @classmethod
    def update(cls, before: RunningMean | None, frame: Tensor) -> RunningMean:
        """Include a frame."""
        if before is None:
            return cls(frame, 1)
        frames = before.frames + 1
        return cls(before.mean + (frame - before.mean) / frames, frames)


def find_motion(motion: Tensor | None, frame: int) -> Tensor | None:
    """Find the motion at a frame, (B, 2, H, W), among that of the newest N frames, (B, N, 2, H, W); None where none is.

    Args:
        motion: motion of the newest N frames, or None.
        frame: -1 for the newest.
    """
    return None if motion is None or -frame > motion.shape[1] else motion[:, frame]


def all_known(frame: Tensor) -> Tensor:
    """Make a mask (B, 1, H, W) of pixels that are all known."""
    return torch.ones_like(frame[:, :1], dtype=torch.bool)
