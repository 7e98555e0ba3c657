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

    return Window(change(window.frames), None if window.valid is None else change(window.valid), window.times)
