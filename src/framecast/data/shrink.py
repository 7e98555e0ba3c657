"""Coarser frames: blocks of pixels as one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shrunk(frames: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Average blocks of pixels; what is left over at the lower and right edge is cut.

    Args:
        frames: (T, C, H, W), NaN where missing.
        factor: pixels of a block's side, 1 to H and W.

    Returns:
        (T, C, H // factor, W // factor): the mean of the valid pixels, in the frames' own units; NaN where fewer than
        half of a block are valid.
    """
    steps, channels, height, width = frames.shape
    rows, columns = height // factor, width // factor
    cut = frames[:, :, : rows * factor, : columns * factor]
    blocks = cut.reshape(steps, channels, rows, factor, columns, factor)
    valid = np.isfinite(blocks)
    if valid.all():
        return blocks.mean((3, 5), dtype=np.float32)
    count = valid.sum((3, 5))
    total = np.where(valid, blocks, 0).sum((3, 5), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(2 * count >= factor**2, total / count, np.nan).astype(np.float32)
