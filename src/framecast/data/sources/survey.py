"""Survey of a source for `framecast inspect`: values, missing pixels, frames that are all alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.sources.file_source import FileSource

FRAMES = 200
"""At most so many frames are looked at, spread evenly."""
VALUES = 1 << 27
"""At most so many values, in fewer frames where they are large; two frames at least."""
PIXELS = 10_000
"""Values of each frame that go into the histogram."""
BINS = 20
SHOWN = 6
"""Frames that are kept for the picture."""


class Survey(NamedTuple):
    """What frames are like, raw units."""

    positions: list[tuple[int, int]]
    """(sequence, frame) of those that were looked at."""
    total: int
    """Frames of all sequences."""
    missing: NDArray[np.float64]
    """Share of missing pixels of each."""
    mean: NDArray[np.float64]
    """Mean of the valid pixels of each; NaN where there are none."""
    constant: int
    """Frames of one value only."""
    empty: int
    """Frames without a valid pixel."""
    repeated: int
    """Frames equal to the one before, where both were looked at."""
    low: float
    high: float
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    """Histogram of a sample of the valid values."""
    shown: list[NDArray[np.float32]]
    """A few frames (C, H, W), evenly spread, and which of `positions` they are."""
    shown_positions: list[int]

    @property
    def whole(self) -> bool:
        """Whether every frame was looked at."""
        return len(self.positions) == self.total


def survey_source(source: FileSource) -> Survey:
    """Look at all frames of a source, or at an even sample of many.

    Raises:
        InputError: a frame cannot be read.
    """
    positions = [(sequence, at) for sequence, length in enumerate(source.lengths) for at in range(length)]
    spec = source.spec
    room = max(2, min(FRAMES, VALUES // (spec.channels * spec.height * spec.width)))
    chosen = _spread(len(positions), room)
    keep = set(_spread(len(chosen), SHOWN))
    missing, means, samples, shown = [], [], [], []
    constant = empty = repeated = 0
    low, high = np.inf, -np.inf
    before: NDArray[np.float32] | None = None
    for number, index in enumerate(chosen):
        sequence, at = positions[index]
        frame = source.read(sequence, at, at + 1).frames[0]
        valid = frame[np.isfinite(frame)]
        missing.append(1 - valid.size / frame.size)
        means.append(float(valid.mean(dtype=np.float64)) if valid.size else np.nan)
        empty += not valid.size
        if valid.size:
            ends = float(valid.min()), float(valid.max())
            low, high, constant = min(low, ends[0]), max(high, ends[1]), constant + (ends[0] == ends[1])
            samples.append(valid[:: max(1, valid.size // PIXELS)].copy())  # a view would keep the frame
        neighbours = number > 0 and chosen[number - 1] == index - 1 and positions[index - 1][0] == sequence
        repeated += neighbours and before is not None and bool(np.array_equal(frame, before, equal_nan=True))
        before = frame
        if number in keep:
            shown.append(frame)
    values = np.concatenate(samples) if samples else np.zeros(1, np.float32)
    counts, edges = np.histogram(values.astype(np.float64), BINS)
    return Survey(
        positions=[positions[index] for index in chosen],
        total=len(positions),
        missing=np.array(missing, np.float64),
        mean=np.array(means, np.float64),
        constant=constant,
        empty=empty,
        repeated=repeated,
        low=low,
        high=high,
        edges=edges,
        counts=counts.astype(np.int64),
        shown=shown,
        shown_positions=sorted(keep),
    )


def _spread(count: int, room: int) -> list[int]:
    """Up to `room` of 0..count-1, evenly, in order; the last always, where all do not fit."""
    if count <= room:
        return list(range(count))
    return sorted({round(i * (count - 1) / (room - 1)) for i in range(room)})
