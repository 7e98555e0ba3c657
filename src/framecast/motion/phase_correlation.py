"""Motion without OpenCV: the shift of overlapping blocks from frame to frame, by the peak of their correlation.

Kuglin, Hines 1975, The Phase Correlation Image Alignment Method; in blocks: Leese et al. 1971, J. Appl. Meteorol. 10.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framecast.motion.dense_field import Array, MotionVectors

BLOCK = 64
"""Side of a block, pixels; motion up to a quarter of it can be seen."""
STEP = 16
"""Pixels between blocks."""
LEAST_COVER = 0.7
"""Least share of observed pixels of a block."""
LEAST_CORRELATION = 0.5
"""Least correlation of a block with its shifted successor."""


def correlate(frames: Array, seen: NDArray[np.bool_]) -> MotionVectors:
    """Find the shifts of blocks between neighbouring frames.

    Args:
        frames: (T, H, W), any unit, finite.
        seen: (T, H, W), False where missing.
    """
    places: list[tuple[float, float]] = []
    velocities: list[tuple[float, float]] = []
    height, width = frames.shape[1:]
    block = min(BLOCK, height, width)
    taper = np.outer(np.hanning(block + 2)[1:-1], np.hanning(block + 2)[1:-1])
    for t in range(len(frames) - 1):
        for top in range(0, height - block + 1, STEP):
            for left in range(0, width - block + 1, STEP):
                at = np.s_[t : t + 2, top : top + block, left : left + block]
                shift = _find_shift(frames[at], seen[at], taper)
                if shift is not None:
                    places.append((left + (block - 1) / 2, top + (block - 1) / 2))
                    velocities.append(shift)
    return MotionVectors(np.array(places).reshape(-1, 2), np.array(velocities).reshape(-1, 2))


def _find_shift(pair: Array, seen: NDArray[np.bool_], taper: Array) -> tuple[float, float] | None:
    """Find the shift (x, y) from the first to the second block; None where none can be told."""
    if seen.mean() < LEAST_COVER:
        return None
    both = seen.all(0)
    values = np.where(both, pair, 0)
    values = (values - values[:, both].mean(1)[:, None, None]) * both * taper
    norm = float(np.sqrt((values[0] ** 2).sum() * (values[1] ** 2).sum()))
    if norm <= np.finfo(np.float32).tiny:
        return None
    spectra = np.fft.rfft2(values)
    surface = np.fft.irfft2(spectra[1] * spectra[0].conj(), s=pair.shape[1:]) / norm
    # shifted tapers overlap less: without this, peaks are drawn towards no motion
    overlap = np.fft.irfft2(np.abs(np.fft.rfft2(taper)) ** 2, s=pair.shape[1:])
    surface = surface / (overlap / overlap[0, 0])
    reach = pair.shape[1] // 4
    near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    if near[row, column] < LEAST_CORRELATION or row in (0, 2 * reach) or column in (0, 2 * reach):
        return None
    dy = _refine(near[row - 1 : row + 2, column])
    dx = _refine(near[row, column - 1 : column + 2])
    return column - reach + dx, row - reach + dy


def _refine(three: Array) -> float:
    """Find the top of the parabola through three neighbouring values, relative to the middle one."""
    curvature = three[0] - 2 * three[1] + three[2]
    return 0.0 if curvature >= 0 else float((three[0] - three[2]) / (2 * curvature))
