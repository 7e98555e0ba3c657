"""Windows of three splits: the protocol, and its kinds: whole frames, crops, generated sequences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import SPLITS, DataConfig
from framecast.data.moving_mnist import MovingMNIST
from framecast.data.sources.base import Source
from framecast.data.windows.crops import Crops
from framecast.data.windows.motion import Convert, MotionReader, cache_folder
from framecast.data.windows.splits import Split, list_block_starts
from framecast.data.windows.starts import WindowStart, list_starts, read_window
from framecast.types import Area, Grid, Window

PIECE = 16
"""Largest number of frames that are read at once for a fit."""
VALUES = 1 << 24
"""Approximate number of values that are read at once for a fit, as several copies of them are made."""
FITTED = 10_000
"""Approximate number of frames that are read for a fit; of more an even sample."""
SAMPLE = 500
"""Generated training sequences that are read for a fit."""


@runtime_checkable
class Windows(Protocol):
    """Protocol of windows of T frames each, by split ("train", "val", "test") and index 0..count - 1; raw units."""

    def count(self, split: str) -> int:
        """Count the windows of a split; of generated training sequences those of a nominal epoch."""

    def read(self, split: str, epoch: int, index: int) -> Window:
        """Read one window, not augmented; the epoch matters where training windows are drawn anew in each.

        Raises:
            InputError: the frames cannot be read.
        """

    def event(self, split: str, index: int) -> int | None:
        """Find the number of a window's event: its sequence, or several together; None where each window is an event."""

    def training_frames(self) -> Iterator[NDArray[np.float32]]:
        """Iterate over the whole frames of the split train, (T, C, H, W) in pieces, for a fit; of very many a sample.

        Raises:
            InputError: frames cannot be read.
        """


class FrameWindows:
    """Windows of whole frames of a source.

    Args:
        source: the frames.
        split: starts of the windows of each split.
        frames: T, frames of each window.
        events: number of the event of each sequence.
        config: which training windows there are.
        absent: most frames at the beginning of a training window that are not there.
    """

    def __init__(
        self,
        source: Source,
        split: Split,
        frames: int,
        events: Sequence[int],
        config: DataConfig,
        absent: int = 0,
    ) -> None:
        self._source, self._split, self._frames, self._events = source, split, frames, events
        self.starts = list_starts(source, split, frames, config, absent)
        self._motion: MotionReader | None = None

    def with_motion(self, frames: range, convert: Convert, key: str) -> FrameWindows:
        """Return windows that bring the motion at the frames of their context, see `MotionReader`."""
        windows = copy(self)
        windows._motion = MotionReader(self._source, frames, convert, key, cache_folder())
        return windows

    def count(self, split: str) -> int:
        """Count the windows of a split."""
        return len(self.starts[split])

    def read(self, split: str, epoch: int, index: int) -> Window:
        """Read one window; no epoch changes it."""
        at = self.starts[split][index]
        window = read_window(self._source, at, self._frames)
        return window if self._motion is None else window._replace(motion=self._motion.read(at))

    @property
    def source(self) -> Source:
        """The frames."""
        return self._source

    def at_every_frame(self, split: str) -> FrameWindows:
        """Return windows of which those of a split begin at every frame of its blocks, so that they overlap."""
        windows = copy(self)
        starts = list_block_starts(self._split.blocks[split], self._frames, 1)
        windows.starts = {**self.starts, split: [WindowStart(*start) for start in starts]}
        return windows

    def times(self, split: str, index: int) -> NDArray[Any] | None:
        """Find the times of the frames of a window, (T,), UTC, without reading any; None where unknown."""
        at = self.starts[split][index]
        times = self._source.frame_times(at.sequence)
        return None if times is None or at.absent else times[at.first : at.stop(self._frames) : at.every]

    def event(self, split: str, index: int) -> int:
        """Find the number of the event of the window's sequence."""
        return self._events[self.starts[split][index].sequence]

    def training_frames(self) -> Iterator[NDArray[np.float32]]:
        """Iterate over the frames of the blocks of the split train, at most `PIECE` at a time."""
        return self.iterate_frames("train", FITTED)

    def iterate_frames(self, split: str, limit: int) -> Iterator[NDArray[np.float32]]:
        """Iterate over the frames of the blocks of a split, in pieces of at most `PIECE`; an even sample of `limit`."""
        source, blocks = self._source, self._split.blocks[split]
        channels = source.spec.channels + len(source.spec.covariates)
        at_once = [max(1, min(PIECE, VALUES // (channels * height * width))) for height, width in source.sizes]
        pieces = [
            (b.sequence, begin, min(begin + at_once[b.sequence], b.end))
            for b in blocks
            for begin in range(b.begin, b.end, at_once[b.sequence])
        ]
        stride = math.ceil(sum(block.end - block.begin for block in blocks) / limit)
        return (source.read(*piece).frames for piece in pieces[:: max(1, stride)])


class CropWindows:
    """Windows of crops: several are cut from each window of whole frames.

    Args:
        source: the frames.
        split: starts of the windows of whole frames.
        frames: T, frames of each window.
        events: number of the event of each sequence.
        crops: choice of their areas.
        config: which training windows there are.
        absent: most frames at the beginning of a training window that are not there.
    """

    def __init__(
        self,
        source: Source,
        split: Split,
        frames: int,
        events: Sequence[int],
        crops: Crops,
        config: DataConfig,
        absent: int = 0,
    ) -> None:
        self._source, self._frames, self._crops = source, frames, crops
        self._whole = FrameWindows(source, split, frames, events, config, absent)
        self._starts = self._whole.starts
        scored = {start for name in SPLITS[1:] for start in split.windows[name]}
        first_starts = dict(sorted(scored, reverse=True))  # of equal keys the last one stays: the earliest start
        self.grids = {sequence: crops.make_grid(sequence, start) for sequence, start in first_starts.items()}
        sizes = {name: [len(self.grids[sequence]) for sequence, _ in split.windows[name]] for name in SPLITS[1:]}
        sizes["train"] = [crops.count(at.sequence) for at in self._starts["train"]]
        self._ends = {name: np.cumsum(sizes[name], dtype=np.int64) for name in SPLITS}
        self._motion: MotionReader | None = None

    def with_motion(self, frames: range, convert: Convert, key: str) -> CropWindows:
        """Return windows that bring the motion of whole frames, cut like them, see `MotionReader`."""
        windows = copy(self)
        windows._motion = MotionReader(self._source, frames, convert, key, cache_folder())
        return windows

    def count(self, split: str) -> int:
        """Count the crops of a split."""
        return int(self._ends[split][-1]) if len(self._ends[split]) else 0

    def read(self, split: str, epoch: int, index: int) -> Window:
        """Read one crop: in training of an area drawn anew in each epoch, else of one on a fixed grid."""
        at, area = self._starts[split][self._find_window(split, index)], self.find_area(split, epoch, index)
        window = read_window(self._source, at, self._frames, area)
        return window if self._motion is None else window._replace(motion=self._motion.read(at, area))

    def find_area(self, split: str, epoch: int, index: int) -> Area:
        """Find the area of one crop in its whole frames."""
        number = self._find_window(split, index)
        at = self._starts[split][number]
        if split == "train":
            return self._crops.draw_area(at.sequence, at.first, at.stop(self._frames), epoch, index)
        return self.grids[at.sequence][index - (int(self._ends[split][number - 1]) if number else 0)]

    @property
    def whole_grid(self) -> Grid:
        """Place of the whole frames."""
        return self._source.grid

    def event(self, split: str, index: int) -> int:
        """Find the number of the event of the crop's sequence."""
        return self._whole.event(split, self._find_window(split, index))

    def training_frames(self) -> Iterator[NDArray[np.float32]]:
        """Iterate over whole frames of the split train, as `FrameWindows` does: a fit is to all pixels."""
        return self._whole.training_frames()

    def iterate_frames(self, split: str, limit: int) -> Iterator[NDArray[np.float32]]:
        """Iterate over whole frames of the blocks of a split, as `FrameWindows` does."""
        return self._whole.iterate_frames(split, limit)

    def _find_window(self, split: str, index: int) -> int:
        """Find the index of the window of whole frames that a crop is cut from."""
        return int(np.searchsorted(self._ends[split], index, side="right"))


class GeneratedWindows:
    """Moving MNIST sequences: fresh ones in each epoch of training, always the same for validation and test.

    Args:
        training: generator of the split train.
        evaluation: generator of the splits val and test.
        frames: T, frames of each window.
    """

    def __init__(self, training: MovingMNIST, evaluation: MovingMNIST, frames: int) -> None:
        self._training, self._evaluation, self._frames = training, evaluation, frames
        config = training.config
        self._counts = dict(zip(SPLITS, (config.length, config.validation, config.test), strict=True))

    def count(self, split: str) -> int:
        """Count the sequences of a split; of train those of a nominal epoch."""
        return self._counts[split]

    def read(self, split: str, epoch: int, index: int) -> Window:
        """Read one sequence; those of each epoch of training follow one another in the generator."""
        if split == "train":
            return self._training.sequence(split, epoch * self._counts["train"] + index, self._frames)
        return self._evaluation.sequence(split, index, self._frames)

    def event(self, split: str, index: int) -> None:
        """Return None: each sequence is an event."""

    def training_frames(self) -> Iterator[NDArray[np.float32]]:
        """Iterate over the frames of the first `SAMPLE` sequences of the first epoch."""
        return (self.read("train", 0, index).frames for index in range(min(SAMPLE, self._counts["train"])))
