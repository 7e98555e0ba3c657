"""Where does attention look? MAU's weights of past steps; of other networks maps of how much each place is attended to.

    a_j = softmax over j of <S_{t-j}, s> / sqrt(d)          r(k) = L times the mean over heads and queries of P(q, k)

A place with r = 1 gets as much as all others in its window of L places; r is that of the last block of a layer whose
windows are not shifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.analysis.trace import CellVisit, Counts, Floats, encode_input, list_fed_frames, trace
from framecast.data.windows.loader import Batch
from framecast.devices import to_float64
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.attention import WindowAttention, join_windows
from framecast.nn.network import SequenceNetwork
from framecast.plotting import panels


class AttentionMaps(NamedTuple):
    """Attention of one sequence: of L layers to past steps, or to places; the other is empty."""

    layer: Counts
    """(L,), 1 at the bottom."""
    past: Floats
    """(L, T-1, tau), weights of past steps, the oldest first."""
    places: Floats
    """(L, T-1, H', W'), r, of the largest map; smaller ones are repeated."""
    fed: NDArray[np.floating[Any]]
    """(T-1, C, H, W), the frame that each step is fed, raw units."""


def map_attention(forecaster: Forecaster, batch: Batch, context: int) -> AttentionMaps:
    """Map the attention through a forecast of the first sequence of a batch.

    Args:
        forecaster: the model.
        batch: windows, raw units.
        context: J, frames that a forecast is given.

    Raises:
        UsageError: a network whose attention is none of these.
    """
    past: dict[int, list[Floats]] = {}
    places: dict[int, list[Floats]] = {}
    received: list[tuple[Tensor, tuple[int, int]]] = []

    def add_visit(visit: CellVisit) -> None:
        if received:
            weights, size = received[-1]
            rows, columns = visit.x.shape[-2:]
            whole = join_windows(weights[..., None], *size, (rows, columns))[0, ..., 0]
            places.setdefault(visit.layer, []).append(to_float64(whole).cpu().numpy())
            received.clear()
        elif "a" in (gates := visit.compute_gates()):
            past.setdefault(visit.layer, []).append(to_float64(gates["a"][0].flatten()).cpu().numpy())

    with torch.inference_mode(), _hooked(forecaster.network, received):
        inputs = encode_input(forecaster, batch, context)
        result = trace(forecaster.network, inputs, add_visit)
        frame_size = (batch.frames.shape[-2], batch.frames.shape[-1])
        fed = forecaster.decode(torch.stack(list_fed_frames(inputs, result), 1), frame_size)[0].cpu().numpy()
    found = past or places
    if not found:
        expected = "mau, swinlstm_b, swinlstm_d or predrnn_v3"
        raise UsageError("attention", got=type(forecaster.config).__name__, expected=expected)
    stacked = np.stack([np.stack(steps) for steps in past.values()]) if past else np.zeros((0, inputs.steps, 0))
    layers = np.array(list(found), dtype=np.int64)
    return AttentionMaps(layers, stacked, _grow(list(places.values()), inputs.steps), fed)


@contextmanager
def _hooked(network: SequenceNetwork, received: list[tuple[Tensor, tuple[int, int]]]) -> Iterator[None]:
    """Append what each place receives, (B M, L), and the size of the windows, whenever windows attend."""

    def note(attention: Any, arguments: tuple[Any, ...], options: dict[str, Any], output: Tensor) -> None:
        x, size, *rest = arguments
        if any(mask is not None for mask in (*rest, options.get("mask"))):  # shifted windows have one
            return
        weights = attention.weigh(x, size, *rest, **options)
        received.append((weights.mean((1, 2)) * weights.shape[-1], size))

    parts = [part for part in network.modules() if isinstance(part, WindowAttention)]
    hooks = [part.register_forward_hook(note, with_kwargs=True) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _grow(series: list[list[Floats]], steps: int) -> Floats:
    """Repeat the places of smaller maps, so that all are of one size."""
    if not series:
        return np.zeros((0, steps, 0, 0))
    height, width = (max(maps[0].shape[axis] for maps in series) for axis in (0, 1))
    return np.stack([_repeat(np.stack(maps), height, width) for maps in series])


def _repeat(maps: Floats, height: int, width: int) -> Floats:
    rows, columns = (np.arange(size) * part // size for size, part in zip((height, width), maps.shape[1:], strict=True))
    return maps[:, rows[:, None], columns]


def summarise(maps: AttentionMaps) -> dict[str, float]:
    """Weight of the newest step, or the largest r over the last map, of each layer."""
    if len(maps.past):
        return {
            f"weight of the newest of {maps.past.shape[2]} steps, layer {layer}": float(weights[:, -1].mean())
            for layer, weights in zip(maps.layer, maps.past, strict=True)
        }
    return {
        f"most attended place over the mean, layer {layer}": float(places[-1].max())
        for layer, places in zip(maps.layer, maps.places, strict=True)
    }


def draw(folder: Path, runs: Mapping[str, AttentionMaps], context: int) -> None:
    """Draw, for each run, weights of past steps as lines, or maps of places as a film beside the frames."""
    for name, maps in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        if len(maps.past):
            note = f"{name}. Dotted: equal weights. A network begins with states of zero, which count as steps, too"
            panels.draw_panels(folder / f"{prefix}attention.png", [_plot_past(maps, context)], note)
            continue
        values = maps.fed[:, 0].astype(np.float64) - float(maps.fed[:, 0].min())
        rows = {
            f"layer {layer}": {"attention": panels.PanelFilm(places, float(places.max()))}
            for layer, places in zip(maps.layer, maps.places, strict=True)
        }
        titles = [f"{name}, step {t + 1}: {'given' if t < context else 'own'} frame" for t in range(len(maps.fed))]
        frames = {"fed": panels.PanelFilm(values, float(values.max()))}
        panels.animate(folder / f"{prefix}attention.gif", frames, rows, titles)


def _plot_past(maps: AttentionMaps, context: int) -> list[panels.Panel]:
    tau = maps.past.shape[2]
    ago, drawn = np.arange(tau, 0, -1), []
    for layer, weights in zip(maps.layer, maps.past, strict=True):
        parts = {"given frames": weights[:context], "own frames": weights[context:]}
        lines = [
            panels.PanelLine(name, ago, part.mean(0), colour)
            for colour, (name, part) in enumerate(parts.items())
            if len(part)
        ]
        lines.append(panels.PanelLine("", ago, np.full(tau, 1 / tau), 7, ":"))
        drawn.append(panels.Panel(f"layer {layer}", "steps ago", "weight", lines, limits=(0, 1)))
    return drawn
