"""Rollout that is traced: the input and the output of every cell at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framecast.data.windows.loader import Batch
from framecast.devices import to_float64
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.base_head import BaseStep
from framecast.nn.cell import Cell, Memory, State, Step
from framecast.nn.encoder_forecaster import EncoderForecaster
from framecast.nn.network import Network, SequenceNetwork
from framecast.nn.rollout import Rollout, draw_noise, rollout
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
        outputs = dict(_list_tensors(self.output.state))
        if all(value is not self.output.out for value in outputs.values()):
            outputs["h"] = self.output.out
        if self.output.memory and self.cell.memory_channels is not None:
            outputs["m"] = self.output.memory[0]
        return outputs


def _list_tensors(state: State) -> Iterator[tuple[str, Tensor]]:
    """List the fields of a state by name: those of states within it too, and of a queue the newest."""
    for name, value in state._asdict().items():
        if isinstance(value, Tensor):
            yield name, value
        elif hasattr(value, "_asdict"):
            yield from _list_tensors(value)
        elif value and isinstance(value[-1], Tensor):
            yield name, value[-1]
        else:
            for number, inner in enumerate(value, 1):
                yield from ((f"{symbol}{number}", tensor) for symbol, tensor in _list_tensors(inner))


class NetworkInput(NamedTuple):
    """Input of a network for one forecast, network units."""

    patches: Tensor
    """(B, J, P*P*C, H', W'); from step J on the network sees its own predictions."""
    extra: Tensor | None
    """(B, T-1, P*P*E, H', W'), covariates and the mask; None for a network that takes frames only."""
    steps: int
    """T-1, of the rollout."""
    base: Sequence[BaseStep] | None
    """Forecast of the base for the frame that each step predicts; None for a network without one."""


def encode_input(forecaster: Forecaster, batch: Batch, context: int) -> NetworkInput:
    """Encode the first J frames of windows, the covariates of all their steps, and what the base says at each.

    Of a network that runs over the newest frames only (`spin_up`), those and the steps from there on.

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
    run_in = forecaster.count_run_in(context)
    skipped = context - run_in
    extra = forecaster.extra(frames, valid, steps, covariates)
    motion = None if batch.motion is None else batch.motion[:, -context:]
    run = forecaster.run_base(frames, valid, motion=motion, within=run_in)
    leads = None if run is None else run.steps(of_context=forecaster.network.feeds_back)
    return NetworkInput(
        forecaster.encode(frames, valid)[:, skipped:],
        None if extra is None else extra[:, skipped:],
        steps - skipped,
        None if leads is None else list(islice(leads, steps - skipped)),
    )


def trace(network: SequenceNetwork, inputs: NetworkInput, on_visit: Callable[[CellVisit], None]) -> Rollout:
    """Run a network through time as a forecast does, and show each cell at each step.

    Of an encoder-forecaster the forecaster's cells are the further layers, whose first step is that after which the first
    frame of the future comes out.

    Args:
        network: the network whose cells are traced.
        inputs: frames of the context and what is fed with them.
        on_visit: called with every visit, in the order in which they are computed.

    Raises:
        UsageError: a network without cells.
    """
    visits = _list_cells(network, inputs.patches.shape[1])
    with _hooked(visits, on_visit):
        base = None if inputs.base is None else iter(inputs.base)
        drive = _make_drive(network, inputs)
        result = rollout(network, inputs.patches, inputs.steps, extra=inputs.extra, drive=drive, base=base, aux=True)
    return result if drive is None else result._replace(frames=result.frames[:, 0])


def _list_cells(network: SequenceNetwork, context: int) -> list[tuple[nn.Module, int]]:
    """List the cells of a network, bottom up, with the steps that are over before they begin."""
    if isinstance(network, Network):
        return [(cell, 0) for cell in network.cells]
    if isinstance(network, EncoderForecaster):
        return [*((cell, 0) for cell in network.encoder), *((cell, context - 1) for cell in network.forecaster)]
    raise UsageError("study", got=type(network).__name__, expected="a network whose cells take every step")


def _make_drive(network: SequenceNetwork, inputs: NetworkInput) -> Tensor | None:
    """Draw the noise of one member, seed 0; None for a network that takes none."""
    frames, context = inputs.patches, inputs.patches.shape[1]
    shape = network.drive_shape(frames.shape[-2], frames.shape[-1])
    leads = range(inputs.steps - context + 1)
    return None if shape is None else draw_noise(shape, [(0,)] * len(frames), leads, 1, frames)


def cut_frame(forecaster: Forecaster, x: Tensor) -> Tensor:
    """Cut from the bottom cell's x what is known beside the frame; the features behind a stem stay whole."""
    network = forecaster.network
    has_stem = isinstance(network, Network) and network.stem is not None
    return x if has_stem else x[:, : forecaster.spec.channels * forecaster.patch**2]


def list_fed_frames(inputs: NetworkInput, result: Rollout) -> list[Tensor]:
    """List the frames that steps are fed, (B, P*P*C, H', W'): the context; of a network that feeds back its own then."""
    context = inputs.patches.shape[1]
    feeds_back = result.frames.shape[1] == inputs.steps
    own = result.frames[:, context - 1 : -1].unbind(1) if feeds_back else ()
    return [*inputs.patches.unbind(1), *own]


@contextmanager
def _hooked(cells: Sequence[tuple[nn.Module, int]], on_visit: Callable[[CellVisit], None]) -> Iterator[None]:
    steps = {layer: before for layer, (_, before) in enumerate(cells, 1)}

    def report_visit(layer: int, cell: Any, arguments: tuple[Any, ...], output: Step) -> None:
        steps[layer] += 1
        x, memory, state = arguments
        on_visit(CellVisit(steps[layer], layer, cast(Cell, cell), x, memory, state, output))

    hooks = [cell.register_forward_hook(partial(report_visit, layer)) for layer, (cell, _) in enumerate(cells, 1)]
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
        """(S, T-1, R): the sums of each series, step by step; 0 at steps at which a series has none."""
        steps = sorted({step for rows in self._sums.values() for step in rows})
        nothing = torch.zeros_like(next(iter(next(iter(self._sums.values())).values())))
        return torch.stack(
            [torch.stack([rows.get(step, nothing) for step in steps]) for rows in self._sums.values()]
        ).numpy()

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
