"""Cache of decoded frames, so that windows that overlap do not unpack the same file again."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.types import Area

BUDGET = 256 << 20
"""Memory of the cached frames in each process, bytes."""


class FrameCache:
    """Least-recently-used cache of frames (C, H, W). A copy in another process begins empty.

    Args:
        budget: memory of the cached frames, bytes.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._frames: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, int]) -> NDArray[np.float32] | None:
        """Return the frame of (sequence, index), None where it is not cached."""
        frame = self._frames.get(key)
        if frame is not None:
            self._frames.move_to_end(key)
        return frame

    def put(self, key: tuple[int, int], frame: NDArray[np.float32]) -> None:
        """Cache a frame, and drop those not used for longest. A frame larger than the budget is not cached."""
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
        """Return frames start..stop-1 of a sequence, (T, C, H, W), or an area of them.

        Args:
            sequence: number of the sequence.
            start: index of the first frame.
            stop: index after the last frame.
            area: pixels to return; None for all.
            load: reads frames (sequence, start, stop) that are not cached, all their pixels.
        """
        cached = {at: frame for at in range(start, stop) if (frame := self.get((sequence, at))) is not None}
        absent = [at for at in range(start, stop) if at not in cached]
        loaded: dict[int, NDArray[np.float32]] = {}
        # index minus rank is constant within a run of consecutive frames, which one call of `load` reads
        for _, group in itertools.groupby(enumerate(absent), key=lambda pair: pair[1] - pair[0]):
            run = [at for _, at in group]
            for at, frame in zip(run, load(sequence, run[0], run[-1] + 1), strict=True):
                self.put((sequence, at), frame.copy())  # a view would hold all frames of the run in memory
                loaded[at] = frame
        frames = [loaded[at] if at in loaded else cached[at] for at in range(start, stop)]
        return np.stack(frames if area is None else [frame[:, area.rows, area.columns] for frame in frames])

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameCache, (self.budget,)
