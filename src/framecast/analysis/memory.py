"""What do memories hold, and what do gates do, where and when? Maps of each through time, for one sequence.

Channels are put together: their mean, which suits gates between 0 and 1, and their root mean square, which suits
memories, whose signs differ from channel to channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from framecast.analysis.trace import CellVisit, Counts, Floats, Names, encode_input, frame_channels, trace
from framecast.data.windows.loader import Batch
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels

_GATES = {"i", "f", "o", "im", "fm", "u", "i_n", "f_n", "o_n", "i_s", "f_s", "o_s"}
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
    """(T-1, C, H, W), the frame that each step is fed, raw units: given ones, then the network's own."""
    predicted: NDArray[np.floating[Any]]
    """(T-1, C, H, W), what each step predicts, raw units."""


def map_memory(forecaster: Forecaster, batch: Batch, context: int) -> MemoryMaps:
    """Map everything that a network computes for the first sequence of a batch.

    Args:
        forecaster: the model.
        batch: windows, raw units.
        context: J, frames that a forecast is given.
    """
    valid = None if batch.valid is None else batch.valid[:1]
    one = Batch(batch.frames[:1], valid, batch.indices[:1])
    maps: dict[tuple[int, str], list[torch.Tensor]] = {}
    fed: list[torch.Tensor] = []
    own = frame_channels(forecaster)

    def look(visit: CellVisit) -> None:
        if visit.layer == 1:
            fed.append(visit.x[:, :own])
        for symbol, value in visit.gates().items():
            row = torch.stack([value[0].mean(0), value[0].square().mean(0).sqrt()])
            maps.setdefault((visit.layer, symbol), []).append(row)

    with torch.inference_mode():
        result = trace(forecaster.network, encode_input(forecaster, one, context), look)
        size = (one.frames.shape[-2], one.frames.shape[-1])
        frames = [forecaster.decode(patches, size)[0].cpu().numpy() for patches in (torch.stack(fed, 1), result.frames)]
    stacked = np.stack([torch.stack(rows).double().cpu().numpy() for rows in maps.values()])
    return MemoryMaps(
        np.array([symbol for _, symbol in maps], dtype=np.str_),
        np.array([layer for layer, _ in maps], dtype=np.int64),
        stacked[:, :, 0],
        stacked[:, :, 1],
        frames[0],
        frames[1],
    )


def summarise(found: MemoryMaps) -> dict[str, float]:
    """Root mean square of each memory over the map, at the last step, in the top layer that has it."""
    rows = {}
    for symbol in ("c", "m", "n", "s", "h"):
        mine = np.flatnonzero(found.symbol == symbol)
        if len(mine):
            rows[f"{symbol}, layer {found.layer[mine[-1]]}, rms"] = float(
                np.sqrt(np.square(found.rms[mine[-1], -1]).mean())
            )
    return rows


def draw(folder: Path, found: Mapping[str, MemoryMaps], context: int) -> None:
    """Draw an animation for each run: one row per layer, one column per symbol, the frames on the left."""
    for name, one in found.items():
        prefix = f"{name}-" if len(found) > 1 else ""
        rows: dict[str, dict[str, panels.PanelFilm]] = {}
        for place in range(len(one.symbol)):
            rows.setdefault(f"layer {one.layer[place]}", {})[str(one.symbol[place])] = _film(one, place)
        frames = {"fed": _frames(one.fed), "predicted": _frames(one.predicted)}
        titles = [f"{name}, step {t + 1}: {'given' if t < context else 'own'} frame" for t in range(len(one.fed))]
        panels.animate(folder / f"{prefix}memory.gif", frames, rows, titles)


def _film(one: MemoryMaps, place: int) -> panels.PanelFilm:
    """Gates from 0 to 1 by their mean; everything else by its size, from 0 to its largest."""
    if one.symbol[place] in _GATES and one.mean[place].min() >= 0:
        return panels.PanelFilm(one.mean[place], 1.0)
    return panels.PanelFilm(one.rms[place], float(one.rms[place].max()))


def _frames(frames: NDArray[np.floating[Any]]) -> panels.PanelFilm:
    """The first channel, from its smallest to its largest value."""
    values = frames[:, 0].astype(np.float64) - float(frames[:, 0].min())
    return panels.PanelFilm(values, float(values.max()))
