"""Tracking of corners from frame to frame by OpenCV: the method of Lucas and Kanade (1981), in pyramids.

Features: Shi, Tomasi 1994, Good Features to Track. Their use on radar: Pulkkinen et al. 2019, Geosci. Model Dev. 12.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.motion.dense_field import NOTHING, Array, MotionVectors

FEATURES = {"maxCorners": 1000, "qualityLevel": 0.01, "minDistance": 10, "blockSize": 5}
WINDOW = 50
"""Side of the surroundings by which a feature is found again, pixels."""
LEVELS = 3
BUFFER = 5
"""Pixels around missing ones where no feature is sought: the edge of a radar's range does not move with the rain."""


def track(frames: Array, seen: NDArray[np.bool_], cv2: Any) -> MotionVectors:
    """Track features between neighbouring frames.

    Args:
        frames: (T, H, W), any unit, finite.
        seen: (T, H, W), False where missing.
        cv2: the package OpenCV.
    """
    images = _as_bytes(frames, seen)
    masks = [_shrink(area, cv2) for area in seen]
    pairs = range(len(images) - 1)
    parts = [_track_pair(images[t], images[t + 1], masks[t], masks[t + 1], cv2) for t in pairs]
    return MotionVectors(np.concatenate([p for p, _ in parts]), np.concatenate([v for _, v in parts]))


def _as_bytes(frames: Array, seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Scale the observed values of all frames to 0..255; missing pixels become 0."""
    low, high = (frames[seen].min(), frames[seen].max()) if seen.any() else (0.0, 0.0)
    scaled = (frames - low) * (255 / (high - low) if high > low else 0.0)
    return np.where(seen, scaled.clip(0, 255).round(), 0).astype(np.uint8)


def _shrink(seen: NDArray[np.bool_], cv2: Any) -> NDArray[np.uint8]:
    """Mark, by 1, the pixels far from missing ones."""
    area = seen.astype(np.uint8)
    eroded: NDArray[np.uint8] = area if area.all() else cv2.erode(area, np.ones((2 * BUFFER + 1,) * 2, np.uint8))
    return eroded


def _track_pair(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    mask_after: NDArray[np.uint8],
    cv2: Any,
) -> MotionVectors:
    """Track the features of one frame to the next: places in the first, and velocities, both (N, 2)."""
    corners = cv2.goodFeaturesToTrack(before, mask=mask, **FEATURES)
    if corners is None:
        return NOTHING
    size = min(WINDOW, *before.shape)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.0)
    settings = {"winSize": (size, size), "maxLevel": LEVELS, "criteria": stop}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **settings)
    start, end, found = corners[:, 0].astype(np.float64), moved[:, 0].astype(np.float64), found.ravel() == 1
    place = end.round().astype(int)
    inside = (place >= 0).all(1) & (place[:, 0] < before.shape[1]) & (place[:, 1] < before.shape[0])
    found &= inside
    found[found] = mask_after[place[found, 1], place[found, 0]] > 0
    return MotionVectors(start[found], (end - start)[found])
