"""Orientation of stored pixels, by EXIF or by the display matrix of a film, and frames turned upright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
"""Orientation of pixels that are stored as they are seen."""
_FLIPS: dict[int, tuple[int, ...]] = {1: (), 2: (-1,), 3: (-2, -1), 4: (-2,), 5: (), 6: (-1,), 7: (-2, -1), 8: (-2,)}
"""Axes to reverse, by orientation, once rows and columns of the last four are exchanged."""
_MATRICES = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_ONE = 1 << 16
"""Number 1 in a display matrix, 16.16 fixed point."""


def swaps_sides(orientation: int) -> bool:
    """Whether upright frames have as many rows as columns are stored."""
    return orientation >= 5


def turn_upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror stored pixels as a viewer does; a view, no copy.

    Args:
        values: (..., H, W).
        orientation: 1 to 8, tag 0x0112 of EXIF 2.3.

    Returns:
        (..., H, W), or (..., W, H) for 5 to 8.
    """
    turned = values.swapaxes(-1, -2) if swaps_sides(orientation) else values
    return np.flip(turned, _FLIPS[orientation])


def orientation_of_matrix(matrix: Sequence[int]) -> int | None:
    """Translate the display matrix of a film, x' = a x + c y, y' = b x + d y; None for other angles and scales.

    Args:
        matrix: a, b, u, c, d, v, x, y, w as FFmpeg and QuickTime store them, 16.16 fixed point.
    """
    a, b, _, c, d, *_ = (int(number) for number in matrix)
    if any(number % _ONE for number in (a, b, c, d)):
        return None
    return _MATRICES.get((a // _ONE, b // _ONE, c // _ONE, d // _ONE))
