"""Places of windows in a source: sequence, first frame, distance of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from framecast.data.config import DataConfig
from framecast.data.sources.base import Source
from framecast.data.windows.split_blocks import SplitBlock
from framecast.data.windows.splits import Split, list_block_starts
from framecast.types import Area, Window


class WindowStart(NamedTuple):
    """Place of a window in a source."""

    sequence: int
    first: int
    """Number of the first frame in its sequence."""
    every: int = 1
    """Frames of the source from one frame of the window to the next."""
    absent: int = 0
    """Frames of the window before the first one: they are not there, and count as missing."""

    def stop(self, frames: int) -> int:
        """Find the number after that of the last frame of a window of so many frames, absent ones included."""
        return self.first + (frames - self.absent - 1) * self.every + 1


def list_starts(
    source: Source, split: Split, frames: int, config: DataConfig, absent: int = 0
) -> dict[str, list[WindowStart]]:
    """List the windows of each split: those of the split, and of training also those of every n-th frame.

    Args:
        source: the sequences.
        split: of the source.
        frames: T, frames of a window.
        config: distances `every` of the frames of training windows, and how often those of a file count.
        absent: most frames before the beginning of a block that a training window may have.
    """
    starts = {name: [WindowStart(*start) for start in members] for name, members in split.windows.items()}
    whole = [
        WindowStart(sequence, first, n)
        for n in config.every
        for sequence, first in list_block_starts(split.blocks["train"], (frames - 1) * n + 1, split.stride)
    ]
    short = [
        start
        for n in config.every
        for block in split.blocks["train"]
        for start in _list_short(block, frames, n, absent, split.stride)
    ]
    repeats = [1] if isinstance(config.source, str) else [file.repeat for file in config.source]
    of_group = [repeats[group if len(repeats) > 1 else 0] for group in source.groups]
    starts["train"] = [start for start in (*whole, *short) for _ in range(of_group[start.sequence])]
    return starts


def _list_short(block: SplitBlock, frames: int, every: int, absent: int, stride: int) -> Iterator[WindowStart]:
    """List the windows that begin with up to `absent` frames before a block."""
    for missing in range(1, absent + 1, max(1, stride // every)):
        for first in range(block.begin, block.begin + every, stride):
            start = WindowStart(block.sequence, first, every, missing)
            if start.stop(frames) <= block.end:
                yield start


def read_window(source: Source, at: WindowStart, frames: int, area: Area | None = None) -> Window:
    """Read the T = `frames` frames of a window, all pixels or an area; absent frames hold NaN, and have no times."""
    window = source.read(at.sequence, at.first, at.stop(frames), area)
    if at.every == 1 and not at.absent:
        return window
    values = window.frames[:: at.every]
    valid = None if window.valid is None else window.valid[:: at.every]
    if not at.absent:
        return window._replace(frames=values, valid=valid, pace=at.every)
    before = np.full_like(values, np.nan, shape=(at.absent, *values.shape[1:]))
    seen = np.isfinite(values) if valid is None else valid
    return Window(
        np.concatenate([before, values]),
        np.concatenate([np.zeros(before.shape, np.bool_), seen]),
        pace=at.every,
    )
