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
from framecast.devices import to_float64
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels

BINS = 50
"""Number of bins of the histograms of gates."""
_C, _T = (-2.0, 2.0), (-1.0, 1.0)
"""Bounds of MIM's C and T: T is a product of a sigmoid and a tanh, C is T plus another such product."""
_PAIR_BINS = 40
"""Number of bins of C and of T in their joint histogram."""


class Saturation(NamedTuple):
    """Forget gates of a network; S of them, one for each layer and symbol."""

    symbol: Names
    """(S,), "f" for the gate of C, "fm" of M, "f_n" and "f_s" inside MIM-N and MIM-S."""
    layer: Counts
    """(S,), 1 at the bottom."""
    below: Floats
    """(S, T-1), share of values below `low`, by step."""
    above: Floats
    """(S, T-1), share of values above `high`."""
    counts: Counts
    """(S, T-1, 50), how many values lie in each bin."""
    edges: Floats
    """(51,), edges of the bins, 0 to 1."""
    low: Floats
    """(), threshold below which a gate is saturated."""
    high: Floats
    """(), threshold above which a gate is saturated."""
    mim_layer: Counts
    """(D,), layers that have T and D, which only MIM's do."""
    difference: Floats
    """(D, T-1), mean |D| by step."""
    transition: Counts
    """(D, 40, 40), how often the old C (first axis, -2 to 2) meets T (second axis, -1 to 1), from step 2 on."""


def measure_saturation(
    forecaster: Forecaster, batches: Iterable[Batch], context: int, *, low: float = 0.1, high: float = 0.9
) -> Saturation:
    """Count how many forget gates are shut or open for good, in forecasts.

    Args:
        forecaster: the model; a gate is a forget gate if its symbol begins with f, or is 1 - z of a GRU.
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

    def add_visit(visit: CellVisit) -> None:
        values = visit.compute_gates()
        for symbol, value in _find_forget_gates(values).items():
            gates.add(visit.layer, symbol, visit.step, _count_values(value, low, high))
        if "tau" in values and "d" in values and hasattr(visit.state, "c"):
            size = to_float64(values["d"].abs())
            differences.add(visit.layer, "d", visit.step, torch.stack([size.sum(), size.new_tensor(size.numel())]))
            # The first step's T is that of memories that are still 0.
            transitions.add(visit.layer, "tau", 1, _count_pairs(visit.state.c, values["tau"]) * (visit.step > 1))

    with torch.inference_mode():
        for batch in batches:
            trace(forecaster.network, encode_input(forecaster, batch, context), add_visit)
    if not len(gates):
        raise UsageError(
            "saturation", got="a network without forget gates", expected="gates whose symbol begins with f"
        )
    return _divide_sums(gates, differences, transitions, low, high)


def _find_forget_gates(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Find the gates that say how much of a memory is kept: symbols with f, and of a GRU 1 - z."""
    kept = {"1 - z": 1 - values["z"]} if values.keys() >= {"z", "r", "n"} else {}
    return kept | {symbol: value for symbol, value in values.items() if symbol.startswith("f")}


def _count_values(gate: Tensor, low: float, high: float) -> Tensor:
    """(3 + 50,), number of values in all, below, above, and in each bin."""
    values = to_float64(gate.flatten())
    bins = torch.bincount((values * BINS).long().clamp(0, BINS - 1), minlength=BINS)
    ends = torch.stack([torch.ones_like(values).sum(), (values < low).sum(), (values > high).sum()])
    return torch.cat([ends, bins])


def _count_pairs(old_c: Tensor, new_t: Tensor) -> Tensor:
    """(40 * 40,), joint histogram of C before a step and T after it."""
    c, t = (
        ((to_float64(values.flatten()) - low) / (high - low) * _PAIR_BINS).long().clamp(0, _PAIR_BINS - 1)
        for values, (low, high) in ((old_c, _C), (new_t, _T))
    )
    return torch.bincount(c * _PAIR_BINS + t, minlength=_PAIR_BINS**2)


def _divide_sums(gates: Tally, differences: Tally, transitions: Tally, low: float, high: float) -> Saturation:
    sums = gates.stack()
    size = differences.stack() if len(differences) else np.zeros((0, sums.shape[1], 2))
    values = np.where(sums[..., 0] > 0, sums[..., 0], np.nan)  # a layer may have no such step
    pairs = transitions.stack()[:, 0] if len(transitions) else np.zeros((0, _PAIR_BINS**2))
    return Saturation(
        gates.symbols,
        gates.layers,
        sums[..., 1] / values,
        sums[..., 2] / values,
        sums[..., 3:].astype(np.int64),
        np.linspace(0, 1, BINS + 1),
        np.array(low),
        np.array(high),
        differences.layers,
        size[..., 0] / np.maximum(size[..., 1], 1),
        pairs.reshape(-1, _PAIR_BINS, _PAIR_BINS).astype(np.int64),
    )


def summarise(saturation: Saturation) -> dict[str, float]:
    """Share of saturated values of each gate, over all layers and steps."""
    rows = {}
    for symbol in dict.fromkeys(saturation.symbol.tolist()):
        below, above = compute_shares(saturation, symbol)
        rows[f"{symbol} below {saturation.low:g}"] = below
        rows[f"{symbol} above {saturation.high:g}"] = above
    return rows


def compute_shares(saturation: Saturation, symbol: str) -> tuple[float, float]:
    """Shares of a gate's values below and above, over all layers and steps; wide layers have more values.

    Args:
        saturation: counts of each layer.
        symbol: of the gate.
    """
    rows = saturation.symbol == symbol
    values = saturation.counts[rows].sum(-1)
    below, above = (np.nansum(share[rows] * values) / values.sum() for share in (saturation.below, saturation.above))
    return float(below), float(above)


def draw(folder: Path, runs: Mapping[str, Saturation], context: int) -> None:
    """Draw, for each run, shares by step above histograms; for MIM, D and T too."""
    for name, saturation in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        symbols = list(dict.fromkeys(saturation.symbol.tolist()))
        rows = [
            [_plot_shares(saturation, symbol, context) for symbol in symbols],
            [_plot_histogram(saturation, symbol) for symbol in symbols],
        ]
        low, high = saturation.low, saturation.high
        note = f"{name}. Solid: above {high:g}; dashed: below {low:g}. Dotted line: the last given frame"
        panels.draw_panels(folder / f"{prefix}saturation.png", rows, note)
        if len(saturation.mim_layer):
            _draw_mim(folder / f"{prefix}transition.png", saturation, context, name)


def _plot_shares(saturation: Saturation, symbol: str, context: int) -> panels.Panel:
    steps = np.arange(1, saturation.below.shape[1] + 1)
    lines = []
    for row in np.flatnonzero(saturation.symbol == symbol):
        layer = int(saturation.layer[row])
        lines.append(panels.PanelLine(f"layer {layer}", steps, saturation.above[row], layer - 1))
        lines.append(panels.PanelLine("", steps, saturation.below[row], layer - 1, "--"))
    title = "{}: {:.0%} below, {:.0%} above".format(symbol, *compute_shares(saturation, symbol))
    return panels.Panel(title, "step", "share of values", lines, mark=context, limits=(0, 1))


def _plot_histogram(saturation: Saturation, symbol: str) -> panels.Panel:
    centres = (saturation.edges[:-1] + saturation.edges[1:]) / 2
    lines = []
    for row in np.flatnonzero(saturation.symbol == symbol):
        layer, counts = int(saturation.layer[row]), saturation.counts[row].sum(0)
        lines.append(panels.PanelLine(f"layer {layer}", centres, counts / counts.sum(), layer - 1))
    return panels.Panel(f"{symbol}: histogram", "value", "share of values", lines, log=True, span=(0, 1))


def _draw_mim(path: Path, saturation: Saturation, context: int, name: str) -> None:
    steps = np.arange(1, saturation.difference.shape[1] + 1)
    lines = [
        panels.PanelLine(f"layer {layer}", steps, sizes, int(layer) - 1)
        for layer, sizes in zip(saturation.mim_layer, saturation.difference, strict=True)
    ]
    size = panels.Panel("difference D", "step", "mean |D|", lines, mark=context)
    fields = [
        panels.Field(f"layer {layer}", "old C", "T", pairs.T, (*_C, *_T))
        for layer, pairs in zip(saturation.mim_layer, saturation.transition, strict=True)
    ]
    panels.draw_panels(
        path, [[size, *fields]], f"{name}. On the line, T keeps C as a forget gate of 1 would; colours are logarithmic"
    )
