"""Survey of a source for `framecast inspect`: values, missing pixels, constant and repeated frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.sources.file_source import FileSource

FRAMES = 200
"""Largest number of frames that a survey reads, spread evenly."""
VALUES = 1 << 27
"""Largest number of values that a survey reads, so fewer of large frames; two frames at least."""
PIXELS = 10_000
"""Approximate number of values of each frame that go into the histogram."""
BINS = 20
"""Bars of the histogram."""
SHOWN = 6
"""Frames that the picture shows."""


class Survey(NamedTuple):
    """Statistics of the frames of a source, raw units."""

    positions: list[tuple[int, int]]
    """(sequence, frame) of each frame that was read."""
    total: int
    """Frames of all sequences."""
    missing: NDArray[np.float64]
    """Share of missing pixels of each frame, 0 to 1."""
    mean: NDArray[np.float64]
    """Mean of the valid pixels of each frame; NaN where there are none."""
    constant: int
    """Frames of one value only."""
    empty: int
    """Frames without a valid pixel."""
    repeated: int
    """Frames equal to the frame before, where both were read."""
    low: float
    high: float
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    """Histogram of a sample of the valid values."""
    shown: list[NDArray[np.float32]]
    """Frames for the picture, (C, H, W), evenly spread."""
    shown_positions: list[int]
    """Index in `positions` of each frame in `shown`."""

    @property
    def whole(self) -> bool:
        """Whether every frame was read."""
        return len(self.positions) == self.total


def survey_source(source: FileSource) -> Survey:
    """Compute statistics of all frames of a source, or of an even sample of many.

    Args:
        source: the frames.

    Raises:
        InputError: a frame cannot be read.
    """
    positions = [(sequence, at) for sequence, length in enumerate(source.lengths) for at in range(length)]
    spec = source.spec
    limit = max(2, min(FRAMES, VALUES // (spec.channels * spec.height * spec.width)))
    chosen = _spread_evenly(len(positions), limit)
    shown_positions = set(_spread_evenly(len(chosen), SHOWN))
    missing, means, samples, shown = [], [], [], []
    constant = empty = repeated = 0
    low, high = np.inf, -np.inf
    previous: NDArray[np.float32] | None = None
    for number, index in enumerate(chosen):
        sequence, at = positions[index]
        frame = source.read(sequence, at, at + 1).frames[0]
        valid = frame[np.isfinite(frame)]
        missing.append(1 - valid.size / frame.size)
        means.append(float(valid.mean(dtype=np.float64)) if valid.size else np.nan)
        empty += not valid.size
        if valid.size:
            lowest, highest = float(valid.min()), float(valid.max())
            low, high, constant = min(low, lowest), max(high, highest), constant + (lowest == highest)
            samples.append(valid[:: max(1, valid.size // PIXELS)].copy())  # a view would keep the frame
        neighbours = number > 0 and chosen[number - 1] == index - 1 and positions[index - 1][0] == sequence
        repeated += neighbours and previous is not None and bool(np.array_equal(frame, previous, equal_nan=True))
        previous = frame
        if number in shown_positions:
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
        shown_positions=sorted(shown_positions),
    )


def _spread_evenly(count: int, limit: int) -> list[int]:
    """Choose up to `limit` of the indices 0..count-1, evenly, ascending; the first and the last always."""
    if count <= limit:
        return list(range(count))
    return sorted({round(i * (count - 1) / (limit - 1)) for i in range(limit)})
