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
BLOCK = 64
"""Vectors whose neighbours are sought at a time."""
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
    # squares along one axis are those of a whole row or column of nodes: a row of distances is one sum and one root
    down, across = (_square_differences(count, places[:, axis]) for axis, count in ((1, shape[0]), (0, shape[1])))
    last = min(NEAREST, len(places)) - 1
    field = np.empty((*shape, 2))
    for row, squares in enumerate(down):
        distances = across + squares
        np.sqrt(distances, out=distances)
        nearest = np.argpartition(distances, last, 1)[:, :NEAREST]
        weights = 1 / np.maximum(np.take_along_axis(distances, nearest, 1), 1e-6) ** POWER
        field[row] = (weights[..., None] * velocities[nearest]).sum(1) / weights.sum(1)[:, None]
    return field.transpose(2, 0, 1).astype(np.float32)


def _square_differences(count: int, places: Array) -> Array:
    """Square the distances along one axis of nodes from places, (count, N)."""
    return np.square(np.arange(count)[:, None] * float(SPACING) - places)


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
    last = min(NEIGHBOURS, len(places) - 1)
    near = np.empty((len(places), last + 1), np.intp)
    for first in range(0, len(places), BLOCK):  # of which the distances stay in the cache
        distances = _distances(places[first : first + BLOCK], places)
        near[first : first + BLOCK] = np.argpartition(distances, last, 1)[:, : last + 1]
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
    square = square.ravel()
    counts = np.bincount(square)
    starts = counts.cumsum() - counts
    return MotionVectors(*(_find_medians(values, square, starts, counts) for values in (places, velocities)))


def _find_medians(values: Array, group: NDArray[np.intp], starts: NDArray[Any], counts: NDArray[Any]) -> Array:
    """Find the median of each group of values (N, 2), axis by axis: one sort, not a call for each group."""
    medians = np.empty((len(counts), 2))
    for axis in (0, 1):
        ordered = values[np.lexsort((values[:, axis], group)), axis]
        medians[:, axis] = (ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2
    return medians
