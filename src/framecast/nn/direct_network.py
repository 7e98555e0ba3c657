"""Direct network, without recurrence: a block of frames in, the next block out, repeatedly for longer horizons."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from framecast.nn.network import Advance, SequenceNetwork
from framecast.types import Frame, Frames


class BlockState(NamedTuple):
    """Newest observed frames; during a forecast also the newest frames of all, and those that are not emitted yet."""

    past: Frames
    """(B, J, C + E, H, W), observed, with what entered beside them."""
    newest: Frames
    """(B, J, C + E, H, W), input of the next block: the past, then ever more of what was emitted."""
    ahead: Frames
    """(B, 0 to J, C, H, W), predicted and not emitted yet."""
    emitted: Tensor | None = None
    """(B, C, H, W), frame of the forecast that was emitted last; None where none was."""


class DirectNetwork(SequenceNetwork):
    """Network that predicts J frames at once from the J before them.

    Args:
        body: (B, J, C + E, H, W) to (B, J, C, H, W).
        context: J.
        stride: rows and columns of a frame are multiples of it.
        correction: (B, C + E, H, W), a predicted frame and what is known beside it, to what is added to the frame; None
            for a network without further channels.
    """

    def __init__(self, body: nn.Module, context: int, stride: int = 1, correction: nn.Module | None = None) -> None:
        super().__init__(stride)
        self.body, self.context, self.correction = body, context, correction

    def init_state(self, frame: Frame) -> BlockState:
        """Repeat the first frame J times: until J are observed, it stands for those before it."""
        self.check_size(frame)
        past = frame[:, None].expand(-1, self.context, -1, -1, -1)
        return BlockState(past, past, past[:, :0])

    def observe(self, frame: Frame, state: BlockState | None) -> Advance:
        """Append a frame to the block in place of the oldest one; a forecast under way is dropped."""
        state = self.init_state(frame) if state is None else state
        past = torch.cat([state.past[:, 1:], frame[:, None]], 1)
        return Advance(None, BlockState(past, past, past[:, :0]))

    def emit(self, frame: Tensor | None, state: BlockState, drive: Tensor | None = None) -> Advance:
        """Emit the next frame of the predicted block; where none is left, first predict a block from the newest one."""
        past, newest, ahead, emitted = state
        if emitted is not None:
            entering = emitted if frame is None else torch.cat([emitted, frame], 1)
            newest = torch.cat([newest[:, 1:], entering[:, None]], 1)
        if ahead.shape[1] == 0:
            ahead = self.body(newest)
        emitted = ahead[:, 0]
        if self.correction is not None:
            assert frame is not None
            emitted = emitted + self.correction(torch.cat([emitted, frame], 1))
        return Advance(emitted, BlockState(past, newest, ahead[:, 1:], emitted))
