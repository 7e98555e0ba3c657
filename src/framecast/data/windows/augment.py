"""Augmentation of training windows: flips and quarter turns of all frames of a window, vectors with the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.random import Purpose, random_stream
from framecast.data.windows.vectors import MOTION, NO_VECTORS, Vectors
from framecast.types import Window


def augment(
    window: Window, kinds: Sequence[str], seed: int, epoch: int, index: int, vectors: Vectors = NO_VECTORS
) -> Window:
    """Flip and turn all frames of a window in the same way; a pure function of (seed, epoch, index).

    Args:
        window: the frames, and their mask, which is changed with them.
        kinds: "flip", up-down and left-right, each with probability 1/2; "turn", 0 to 3 quarter turns (square frames).
        seed: seed of the training.
        epoch: epoch of the training, from 0.
        index: index of the window in its split.
        vectors: channels that are components, which change with the map.
    """
    if not kinds:
        return window
    numbers = random_stream(Purpose.AUGMENTATION, seed, epoch, index)
    # all numbers are drawn whatever the kinds, so that one kind does not change the numbers of another
    axes = tuple(axis for axis, flip in zip((-2, -1), numbers.integers(2, size=2), strict=True) if flip)
    turns = int(numbers.integers(4))

    def change(values: NDArray[Any]) -> NDArray[Any]:
        if "flip" in kinds:
            values = np.flip(values, axes)
        return np.rot90(values, turns, (-2, -1)) if "turn" in kinds else values

    frames, valid = change(window.frames), None if window.valid is None else change(window.valid)
    motion = None if window.motion is None else change(window.motion)
    flipped, turned = axes if "flip" in kinds else (), turns if "turn" in kinds else 0
    if motion is not None:
        motion = _turn_components(motion, MOTION, flipped, turned)
    if vectors.pairs:
        frames = _turn_components(frames, vectors, flipped, turned)
        if valid is not None and turned % 2:
            valid = _swap_components(valid, vectors)
    return window._replace(frames=frames, valid=valid, motion=motion)


def _turn_components(
    frames: NDArray[np.float32], vectors: Vectors, flipped: Sequence[int], turns: int
) -> NDArray[np.float32]:
    """Change the components of vectors as the map has been changed: flipped along axes, then turned.

    A component along x is one along columns, up to the sign of the coordinate, and one along y is one along rows. A
    quarter turn of `np.rot90` takes rows to columns, and columns to rows from last to first.
    """
    frames = frames.copy()
    for u, v in vectors.pairs:
        column, row = vectors.x_sign * frames[:, u], vectors.y_sign * frames[:, v]
        column, row = (-part if axis in flipped else part for axis, part in ((-1, column), (-2, row)))
        for _ in range(turns):
            row, column = -column, row
        frames[:, u], frames[:, v] = vectors.x_sign * column, vectors.y_sign * row
    return frames


def _swap_components(valid: NDArray[np.bool_], vectors: Vectors) -> NDArray[np.bool_]:
    """Swap the masks of the components of each vector."""
    order = np.arange(valid.shape[1])
    for u, v in vectors.pairs:
        order[[u, v]] = v, u
    swapped: NDArray[np.bool_] = valid[:, order]
    return swapped
