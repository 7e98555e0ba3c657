"""A network without recurrence: a block of frames in, the next block out, again and again for longer horizons."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from framecast.nn.network import Advance, SequenceNetwork
from framecast.types import Frame, Frames


class BlockState(NamedTuple):
    """Of a stream, the newest frames; of a forecast under way, the newest block and what is left of it."""

    past: Frames
    """(B, J, C, H, W), observed."""
    newest: Frames
    """(B, J, C, H, W), what the next block follows: the past, or the block that was predicted last."""
    ahead: Frames
    """(B, 0 to J, C, H, W), predicted and not emitted yet."""


class DirectNetwork(SequenceNetwork):
    """A module from J frames to the J that follow.

    Args:
        body: (B, J, C, H, W) to (B, J, C, H, W).
        context: J.
        stride: rows and columns of a frame are multiples of it.
    """

    def __init__(self, body: nn.Module, context: int, stride: int = 1) -> None:
        super().__init__(stride)
        self.body, self.context = body, context

    def init_state(self, frame: Frame) -> BlockState:
        """J times the first frame: until J are observed, it stands for those before it."""
        self.check_size(frame)
        past = frame[:, None].expand(-1, self.context, -1, -1, -1)
        return BlockState(past, past, past[:, :0])

    def observe(self, frame: Frame, state: BlockState | None) -> Advance:
        """The oldest frame of the block gives way; a forecast under way is dropped."""
        state = self.init_state(frame) if state is None else state
        past = torch.cat([state.past[:, 1:], frame[:, None]], 1)
        return Advance(None, BlockState(past, past, past[:, :0]))

    def emit(self, frame: Tensor | None, state: BlockState, drive: Tensor | None = None) -> Advance:
        """The next frame of the predicted block; where none is left, a block is predicted from the newest one."""
        past, newest, ahead = state
        if ahead.shape[1] == 0:
            newest = ahead = self.body(newest)
        return Advance(ahead[:, 0], BlockState(past, newest, ahead[:, 1:]))
