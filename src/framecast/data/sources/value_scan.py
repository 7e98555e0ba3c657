"""One pass over stored values: their range, how many are missing, and in which frames."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import ArrayLike

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
    whole: bool
    """Whether all values were looked at."""
    ranges: list[tuple[float, float]]
    """low and high of each channel."""
    lost: NDArray[np.float64]
    """(sequences, T), share of missing values in each frame, of the channels that count; 0 where not looked at."""


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
    coded, not_finite, seen, tally = 0, 0, 0, _Tally(array.shape, dims, channels)
    entire = math.prod(array.shape) * array.dtype.itemsize <= (WHOLE if whole is None else whole)
    count = None if entire else SAMPLES if samples is None else samples
    for key in _blocks(array.shape, grain, count, BLOCK if block is None else block):
        values = np.asarray(array[key])
        gone = is_code(values, missing)
        bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros((), np.bool_)
        lost = gone | bad
        tally.add(key, values, lost if lost.any() else None)
        coded += int(gone.sum())
        not_finite += int((bad & ~gone).sum())
        seen += values.size
    low, high = min(low for low, _ in tally.ranges), max(high for _, high in tally.ranges)
    return ValueScan(low, high, coded, not_finite, seen, entire, tally.ranges, tally.shares())


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
        places = ((i * (total - 1)) // max(1, count - 1) for i in range(count))
        corners = (_corner(place, grid, steps) for place in places)
    for corner in corners:
        yield tuple(slice(at, at + step) for at, step in zip(corner, steps, strict=True))


def _corner(place: int, grid: list[int], steps: list[int]) -> tuple[int, ...]:
    corner = []
    for size, step in zip(reversed(grid), reversed(steps), strict=True):
        place, index = divmod(place, size)
        corner.append(index * step)
    return tuple(reversed(corner))
