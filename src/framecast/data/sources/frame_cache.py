"""Frames that were read lately, so that windows that overlap do not unpack the same file again."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.types import Area

BUDGET = 256 << 20
"""Bytes of frames that are kept, in each process."""


class FrameCache:
    """The frames (C, H, W) used last, up to a number of bytes. A copy in another process begins empty."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._frames: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, int]) -> NDArray[np.float32] | None:
        """The frame, or None."""
        frame = self._frames.get(key)
        if frame is not None:
            self._frames.move_to_end(key)
        return frame

    def put(self, key: tuple[int, int], frame: NDArray[np.float32]) -> None:
        """Keep a frame; those not used for longest go. One that is larger than the budget is not kept."""
        if frame.nbytes > self.budget or key in self._frames:
            return
        self._frames[key] = frame
        self._bytes += frame.nbytes
        while self._bytes > self.budget:
            self._bytes -= self._frames.popitem(last=False)[1].nbytes

    def read(
        self,
        sequence: int,
        start: int,
        stop: int,
        area: Area | None,
        load: Callable[[int, int, int], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """Frames start..stop-1 of a sequence, (T, C, H, W), or an area of them.

        From here where they are; `load` reads the others, whole.
        """
        at_hand = {at: frame for at in range(start, stop) if (frame := self.get((sequence, at))) is not None}
        lacking = [at for at in range(start, stop) if at not in at_hand]
        parts: dict[int, NDArray[np.float32]] = {}
        for _, group in itertools.groupby(enumerate(lacking), key=lambda pair: pair[1] - pair[0]):
            run = [at for _, at in group]
            fresh = load(sequence, run[0], run[-1] + 1)
            for at, frame in zip(run, fresh, strict=True):
                self.put((sequence, at), frame.copy())
                parts[at] = frame
        found = [parts[at] if at in parts else at_hand[at] for at in range(start, stop)]
        return np.stack(found if area is None else [frame[:, area.rows, area.columns] for frame in found])

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameCache, (self.budget,)
