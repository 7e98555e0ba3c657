"""How far back does the last frame's error reach? Norms of its gradient at every earlier step.

    L = sum over pixels of the squared error of the last predicted frame, network units
    || dL / dS_t ||_2   for S the frame X_t that is fed, and each H, C, M, z, N, S of each layer

The claim of PredRNN++ is that the gradient highway z carries it further back than the memories do.

Wang et al.: PredRNN++, ICML 2018, figure 5, https://arxiv.org/abs/1804.06300.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast import kernels
from framecast.analysis.trace import CellVisit, Counts, Floats, Names, cut_frame, encode_input, trace
from framecast.data.windows.loader import Batch
from framecast.devices import to_float64
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels
from framecast.transforms.channels import divide_channels
from framecast.transforms.patches import unpatchify

_SYMBOL_ORDER = ("x", "h", "c", "m", "z", "d", "n", "s")
_SYMBOL_NAMES = {"x": "frame X", "h": "hidden state H", "c": "memory C", "m": "memory M", "z": "highway z"}


class GradientReach(NamedTuple):
    """Norms of gradients; S series, one for each layer and symbol."""

    symbol: Names
    """(S,), "x" for the frame that is fed, then the papers' letters."""
    layer: Counts
    """(S,), 1 at the bottom; 0 for the frame."""
    norm: Floats
    """(S, B, T-1), norm for each of B sequences, by step."""


def measure_gradients(forecaster: Forecaster, batches: Iterable[Batch], context: int) -> GradientReach:
    """Differentiate the last frame's error in forecasts, with predictions fed back as at test time.

    Args:
        forecaster: the model.
        batches: windows, raw units; the graph of one batch is in memory at a time.
        context: J, frames that a forecast is given.
    """
    keys: list[tuple[int, str]] = []
    parts: list[Floats] = []
    memory = kernels.get_memory()
    # A tensor that is computed again in the backward pass is not the one that a hook saw: it would get no gradient.
    kernels.set_memory("fast")
    try:
        for batch in batches:
            norms = _compute_norms(forecaster, batch, context)
            keys = list(norms)
            steps = sorted({step for series in norms.values() for step in series})
            nothing = np.full(len(batch.frames), np.nan)
            parts.append(np.stack([np.stack([series.get(n, nothing) for n in steps], 1) for series in norms.values()]))
    finally:
        kernels.set_memory(memory)
    return GradientReach(
        np.array([symbol for _, symbol in keys], dtype=np.str_),
        np.array([layer for layer, _ in keys], dtype=np.int64),
        np.concatenate(parts, 1),
    )


def _compute_norms(forecaster: Forecaster, batch: Batch, context: int) -> dict[tuple[int, str], dict[int, Floats]]:
    """{(layer, symbol): {step: (B,)}}."""
    tensors: dict[tuple[int, str, int], Tensor] = {}

    def add_visit(visit: CellVisit) -> None:
        if visit.layer == 1:
            tensors[0, "x", visit.step] = visit.x
        for symbol, value in visit.collect_outputs().items():
            if value.requires_grad:
                tensors[visit.layer, symbol, visit.step] = value

    with torch.enable_grad():
        inputs = encode_input(forecaster, batch, context)
        inputs.patches.requires_grad_()
        result = trace(forecaster.network, inputs, add_visit)
        error = _sum_last_error(forecaster, batch, result.frames[:, -1:])
        gradients = torch.autograd.grad(error, list(tensors.values()), allow_unused=True)
    norms: dict[tuple[int, str], dict[int, Floats]] = {}
    for (layer, symbol, step), gradient in zip(tensors, gradients, strict=True):
        if gradient is not None and symbol == "x":
            gradient = cut_frame(forecaster, gradient)
        norm = torch.zeros(len(batch.frames)) if gradient is None else to_float64(gradient).flatten(1).norm(dim=1)
        norms.setdefault((layer, symbol), {})[step] = to_float64(norm.detach()).cpu().numpy()
    return norms


def _sum_last_error(forecaster: Forecaster, batch: Batch, predicted: Tensor) -> Tensor:
    """Sum of squared errors of the last frame over its observed pixels; sequences do not mix in it."""
    height, width = batch.frames.shape[-2:]
    last = None if batch.valid is None else batch.valid[:, -1:]
    frames, valid, _ = divide_channels(batch.frames[:, -1:], last, forecaster.spec)
    error = unpatchify(predicted - forecaster.encode(frames, valid), forecaster.patch)[..., :height, :width].square()
    return error.sum() if valid is None else torch.where(valid.to(error.device), error, 0).sum()


def combine_layers(reach: GradientReach, symbol: str) -> Floats:
    """Combine the norms of a symbol over all layers, (T-1,), mean over sequences.

    Args:
        reach: norms of each layer.
        symbol: "x", or a paper's letter.
    """
    return np.sqrt(np.nansum(np.square(reach.norm[reach.symbol == symbol]), 0)).mean(0)


def summarise(reach: GradientReach) -> dict[str, float]:
    """Norm at the first step over the largest, for each symbol, all layers together."""
    rows = {}
    for symbol in _order_symbols([reach]):
        norms = combine_layers(reach, symbol)
        rows[f"{symbol}, first step over largest"] = float(norms[0] / norms.max()) if norms.max() else float("nan")
    return rows


def draw(folder: Path, runs: Mapping[str, GradientReach], context: int) -> None:
    """Draw one panel per symbol: lines by layer of one run, or all layers together of several, then relative too."""
    symbols = _order_symbols(list(runs.values()))
    name, reach = next(iter(runs.items()))
    if len(runs) == 1:
        rows = _wrap_panels([_plot_layers(reach, symbol, context) for symbol in symbols])
        note = f"{name}. Mean over {reach.norm.shape[1]} sequences"
    else:
        rows = [
            row
            for relative in (False, True)
            for row in _wrap_panels([_plot_runs(runs, symbol, context, relative=relative) for symbol in symbols])
        ]
        note = f"All layers together. Mean over {reach.norm.shape[1]} sequences"
    panels.draw_panels(folder / "gradients.png", rows, f"{note}. Dotted line: the last given frame")


def _wrap_panels(drawings: list[panels.Panel]) -> list[list[panels.Panel]]:
    """Five in a row, X, H, C, M and z; symbols that only MIM has come below."""
    return [drawings[start : start + 5] for start in range(0, len(drawings), 5)]


def _order_symbols(reaches: Sequence[GradientReach]) -> list[str]:
    symbols = dict.fromkeys(symbol for reach in reaches for symbol in reach.symbol.tolist())
    ordered = [symbol for symbol in _SYMBOL_ORDER if symbol in symbols]
    return ordered + [symbol for symbol in symbols if symbol not in _SYMBOL_ORDER]


def _plot_layers(reach: GradientReach, symbol: str, context: int) -> panels.Panel:
    lines = [
        panels.PanelLine(
            f"layer {reach.layer[row]}" if reach.layer[row] else "",
            np.arange(1, reach.norm.shape[2] + 1),
            reach.norm[row].mean(0),
            max(0, int(reach.layer[row]) - 1),
        )
        for row in np.flatnonzero(reach.symbol == symbol)
    ]
    title = _SYMBOL_NAMES.get(symbol, symbol.upper())
    return panels.Panel(title, "step", "norm of the gradient", lines, log=True, mark=context)


def _plot_runs(runs: Mapping[str, GradientReach], symbol: str, context: int, *, relative: bool) -> panels.Panel:
    lines = []
    for colour, (name, reach) in enumerate(runs.items()):
        if symbol in reach.symbol:
            norms = combine_layers(reach, symbol)
            norms = norms / max(norms.max(), 1e-300) if relative else norms
            lines.append(panels.PanelLine(name, np.arange(1, len(norms) + 1), norms, colour))
    label = "share of its largest" if relative else "norm of the gradient"
    title = _SYMBOL_NAMES.get(symbol, symbol.upper())
    return panels.Panel(title, "step", label, lines, log=True, mark=context)
