"""A network: a stack of cells and a head. It knows no cell by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from framecast.errors import UsageError
from framecast.nn.cell import Cell, Memory, State, zeros
from framecast.nn.conv import GateConv
from framecast.types import Frame

Aux = dict[str, tuple[Tensor, ...]]
"""What the cells reported, by name; one tensor per reporting cell, bottom up."""


class NetworkState(NamedTuple):
    """All that a network remembers between two frames. A value: keep it, copy it, branch from it."""

    cells: tuple[State, ...]
    memory: Memory


class Network(nn.Module):
    """Cells, bottom up, and a head that turns the top hidden state into the next frame.

    Args:
        cells: at least one; the memory that leaves one enters the next, and the top one's the bottom of the next frame.
        head: (B, N, H, W) to (B, C, H, W).
        regularizer: a module that turns the aux reports of a rollout into an additional loss, with weights of its own.

    Raises:
        UsageError: no cells, or the memory of two neighbours does not fit.
    """

    def __init__(self, cells: Sequence[Cell], head: nn.Module, regularizer: nn.Module | None = None) -> None:
        super().__init__()
        _check_memory(cells)
        self.cells = nn.ModuleList(cells)
        self.head = head
        self.regularizer = regularizer

    def init_state(self, frame: Frame) -> NetworkState:
        """The state before the first frame: zeros that fit `frame` in batch, size, dtype and device."""
        batch, _, height, width = frame.shape
        cells = tuple(cell.init_state(batch, height, width, like=frame) for cell in self._stack())
        memory = tuple(zeros(frame, batch, n, height, width) for n in self._stack()[0].memory_channels or ())
        return NetworkState(cells, memory)

    def _stack(self) -> list[Cell]:
        return cast("list[Cell]", list(self.cells))

    def forward(self, frame: Frame, state: NetworkState | None = None) -> tuple[Tensor, NetworkState, Aux]:
        """One step in time.

        Args:
            frame: (B, C, H, W), network units.
            state: what the last step gave; None before the first frame.

        Returns:
            the predicted next frame (B, C, H, W), the new state, and what the cells reported.
        """
        if state is None:
            state = self.init_state(frame)
        x, memory = frame, state.memory
        states: list[State] = []
        aux: Aux = {}
        for cell, old in zip(self.cells, state.cells, strict=True):
            x, memory, new, report = cell(x, memory, old)
            states.append(new)
            for name, value in report.items():
                aux[name] = (*aux.get(name, ()), value)
        return self.head(x), NetworkState(tuple(states), memory), aux


def pixel_head(hidden: int, channels: int, *, bias: bool = False) -> GateConv:
    """The published head: a 1x1 convolution without activation."""
    return GateConv(hidden, channels, 1, bias=bias)


def _check_memory(cells: Sequence[Cell]) -> None:
    if not cells:
        raise UsageError("cells", got="none", expected="at least one cell")
    sized = [cell for cell in cells if cell.memory_channels is not None]
    for below, above in zip(sized, [*sized[1:], *sized[:1]], strict=True):
        if below.memory_channels_out != above.memory_channels:
            raise UsageError(
                f"memory between {type(below).__name__} and {type(above).__name__}",
                got=f"{below.memory_channels_out} channels",
                expected=f"{above.memory_channels}",
                fix="give all layers the same number of hidden channels",
            )
