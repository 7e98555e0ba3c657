"""Do the two memories learn different things? Cosines of their increments, and the t-SNE picture of the published code.

    delta C = i o g,  delta M = i' o g'
    cosine of a layer and step: mean over samples and channels of |cos(delta C, delta M)|, over the map

The claim of PredRNN-V2 is that its decoupling loss drives it to 0. The loss acts on increments behind an adapter A,
the t-SNE picture shows them without it; the cosine is given both ways.

Points of the picture, for each sample, layer, step and channel: the places p of the ten largest values of delta C and
those q of delta M; one point is (delta C[p], delta C[q]), the other (delta M[p], delta M[q]), both made unit vectors.

Wang et al.: PredRNN-V2, TPAMI 2022, figure 5, https://arxiv.org/abs/2103.09504, and tsne.py of its code.

Note:
    The published code piles the points of earlier samples into each picture; here a picture has those of one sample.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from framecast.analysis.trace import CellVisit, Counts, Floats, Names, Tally, encode_input, trace
from framecast.data.windows.loader import Batch
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models.predrnn_v2 import Decoupling, alignment
from framecast.plotting import panels

PLACES = 10
"""Largest values of each increment that make a point."""
RANDOM_STATE = 20190129
"""The published one."""
_SYMBOLS = {"i", "g", "im", "gm"}


class Alignment(NamedTuple):
    """How two memories' increments go together. L layers have two memories; P points are in all pictures together."""

    layer: Counts
    """(L,), 1 at the bottom."""
    cosine: Floats
    """(L, T-1), mean |cos| by step."""
    adapted: Floats
    """(L, T-1), the same behind the adapter of the decoupling loss; NaN for a network without."""
    sample: Counts
    """(P,), of each point."""
    point_layer: Counts
    """(P,)."""
    step: Counts
    """(P,), from 1."""
    memory: Names
    """(P,), "c" or "m"."""
    point: Floats
    """(P, 20), unit vectors."""
    embedded: Floats
    """(P, 2), by t-SNE, each picture by itself; NaN without scikit-learn."""


def measure_decoupling(
    forecaster: Forecaster, batches: Iterable[Batch], context: int, *, samples: int = 1, pictures: int = 5
) -> Alignment:
    """Compare what C and M gain, in forecasts.

    Args:
        forecaster: the model.
        batches: windows, raw units.
        context: J, frames that a forecast is given.
        samples: how many sequences, the first ones, are shown as points.
        pictures: at how many steps, evenly spaced, first and last included. Maps of fewer than ten places give none.

    Raises:
        UsageError: a network without two memories.
    """
    tally, clouds, seen = Tally(), _Clouds(samples, pictures), 0
    regularizer = forecaster.network.regularizer
    adapter = regularizer.adapter if isinstance(regularizer, Decoupling) else None

    def look(visit: CellVisit) -> None:
        found = visit.gates()
        if not found.keys() >= _SYMBOLS:
            return
        deltas = found["i"] * found["g"], found["im"] * found["gm"]
        size = len(deltas[0])
        behind = [torch.tensor(torch.nan)] if adapter is None else [size * alignment(*map(adapter, deltas)).cpu()]
        row = [torch.tensor(float(size)), size * alignment(*deltas).cpu(), *behind]
        tally.add(visit.layer, "cosine", visit.step, torch.stack([value.double() for value in row]))
        clouds.add(seen, visit.layer, visit.step, steps, *deltas)

    with torch.inference_mode():
        for batch in batches:
            steps = batch.frames.shape[1] - 1
            trace(forecaster.network, encode_input(forecaster, batch, context), look)
            seen += len(batch.frames)
    if not len(tally):
        name = getattr(forecaster.config, "name", "this network")
        fix = "study predrnn, predrnn_v2, predrnn_pp or mim"
        raise UsageError("decoupling", got=f"{name}, which does not have two memories", fix=fix)
    sums = tally.stacked()
    means = sums[..., 1:] / sums[..., :1]
    return Alignment(tally.layers, means[..., 0], means[..., 1], *clouds.stacked())


def increment_points(delta_c: Tensor, delta_m: Tensor) -> Tensor:
    """The points of one sample, layer and step.

    Args:
        delta_c: (N, H, W).
        delta_m: (N, H, W).

    Returns:
        (2, N, 20): of delta C, then of delta M; unit vectors.

    Raises:
        InputError: maps of fewer than ten places.
    """
    c, m = delta_c.flatten(1), delta_m.flatten(1)
    if c.shape[1] < PLACES:
        size = "x".join(map(str, delta_c.shape[1:]))
        raise InputError("maps", got=size, expected=f"{PLACES} places or more", fix="train with a smaller patch")
    places = torch.cat([c.topk(PLACES, 1).indices, m.topk(PLACES, 1).indices], 1)
    return torch.stack([normalize(delta.gather(1, places), dim=1) for delta in (c, m)])


def embed(cloud: Floats) -> Floats:
    """Points (P, 20) in the plane, (P, 2), by t-SNE with scikit-learn's defaults; NaN where it is not installed.

    van der Maaten, Hinton 2008, https://www.jmlr.org/papers/v9/vandermaaten08a.html.
    """
    if importlib.util.find_spec("sklearn") is None:
        return np.full((len(cloud), 2), np.nan)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(cloud) - 1) / 3)  # the default, but for clouds that are too small for it
    flat: Floats = TSNE(perplexity=perplexity, random_state=RANDOM_STATE).fit_transform(cloud)
    return flat.astype(np.float64)


class _Clouds:
    """Points as they come in."""

    def __init__(self, samples: int, pictures: int) -> None:
        self.samples, self.pictures = samples, pictures
        self.rows: list[tuple[int, int, int, Floats]] = []

    def add(self, seen: int, layer: int, step: int, steps: int, delta_c: Tensor, delta_m: Tensor) -> None:
        if step not in np.linspace(1, steps, min(self.pictures, steps)).round():
            return
        if delta_c[0, 0].numel() < PLACES:
            return
        for sample in range(seen, min(self.samples, seen + len(delta_c))):
            cloud = increment_points(delta_c[sample - seen], delta_m[sample - seen])
            self.rows.append((sample, layer, step, cloud.double().flatten(0, 1).cpu().numpy()))

    def stacked(self) -> tuple[Counts, Counts, Counts, Names, Floats, Floats]:
        sizes = [len(cloud) for *_, cloud in self.rows]
        places = [np.repeat([row[axis] for row in self.rows], sizes).astype(np.int64) for axis in range(3)]
        memory = [np.repeat(["c", "m"], size // 2) for size in sizes]
        clouds = [cloud for *_, cloud in self.rows]
        if not clouds:
            return *places, np.zeros(0, np.str_), np.zeros((0, 2 * PLACES)), np.zeros((0, 2))  # type: ignore[return-value]
        flat = np.concatenate([embed(cloud) for cloud in clouds])
        return places[0], places[1], places[2], np.concatenate(memory), np.concatenate(clouds), flat


def list_remarks(found: Alignment) -> list[str]:
    """Why there is no t-SNE picture, if there is none."""
    if not len(found.point):
        return [f"no t-SNE picture: it needs maps of {PLACES} places or more; train with a smaller patch"]
    if np.isnan(found.embedded).any():
        return ["no t-SNE picture: it needs scikit-learn; pip install 'framecast[study]'"]
    return []


def summarise(found: Alignment) -> dict[str, float]:
    """Mean |cos| over layers and steps."""
    rows = {"mean |cos|": float(found.cosine.mean())}
    return rows if np.isnan(found.adapted).all() else rows | {"mean |cos|, adapted": float(found.adapted.mean())}


def draw(folder: Path, found: Mapping[str, Alignment], context: int) -> None:
    """Draw cosines of all runs on one picture, and a t-SNE picture for each run and sample."""
    rows = [
        [_cosines(f"{name}: |cos(delta C, delta M)|", one.layer, one.cosine, context) for name, one in found.items()]
    ]
    behind = {name: one for name, one in found.items() if not np.isnan(one.adapted).all()}
    if behind:
        title = "{}: behind the adapter"
        rows.append([_cosines(title.format(name), one.layer, one.adapted, context) for name, one in behind.items()])
    panels.draw_panels(folder / "decoupling.png", rows, "0: orthogonal; 1: parallel. Dotted line: the last given frame")
    for name, one in found.items():
        for sample in dict.fromkeys(one.sample.tolist()):
            prefix = f"{name}-" if len(found) > 1 else ""
            if not list_remarks(one):
                _draw_clouds(folder / f"{prefix}tsne-{sample}.png", one, int(sample), name)


def _cosines(title: str, layers: Counts, cosines: Floats, context: int) -> panels.Panel:
    steps = np.arange(1, cosines.shape[1] + 1)
    lines = [panels.PanelLine(f"layer {n}", steps, row, int(n) - 1) for n, row in zip(layers, cosines, strict=True)]
    return panels.Panel(title, "step", "mean |cos|", lines, mark=context, limits=(0, 1))


def _draw_clouds(path: Path, one: Alignment, sample: int, name: str) -> None:
    steps = sorted(set(one.step.tolist()))
    rows = []
    for layer in one.layer.tolist():
        row = []
        for step in steps:
            mine = (one.sample == sample) & (one.point_layer == layer) & (one.step == step)
            groups = {f"delta {letter.upper()}": one.embedded[mine & (one.memory == letter)] for letter in ("c", "m")}
            row.append(panels.Scatter(f"layer {layer}, step {step}", groups))
        rows.append(row)
    panels.draw_panels(
        path, rows, f"{name}, sequence {sample}. t-SNE; each panel by itself, one point per channel and memory"
    )
