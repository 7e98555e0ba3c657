"""Rollout that is traced: the input and the output of every cell at every step."""

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
from framecast.devices import to_float64
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.cell import Cell, Memory, State, Step
from framecast.nn.network import Network, SequenceNetwork
from framecast.nn.rollout import Rollout, rollout
from framecast.transforms.channels import divide_channels

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Names = NDArray[Any]
"""Array of strings."""


class CellVisit(NamedTuple):
    """One cell at one step of a rollout."""

    step: int
    """From 1: the step that sees frame `step` and predicts the next."""
    layer: int
    """Index in the stack, 1 at the bottom; a gradient highway counts as a layer of its own."""
    cell: Cell
    x: Tensor
    """(B, C, H', W'), the cell's input."""
    memory: Memory
    """Memory that enters the cell."""
    state: State
    """State that the cell left at the step before."""
    output: Step

    def compute_gates(self) -> dict[str, Tensor]:
        """Compute every gate and new value, by the paper's symbol, with the cell's `Cell.gates`."""
        return self.cell.gates(self.x, self.memory, self.state)

    def collect_outputs(self) -> dict[str, Tensor]:
        """Tensors that leave the cell, each once: its state's fields, "h" for its output and "m" for the memory.

        A gradient highway has "z" only: its output is z, and the memory passes it by.
        """
        outputs: dict[str, Tensor] = dict(self.output.state._asdict())
        if all(value is not self.output.out for value in outputs.values()):
            outputs["h"] = self.output.out
        if self.output.memory and self.cell.memory_channels is not None:
            outputs["m"] = self.output.memory[0]
        return outputs


class NetworkInput(NamedTuple):
    """Input of a network for one forecast, network units."""

    patches: Tensor
    """(B, J, P*P*C, H', W'); from step J on the network sees its own predictions."""
    extra: Tensor | None
    """(B, T-1, P*P*E, H', W'), covariates and the mask; None for a network that takes frames only."""
    steps: int
    """T-1, of the rollout."""


def encode_input(forecaster: Forecaster, batch: Batch, context: int) -> NetworkInput:
    """Encode the first J frames of windows, and the covariates of all their steps.

    Args:
        forecaster: the model.
        batch: windows, raw units.
        context: J, frames that a forecast is given.

    Raises:
        InputError: frames that the network does not take.
    """
    frames, valid, covariates = divide_channels(batch.frames, batch.valid, forecaster.spec)
    steps, covariates = frames.shape[1] - 1, None if covariates is None else covariates[:, 1:]
    frames, valid = frames[:, :context], None if valid is None else valid[:, :context]
    forecaster.check(frames, valid)
    extra = forecaster.extra(frames, valid, steps, covariates)
    return NetworkInput(forecaster.encode(frames, valid), extra, steps)


def count_frame_channels(forecaster: Forecaster) -> int:
    """Number of channels of the bottom cell's x that are the frame; covariates and the mask come after them."""
    return forecaster.spec.channels * forecaster.patch**2


def trace(network: SequenceNetwork, inputs: NetworkInput, on_visit: Callable[[CellVisit], None]) -> Rollout:
    """Run a network through time as a forecast does, and show each cell at each step.

    Args:
        network: the network whose cells are traced.
        inputs: frames of the context and what is fed with them.
        on_visit: called with every visit, in the order in which they are computed.

    Raises:
        UsageError: a network that does not go step by step.
    """
    if not isinstance(network, Network):
        raise UsageError("study", got=type(network).__name__, expected="a network whose cells take every step")
    with _hooked(network, on_visit):
        return rollout(network, inputs.patches, inputs.steps, extra=inputs.extra, aux=True)


@contextmanager
def _hooked(network: Network, on_visit: Callable[[CellVisit], None]) -> Iterator[None]:
    steps = dict.fromkeys(range(1, len(network.cells) + 1), 0)

    def report_visit(layer: int, cell: Any, arguments: tuple[Any, ...], output: Step) -> None:
        steps[layer] += 1
        x, memory, state = arguments
        on_visit(CellVisit(steps[layer], layer, cast(Cell, cell), x, memory, state, output))

    hooks = [cell.register_forward_hook(partial(report_visit, layer)) for layer, cell in enumerate(network.cells, 1)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Tally:
    """Running sums of rows of numbers, by layer, symbol and step."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, str], dict[int, Tensor]] = {}

    def add(self, layer: int, symbol: str, step: int, row: Tensor) -> None:
        """Add a row (R,) of numbers to the sums of a series, (layer, symbol), at a step."""
        rows = self._sums.setdefault((layer, symbol), {})
        row = to_float64(row).cpu()
        rows[step] = rows[step] + row if step in rows else row

    def stack(self) -> Floats:
        """(S, T-1, R): the sums of each series, step by step."""
        series = [torch.stack([rows[step] for step in sorted(rows)]) for rows in self._sums.values()]
        return torch.stack(series).numpy()

    @property
    def layers(self) -> Counts:
        """(S,), the layer of each series."""
        return np.array([layer for layer, _ in self._sums], dtype=np.int64)

    @property
    def symbols(self) -> Names:
        """(S,), the symbol of each series."""
        return np.array([symbol for _, symbol in self._sums], dtype=np.str_)

    def __len__(self) -> int:
        """Number of series."""
        return len(self._sums)
