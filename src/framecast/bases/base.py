"""Interface of a base: it observes the true frames of a sequence, and forecasts all lead times from the newest one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDE, STRIP = 2048, 64
"""Columns of maps from which on they are cumulated in strips, and columns of a strip: a third of the time at 7,000."""


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
    if torch.compiler.is_exporting():  # a graph for maps of any size knows no branches on it
        return _pool(_pool(maps, (0, radius)), (radius, 0))
    return _smooth_along(_smooth_along(maps, radius, -1), radius, -2)


def _smooth_along(maps: Tensor, radius: int, dim: int) -> Tensor:
    """Average along the last axis or the one before, by differences of cumulated sums: the width costs nothing."""
    size = maps.shape[dim]
    radius = min(radius, size - 1)
    sums = maps.cumsum(dim) if dim == -1 or maps.shape[-1] <= WIDE else _cumulate_columns(maps)
    # the sum up to the far end of the square, less that before its near end; past the map it stays what it is there
    means = torch.empty_like(sums)
    means.narrow(dim, 0, size - radius).copy_(sums.narrow(dim, radius, size - radius))
    means.narrow(dim, size - radius, radius).copy_(
        sums.narrow(dim, size - 1, 1).expand_as(means.narrow(dim, 0, radius))
    )
    means.narrow(dim, radius + 1, size - radius - 1).sub_(sums.narrow(dim, 0, size - radius - 1))
    centre = torch.arange(size, device=maps.device)
    count = (centre + radius + 1).clamp_max(size) - (centre - radius).clamp_min(0)
    return means.div_(count if dim == -1 else count[:, None])


def _pool(maps: Tensor, radii: tuple[int, int]) -> Tensor:
    """Average maps over rectangles, by adding up."""
    squares = tuple(2 * radius + 1 for radius in radii)
    pooled = F.avg_pool2d(maps.flatten(0, -3)[:, None], squares, 1, radii, count_include_pad=False)
    return pooled.view(maps.shape)


def _cumulate_columns(maps: Tensor) -> Tensor:
    """Cumulate down the columns of wide maps, in strips, whose rows are still in the cache when the next ones come."""
    return torch.cat([strip.contiguous().cumsum(-2) for strip in maps.split(STRIP, -1)], -1)


class RunningMean(NamedTuple):
    """Mean of the frames so far, of what was observed in each pixel."""

    mean: Tensor
    """(B, C, H, W); where nothing was observed the values that stand for missing pixels."""
    observed: Tensor
    """(B, C, H, W), number of frames in which the pixel was observed."""

    @classmethod
    def update(cls, before: RunningMean | None, frame: Tensor, seen: Tensor) -> RunningMean:
        """Include a frame (B, C, H, W), and its mask, False where missing."""
        seen = seen.to(frame.dtype)
        if before is None:
            return cls(frame, seen)
        observed = before.observed + seen
        return cls(before.mean + (frame - before.mean) * (seen / observed.clamp_min(1)), observed)


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
