"""Are forget gates saturated? One that is 0 or 1 whatever it sees makes its memory's transition invariant in time.

The claim of MIM is that most of PredRNN's are, so that what changes is left to the inputs; the share is counted here by
layer and step, with the histogram behind it. MIM has T in place of the forget gate's product with C: how T goes with
the old C, and how large the difference D is that decides on it.

Wang et al.: Memory In Memory, CVPR 2019, figure 1, https://arxiv.org/abs/1811.07490. The thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.analysis.trace import CellVisit, Counts, Floats, Names, Tally, encode_input, trace
from framecast.data.windows.loader import Batch
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels

BINS = 50
"""Of the histograms."""
_C, _T = (-2.0, 2.0), (-1.0, 1.0)
"""What MIM's C and T cannot leave: T is a product of a sigmoid and a tanh, C is T plus another such product."""
_SIDE = 40


class Saturation(NamedTuple):
    """Forget gates of a network; S of them, one for each layer and symbol."""

    symbol: Names
    """(S,), "f" of C, "fm" of M, "f_n" and "f_s" inside MIM-N and MIM-S."""
    layer: Counts
    """(S,), 1 at the bottom."""
    below: Floats
    """(S, T-1), share of values below `low`, by step."""
    above: Floats
    """(S, T-1), share of values above `high`."""
    counts: Counts
    """(S, T-1, 50), how many values lie in each bin."""
    edges: Floats
    """(51,), of the bins, 0 to 1."""
    low: Floats
    high: Floats
    mim_layer: Counts
    """(D,), layers that have T and D; none but MIM's."""
    difference: Floats
    """(D, T-1), mean |D| by step."""
    transition: Counts
    """(D, 40, 40), how often the old C (first axis, -2 to 2) meets T (second axis, -1 to 1), from step 2 on."""


def measure_saturation(
    forecaster: Forecaster, batches: Iterable[Batch], context: int, *, low: float = 0.1, high: float = 0.9
) -> Saturation:
    """Count how many forget gates are shut or open for good, in forecasts.

    Args:
        forecaster: the model; a gate is a forget gate if its symbol begins with f.
        batches: windows, raw units.
        context: J, frames that a forecast is given.
        low: values below are saturated.
        high: values above are saturated.

    Raises:
        UsageError: thresholds out of order, or a network without forget gates.
    """
    if not 0 <= low < high <= 1:
        raise UsageError("thresholds of saturation", got=f"{low}, {high}", expected="0 <= low < high <= 1")
    gates, differences, transitions = Tally(), Tally(), Tally()

    def look(visit: CellVisit) -> None:
        found = visit.gates()
        for symbol, value in found.items():
            if symbol.startswith("f"):
                gates.add(visit.layer, symbol, visit.step, _row(value, low, high))
        if "tau" in found and "d" in found:
            size = found["d"].abs().double()
            differences.add(visit.layer, "d", visit.step, torch.stack([size.sum(), size.new_tensor(size.numel())]))
            # The first step's T is that of memories that are still 0.
            transitions.add(visit.layer, "tau", 1, _meetings(visit.state.c, found["tau"]) * (visit.step > 1))

    with torch.inference_mode():
        for batch in batches:
            trace(forecaster.network, encode_input(forecaster, batch, context), look)
    if not len(gates):
        raise UsageError(
            "saturation", got="a network without forget gates", expected="gates whose symbol begins with f"
        )
    return _closed(gates, differences, transitions, low, high)


def _row(gate: Tensor, low: float, high: float) -> Tensor:
    """Values in all, below, above, and in each bin."""
    values = gate.flatten().double()
    bins = torch.bincount((values * BINS).long().clamp(0, BINS - 1), minlength=BINS)
    ends = torch.stack([torch.ones_like(values).sum(), (values < low).sum(), (values > high).sum()])
    return torch.cat([ends, bins])


def _meetings(old: Tensor, kept: Tensor) -> Tensor:
    """How often each pair of bins of (C, T) occurs, flat."""
    places = [
        ((values.flatten().double() - low) / (high - low) * _SIDE).long().clamp(0, _SIDE - 1)
        for values, (low, high) in ((old, _C), (kept, _T))
    ]
    return torch.bincount(places[0] * _SIDE + places[1], minlength=_SIDE**2)


def _closed(gates: Tally, differences: Tally, transitions: Tally, low: float, high: float) -> Saturation:
    sums = gates.stacked()
    size = differences.stacked() if len(differences) else np.zeros((0, sums.shape[1], 2))
    pairs = transitions.stacked()[:, 0] if len(transitions) else np.zeros((0, _SIDE**2))
    return Saturation(
        gates.symbols,
        gates.layers,
        sums[..., 1] / sums[..., 0],
        sums[..., 2] / sums[..., 0],
        sums[..., 3:].astype(np.int64),
        np.linspace(0, 1, BINS + 1),
        np.array(low),
        np.array(high),
        differences.layers,
        size[..., 0] / np.maximum(size[..., 1], 1),
        pairs.reshape(-1, _SIDE, _SIDE).astype(np.int64),
    )


def summarise(found: Saturation) -> dict[str, float]:
    """Share of saturated values of each gate, over all layers and steps."""
    rows = {}
    for symbol in dict.fromkeys(found.symbol.tolist()):
        below, above = saturated_shares(found, symbol)
        rows[f"{symbol} below {found.low:g}"] = below
        rows[f"{symbol} above {found.high:g}"] = above
    return rows


def saturated_shares(found: Saturation, symbol: str) -> tuple[float, float]:
    """Of all values of a gate in all layers and steps, those below and above; wide layers have more of them."""
    mine = found.symbol == symbol
    values = found.counts[mine].sum(-1)
    below, above = ((share[mine] * values).sum() / values.sum() for share in (found.below, found.above))
    return float(below), float(above)


def draw(folder: Path, found: Mapping[str, Saturation], context: int) -> None:
    """Draw, for each run, shares by step above histograms; for MIM, D and T too."""
    for name, one in found.items():
        prefix = f"{name}-" if len(found) > 1 else ""
        symbols = list(dict.fromkeys(one.symbol.tolist()))
        rows = [[_shares(one, symbol, context) for symbol in symbols], [_histogram(one, symbol) for symbol in symbols]]
        note = f"{name}. Solid: above {one.high:g}; dashed: below {one.low:g}. Dotted line: the last given frame"
        panels.draw_panels(folder / f"{prefix}saturation.png", rows, note)
        if len(one.mim_layer):
            _draw_mim(folder / f"{prefix}transition.png", one, context, name)


def _shares(one: Saturation, symbol: str, context: int) -> panels.Panel:
    steps = np.arange(1, one.below.shape[1] + 1)
    lines = []
    for row in np.flatnonzero(one.symbol == symbol):
        colour = int(one.layer[row]) - 1
        lines.append(panels.PanelLine(f"layer {one.layer[row]}", steps, one.above[row], colour))
        lines.append(panels.PanelLine("", steps, one.below[row], colour, "--"))
    title = "{}: {:.0%} below, {:.0%} above".format(symbol, *saturated_shares(one, symbol))
    return panels.Panel(title, "step", "share of values", lines, mark=context, limits=(0, 1))


def _histogram(one: Saturation, symbol: str) -> panels.Panel:
    centres = (one.edges[:-1] + one.edges[1:]) / 2
    lines = []
    for row in np.flatnonzero(one.symbol == symbol):
        counts = one.counts[row].sum(0)
        lines.append(
            panels.PanelLine(f"layer {one.layer[row]}", centres, counts / counts.sum(), int(one.layer[row]) - 1)
        )
    return panels.Panel(f"{symbol}: histogram", "value", "share of values", lines, log=True, span=(0, 1))


def _draw_mim(path: Path, one: Saturation, context: int, name: str) -> None:
    steps = np.arange(1, one.difference.shape[1] + 1)
    lines = [
        panels.PanelLine(f"layer {layer}", steps, sizes, int(layer) - 1)
        for layer, sizes in zip(one.mim_layer, one.difference, strict=True)
    ]
    size = panels.Panel("difference D", "step", "mean |D|", lines, mark=context)
    fields = [
        panels.Field(f"layer {layer}", "old C", "T", pairs.T, (*_C, *_T))
        for layer, pairs in zip(one.mim_layer, one.transition, strict=True)
    ]
    panels.draw_panels(
        path, [[size, *fields]], f"{name}. On the line, T keeps C as a forget gate of 1 would; colours are logarithmic"
    )
