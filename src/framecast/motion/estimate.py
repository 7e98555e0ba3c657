"""Estimation of the motion at the newest of a few frames."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from framecast.motion.dense_field import NOTHING, SPACING, interpolate
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


def expand_motion(nodes: Tensor, height: int, width: int) -> Tensor:
    """Expand motion on the nodes of a coarse grid, (B, 2, rows, columns), to all pixels, (B, 2, H, W)."""
    size = (nodes.shape[-2] - 1) * SPACING + 1, (nodes.shape[-1] - 1) * SPACING + 1
    return F.interpolate(nodes, size=size, mode="bilinear", align_corners=True)[..., :height, :width]


@cache
def import_opencv() -> Any:
    """Import OpenCV; None where it is not installed."""
    try:
        return importlib.import_module("cv2")
    except ImportError:
        return None


def estimate_batch(frames: Tensor) -> Tensor:
    """Estimate the motion of each sequence of a batch, (B, T, H, W), NaN where missing, for all pixels: (B, 2, H, W)."""
    nodes = np.stack([estimate_motion(sequence) for sequence in frames.detach().cpu().float().numpy()])
    return expand_motion(torch.from_numpy(nodes), *frames.shape[-2:]).to(frames.device)


def average_channels(frames: Tensor, seen: Tensor) -> Tensor:
    """Average the channels, which move together: (B, T, C, H, W) and mask to (B, T, H, W), NaN where all are missing."""
    total = torch.where(seen, frames, 0).sum(2)
    return torch.where(seen.any(2), total / seen.sum(2).clamp_min(1), torch.nan)
