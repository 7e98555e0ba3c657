"""Interface of all networks that a rollout can run, and the step-by-step kind: a stack of cells and a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from framecast.errors import InputError, UsageError
from framecast.nn.cell import Cell, Memory, State, zeros
from framecast.nn.conv import GateConv
from framecast.types import Frame

Aux = dict[str, tuple[Tensor, ...]]
"""Reports of the cells by name; one tensor per reporting cell, bottom up."""


class Advance(NamedTuple):
    """Prediction and state of a network after it observed or emitted a frame. A value: keep it, copy it, branch off."""

    frame: Tensor | None
    """(B, C, H, W), the newest prediction; None where observing a frame predicts none."""
    state: Any
    """State of the network, for the next frame."""
    aux: Aux = {}  # noqa: RUF012 -- a NamedTuple's default is never mutated
    """Reports of the cells."""


class SequenceNetwork(nn.Module, ABC):
    """Interface of a network to rollouts, trainings and forecasters: it observes true frames, and emits predicted ones.

    Three kinds: `Network` predicts step by step and is fed its own frames, `EncoderForecaster` encodes the past and then
    predicts the future, `DirectNetwork` turns a block of frames into the next block.

    Args:
        stride: rows and columns of what enters are multiples of it.
    """

    feeds_back: bool = False
    """Whether the frame that is predicted enters next, so that a training may feed the true one in its place, and
    whether frames of the context are predicted too."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        """Rows and columns of what enters are multiples of it."""
        self.regularizer: nn.Module | None = None
        """Turns the reports of a rollout, a list of `Aux`, into a loss, with weights of its own; None for none."""
        self.base_head: nn.Module | None = None
        """Combines what the head gives with the forecast of a base, see `attach_base`; None for a network without one."""

    @abstractmethod
    def init_state(self, frame: Frame) -> Any:
        """Make the state before the first frame, for batch, size, dtype and device of `frame`."""

    @abstractmethod
    def observe(self, frame: Frame, state: Any) -> Advance:
        """Take a true frame.

        Args:
            frame: (B, C + E, H, W), network units, with E further channels that are not predicted.
            state: after the frame before; None before the first frame.
        """

    @abstractmethod
    def emit(self, frame: Tensor | None, state: Any, drive: Tensor | None = None) -> Advance:
        """Predict the next frame, where no true one is left to observe.

        Args:
            frame: of a network that feeds back (B, C + E, H, W), the newest prediction with E further channels; of any
                other (B, E, H, W), the further channels alone, or None without any.
            state: after the frame before.
            drive: (B * M, *drive_shape), noise for M members of each sequence, side by side; None for zeros.
        """

    def drive_shape(self, height: int, width: int) -> tuple[int, ...] | None:
        """Shape of the noise of one step for frames of height x width; None for a network that takes none."""
        return None

    def penalty(self) -> Tensor | None:
        """Compute a loss of the weights alone, a scalar; None for none."""
        return None

    @property
    def tileable(self) -> bool:
        """Whether a step can be computed in tiles: all of its maps have the size of the frame."""
        return False

    def check_size(self, frame: Frame) -> None:
        """Check that the size of a frame is a multiple of the stride.

        Raises:
            InputError: it is not.
        """
        height, width = frame.shape[-2:]
        if height % self.stride or width % self.stride:
            expected = f"multiples of {self.stride}, the stride of this network"
            raise InputError("frames", got=f"{height}x{width}", expected=expected, fix="pad them")


class Stem(nn.Module, ABC):
    """The way into a network that works on a smaller map: (B, C, H, W) to features and skips.

    Args:
        stride: rows and columns of a frame for one of the features.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    @abstractmethod
    def forward(self, frame: Frame) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute features (B, N, H / stride, W / stride), which enter the cells, and skips, which go to the head."""


class NetworkState(NamedTuple):
    """State of a stack of cells between two frames. A value: keep it, copy it, branch from it."""

    cells: tuple[State, ...]
    memory: Memory


class Network(SequenceNetwork):
    """Cells, bottom up, and a head that turns the top hidden state into the next frame.

    Args:
        cells: at least one; the memory that leaves one enters the next, and the top one's the bottom of the next frame.
        head: (B, N, H, W) to (B, C, H, W); the skips of the stem are its further arguments.
        regularizer: a module that turns the aux reports of a rollout into an additional loss, with weights of its own.
        stem: module before the cells; None where they take the frame as it is.

    Raises:
        UsageError: no cells, or the memory of two neighbours does not fit.

    Example:
        >>> import torch
        >>> from framecast.models import PredRNN
        >>> from framecast.nn import Network, pixel_head
        >>> cells = list(PredRNN(hidden=(8, 8), kernel_size=3).build(channels=4, height=16, width=16).cells)
        >>> network = Network(cells, pixel_head(8, 4))
        >>> frame, state, _ = network(torch.zeros(2, 4, 16, 16))
        >>> frame.shape, len(state.cells)
        (torch.Size([2, 4, 16, 16]), 2)
    """

    feeds_back = True

    def __init__(
        self,
        cells: Sequence[Cell],
        head: nn.Module,
        regularizer: nn.Module | None = None,
        stem: Stem | None = None,
    ) -> None:
        _check_memory(cells)
        shrink = 1 if stem is None else stem.stride
        super().__init__(shrink * stack_stride(cells))
        # In this order: checkpoints hold averages and moments by the place of a parameter, not by its name.
        self.cells = nn.ModuleList(cells)
        self.head = head
        self.regularizer = regularizer
        self.stem = stem

    def init_state(self, frame: Frame) -> NetworkState:
        """Make the state before the first frame: zeros that fit `frame` in batch, size, dtype and device.

        Raises:
            InputError: a size that is no multiple of the stride.
        """
        self.check_size(frame)
        shrink = 1 if self.stem is None else self.stem.stride
        return init_stack(self._stack(), frame, frame.shape[-2] // shrink, frame.shape[-1] // shrink)

    def _stack(self) -> list[Cell]:
        return cast("list[Cell]", list(self.cells))

    def forward(self, frame: Frame, state: NetworkState | None = None) -> tuple[Tensor, NetworkState, Aux]:
        """Advance by one frame.

        Args:
            frame: (B, C, H, W), network units.
            state: after the frame before; None before the first frame.

        Returns:
            the predicted next frame (B, C, H, W), the new state, and the reports of the cells.
        """
        if state is None:
            state = self.init_state(frame)
        x, skips = (frame, ()) if self.stem is None else self.stem(frame)
        x, state, aux = climb(self._stack(), x, state)
        return self.head(x, *skips), state, aux

    def observe(self, frame: Frame, state: NetworkState | None) -> Advance:
        """Take a true frame, and predict the next one from it."""
        return Advance(*self(frame, state))

    def emit(self, frame: Tensor | None, state: NetworkState, drive: Tensor | None = None) -> Advance:
        """Predict the next frame from the newest prediction."""
        return Advance(*self(frame, state))

    def penalty(self) -> Tensor | None:
        """Sum the penalties of the cells, a scalar; None where no cell has one."""
        return stack_penalty(self._stack())

    @property
    def tileable(self) -> bool:
        """Whether a step can be computed in tiles: there is no stem, no cell of another level, no window."""
        return self.stem is None and self.stride == 1 and all(cell.scale == 1 for cell in self._stack())


def climb(cells: Sequence[Cell], x: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState, Aux]:
    """Let one frame's features rise through a stack.

    Args:
        cells: bottom up.
        x: (B, N, H, W), features that enter the bottom one.
        state: of the stack.

    Returns:
        the features that leave the top one, the new state, and the reports of the cells.
    """
    memory = state.memory
    states: list[State] = []
    aux: Aux = {}
    for cell, old in zip(cells, state.cells, strict=True):
        x, memory, new, report = cell(x, memory, old)
        states.append(new)
        for name, value in report.items():
            aux[name] = (*aux.get(name, ()), value)
    return x, NetworkState(tuple(states), memory), aux


def init_stack(cells: Sequence[Cell], like: Tensor, height: int, width: int) -> NetworkState:
    """Make the state of a stack before the first frame.

    Args:
        cells: bottom up.
        like: (B, ...), of the batch, dtype and device.
        height: rows of the map that enters the bottom cell.
        width: its columns.
    """
    batch = len(like)
    sizes = [(int(height * level), int(width * level)) for level in stack_levels(cells)]
    # Not strict: the last size is that of the map which leaves the top cell.
    states = tuple(cell.init_state(batch, *size, like=like) for cell, size in zip(cells, sizes, strict=False))
    memory = tuple(zeros(like, batch, n, height, width) for n in cells[0].memory_channels or ())
    return NetworkState(states, memory)


def stack_levels(cells: Sequence[Cell]) -> list[Fraction]:
    """Sizes of the map that enters each cell, and of the one that leaves the top, relative to the map at the bottom."""
    levels = [Fraction(1)]
    for cell in cells:
        levels.append(levels[-1] * Fraction(cell.scale))
    return levels


def stack_stride(cells: Sequence[Cell]) -> int:
    """Smallest number whose multiples, as rows or columns at the bottom, fit every level and every window."""
    windows = (*(cell.window for cell in cells), 1)
    # rows * level is a multiple of the window where rows is one of window / level: of its numerator, in lowest terms.
    return lcm(*((window / level).numerator for window, level in zip(windows, stack_levels(cells), strict=True)))


def stack_penalty(cells: Sequence[Cell]) -> Tensor | None:
    """Sum the penalties of some cells, a scalar; None where no cell has one."""
    terms = [term for cell in cells if (term := cell.penalty()) is not None]
    return torch.stack(terms).sum() if terms else None


def pixel_head(hidden: int, channels: int, *, bias: bool = False) -> GateConv:
    """Make the published head: a 1x1 convolution without activation."""
    return GateConv(hidden, channels, 1, bias=bias)


def _check_memory(cells: Sequence[Cell]) -> None:
    if not cells:
        raise UsageError("cells", got="none", expected="at least one cell")
    sized = [cell for cell in cells if cell.memory_channels is not None]
    # A ring: the memory that leaves the top cell enters the bottom one with the next frame.
    for below, above in zip(sized, [*sized[1:], *sized[:1]], strict=True):
        if below.memory_channels_out != above.memory_channels:
            raise UsageError(
                f"memory between {type(below).__name__} and {type(above).__name__}",
                got=f"{below.memory_channels_out} channels",
                expected=f"{above.memory_channels}",
                fix="give all layers the same number of hidden channels",
            )
