"""Prepared context: the frames of the next window but its newest, which the model takes before that one arrives.

It is no lasting state: it holds what a forecast of these very frames would compute first, and is used where a forecast
begins with them, bit by bit, so that the forecast is the same with it and without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.stream import StreamState

PastFrame = tuple[Tensor, Tensor]
"""A frame, (B, C, H, W), raw units, and its mask, False where missing."""


class PreparedContext:
    """Frames that a model took, and its state after them."""

    def __init__(self) -> None:
        self._key: Any = None
        self._frames: list[PastFrame] = []
        self._state: StreamState | None = None

    def extend(self, model: Forecaster, frames: Sequence[PastFrame]) -> bool:
        """Let a model without covariates take the next of some frames; return whether there was one left.

        What it took of others before is forgotten.

        Args:
            model: network.
            frames: oldest first.

        Raises:
            InputError: a frame that does not fit the model's contract.
        """
        taken = len(self._frames)
        if self._key != _identify(model) or not _are_first(self._frames, frames):
            taken, self._frames, self._state = 0, [], None
        if taken == len(frames):
            return False
        frame, valid = frames[taken]
        state = model.take(frame, self._state, valid)
        self._key, self._state, self._frames = _identify(model), state, [*self._frames, (frame, valid)]
        return True

    def skip(
        self, model: Forecaster, length: int, past: Iterator[PastFrame]
    ) -> tuple[StreamState | None, Iterator[PastFrame]]:
        """Take the prepared frames from a context; return the state after them, and the frames that are left.

        Args:
            model: that forecasts.
            length: number of frames of the context, the last of which is never prepared.
            past: the frames, oldest first.
        """
        count = len(self._frames)
        if not 0 < count < length or self._key != _identify(model):
            return None, past
        first = [frame for _, frame in zip(range(count), past, strict=False)]
        return (self._state, past) if _are_first(self._frames, first) else (None, chain(first, past))


def _identify(model: Forecaster) -> Any:
    """Identify what else the state depends on: the network itself, the pace of the frames, and the threads that add."""
    return model.network, model.pace, torch.get_num_threads()


def _are_first(taken: Sequence[PastFrame], frames: Sequence[PastFrame]) -> bool:
    """Whether the frames begin with those that were taken, bit by bit."""
    return len(taken) <= len(frames) and all(
        _are_same(one, other) for pair in zip(taken, frames, strict=False) for one, other in zip(*pair, strict=True)
    )


def _are_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same bits; NaN equals itself."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    bits = torch.int32 if one.dtype == torch.float32 else one.dtype
    return torch.equal(one.contiguous().view(bits), other.contiguous().view(bits))
