"""Base that moves the last frame along the motion of the last four, as radar nowcasts do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.bases.base import Base, BaseFields, RunningMean
from framecast.bases.constant import smooth_trends
from framecast.motion import TRACKED_FRAMES, Path, advect, average_channels, estimate_batch, trace_back

EDGE = 1e-3
"""Share of missing pixels in a moved one from which on it counts as missing."""


class Track(NamedTuple):
    """Last frames, and the motion at the newest."""

    frames: tuple[Tensor, ...]
    """The last frames, up to `TRACKED_FRAMES`, the newest last, (B, C, H, W) each."""
    seen: tuple[Tensor, ...]
    """Their masks, False where missing."""
    motion: Tensor | None
    """(B, 2, H, W), pixels per frame in x and y; None where it was not given, and is found when it is needed."""
    mean: RunningMean


class AdvectedFrame(Base):
    """Base that moves the last frame along its motion; what flows in is the mean of the context.

    Its changes are growth and decay: the newest frame less earlier ones, moved to it; smoothed, and moved on to the lead
    time (Lagrangian tendencies).

    Args:
        targets: number of the first channels, whose mean is tracked; all move together.
    """

    changes = 3
    tracks = True

    def __init__(self, targets: int) -> None:
        super().__init__()
        self.targets = targets

    @torch.no_grad()
    def observe(self, frame: Tensor, seen: Tensor, state: Track | None, motion: Tensor | None = None) -> Track:
        """Keep the frame, and the motion at it."""
        frames = ((frame,) if state is None else (*state.frames, frame))[-TRACKED_FRAMES:]
        masks = ((seen,) if state is None else (*state.seen, seen))[-TRACKED_FRAMES:]
        return Track(frames, masks, motion, RunningMean.update(None if state is None else state.mean, frame, seen))

    @torch.no_grad()
    def look_ahead(self, state: Track, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Move the last frame on, step by step."""
        last, mean = state.frames[-1], state.mean.mean
        seen = state.seen[-1].all(1, keepdim=True).to(last.dtype)
        trace = trace_back(self._find_motion(state) if state.motion is None else state.motion)
        paths = list(islice(trace, len(state.frames) - 1))
        rates = find_growth(state, paths)
        for lead in count(1):
            if len(paths) < lead:
                paths.append(next(trace))
            yield self.move(last, seen, mean, rates, paths[lead - 1], lead)

    def _find_motion(self, state: Track) -> Tensor:
        values, known = (torch.stack(parts, 1)[:, :, : self.targets] for parts in (state.frames, state.seen))
        return estimate_batch(average_channels(values, known)).to(values.dtype)

    def move(self, last: Tensor, seen: Tensor, mean: Tensor, rates: Tensor, path: Path, lead: int) -> BaseFields:
        """Move the last frame, its mask and the rates of change along a path."""
        channels = last.shape[1]
        moved = advect(torch.cat([last, seen, rates.flatten(1, 2)], 1), path)
        frame, mask, tendencies = moved.split((channels, 1, moved.shape[1] - channels - 1), 1)
        frame = torch.where(path.inside, frame, mean)
        changes = torch.where(path.inside, tendencies, 0).unflatten(1, rates.shape[1:3]) * lead
        return BaseFields(frame, path.inside & (mask > 0.5), mean, changes, frame)


def find_growth(state: Track, paths: Sequence[Path]) -> Tensor:
    """Find growth and decay per step, (B, 3, C, H, W): the newest frame less earlier ones, moved to it, smoothed.

    Args:
        state: the last frames.
        paths: back by 1, 2, ... frames, one for each earlier frame.
    """
    last, differences = state.frames[-1], []
    for earlier, mask, path in zip(state.frames[-2::-1], state.seen[-2::-1], paths, strict=True):
        moved, observed = advect(torch.cat([earlier, mask.to(earlier.dtype)], 1), path).chunk(2, 1)
        both = path.inside & state.seen[-1] & (observed > 1 - EDGE)
        differences.append(torch.where(both, last - moved, 0))
    return smooth_trends(differences, last)
