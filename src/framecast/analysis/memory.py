"""What do memories hold, and what do gates do, where and when? Maps of each through time, for one sequence.

Channels are reduced to their mean, which suits gates between 0 and 1, and to their root mean square, which suits
memories, whose signs differ from channel to channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from framecast.analysis.trace import CellVisit, Counts, Floats, Names, encode_input, list_fed_frames, trace
from framecast.data.windows.loader import Batch
from framecast.devices import to_float64
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels

_GATES = {"r", "i", "f", "o", "im", "fm", "u", "i_n", "f_n", "o_n", "i_s", "f_s", "o_s"}
"""Sigmoids in most networks; PredRNN++ has a tanh for o, which shows in its values."""


class MemoryMaps(NamedTuple):
    """Maps of S gates and memories, one for each layer and symbol."""

    symbol: Names
    """(S,), the papers' letters, as `Cell.gates` has them; the gradient highway's "h" is z."""
    layer: Counts
    """(S,), 1 at the bottom."""
    mean: Floats
    """(S, T-1, H', W'), over channels, by step."""
    rms: Floats
    """(S, T-1, H', W'), root mean square over channels."""
    fed: NDArray[np.floating[Any]]
    """(T-1, C, H, W), the frame that each step is fed, raw units: the context, then predictions; NaN where none is."""
    predicted: NDArray[np.floating[Any]]
    """(T-1, C, H, W), the frame that each step predicts, raw units; NaN where none is."""


def map_memory(forecaster: Forecaster, batch: Batch, context: int) -> MemoryMaps:
    """Map gates and memories through a forecast of the first sequence of a batch.

    Args:
        forecaster: the model.
        batch: windows, raw units.
        context: J, frames that a forecast is given.
    """
    valid = None if batch.valid is None else batch.valid[:1]
    motion = None if batch.motion is None else batch.motion[:1]
    first = Batch(batch.frames[:1], valid, batch.indices[:1], motion=motion)
    maps: dict[tuple[int, str], dict[int, Floats]] = {}

    def add_visit(visit: CellVisit) -> None:
        for symbol, value in visit.compute_gates().items():
            row = torch.stack([value[0].mean(0), value[0].square().mean(0).sqrt()])
            maps.setdefault((visit.layer, symbol), {})[visit.step] = to_float64(row).cpu().numpy()

    with torch.inference_mode():
        inputs = encode_input(forecaster, first, context)
        result = trace(forecaster.network, inputs, add_visit)
        size = (first.frames.shape[-2], first.frames.shape[-1])
        fed, predicted = torch.stack(list_fed_frames(inputs, result), 1), result.frames
        frames = [forecaster.decode(patches, size)[0].cpu().numpy() for patches in (fed, predicted)]
    rest = np.full((max(0, inputs.steps - len(frames[0])), *frames[0].shape[1:]), np.nan)
    begin = np.full((inputs.steps - len(frames[1]), *frames[1].shape[1:]), np.nan)
    frames = [np.concatenate([frames[0], rest]), np.concatenate([begin, frames[1]])]
    stacked = _stack_maps(list(maps.values()), inputs.steps)
    return MemoryMaps(
        np.array([symbol for _, symbol in maps], dtype=np.str_),
        np.array([layer for layer, _ in maps], dtype=np.int64),
        stacked[:, :, 0],
        stacked[:, :, 1],
        frames[0],
        frames[1],
    )


def _stack_maps(series: Sequence[Mapping[int, Floats]], steps: int) -> Floats:
    """Stack maps (2, H', W') by series and step to (S, T-1, 2, H', W'), of the largest map; NaN where there is none."""
    height, width = (max(each.shape[axis] for maps in series for each in maps.values()) for axis in (1, 2))
    stacked = np.full((len(series), steps, 2, height, width), np.nan)
    for row, maps in enumerate(series):
        for step, each in maps.items():
            rows, columns = np.arange(height) * each.shape[1] // height, np.arange(width) * each.shape[2] // width
            stacked[row, step - 1] = each[:, rows[:, None], columns]
    return stacked


def summarise(maps: MemoryMaps) -> dict[str, float]:
    """Root mean square of each memory over the map, at the last step, in the top layer that has it."""
    rows = {}
    for symbol in ("c", "m", "n", "s", "h"):
        layers = np.flatnonzero(maps.symbol == symbol)
        if len(layers):
            top = layers[-1]
            last = maps.rms[top][~np.isnan(maps.rms[top]).all((1, 2))][-1]
            rows[f"{symbol}, layer {maps.layer[top]}, rms"] = float(np.sqrt(np.square(last).mean()))
    return rows


def draw(folder: Path, runs: Mapping[str, MemoryMaps], context: int) -> None:
    """Draw an animation for each run: one row per layer, one column per symbol, the frames on the left."""
    for name, maps in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        rows: dict[str, dict[str, panels.PanelFilm]] = {}
        for row in range(len(maps.symbol)):
            rows.setdefault(f"layer {maps.layer[row]}", {})[str(maps.symbol[row])] = _film_maps(maps, row)
        frames = {"fed": _film_frames(maps.fed), "predicted": _film_frames(maps.predicted)}
        titles = [f"{name}, step {t + 1}: {'given' if t < context else 'own'} frame" for t in range(len(maps.fed))]
        panels.animate(folder / f"{prefix}memory.gif", frames, rows, titles)


def _film_maps(maps: MemoryMaps, row: int) -> panels.PanelFilm:
    """Gates from 0 to 1 by their mean; everything else by its root mean square, from 0 to its largest."""
    if maps.symbol[row] in _GATES and np.nanmin(maps.mean[row]) >= 0:
        return panels.PanelFilm(np.nan_to_num(maps.mean[row]), 1.0)
    return panels.PanelFilm(np.nan_to_num(maps.rms[row]), float(np.nanmax(maps.rms[row])))


def _film_frames(frames: NDArray[np.floating[Any]]) -> panels.PanelFilm:
    """The first channel, from its smallest to its largest value."""
    values = np.nan_to_num(frames[:, 0].astype(np.float64) - float(np.nanmin(frames[:, 0])))
    return panels.PanelFilm(values, float(values.max()))
