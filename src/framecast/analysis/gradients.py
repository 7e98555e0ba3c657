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
from framecast.analysis.trace import CellVisit, Counts, Floats, Names, encode_input, frame_channels, trace
from framecast.data.windows.loader import Batch
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels
from framecast.transforms.channels import divide_channels
from framecast.transforms.patches import unpatchify

_ORDER = ("x", "h", "c", "m", "z", "d", "n", "s")
_WORDS = {"x": "frame X", "h": "hidden state H", "c": "memory C", "m": "memory M", "z": "highway z"}


class GradientReach(NamedTuple):
    """Norms of gradients; S series, one for each layer and symbol."""

    symbol: Names
    """(S,), "x" for the frame that is fed, then the papers' letters."""
    layer: Counts
    """(S,), 1 at the bottom; 0 for the frame."""
    norm: Floats
    """(S, B, T-1), of each sequence, by step; B sequences."""


def measure_gradients(forecaster: Forecaster, batches: Iterable[Batch], context: int) -> GradientReach:
    """Differentiate the last frame's error in forecasts, with predictions fed back as at test time.

    Args:
        forecaster: the model.
        batches: windows, raw units; the graph of one batch is in memory at a time.
        context: J, frames that a forecast is given.
    """
    keys: list[tuple[int, str]] = []
    found: list[Floats] = []
    before = kernels.get_memory()
    kernels.set_memory("fast")  # what is computed again in the backward pass would be other tensors than those seen
    try:
        for batch in batches:
            norms = _norms(forecaster, batch, context)
            keys = list(norms)
            found.append(np.stack([np.stack(list(steps.values()), 1) for steps in norms.values()]))
    finally:
        kernels.set_memory(before)
    return GradientReach(
        np.array([symbol for _, symbol in keys], dtype=np.str_),
        np.array([layer for layer, _ in keys], dtype=np.int64),
        np.concatenate(found, 1),
    )


def _norms(forecaster: Forecaster, batch: Batch, context: int) -> dict[tuple[int, str], dict[int, Floats]]:
    """By (layer, symbol), then by step: (B,)."""
    seen: dict[tuple[int, str, int], Tensor] = {}

    def look(visit: CellVisit) -> None:
        if visit.layer == 1:
            seen[0, "x", visit.step] = visit.x
        for symbol, value in visit.carried().items():
            if value.requires_grad:
                seen[visit.layer, symbol, visit.step] = value

    with torch.enable_grad():
        start = encode_input(forecaster, batch, context)
        result = trace(forecaster.network, start._replace(patches=start.patches.requires_grad_()), look)
        error = _last_error(forecaster, batch, result.frames[:, -1:])
        slopes = torch.autograd.grad(error, list(seen.values()), allow_unused=True)
    norms: dict[tuple[int, str], dict[int, Floats]] = {}
    own = frame_channels(forecaster)
    for (layer, symbol, step), slope in zip(seen, slopes, strict=True):
        if slope is not None and symbol == "x":
            slope = slope[:, :own]
        size = torch.zeros(len(batch.frames)) if slope is None else slope.double().flatten(1).norm(dim=1)
        norms.setdefault((layer, symbol), {})[step] = size.detach().double().cpu().numpy()
    return norms


def _last_error(forecaster: Forecaster, batch: Batch, predicted: Tensor) -> Tensor:
    """The sum of squared errors of the last frame over its observed pixels; rows of a batch do not mix."""
    height, width = batch.frames.shape[-2:]
    last = None if batch.valid is None else batch.valid[:, -1:]
    frames, valid, _ = divide_channels(batch.frames[:, -1:], last, forecaster.spec)
    error = unpatchify(predicted - forecaster.encode(frames, valid), forecaster.patch)[..., :height, :width].square()
    return error.sum() if valid is None else torch.where(valid.to(error.device), error, 0).sum()


def stack_layers(found: GradientReach, symbol: str) -> Floats:
    """(T-1,), the norm over all layers together, mean over sequences.

    Args:
        found: norms.
        symbol: whose.
    """
    return np.sqrt(np.square(found.norm[found.symbol == symbol]).sum(0)).mean(0)


def summarise(found: GradientReach) -> dict[str, float]:
    """The norm at the first step over the largest, for each symbol, all layers together."""
    rows = {}
    for symbol in _ordered([found]):
        norms = stack_layers(found, symbol)
        rows[f"{symbol}, first step over largest"] = float(norms[0] / norms.max()) if norms.max() else float("nan")
    return rows


def draw(folder: Path, found: Mapping[str, GradientReach], context: int) -> None:
    """Draw one panel per symbol: lines by layer of one run, or all layers together of several, then relative too."""
    symbols = _ordered(list(found.values()))
    if len(found) == 1:
        ((name, one),) = found.items()
        rows = _rows([_by_layer(one, symbol, context) for symbol in symbols])
        note = f"{name}. Mean over {one.norm.shape[1]} sequences"
    else:
        rows = [
            row
            for relative in (False, True)
            for row in _rows([_by_run(found, symbol, context, relative=relative) for symbol in symbols])
        ]
        note = f"All layers together. Mean over {next(iter(found.values())).norm.shape[1]} sequences"
    panels.draw_panels(folder / "gradients.png", rows, f"{note}. Dotted line: the last given frame")


def _rows(drawings: list[panels.Panel]) -> list[list[panels.Panel]]:
    """Five in a row, X, H, C, M and z; what only MIM has comes below."""
    return [drawings[at : at + 5] for at in range(0, len(drawings), 5)]


def _ordered(found: Sequence[GradientReach]) -> list[str]:
    there = dict.fromkeys(symbol for one in found for symbol in one.symbol.tolist())
    return [symbol for symbol in _ORDER if symbol in there] + [symbol for symbol in there if symbol not in _ORDER]


def _by_layer(one: GradientReach, symbol: str, context: int) -> panels.Panel:
    lines = [
        panels.PanelLine(
            f"layer {one.layer[row]}" if one.layer[row] else "",
            np.arange(1, one.norm.shape[2] + 1),
            one.norm[row].mean(0),
            max(0, int(one.layer[row]) - 1),
        )
        for row in np.flatnonzero(one.symbol == symbol)
    ]
    return panels.Panel(
        _WORDS.get(symbol, symbol.upper()), "step", "norm of the gradient", lines, log=True, mark=context
    )


def _by_run(found: Mapping[str, GradientReach], symbol: str, context: int, *, relative: bool) -> panels.Panel:
    lines = []
    for place, (name, one) in enumerate(found.items()):
        if symbol in one.symbol:
            norms = stack_layers(one, symbol)
            norms = norms / max(norms.max(), 1e-300) if relative else norms
            lines.append(panels.PanelLine(name, np.arange(1, len(norms) + 1), norms, place))
    label = "share of its largest" if relative else "norm of the gradient"
    return panels.Panel(_WORDS.get(symbol, symbol.upper()), "step", label, lines, log=True, mark=context)
