"""Dense motion from sparse vectors: outliers removed, clusters thinned, the rest interpolated by inverse distance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

SPACING = 8
"""Pixels between the nodes of a field; motion varies little over them."""
NEIGHBOURS = 30
"""MotionVectors around one that decide whether it is an outlier."""
OUTLIER = 3.0
"""Robust deviations from the neighbours' median from which on a vector is an outlier."""
CELL = 20
"""Side of the squares of pixels, each of which keeps one vector."""
NEAREST = 20
"""MotionVectors whose weighted mean is the motion at a node."""
POWER = 0.5
"""Exponent of the distance in the weights."""
LEAST_DEVIATION = 0.5
"""Least deviation of neighbours, pixels per frame: tracking is no more accurate."""


class MotionVectors(NamedTuple):
    """Motion at some places."""

    places: Array
    """(N, 2), x and y, pixels."""
    velocities: Array
    """(N, 2), pixels per frame in x and y."""


NOTHING = MotionVectors(np.zeros((0, 2)), np.zeros((0, 2)))
"""No vectors."""


def interpolate(vectors: MotionVectors, height: int, width: int) -> NDArray[np.float32]:
    """Interpolate vectors to the nodes of a field; zero motion without any vector.

    Returns:
        (2, rows, columns), pixels per frame in x and y, at the pixels 0, SPACING, ..., which reach the last pixel.
    """
    shape = node_count(height), node_count(width)
    places, velocities = _thin(*_remove_outliers(*vectors))
    if not len(places):
        return np.zeros((2, *shape), np.float32)
    rows, columns = np.mgrid[: shape[0], : shape[1]] * float(SPACING)
    nodes = np.stack([columns.ravel(), rows.ravel()], 1)
    field = np.empty((len(nodes), 2))
    for first in range(0, len(nodes), 4096):
        distances = _distances(nodes[first : first + 4096], places)
        nearest = np.argpartition(distances, min(NEAREST, len(places)) - 1, 1)[:, :NEAREST]
        weights = 1 / np.maximum(np.take_along_axis(distances, nearest, 1), 1e-6) ** POWER
        field[first : first + 4096] = (weights[..., None] * velocities[nearest]).sum(1) / weights.sum(1)[:, None]
    return field.T.reshape(2, *shape).astype(np.float32)


def node_count(pixels: int) -> int:
    """Count the nodes along a side of so many pixels."""
    return -(-(pixels - 1) // SPACING) + 1


def _distances(nodes: Array, places: Array) -> Array:
    squares = np.square(nodes[:, :1] - places[:, 0])
    squares += np.square(nodes[:, 1:] - places[:, 1])
    return np.sqrt(squares, out=squares)


def _remove_outliers(places: Array, velocities: Array) -> MotionVectors:
    """Remove vectors that differ from the median of their neighbours by far more than these do."""
    if len(places) < 4:
        return MotionVectors(places, velocities)
    near = np.argpartition(_distances(places, places), min(NEIGHBOURS, len(places) - 1), 1)[:, : NEIGHBOURS + 1]
    around = velocities[near]
    centre = np.median(around, 1)
    deviation = 1.4826 * np.median(np.abs(around - centre[:, None]), 1)
    off = np.abs(velocities - centre) / np.maximum(deviation, LEAST_DEVIATION)
    kept = (off < OUTLIER).all(1)
    return MotionVectors(places[kept], velocities[kept])


def _thin(places: Array, velocities: Array) -> MotionVectors:
    """Replace the vectors of each square by their median, so that a cluster of features does not outweigh the rest."""
    if not len(places):
        return MotionVectors(places, velocities)
    _, square = np.unique(np.floor(places / CELL), axis=0, return_inverse=True)
    groups = [np.flatnonzero(square.ravel() == n) for n in range(square.max() + 1)]
    medians = [(np.median(places[group], 0), np.median(velocities[group], 0)) for group in groups]
    return MotionVectors(np.stack([p for p, _ in medians]), np.stack([v for _, v in medians]))
