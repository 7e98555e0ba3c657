"""One pass over stored values, of all frames or of the last ones: range, and what is missing in which frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import ArrayLike
from framecast.data.sources.layout import ArrayLayout
from framecast.data.sources.sequences import Piece, are_frames_missing
from framecast.errors import InputError

BLOCK = 8 << 20
"""Values that are looked at together, about."""
WHOLE = 1 << 32
"""Bytes up to which all values are looked at; of larger arrays, SAMPLES blocks spread evenly."""
SAMPLES = 64


class ValueScan(NamedTuple):
    """What stored values are like, before scale and offset."""

    low: float
    high: float
    """Range of the valid values; low > high where there are none."""
    coded: int
    """Values equal to the missing code."""
    not_finite: int
    """NaN and infinite values that are not the missing code."""
    seen: int
    extent: Literal["whole", "sample", "latest"]
    """Whether all values were looked at, an even sample of them, or those of the last frames only."""
    ranges: list[tuple[float, float]]
    """low and high of each channel."""
    lost: NDArray[np.float64]
    """(sequences, T), share of missing values in each frame, of the channels that count; 0 where not looked at."""

    @property
    def whole(self) -> bool:
        """Whether all values were looked at."""
        return self.extent == "whole"

    @property
    def part(self) -> str:
        """Where values were looked at, in words; empty for everywhere."""
        return {"whole": "", "sample": f"in a sample of {self.seen} values", "latest": "in the last frames"}[
            self.extent
        ]

    def describe_missing(self, code: float | None) -> list[str]:
        """Notes of how many values are missing; `code` is the stored value that stands for them."""
        part, shares = self.part and f" {self.part}", []
        for count, words in ((self.not_finite, "are NaN or infinite"), (self.coded, f"hold the code {code or 0:g}")):
            if count:
                shares.append(f"missing: {count} values ({100 * count / self.seen:.3g} %) {words}{part}")
        none = self.whole and not self.coded and code is not None
        return [*shares, f"missing: no value holds the code {code:g}"] if none else shares


def nonempty_range(low: float, high: float) -> tuple[float, float]:
    """Ends of a range, also where there is one value only."""
    return low, high if low < high else low + max(1.0, abs(low))


def scan_values(
    array: ArrayLike,
    grain: tuple[int, ...],
    missing: float | None,
    dims: str,
    channels: Sequence[int] | None = None,
    *,
    whole: int | None = None,
    samples: int | None = None,
    block: int | None = None,
) -> ValueScan:
    """Look at all values, or at an even sample of a large array.

    Args:
        array: stored values.
        grain: sizes of the pieces that are read at once.
        missing: stored value of missing pixels.
        dims: the array's axes, letters of n t c h w.
        channels: those in which a frame may be missing; None for all.
        whole: bytes up to which all values are looked at; None for WHOLE.
        samples: blocks of a larger array that are looked at; None for SAMPLES.
        block: values that are looked at together, about; a few copies of them are held; None for BLOCK.

    Raises:
        InputError: the values cannot be read.
    """
    entire = math.prod(array.shape) * array.dtype.itemsize <= (WHOLE if whole is None else whole)
    count = None if entire else SAMPLES if samples is None else samples
    blocks = _blocks(array.shape, grain, count, BLOCK if block is None else block)
    tally = _Tally(array.shape, dims, channels)
    return _scan_blocks(array, blocks, missing, tally, "whole" if entire else "sample")


def scan_latest_values(
    array: ArrayLike,
    layout: ArrayLayout,
    groups: Iterable[Sequence[Piece]],
    count: int,
    missing: float | None,
    channels: Sequence[int] | None,
    max_missing: float | None,
) -> ValueScan:
    """Look at the values that a forecast goes on from: of the last `count` frames of each group.

    Where frames are missing there, at those before them too, until so many in a row are found, or a gap before fewer.

    Args:
        array: stored values.
        layout: where sequences lie in it.
        groups: pieces of sequences that follow one another in time.
        count: frames of each group, at least 1.
        missing: stored value of missing pixels.
        channels: those in which a frame may be missing; None for all.
        max_missing: see `are_frames_missing`.

    Raises:
        InputError: the values cannot be read, or all frames of a group are missing.
    """
    tally = _Tally(array.shape, layout.dims, channels)
    blocks = (block for pieces in groups for block in _latest_blocks(layout, pieces, count, tally, max_missing))
    return _scan_blocks(array, blocks, missing, tally, "latest")


def _scan_blocks(
    array: ArrayLike,
    blocks: Iterable[tuple[slice, ...]],
    missing: float | None,
    tally: _Tally,
    extent: Literal["whole", "sample", "latest"],
) -> ValueScan:
    coded = not_finite = seen = 0
    for key in blocks:
        values = np.asarray(array[key])
        gone = is_code(values, missing)
        bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros((), np.bool_)
        lost = gone | bad
        tally.add(key, values, lost if lost.any() else None)
        coded += int(gone.sum())
        not_finite += int((bad & ~gone).sum())
        seen += values.size
    low, high = min(low for low, _ in tally.ranges), max(high for _, high in tally.ranges)
    return ValueScan(low, high, coded, not_finite, seen, extent, tally.ranges, tally.shares())


class _Tally:
    """Range of each channel, missing values of each frame; arguments as for `scan`."""

    def __init__(self, shape: tuple[int, ...], dims: str, channels: Sequence[int] | None) -> None:
        self.dims = dims
        count = shape[dims.index("c")] if "c" in dims else 1
        self.counting = np.isin(np.arange(count), range(count) if channels is None else channels)
        self.ranges = [(math.inf, -math.inf)] * count
        size = {letter: shape[dims.index(letter)] for letter in dims}
        self.lost = np.zeros([size.get(letter, 1) for letter in "nt"], np.int64)
        self.of = int(self.counting.sum()) * size["h"] * size["w"]

    def add(self, key: tuple[slice, ...], values: NDArray[Any], lost: NDArray[np.bool_] | None) -> None:
        """Count a block: `key` says where it lies, `lost` which values are missing, None if none is."""
        # To axes c n t h w, so that a block of all channels alike is one.
        absent = tuple(axis for axis, letter in enumerate("cnthw") if letter not in self.dims)
        order = [self.dims.index(letter) for letter in "cnthw" if letter in self.dims]
        values = np.expand_dims(values.transpose(order), absent)
        where = {letter: key[axis] for axis, letter in enumerate(self.dims)}
        first = where["c"].start if "c" in where else 0
        if lost is not None:
            lost = np.expand_dims(lost.transpose(order), absent)
        for number, part in enumerate(values, first):
            gone = None if lost is None else lost[number - first]
            good = part if gone is None else part[~gone]
            if good.size:
                low, high = self.ranges[number]
                self.ranges[number] = min(low, float(good.min())), max(high, float(good.max()))
            if gone is not None and self.counting[number]:
                self.lost[where.get("n", slice(None)), where["t"]] += gone.sum((-2, -1))

    def shares(self) -> NDArray[np.float64]:
        """(sequences, T), share of missing values."""
        return self.lost / self.of

    def are_missing(self, row: int, frames: NDArray[np.int64], max_missing: float | None) -> NDArray[np.bool_]:
        """Whether frames of a row of the array are missing as a whole, see `are_frames_missing`."""
        return are_frames_missing(self.lost[row, frames] / self.of, max_missing)


def is_code(values: NDArray[Any], missing: float | None) -> NDArray[np.bool_]:
    """Where stored values are the missing code; one False where there is no code."""
    if missing is None:
        return np.zeros((), np.bool_)
    if math.isnan(missing):
        return np.isnan(values)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values == values.dtype.type(missing)
    return values == int(missing) if missing.is_integer() else np.zeros((), np.bool_)


def _blocks(
    shape: tuple[int, ...], grain: tuple[int, ...], count: int | None, block: int
) -> Iterator[tuple[slice, ...]]:
    """Cut an array into blocks of whole grains, about `block` values each; `count` of them, spread evenly, or all."""
    steps = [min(g, size) for g, size in zip(grain, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        room = block // math.prod(steps)
        steps[axis] = min(shape[axis], steps[axis] * max(1, room))
    starts = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    total = math.prod(len(s) for s in starts)
    if count is None or count >= total:
        corners: Iterator[tuple[int, ...]] = itertools.product(*starts)
    else:
        grid = [len(s) for s in starts]
        numbers = ((i * (total - 1)) // max(1, count - 1) for i in range(count))
        corners = (_corner(number, grid, steps) for number in numbers)
    for corner in corners:
        yield tuple(slice(at, at + step) for at, step in zip(corner, steps, strict=True))


def _corner(number: int, grid: list[int], steps: list[int]) -> tuple[int, ...]:
    corner = []
    for size, step in zip(reversed(grid), reversed(steps), strict=True):
        number, index = divmod(number, size)
        corner.append(index * step)
    return tuple(reversed(corner))


def _latest_blocks(
    layout: ArrayLayout, pieces: Sequence[Piece], count: int, tally: _Tally, max_missing: float | None
) -> Iterator[tuple[slice, ...]]:
    """Blocks of the end of pieces, the last first; the tally of each block decides whether another is needed."""
    at_once = max(1, min(count, BLOCK // math.prod(layout.size(letter) for letter in "chw")))
    for piece in reversed(pieces):
        frames = layout.frame_indices(piece.sequence)[piece.first : piece.first + piece.length]
        row = layout.row(piece.sequence)
        begin, missing = len(frames), np.ones(0, np.bool_)
        while begin and not _holds_context(missing, count):
            end, begin = begin, max(0, begin - at_once)
            begin += int(np.flatnonzero(np.diff(frames[begin:end], prepend=frames[begin] - 1) != 1)[-1:].sum())
            yield layout.block(row, int(frames[begin]), int(frames[end - 1]) + 1)
            missing = tally.are_missing(row, frames[begin:], max_missing)
        if not missing.all():
            return
    expected = "some pixels that are not missing"
    raise InputError("the last frames", got="a sequence without a valid value", expected=expected)


def _holds_context(missing: NDArray[np.bool_], count: int) -> bool:
    """Whether `count` frames in a row are there before the last that is there, or all that there are up to a gap."""
    there = np.flatnonzero(~missing)
    return len(there) > 0 and bool(missing[: there[-1]].any() or there[-1] + 1 >= count)
