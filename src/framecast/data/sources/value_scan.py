"""Scan of stored values, of all frames or of the last ones: value range, and share of missing values by frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import ArrayLike
from framecast.data.missing_values import MissingValues
from framecast.data.sources.layout import ArrayLayout
from framecast.data.sources.sequences import Piece, are_frames_missing
from framecast.errors import InputError

BLOCK = 8 << 20
"""Approximate number of values that are read together."""
WHOLE = 1 << 32
"""Size of an array up to which all its values are scanned, bytes; of larger ones a sample."""
SAMPLES = 64
"""Blocks in the sample of a larger array, spread evenly."""


class ValueScan(NamedTuple):
    """Range and missing values of a stored array, before scale and offset."""

    low: float
    high: float
    """Range of the valid values; low > high where there are none."""
    coded: int
    """Values that are marked as missing."""
    not_finite: int
    """NaN and infinite values that are not marked."""
    scanned: int
    """Values that were scanned."""
    extent: Literal["whole", "sample", "latest", "none"]
    """Whether all values were scanned, an even sample of them, those of the last frames only, or none."""
    ranges: list[tuple[float, float]]
    """Range of the valid values of each channel; low > high where there are none."""
    lost: NDArray[np.float64]
    """(rows along n, T), share of missing values of each frame in the channels that count; 0 where not scanned."""
    unusual: list[int]
    """Values of each channel outside its usual range."""

    @property
    def whole(self) -> bool:
        """Whether all values were scanned."""
        return self.extent == "whole"

    @property
    def part(self) -> str:
        """Part of the array that was scanned, in words; empty for the whole."""
        parts = {"sample": f"in a sample of {self.scanned} values", "latest": "in the last frames"}
        return parts.get(self.extent, "")

    def may_miss(self, dtype: np.dtype[Any], marks: MissingValues | None) -> bool:
        """Whether the scan met a missing value, or left out values that may be missing."""
        return self.coded + self.not_finite > 0 or ((marks is not None or dtype.kind == "f") and not self.whole)

    def describe_missing(self, marks: MissingValues | None) -> list[str]:
        """Describe how many values are missing, one note for each reason.

        Args:
            marks: of missing pixels among stored values; None where there are none.
        """
        part, shares = self.part and f" {self.part}", []
        coded = "" if marks is None else marks.describe(several=True)
        for count, words in ((self.not_finite, "are NaN or infinite"), (self.coded, coded)):
            if count:
                shares.append(f"missing: {count} values ({100 * count / self.scanned:.3g} %) {words}{part}")
        if marks is None or self.coded or not self.whole:
            return shares
        return [*shares, f"missing: no value {marks.describe(several=False)}"]

    def describe_unusual(self, channels: Sequence[tuple[str, str]]) -> list[str]:
        """Describe how many values are far outside the usual range of their units, one note for each channel.

        Args:
            channels: name, which may be empty, and units of each.
        """
        part, fix = self.part and f" {self.part}", "if they stand for missing pixels, say so with --missing"
        return [
            f"values: {count}{part} are unusual for {f'{name} in ' if name else ''}{unit}; {fix}"
            for count, (name, unit) in zip(self.unusual, channels, strict=True)
            if count
        ]


def widen_range(low: float, high: float) -> tuple[float, float]:
    """Widen a range of one value, so that it can be divided by; leave others as they are."""
    return low, high if low < high else low + max(1.0, abs(low))


def scan_nothing(layout: ArrayLayout) -> ValueScan:
    """Make the scan of values that nobody has looked at: any may be missing, and the range is not known."""
    channels, lost = layout.size("c"), np.zeros((layout.size("n"), layout.size("t")))
    return ValueScan(0.0, 1.0, 0, 0, 0, "none", [(0.0, 1.0)] * channels, lost, [0] * channels)


def scan_values(
    array: ArrayLike,
    grain: tuple[int, ...],
    missing: MissingValues | None,
    dims: str,
    channels: Sequence[int] | None = None,
    usual: Sequence[tuple[float, float]] = (),
    *,
    whole: int | None = None,
    samples: int | None = None,
    block: int | None = None,
) -> ValueScan:
    """Scan all values, or an even sample of a large array.

    Args:
        array: stored values.
        grain: lengths along each axis of the pieces that are read at once.
        missing: marks of missing pixels among the stored values, if there are any.
        dims: the array's axes, letters of n t c h w.
        channels: channels whose missing values count for `lost`; None for all.
        usual: range of usual values of each channel, as they are stored; empty for any.
        whole: size up to which all values are scanned, bytes; None for WHOLE.
        samples: blocks in the sample of a larger array; None for SAMPLES.
        block: approximate number of values that are read together, and copied a few times; None for BLOCK.

    Raises:
        InputError: the values cannot be read.
    """
    is_whole = math.prod(array.shape) * array.dtype.itemsize <= (WHOLE if whole is None else whole)
    count = None if is_whole else SAMPLES if samples is None else samples
    blocks = _cut_blocks(array.shape, grain, count, BLOCK if block is None else block)
    tally = _FrameTally(array.shape, dims, channels, usual)
    return _scan_blocks(array, blocks, missing, tally, "whole" if is_whole else "sample")


def scan_latest_values(
    array: ArrayLike,
    layout: ArrayLayout,
    groups: Iterable[Sequence[Piece]],
    count: int,
    missing: MissingValues | None,
    channels: Sequence[int] | None,
    max_missing: float | None,
    usual: Sequence[tuple[float, float]] = (),
) -> ValueScan:
    """Scan the values that a forecast continues: the last `count` frames of each group.

    Where some of these are missing, earlier frames are scanned too, until `count` valid frames lie in a row, or fewer
    after a gap.

    Args:
        array: stored values.
        layout: axes and sequences of the array.
        groups: pieces of sequences that follow one another in time.
        count: frames of each group, at least 1.
        missing: marks of missing pixels among the stored values, if there are any.
        channels: channels whose missing values count for `lost`; None for all.
        max_missing: share of missing values above which a frame counts as missing; None for frames without any value.
        usual: range of usual values of each channel, as they are stored; empty for any.

    Raises:
        InputError: the values cannot be read, or all frames of a group are missing.
    """
    tally = _FrameTally(array.shape, layout.dims, channels, usual)
    blocks = (block for pieces in groups for block in _iterate_latest_blocks(layout, pieces, count, tally, max_missing))
    return _scan_blocks(array, blocks, missing, tally, "latest")


def _scan_blocks(
    array: ArrayLike,
    blocks: Iterable[tuple[slice, ...]],
    missing: MissingValues | None,
    tally: _FrameTally,
    extent: Literal["whole", "sample", "latest"],
) -> ValueScan:
    coded = not_finite = scanned = 0
    for key in blocks:
        values = np.asarray(array[key])
        is_coded = np.zeros((), np.bool_) if missing is None else missing.find(values)
        is_not_finite = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros((), np.bool_)
        lost = is_coded | is_not_finite
        tally.add(key, values, lost if lost.any() else None)
        coded += int(is_coded.sum())
        not_finite += int((is_not_finite & ~is_coded).sum())  # a code may itself be NaN
        scanned += values.size
    low, high = min(low for low, _ in tally.ranges), max(high for _, high in tally.ranges)
    return ValueScan(low, high, coded, not_finite, scanned, extent, tally.ranges, tally.compute_shares(), tally.unusual)


class _FrameTally:
    """Running range of each channel, and number of missing values of each frame.

    Args:
        shape: of the array.
        dims: the array's axes, letters of n t c h w.
        channels: channels whose missing values count; None for all.
        usual: range of usual values of each channel; empty for any.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dims: str,
        channels: Sequence[int] | None,
        usual: Sequence[tuple[float, float]],
    ) -> None:
        self.dims = dims
        count = shape[dims.index("c")] if "c" in dims else 1
        self.counting = np.isin(np.arange(count), range(count) if channels is None else channels)
        self.ranges = [(math.inf, -math.inf)] * count
        self.usual, self.unusual = usual, [0] * count
        size = {letter: shape[dims.index(letter)] for letter in dims}
        self.lost = np.zeros([size.get(letter, 1) for letter in "nt"], np.int64)
        self.values_per_frame = int(self.counting.sum()) * size["h"] * size["w"]

    def add(self, key: tuple[slice, ...], values: NDArray[Any], lost: NDArray[np.bool_] | None) -> None:
        """Count a block.

        Args:
            key: slices of the block in the array.
            values: its stored values.
            lost: True where values are missing; None if none is.
        """
        # to axes c n t h w, absent ones of length 1, whatever the order in the array
        absent = tuple(axis for axis, letter in enumerate("cnthw") if letter not in self.dims)
        order = [self.dims.index(letter) for letter in "cnthw" if letter in self.dims]
        values = np.expand_dims(values.transpose(order), absent)
        key_of = {letter: key[axis] for axis, letter in enumerate(self.dims)}
        first = key_of["c"].start if "c" in key_of else 0
        if lost is not None:
            lost = np.expand_dims(lost.transpose(order), absent)
        for number, part in enumerate(values, first):
            missing = None if lost is None else lost[number - first]
            valid = part if missing is None else part[~missing]
            if valid.size:
                least, greatest = float(valid.min()), float(valid.max())
                low, high = self.ranges[number]
                self.ranges[number] = min(low, least), max(high, greatest)
                low, high = self.usual[number] if self.usual else (-math.inf, math.inf)
                if least < low or greatest > high:
                    self.unusual[number] += int(((valid < low) | (valid > high)).sum())
            if missing is not None and self.counting[number]:
                self.lost[key_of.get("n", slice(None)), key_of["t"]] += missing.sum((-2, -1))

    def compute_shares(self) -> NDArray[np.float64]:
        """Compute the share of missing values of each frame, (rows along n, T), 0 to 1."""
        return self.lost / self.values_per_frame

    def are_missing(self, row: int, frames: NDArray[np.int64], max_missing: float | None) -> NDArray[np.bool_]:
        """Whether frames of a row of the array are missing as a whole, as far as they have been counted."""
        return are_frames_missing(self.lost[row, frames] / self.values_per_frame, max_missing)


def _cut_blocks(
    shape: tuple[int, ...], grain: tuple[int, ...], count: int | None, block: int
) -> Iterator[tuple[slice, ...]]:
    """Cut an array into blocks of whole grains, about `block` values each; `count` of them, spread evenly, or all."""
    steps = [min(g, size) for g, size in zip(grain, shape, strict=True)]
    # the last axes first: in C order they lie together in memory
    for axis in reversed(range(len(shape))):
        multiple = block // math.prod(steps)
        steps[axis] = min(shape[axis], steps[axis] * max(1, multiple))
    starts = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    total = math.prod(len(s) for s in starts)
    if count is None or count >= total:
        corners: Iterator[tuple[int, ...]] = itertools.product(*starts)
    else:
        counts = [len(s) for s in starts]
        numbers = ((i * (total - 1)) // max(1, count - 1) for i in range(count))
        corners = (_find_corner(number, counts, steps) for number in numbers)
    for corner in corners:
        yield tuple(slice(at, at + step) for at, step in zip(corner, steps, strict=True))


def _find_corner(number: int, counts: list[int], steps: list[int]) -> tuple[int, ...]:
    """Find where a block begins, by its number in C order; `counts` and `steps` are blocks and block size by axis."""
    corner = []
    for size, step in zip(reversed(counts), reversed(steps), strict=True):
        number, index = divmod(number, size)
        corner.append(index * step)
    return tuple(reversed(corner))


def _iterate_latest_blocks(
    layout: ArrayLayout, pieces: Sequence[Piece], count: int, tally: _FrameTally, max_missing: float | None
) -> Iterator[tuple[slice, ...]]:
    """Iterate over blocks from the end of a group backward; the tally of each block decides whether another is needed."""
    at_once = max(1, min(count, BLOCK // math.prod(layout.size(letter) for letter in "chw")))
    for piece in reversed(pieces):
        frames = layout.list_frames(piece.sequence)[piece.first : piece.first + piece.length]
        row = layout.find_row(piece.sequence)
        begin, missing = len(frames), np.ones(0, np.bool_)
        while begin and not _has_context(missing, count):
            end, begin = begin, max(0, begin - at_once)
            # only the last stretch of consecutive indices: a sequence may lie in two parts
            begin += int(np.flatnonzero(np.diff(frames[begin:end], prepend=frames[begin] - 1) != 1)[-1:].sum())
            yield layout.make_key(row, int(frames[begin]), int(frames[end - 1]) + 1)
            missing = tally.are_missing(row, frames[begin:], max_missing)
        if not missing.all():
            return
    expected = "some pixels that are not missing"
    raise InputError("the last frames", got="a sequence without a valid value", expected=expected)


def _has_context(missing: NDArray[np.bool_], count: int) -> bool:
    """Whether the last valid frame ends `count` valid frames in a row, or fewer that begin after a missing one."""
    valid = np.flatnonzero(~missing)
    return len(valid) > 0 and bool(missing[: valid[-1]].any() or valid[-1] + 1 >= count)
