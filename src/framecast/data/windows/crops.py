"""Crops: areas of large frames, at random for training and on a fixed grid for scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import DataConfig, Weight
from framecast.data.random import Purpose, random_stream
from framecast.data.sources.base import Source
from framecast.data.units import DBZ_UNITS, RATE_UNITS, target_units
from framecast.errors import InputError
from framecast.types import Area, FrameSpec

CANDIDATES = 8
"""Areas that are drawn evenly for each crop; one of them is chosen by its weight."""
FLOOR = 0.01
"""Weight of an observed area where nothing is wet and nothing changes, so that it can be drawn too."""
WET = {DBZ_UNITS: 15.0, RATE_UNITS: 0.3}
"""Default of the threshold above which a pixel is wet, by units; for other units the middle of the value range."""
COVERED = 0.5
"""Least share of observed pixels of an area on the fixed grid."""


@dataclass(frozen=True)
class Crops:
    """Choice of the areas that windows of one size are cut from: at random for training, else on a fixed grid.

    Args:
        source: the frames.
        spec: of these frames: targets and value range.
        size: (height, width) of a crop, pixels.
        draws: crops of each training window of whole frames in an epoch; None for as many as fit side by side.
        weight: "uniform", or "wet" or "changing" areas more often, as `weigh_crop` says.
        thresholds: {target: value above which its pixels are wet, raw units}; other targets do not count as wet.
        seed: seed of the areas in training.

    Raises:
        InputError: a crop is larger than a frame.
    """

    source: Source
    spec: FrameSpec
    size: tuple[int, int]
    draws: int | None
    weight: Weight
    thresholds: dict[int, float]
    seed: int

    def __post_init__(self) -> None:
        for height, width in set(self.source.sizes):
            if self.size[0] > height or self.size[1] > width:
                got, expected = "{} x {}".format(*self.size), f"at most {height} x {width}, the size of a frame"
                raise InputError("crop", got=got, expected=expected, fix="choose a smaller one, or a smaller shrink")

    def count(self, sequence: int) -> int:
        """Count the crops of each training window of a sequence in an epoch."""
        return self.draws or len(self._list_tiles(sequence))

    def draw_area(self, sequence: int, start: int, stop: int, epoch: int, index: int) -> Area:
        """Draw the area of a training crop; a pure function of (seed, epoch, index) and the data.

        `CANDIDATES` areas are drawn evenly, and one of them in proportion to its weight; the first where nothing is
        observed in any.

        Args:
            sequence: number of the sequence of the window.
            start: index of the window's first frame.
            stop: index after its last frame.
            epoch: epoch of the training, from 0.
            index: index of the crop in the split.
        """
        (height, width), (rows, columns) = self.source.sizes[sequence], self.size
        numbers = random_stream(Purpose.CROP, self.seed, epoch, index)
        tops = numbers.integers(height - rows + 1, size=CANDIDATES).tolist()
        lefts = numbers.integers(width - columns + 1, size=CANDIDATES).tolist()
        areas = [Area(top, left, rows, columns) for top, left in zip(tops, lefts, strict=True)]
        if self.weight == "uniform" and not self.source.has_missing:
            return areas[0]  # all weights are equal: no frame has to be read for them
        weights = np.array([self._weigh(sequence, start, stop, area) for area in areas])
        total = weights.sum()
        return areas[int(numbers.choice(CANDIDATES, p=weights / total))] if total > 0 else areas[0]

    def make_grid(self, sequence: int, start: int) -> list[Area]:
        """Make the fixed grid of areas side by side, centred in the frame, without those that are mostly missing.

        Args:
            sequence: number of the sequence.
            start: index of the frame whose missing pixels decide.
        """
        tiles = self._list_tiles(sequence)
        if not self.source.has_missing:
            return tiles
        valid = np.isfinite(self.source.read(sequence, start, start + 1).frames[0, : self.spec.targets])
        return [tile for tile in tiles if valid[:, tile.rows, tile.columns].mean() >= COVERED] or tiles

    def _list_tiles(self, sequence: int) -> list[Area]:
        (height, width), (rows, columns) = self.source.sizes[sequence], self.size
        tops = range(height % rows // 2, height - rows + 1, rows)
        lefts = range(width % columns // 2, width - columns + 1, columns)
        return [Area(top, left, rows, columns) for top in tops for left in lefts]

    def _weigh(self, sequence: int, start: int, stop: int, area: Area) -> float:
        both = (self.source.read(sequence, at, at + 1, area).frames[0] for at in (start, stop - 1))
        ends = np.stack([frame[: self.spec.targets] for frame in both])
        spans = [high - low for low, high in self.spec.target_ranges]
        return weigh_crop(ends, self.weight, self.thresholds, spans)


def weigh_crop(
    ends: NDArray[np.float32], weight: Weight, thresholds: Mapping[int, float], spans: Sequence[float]
) -> float:
    """Weigh an area: the share of its pixels that are observed, times (FLOOR + score).

    The score is 0 for "uniform"; for "wet" the share of the observed pixels of targets with a threshold that are above
    it; for "changing" the mean absolute change from the first to the last frame where both are observed, as a part of the
    target's span.

    Args:
        ends: (2, C, H, W), targets of the first and the last frame of the window in the area, NaN where missing.
        weight: "uniform", "wet" or "changing".
        thresholds: {target: value above which its pixels are wet, raw units}.
        spans: width of the value range of each target, raw units.
    """
    observed = np.isfinite(ends)
    score = 0.0
    if weight == "wet":
        targets = list(thresholds)
        with np.errstate(invalid="ignore"):  # NaN is not above the threshold
            wet = ends[:, targets] > np.array(list(thresholds.values()), np.float32)[:, None, None]
        score = float(wet.sum() / max(1, observed[:, targets].sum()))
    elif weight == "changing":
        both = observed.all(0)
        change = np.abs(ends[1] - ends[0]) / np.array(spans)[:, None, None]
        score = float(change[both].mean(dtype=np.float64)) if both.any() else 0.0
    return float(observed.mean()) * (FLOOR + score)


def make_crops(source: Source, spec: FrameSpec, config: DataConfig, seed: int) -> Crops | None:
    """Make the crops of a configuration; None where it trains on whole frames.

    Args:
        source: the frames.
        spec: of these frames: units, targets and value range.
        config: crop, crops, crop_weight and crop_threshold.
        seed: seed of the areas in training.

    Raises:
        InputError: a crop is larger than a frame.
    """
    if config.crop is None:
        return None
    size = (config.crop, config.crop) if isinstance(config.crop, int) else config.crop
    thresholds = _choose_thresholds(spec, target_units(spec, source.grid), config.crop_threshold)
    return Crops(source, spec, size, config.crops, config.crop_weight, thresholds, seed)


def _choose_thresholds(spec: FrameSpec, units: Sequence[str], requested: float | None) -> dict[int, float]:
    """Choose the threshold of each target that may be wet: those of rain where there are any, else all."""
    rain = [target for target, unit in enumerate(units) if unit in WET] or range(spec.targets)
    middles = [(low + high) / 2 for low, high in spec.target_ranges]
    return {target: WET.get(units[target], middles[target]) if requested is None else requested for target in rain}
