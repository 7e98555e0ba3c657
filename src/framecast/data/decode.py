"""Decoding of stored values: scale, offset, missing codes; averages over blocks of pixels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError


def decode_values(stored: NDArray[Any], scale: float, offset: float, missing: Collection[float]) -> NDArray[np.float32]:
    """Compute stored value x scale + offset, in double precision; NaN where a code means missing.

    Args:
        stored: integers or floats of any shape.
        scale: physical units per stored unit.
        offset: physical value of a stored 0.
        missing: stored values that mean missing.
    """
    if stored.dtype.kind == "u" and stored.dtype.itemsize <= 2 and stored.size > 2**16:
        # a table of all codes: several times faster on the large grids of radars
        return decode_values(np.arange(2 ** (8 * stored.dtype.itemsize)), scale, offset, missing)[stored]
    with np.errstate(over="ignore", invalid="ignore"):
        values = (stored * np.float64(scale) + offset).astype(np.float32)
    for code in missing:
        values[stored == code] = np.nan
    return values


def scale_values(stored: NDArray[Any], scale: float, offset: float) -> NDArray[np.float32]:
    """Compute stored value x scale + offset, in double precision; values beyond float32 become infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if (scale, offset) == (1.0, 0.0):
            return stored.astype(np.float32, order="C")
        return np.ascontiguousarray(stored * np.float64(scale) + offset, np.float32)


def coarsen(frames: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Average square blocks of pixels; rows and columns left over at the lower and right edge are cut.

    Args:
        frames: (T, C, H, W), NaN where missing.
        factor: side of a block, pixels, 1 to the smaller of H and W.

    Returns:
        (T, C, H // factor, W // factor): mean of the valid pixels, in units of the frames; NaN where fewer than
        half of a block are valid.
    """
    steps, channels, height, width = frames.shape
    rows, columns = height // factor, width // factor
    cut = frames[:, :, : rows * factor, : columns * factor]
    blocks = cut.reshape(steps, channels, rows, factor, columns, factor)
    valid = np.isfinite(blocks)
    if valid.all():
        return blocks.mean((3, 5), dtype=np.float32)
    # a block with few valid pixels is missing: its mean would be that of an edge, not of the block
    count = valid.sum((3, 5))
    total = np.where(valid, blocks, 0).sum((3, 5), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(2 * count >= factor**2, total / count, np.nan).astype(np.float32)


def coarsen_size(size: int, factor: int, side: str, name: str, notes: list[str]) -> int:
    """Compute the number of rows or columns after coarsening; a note is added if some are left out.

    Args:
        size: rows or columns.
        factor: pixels of a side that become one.
        side: "rows" or "columns".
        name: the source, for errors.
        notes: the source's notes.

    Raises:
        InputError: fewer pixels than become one.
    """
    if size < factor:
        raise InputError(f"{name}: shrink", got=factor, expected=f"at most {size}, the pixels of a side")
    if remainder := size % factor:
        notes.append(f"shrink: the last {remainder} of {size} {side} are left out")
    return size // factor
