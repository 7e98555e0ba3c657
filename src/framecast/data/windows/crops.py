"""Crops: parts of large frames at random places for training, and on a fixed grid for scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import DataConfig, Weight
from framecast.data.random import Purpose, random_stream
from framecast.data.sources.base import Source
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.errors import InputError
from framecast.types import Area, FrameSpec

CANDIDATES = 8
"""Places that are drawn evenly for each crop, of which one is chosen by its weight."""
FLOOR = 0.01
"""Weight of an observed place where nothing is wet and nothing changes, so that it can be drawn too."""
WET = {DBZ_UNITS: 15.0, RATE_UNITS: 0.3}
"""Above this a pixel is wet, unless something else is said; elsewhere above the middle of the value range."""
COVERED = 0.5
"""Least share of observed pixels of a place on the grid."""


@dataclass(frozen=True)
class Crops:
    """Where to cut windows of one size out of the frames of a source.

    Args:
        source: the frames.
        spec: what they are.
        size: (height, width) of a crop, pixels.
        draws: crops that a window of whole frames counts for in an epoch; None for as many as fit side by side.
        weight: what is drawn more often, see `weighed`.
        threshold: above which a pixel is wet, raw units.
        seed: of the places in training.

    Raises:
        InputError: a crop is larger than a frame.
    """

    source: Source
    spec: FrameSpec
    size: tuple[int, int]
    draws: int | None
    weight: Weight
    threshold: float
    seed: int

    def __post_init__(self) -> None:
        for height, width in set(self.source.sizes):
            if self.size[0] > height or self.size[1] > width:
                got, expected = "{} x {}".format(*self.size), f"at most {height} x {width}, the size of a frame"
                raise InputError("crop", got=got, expected=expected, fix="choose a smaller one, or a smaller shrink")

    def count(self, sequence: int) -> int:
        """Crops that a training window of a sequence counts for in an epoch."""
        return self.draws or len(self._tiles(sequence))

    def drawn(self, sequence: int, start: int, stop: int, epoch: int, index: int) -> Area:
        """A place for a training window; a pure function of (seed, epoch, index) and the data.

        `CANDIDATES` places are drawn evenly, and one of them in proportion to its weight; the first where all weigh
        nothing, as nothing is observed there.

        Args:
            sequence: of the window.
            start: its first frame.
            stop: the frame after its last.
            epoch: of the training.
            index: of the crop in the split.
        """
        (height, width), (rows, columns) = self.source.sizes[sequence], self.size
        numbers = random_stream(Purpose.CROP, self.seed, epoch, index)
        tops = numbers.integers(height - rows + 1, size=CANDIDATES).tolist()
        lefts = numbers.integers(width - columns + 1, size=CANDIDATES).tolist()
        places = [Area(top, left, rows, columns) for top, left in zip(tops, lefts, strict=True)]
        if self.weight == "uniform" and not self.source.has_missing:
            return places[0]
        weights = np.array([self._weight(sequence, start, stop, place) for place in places])
        total = weights.sum()
        return places[int(numbers.choice(CANDIDATES, p=weights / total))] if total > 0 else places[0]

    def grid(self, sequence: int, start: int) -> list[Area]:
        """Places side by side, as many as fit, in the middle of the frame; those that are mostly missing are left out.

        Args:
            sequence: which one.
            start: the frame that says what is missing.
        """
        tiles = self._tiles(sequence)
        if not self.source.has_missing:
            return tiles
        valid = np.isfinite(self.source.read(sequence, start, start + 1).frames[0, : self.spec.targets])
        return [tile for tile in tiles if valid[:, tile.rows, tile.columns].mean() >= COVERED] or tiles

    def _tiles(self, sequence: int) -> list[Area]:
        (height, width), (rows, columns) = self.source.sizes[sequence], self.size
        tops = range(height % rows // 2, height - rows + 1, rows)
        lefts = range(width % columns // 2, width - columns + 1, columns)
        return [Area(top, left, rows, columns) for top in tops for left in lefts]

    def _weight(self, sequence: int, start: int, stop: int, place: Area) -> float:
        both = (self.source.read(sequence, at, at + 1, place).frames[0] for at in (start, stop - 1))
        ends = [frame[: self.spec.targets] for frame in both]
        return weigh_crop(ends, self.weight, self.threshold, self.spec.high - self.spec.low)


def weigh_crop(ends: Sequence[NDArray[np.float32]], weight: Weight, threshold: float, span: float) -> float:
    """The weight of a place: the share of its pixels that are observed, times (FLOOR + score).

    The score is 0 for "uniform"; for "wet" the share of the observed pixels that are above the threshold; for
    "changing" the mean absolute change from the first to the last frame where both are observed, as a part of `span`.

    Args:
        ends: the targets of the first and the last frame of the window there, (C, H, W), NaN where missing.
        weight: uniform, wet or changing.
        threshold: of wet, raw units.
        span: width of the value range, raw units.
    """
    first, last = ends
    seen = np.isfinite(ends)
    score = 0.0
    if weight == "wet":
        with np.errstate(invalid="ignore"):
            score = float((np.stack([first, last]) > threshold).sum() / max(1, seen.sum()))
    elif weight == "changing":
        both = seen[0] & seen[1]
        score = float(np.abs(last[both] - first[both]).mean(dtype=np.float64)) / span if both.any() else 0.0
    return float(seen.mean()) * (FLOOR + score)


def make_crops(source: Source, spec: FrameSpec, config: DataConfig, seed: int) -> Crops | None:
    """Crops that a configuration asks for, if any; `spec` says what the frames of the source are.

    Raises:
        InputError: a crop is larger than a frame.
    """
    if config.crop is None:
        return None
    size = (config.crop, config.crop) if isinstance(config.crop, int) else config.crop
    usual = WET.get(spec.units, (spec.low + spec.high) / 2)
    threshold = usual if config.crop_threshold is None else config.crop_threshold
    return Crops(source, spec, size, config.crops, config.crop_weight, threshold, seed)
