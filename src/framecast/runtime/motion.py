"""Motion of the frames of a context, for models whose base moves the last frame."""

from __future__ import annotations

import warnings

import numpy as np

from framecast.motion.dense_field import SPACING
from framecast.motion.estimate import TRACKED_FRAMES, estimate_motion
from framecast.runtime.description import Description
from framecast.runtime.units import Float32Array, to_network_units


def estimate_context(frames: Float32Array, about: Description) -> Float32Array:
    """Estimate the motion at each frame that the network runs over.

    Args:
        frames: (B, J, C, H, W), raw units, NaN where missing.
        about: of the model.

    Returns:
        (B, J, 2, H, W), pixels per frame in x and y; zero for frames that the network does not run over.
    """
    batch, context, _, height, width = frames.shape
    tracked = _average(to_network_units(frames[:, :, : about.targets], about))
    motion = np.zeros((batch, context, 2, height, width), np.float32)
    first = 0 if about.spin_up is None else max(0, context - about.spin_up)
    for row in range(batch):
        for t in range(first, context):
            nodes = estimate_motion(tracked[row, max(0, t + 1 - TRACKED_FRAMES) : t + 1])
            motion[row, t] = expand_nodes(nodes, height, width)
    return motion


def expand_nodes(nodes: Float32Array, height: int, width: int) -> Float32Array:
    """Expand motion on the nodes of a coarse grid, (2, rows, columns), to all pixels, (2, H, W)."""
    for axis, size in ((1, height), (2, width)):
        place = np.arange(size)
        below = np.minimum(place // SPACING, max(nodes.shape[axis] - 2, 0))
        above = np.minimum(below + 1, nodes.shape[axis] - 1)
        share = ((place - below * SPACING) / np.float32(SPACING)).astype(np.float32)
        share = share[:, None] if axis == 1 else share
        nodes = nodes.take(below, axis) * (1 - share) + nodes.take(above, axis) * share
    return nodes


def _average(targets: Float32Array) -> Float32Array:
    """Average the channels, which move together: (B, T, C, H, W) to (B, T, H, W), NaN where all are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of pixels that are missing in all channels
        mean: Float32Array = np.nanmean(targets, 2)
    return mean
