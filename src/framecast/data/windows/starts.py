"""Places of windows in a source: sequence, first frame, distance of the frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from framecast.data.sources.base import Source
from framecast.data.windows.splits import Split, list_block_starts
from framecast.types import Area, Window


class WindowStart(NamedTuple):
    """Place of a window in a source."""

    sequence: int
    first: int
    """Number of the first frame in its sequence."""
    every: int = 1
    """Frames of the source from one frame of the window to the next."""


def list_starts(split: Split, frames: int, every: Sequence[int]) -> dict[str, list[WindowStart]]:
    """List the windows of each split: those of the split, and of training also those of every n-th frame.

    Args:
        split: of the source.
        frames: T, frames of a window.
        every: distances n of the frames of training windows.
    """
    starts = {name: [WindowStart(*start) for start in members] for name, members in split.windows.items()}
    starts["train"] = [
        WindowStart(sequence, first, n)
        for n in every
        for sequence, first in list_block_starts(split.blocks["train"], (frames - 1) * n + 1, split.stride)
    ]
    return starts


def read_every(source: Source, at: WindowStart, frames: int, area: Area | None = None) -> Window:
    """Read the T = `frames` frames of a window, all pixels or an area."""
    window = source.read(at.sequence, at.first, at.first + (frames - 1) * at.every + 1, area)
    if at.every == 1:
        return window
    valid = None if window.valid is None else window.valid[:: at.every]
    return window._replace(frames=window.frames[:: at.every], valid=valid, pace=at.every)
