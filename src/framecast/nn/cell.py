"""The contract of a cell. A network is a grid of cells, layers up and time to the right, and three things move in it:

x        rises    from a layer to the one above, within a frame
state    stays    in its own layer, from one frame to the next
memory   zigzags  up through all layers, then to the bottom of the next frame

A queue is a state of several tensors; what each frame fills anew (a highway) is a memory whose value the bottom cell
ignores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from framecast import kernels
from framecast.types import Hidden

State = Any
"""NamedTuple that a cell defines, of tensors whose first axis is the batch."""
Memory = tuple[Tensor, ...]
"""Maps (B, N, H, W) that go from cell to cell."""


class Step(NamedTuple):
    """Result of a cell for one frame.

    Example:
        >>> import torch
        >>> from framecast.models import ConvLSTM
        >>> cell, x = ConvLSTM(hidden=(4,), kernel_size=3).build(1, 8, 8).cells[0], torch.zeros(2, 1, 8, 8)
        >>> step = cell(x, (), cell.init_state(2, 8, 8, like=x))
        >>> step.out.shape, step.memory
        (torch.Size([2, 4, 8, 8]), ())
    """

    out: Hidden
    """(B, N, H, W), rises."""
    memory: Memory
    """Each (B, N, H, W), zigzags."""
    state: State
    """Stays."""
    aux: dict[str, Tensor] = {}  # noqa: RUF012 -- a NamedTuple's default is never mutated
    """Tensors for an auxiliary loss or a wrapper, by the symbols of `gates`; empty otherwise. A wrapper that needs the
    output gate sets `reports_output` of its cell, and removes "o" from its own report."""


class Cell(nn.Module, ABC):
    """One cell of the grid. Abstract or final: a concrete cell is wrapped, never subclassed.

    A cell keeps no state: what it remembers goes in and comes out. It does not know whether a frame is the first one.

    Example:
        >>> import torch
        >>> from framecast import Cell, Step
        >>> class Sum(Cell):    # h' = x + h
        ...     def init_state(self, batch, height, width, *, like):
        ...         return (like.new_zeros(batch, 1, height, width),)
        ...     def gates(self, x, memory, state):
        ...         return {"h": x + state[0]}
        ...     def forward(self, x, memory, state):
        ...         h = self.gates(x, memory, state)["h"]
        ...         return Step(h, memory, (h,))
        >>> cell, x = Sum(), torch.ones(1, 1, 2, 2)
        >>> state = cell.init_state(1, 2, 2, like=x)
        >>> for frame in (x, x, x):
        ...     state = cell(frame, (), state).state
        >>> state[0].mean().item()
        3.0
    """

    memory_channels: tuple[int, ...] | None = ()
    """Channels of each memory that enters; () for none; None to pass any memory through unchanged."""
    memory_channels_out: tuple[int, ...] | None = ()
    """Channels of each memory that leaves; None where `memory_channels` is None."""
    scale: float = 1
    """Rows and columns of `out` over those of x, 2 or 1/2 for a cell that ends in a resampler; the state has x's."""
    window: int = 1
    """Rows and columns of x are multiples of it."""
    reports_output: bool = False
    """Whether `aux` holds the output gate "o"; set by a wrapper that needs it, see `open_output`."""

    @abstractmethod
    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> State:
        """Make the state before the first frame, for a map of height x width, with dtype and device of `like`."""

    @abstractmethod
    def forward(self, x: Hidden, memory: Memory, state: State) -> Step:
        """Advance by one frame: from its features to the hidden state, memory and state after it."""

    @abstractmethod
    def gates(self, x: Hidden, memory: Memory, state: State) -> dict[str, Tensor]:
        """Compute every gate and new value by the paper's symbol, after its activation, each (B, N, H, W).

        The equations written out without fused arithmetic: the oracle of `forward` and the source of analyses. Always
        holds "h", the hidden state, which equals `forward`'s `out`.
        """

    def penalty(self) -> Tensor | None:
        """Compute a loss of the cell's weights alone, a scalar; None for none. A wrapper returns that of its cell."""
        return None

    def open_output(self, o: Tensor, memory: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Form the hidden state sigma(o) o tanh(memory), and the report of sigma(o) where a wrapper asked for it.

        Args:
            o: (B, N, H, W), the output gate before its activation.
            memory: (B, N, H, W).
        """
        if not self.reports_output:
            return kernels.output_update(o, memory), {}
        o = kernels.materialize(o)  # used twice
        return kernels.output_update(o, memory), {"o": torch.sigmoid(o)}


def zeros(like: Tensor, *shape: int) -> Tensor:
    """Make zeros with dtype and device of `like`."""
    return like.new_zeros(shape)
