"""A rollout with every cell in sight: what enters each at each step, and what leaves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.data.windows.loader import Batch
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.cell import Cell, Memory, State, Step
from framecast.nn.network import Network
from framecast.nn.rollout import Rollout, rollout
from framecast.transforms.channels import divide_channels

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Names = NDArray[Any]
"""Words."""


class CellVisit(NamedTuple):
    """One cell at one step of a rollout."""

    step: int
    """From 1: the step that sees frame `step` and predicts the next."""
    layer: int
    """Place in the stack, 1 at the bottom; a gradient highway counts as a layer of its own."""
    cell: Cell
    x: Tensor
    memory: Memory
    state: State
    left: Step
    """What the cell gave."""

    def gates(self) -> dict[str, Tensor]:
        """Every gate and new value by the paper's symbol, see `Cell.gates`."""
        return self.cell.gates(self.x, self.memory, self.state)

    def carried(self) -> dict[str, Tensor]:
        """What leaves the cell, each tensor once: its state's fields, "h" for what rises and "m" for the memory.

        Under these names the gradient highway has "z" only: what rises from it is z, and memory passes it by.
        """
        found: dict[str, Tensor] = dict(self.left.state._asdict())
        if all(value is not self.left.out for value in found.values()):
            found["h"] = self.left.out
        if self.left.memory and self.cell.memory_channels is not None:
            found["m"] = self.left.memory[0]
        return found


class NetworkInput(NamedTuple):
    """What a forecast is given, network units."""

    patches: Tensor
    """(B, J, P*P*C, H', W'); from step J on the network sees its own predictions."""
    extra: Tensor | None
    """(B, T-1, P*P*E, H', W'), covariates and the mask; None if the network takes nothing beside frames."""
    steps: int
    """T-1, of the rollout."""


def encode_input(forecaster: Forecaster, batch: Batch, context: int) -> NetworkInput:
    """The first J frames of windows, and what is known beside them.

    Raises:
        InputError: frames that the network does not take.
    """
    frames, valid, covariates = divide_channels(batch.frames, batch.valid, forecaster.spec)
    steps, beside = frames.shape[1] - 1, None if covariates is None else covariates[:, 1:]
    frames, valid = frames[:, :context], None if valid is None else valid[:, :context]
    forecaster.check(frames, valid)
    extra = forecaster.extra(frames, valid, steps, beside)
    return NetworkInput(forecaster.encode(frames, valid), extra, steps)


def frame_channels(forecaster: Forecaster) -> int:
    """Channels of the bottom cell's x that are the frame; covariates and the mask lie behind them."""
    return forecaster.spec.channels * forecaster.patch**2


def trace(network: Network, given: NetworkInput, look: Callable[[CellVisit], None]) -> Rollout:
    """Run a network through time as a forecast does, and show each cell at each step.

    Args:
        network: whose cells.
        given: what the forecast begins from.
        look: called with every visit, in the order in which they are computed.
    """
    with _watched(network, look):
        # With reports no step is replayed from a recording.
        return rollout(network, given.patches, given.steps, extra=given.extra, aux=True)


@contextmanager
def _watched(network: Network, look: Callable[[CellVisit], None]) -> Iterator[None]:
    steps = dict.fromkeys(range(1, len(network.cells) + 1), 0)

    def after(layer: int, cell: Any, arguments: tuple[Any, ...], left: Step) -> None:
        steps[layer] += 1
        x, memory, state = arguments
        look(CellVisit(steps[layer], layer, cast(Cell, cell), x, memory, state, left))

    hooks = [cell.register_forward_hook(partial(after, layer)) for layer, cell in enumerate(network.cells, 1)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Tally:
    """Rows of numbers that add up, by layer, symbol and step."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, str], dict[int, Tensor]] = {}

    def add(self, layer: int, symbol: str, step: int, row: Tensor) -> None:
        """Add a row (R,) of numbers."""
        rows = self._sums.setdefault((layer, symbol), {})
        row = row.double().cpu()
        rows[step] = rows[step] + row if step in rows else row

    def stacked(self) -> Floats:
        """(S, T-1, R): the sums of each series, step by step."""
        rows = [torch.stack([found[step] for step in sorted(found)]) for found in self._sums.values()]
        return torch.stack(rows).numpy()

    @property
    def layers(self) -> Counts:
        """(S,), of each series."""
        return np.array([layer for layer, _ in self._sums], dtype=np.int64)

    @property
    def symbols(self) -> Names:
        """(S,), of each series."""
        return np.array([symbol for _, symbol in self._sums], dtype=np.str_)

    def __len__(self) -> int:
        """How many series there are."""
        return len(self._sums)
