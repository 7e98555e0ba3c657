"""Contexts of forecasts: what is asked of a source, frames in memory, and stretches of a source joined by others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.types import FrameSpec, Grid, Window


@runtime_checkable
class ContextSource(Protocol):
    """Interface of a source that a forecast continues: a `FileSource`, or frames of another origin."""

    @property
    def spec(self) -> FrameSpec:
        """Channels, size, units and value range of each frame."""

    @property
    def grid(self) -> Grid:
        """Coordinates of the pixels and names of the channels."""

    @property
    def dims(self) -> str:
        """Axes of the origin in order, letters of n t c h w."""

    @property
    def latest(self) -> Sequence[int]:
        """Sequences that are continued."""

    @property
    def lengths(self) -> Sequence[int]:
        """Frames in each sequence."""

    @property
    def read(self) -> Any:
        """Reads frames start..stop-1 of a sequence, raw units, as a Window."""

    @property
    def frame_times(self) -> Any:
        """Finds the time of each frame of a sequence, UTC; None where unknown."""


class FrameWindow:
    """One sequence of slots in memory, equally far apart, some of them without a frame.

    Args:
        frames: (C, H, W) of each slot, raw units, NaN where missing, oldest first; None where no frame is.
        spec: channels, size, units, value range and step; not all slots may be empty.
        times: (slots,), time of each, UTC; None where unknown.
        grid: coordinates of the pixels, where known.
    """

    dims = "tchw"
    latest = (0,)

    def __init__(
        self,
        frames: Sequence[NDArray[np.float32] | None],
        spec: FrameSpec,
        times: NDArray[Any] | None = None,
        grid: Grid | None = None,
    ) -> None:
        self.spec, self.grid, self.lengths = spec, grid or Grid(), (len(frames),)
        self.slots = [None if frame is None else (0, number) for number, frame in enumerate(frames)]
        self._frames, self._times = list(frames), times

    def read(self, sequence: int, start: int, stop: int) -> Window:
        """Frames of slots start..stop-1, none of which is empty, raw units."""
        frames = np.stack([frame for frame in self._frames[start:stop] if frame is not None])
        valid = np.isfinite(frames)
        return Window(frames, None if valid.all() else valid, None if self._times is None else self._times[start:stop])

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each slot, UTC; None where unknown."""
        return self._times


Slot = tuple[int, int] | None
"""A sequence and a frame of it; None for a frame that is absent."""


class JoinedSource:
    """A source whose sequences are frames of another one, joined by frames that were forecast.

    Args:
        source: where the frames are.
        contexts: of each sequence its slots, oldest first.
        filled: of each sequence the frames of its empty slots, in order, (G, C, H, W), raw units, NaN where unknown.
        times: of each sequence the time of each slot; None where unknown.
    """

    def __init__(
        self,
        source: ContextSource,
        contexts: Sequence[Sequence[Slot]],
        filled: Sequence[NDArray[np.float32]],
        times: Sequence[NDArray[Any] | None],
    ) -> None:
        self.spec, self.grid, self.dims = source.spec, source.grid, source.dims
        self.lengths = [len(slots) for slots in contexts]
        self.latest = range(len(contexts))
        self._source, self._contexts, self._filled, self._times = source, contexts, filled, times

    def read(self, sequence: int, start: int, stop: int) -> Window:
        """Frames start..stop-1 of a sequence, raw units."""
        slots, done = self._contexts[sequence], start
        parts: list[NDArray[np.float32]] = []
        while done < stop:
            end = _find_end(slots, done, stop)
            slot = slots[done]
            if slot is None:
                first = sum(empty is None for empty in slots[:done])
                parts.append(self._filled[sequence][first : first + end - done])
            else:
                parts.append(_read_missing_as_nan(self._source.read(slot[0], slot[1], slot[1] + end - done)))
            done = end
        frames = parts[0] if len(parts) == 1 else np.concatenate(parts)
        valid = np.isfinite(frames)
        times = self._times[sequence]
        return Window(frames, None if valid.all() else valid, None if times is None else times[start:stop])

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        return self._times[sequence]


def _find_end(slots: Sequence[Slot], begin: int, stop: int) -> int:
    """Find the end of the frames from `begin` on that lie together in their source, or are absent together."""
    first, end = slots[begin], begin + 1
    while end < stop and slots[end] == (None if first is None else (first[0], first[1] + end - begin)):
        end += 1
    return end


def _read_missing_as_nan(window: Window) -> NDArray[np.float32]:
    """Frames of a window with NaN where they are missing."""
    return window.frames if window.valid is None else np.where(window.valid, window.frames, np.float32(np.nan))
