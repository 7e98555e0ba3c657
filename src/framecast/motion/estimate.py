"""Estimation of the motion at the newest of a few frames."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.motion.dense_field import NOTHING, interpolate
from framecast.motion.lucas_kanade import track
from framecast.motion.phase_correlation import correlate

TRACKED_FRAMES = 4
"""Number of the last frames from which the motion is estimated."""


def estimate_motion(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Estimate the motion of one sequence at its newest frame, on the nodes of a coarse grid.

    By Lucas and Kanade's method where OpenCV is installed (the extra `radar`), else by the correlation of blocks. Zero
    where nothing can be tracked, as in a dry or a single frame.

    Args:
        frames: (T, H, W), any unit, NaN where missing; of more than `TRACKED_FRAMES` the last are used.

    Returns:
        (2, rows, columns), pixels per frame in x (to the right) and y (down), for `expand_motion`.
    """
    frames = frames[-TRACKED_FRAMES:]
    if len(frames) < 2:
        return interpolate(NOTHING, *frames.shape[1:])
    seen = np.isfinite(frames)
    values = np.where(seen, frames, 0)
    opencv = import_opencv()
    vectors = correlate(values, seen) if opencv is None else track(values, seen, opencv)
    return interpolate(vectors, *frames.shape[1:])


@cache
def import_opencv() -> Any:
    """Import OpenCV; None where it is not installed."""
    try:
        return importlib.import_module("cv2")
    except ImportError:
        return None


def name_method() -> str:
    """Name the method by which motion is estimated here."""
    return "correlation of blocks" if import_opencv() is None else "Lucas-Kanade (OpenCV)"
