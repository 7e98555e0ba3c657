"""A network of two phases: an encoder reads the past, a forecaster that starts from its states writes the future."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import NamedTuple, cast

from torch import Tensor, nn
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
    """What both phases remember."""

    encoder: NetworkState
    """Of the stream: it changes with every frame that is observed."""
    forecaster: NetworkState | None
    """Of a forecast under way, of B * M members; None since the last frame that was observed."""


class EncoderForecaster(SequenceNetwork):
    """Cells that read the past, cells that write the future; no frame is fed back, and none of the context is predicted.

    Members share the encoder; each has its own noise, and its own row in the forecaster's batch.

    Args:
        encoder: cells, bottom up; each frame enters the first one.
        forecaster: cells in the order in which they are computed; the drive enters the first one, at the level that
            leaves the encoder. That first one keeps a state.
        bridge: the encoder's `NetworkState` to the one from which the forecaster starts.
        head: what leaves the forecaster to (B, C, H, W).
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

    def init_state(self, frame: Frame) -> PhaseState:
        """Zeros for the encoder; see `SequenceNetwork.init_state`."""
        self.check_size(frame)
        return PhaseState(init_stack(self._cells(self.encoder), frame, frame.shape[-2], frame.shape[-1]), None)

    def _cells(self, cells: nn.ModuleList) -> list[Cell]:
        return cast("list[Cell]", list(cells))

    def observe(self, frame: Frame, state: PhaseState | None) -> Advance:
        """The encoder takes a frame; a forecast under way is dropped."""
        state = self.init_state(frame) if state is None else state
        _, encoder, aux = climb(self._cells(self.encoder), frame, state.encoder)
        return Advance(None, PhaseState(encoder, None), aux)

    def emit(self, frame: Tensor | None, state: PhaseState, drive: Tensor | None = None) -> Advance:
        """The forecaster takes noise or zeros, and starts from the encoder's states if no forecast is under way."""
        ahead = state.forecaster
        if ahead is None:
            ahead = self.bridge(state.encoder)
            if drive is not None:
                ahead = _repeated(ahead, len(drive))
        if drive is None:
            like = tree_leaves(ahead)[0]
            drive = like.new_zeros(like.shape[0], self.drive_channels, *like.shape[-2:])
        x, ahead, aux = climb(self._cells(self.forecaster), drive, ahead)
        return Advance(self.head(x), PhaseState(state.encoder, ahead), aux)

    def drive_shape(self, height: int, width: int) -> tuple[int, ...] | None:
        """(drive_channels, H', W') at the level that leaves the encoder; None without noise."""
        level = stack_levels(self._cells(self.encoder))[-1]
        return (self.drive_channels, int(height * level), int(width * level)) if self.noise else None

    def penalty(self) -> Tensor | None:
        """The penalties of all cells together, a number; None where no cell has one."""
        return stack_penalty([*self._cells(self.encoder), *self._cells(self.forecaster)])


def _repeated(state: NetworkState, rows: int) -> NetworkState:
    """Each row as often as there are members, side by side."""
    repeated: NetworkState = tree_map(lambda leaf: leaf.repeat_interleave(rows // len(leaf), 0), state)
    return repeated
