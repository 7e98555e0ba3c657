"""Augmentation of training windows: flips and quarter turns of all frames of a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.random import Purpose, random_stream
from framecast.types import Window


def augment(window: Window, kinds: Sequence[str], seed: int, epoch: int, index: int) -> Window:
    """Flip and turn all frames of a window in the same way; a pure function of (seed, epoch, index).

    Args:
        window: the frames, and their mask, which is changed with them.
        kinds: "flip", up-down and left-right, each with probability 1/2; "turn", 0 to 3 quarter turns (square frames).
        seed: seed of the training.
        epoch: epoch of the training, from 0.
        index: index of the window in its split.
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

    valid = None if window.valid is None else change(window.valid)
    motion = window.motion
    if motion is not None:
        motion = change_vectors(motion, axes if "flip" in kinds else (), turns if "turn" in kinds else 0)
    return Window(change(window.frames), valid, window.time, motion, window.pace)


def change_vectors(vectors: NDArray[np.float32], axes: Sequence[int], turns: int) -> NDArray[np.float32]:
    """Flip and turn a field of vectors: the places as of any field, and the vectors at them too.

    Args:
        vectors: (..., 2, H, W), components to the right and down.
        axes: -2 for up-down, -1 for left-right.
        turns: quarter turns counter-clockwise, after the flips.
    """
    x, y = vectors[..., 0, :, :], vectors[..., 1, :, :]
    if -1 in axes:
        x = -x
    if -2 in axes:
        y = -y
    for _ in range(turns % 4):
        x, y = y, -x
    flipped = np.flip(np.stack([x, y], -3), axes)
    return np.ascontiguousarray(np.rot90(flipped, turns, (-2, -1)))
