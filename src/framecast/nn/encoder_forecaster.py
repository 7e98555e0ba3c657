"""Encoder-forecaster, a network of two phases: one reads the past, the other starts from its states and predicts."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle
from torch.utils._pytree import tree_leaves, tree_map

from framecast.errors import UsageError
from framecast.nn.cell import Cell
from framecast.nn.network import (
    Advance,
    NetworkState,
    SequenceNetwork,
    climb,
    init_stack,
    stack_levels,
    stack_penalty,
    stack_stride,
)
from framecast.types import Frame


class PhaseState(NamedTuple):
    """State of both phases."""

    encoder: NetworkState
    """State after the observed frames; every observed frame changes it."""
    forecaster: NetworkState | None
    """State of the forecast under way, B * M rows for M members; None right after an observed frame."""


class EncoderForecaster(SequenceNetwork):
    """Cells that read the past, cells that predict the future; no frame is fed back, no context predicted.

    Members share the encoder; each has its own noise, and its own row in the forecaster's batch. Further channels enter
    beside each frame, and, space-to-depth'ed to its level, beside the drive.

    Args:
        encoder: cells, bottom up; each frame enters the first one.
        forecaster: cells in the order in which they are computed; the drive enters the first one, at the level that
            leaves the encoder. That first one keeps a state.
        bridge: the encoder's `NetworkState` to the one from which the forecaster starts.
        head: from the features that leave the forecaster to (B, C, H, W).
        drive_channels: channels of the drive.
        noise: whether the drive is noise, drawn outside; else it is zeros.

    Raises:
        UsageError: no cells.
    """

    def __init__(
        self,
        encoder: Sequence[Cell],
        forecaster: Sequence[Cell],
        bridge: nn.Module,
        head: nn.Module,
        *,
        drive_channels: int,
        noise: bool = False,
    ) -> None:
        if not encoder or not forecaster:
            raise UsageError("cells", got="none", expected="at least one in the encoder and one in the forecaster")
        level = stack_levels(encoder)[-1]
        super().__init__(lcm(stack_stride(encoder), (stack_stride(forecaster) / level).numerator))
        self.encoder, self.forecaster = nn.ModuleList(encoder), nn.ModuleList(forecaster)
        self.bridge, self.head = bridge, head
        self.drive_channels, self.noise = drive_channels, noise
        self.shrink = (1 / level).numerator

    def init_state(self, frame: Frame) -> PhaseState:
        """Make the state before the first frame: zeros for the encoder that fit `frame`, no forecast."""
        self.check_size(frame)
        return PhaseState(init_stack(self._cells(self.encoder), frame, frame.shape[-2], frame.shape[-1]), None)

    def _cells(self, cells: nn.ModuleList) -> list[Cell]:
        return cast("list[Cell]", list(cells))

    def observe(self, frame: Frame, state: PhaseState | None) -> Advance:
        """Encode a true frame; a forecast under way is dropped."""
        state = self.init_state(frame) if state is None else state
        _, encoder, aux = climb(self._cells(self.encoder), frame, state.encoder)
        return Advance(None, PhaseState(encoder, None), aux)

    def emit(self, frame: Tensor | None, state: PhaseState, drive: Tensor | None = None) -> Advance:
        """Predict the next frame from noise or zeros; from the encoder's states where no forecast is under way."""
        forecaster = state.forecaster
        if forecaster is None:
            forecaster = self.bridge(state.encoder)
            if drive is not None:
                forecaster = _repeat_rows(forecaster, len(drive))
        if drive is None:
            like = tree_leaves(forecaster)[0]
            drive = like.new_zeros(like.shape[0], self.drive_channels, *like.shape[-2:])
        if frame is not None:
            beside = pixel_unshuffle(frame, self.shrink)
            drive = torch.cat([drive, beside.repeat_interleave(len(drive) // len(beside), 0)], 1)
        x, forecaster, aux = climb(self._cells(self.forecaster), drive, forecaster)
        return Advance(self.head(x), PhaseState(state.encoder, forecaster), aux)

    def drive_shape(self, height: int, width: int) -> tuple[int, ...] | None:
        """Shape of the noise of one step, (drive_channels, H', W') at the encoder's last level; None without noise."""
        level = stack_levels(self._cells(self.encoder))[-1]
        return (self.drive_channels, int(height * level), int(width * level)) if self.noise else None

    def penalty(self) -> Tensor | None:
        """Sum the penalties of all cells, a scalar; None where no cell has one."""
        return stack_penalty([*self._cells(self.encoder), *self._cells(self.forecaster)])


def _repeat_rows(state: NetworkState, rows: int) -> NetworkState:
    """Repeat each row once per member, members of a sequence side by side."""
    repeated: NetworkState = tree_map(lambda leaf: leaf.repeat_interleave(rows // len(leaf), 0), state)
    return repeated
