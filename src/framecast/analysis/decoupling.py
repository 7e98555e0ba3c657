"""Do the two memories learn different things? Cosines of their increments, and the t-SNE plot of the published code.

    delta C = i o g,  delta M = i' o g'
    cosine of a layer and step: mean over samples and channels of |cos(delta C, delta M)|, over the map

The claim of PredRNN-V2 is that its decoupling loss drives it to 0. The loss acts on increments behind an adapter A,
the t-SNE picture shows them without it; the cosine is given both ways.

Points of the plot, for each sample, layer, step and channel: the positions p of the ten largest values of delta C and
those q of delta M; one point is (delta C[p], delta C[q]), the other (delta M[p], delta M[q]), both made unit vectors.

Wang et al.: PredRNN-V2, TPAMI 2022, figure 5, https://arxiv.org/abs/2103.09504, and tsne.py of its code.

Note:
    The published code piles the points of earlier samples into each plot; here a plot has those of one sample.
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
from framecast.devices import to_float64
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import predrnn_v2
from framecast.plotting import panels

PEAKS = 10
"""Number of largest values of each increment that make a point."""
RANDOM_STATE = 20190129
"""Seed of t-SNE in the published code."""
_SYMBOLS = {"i", "g", "im", "gm"}
"""Input gates and new values of C and M, whose products are the increments."""


class Alignment(NamedTuple):
    """Alignment of two memories' increments. L layers have two memories; P points are in all plots together."""

    layer: Counts
    """(L,), 1 at the bottom."""
    cosine: Floats
    """(L, T-1), mean |cos| by step."""
    adapted: Floats
    """(L, T-1), mean |cos| of the increments behind the adapter of the decoupling loss; NaN for a network without."""
    sample: Counts
    """(P,), index of each point's sequence."""
    point_layer: Counts
    """(P,), layer of each point, 1 at the bottom."""
    step: Counts
    """(P,), step of each point, from 1."""
    memory: Names
    """(P,), "c" or "m"."""
    point: Floats
    """(P, 20), unit vectors."""
    embedded: Floats
    """(P, 2), by t-SNE, each plot by itself; NaN without scikit-learn."""


def measure_decoupling(
    forecaster: Forecaster, batches: Iterable[Batch], context: int, *, samples: int = 1, pictures: int = 5
) -> Alignment:
    """Measure how alike the increments of C and M are, in forecasts.

    Args:
        forecaster: the model.
        batches: windows, raw units.
        context: J, frames that a forecast is given.
        samples: how many sequences, the first ones, are shown as points.
        pictures: at how many steps, evenly spaced, first and last included. Maps of fewer than ten cells give none.

    Raises:
        UsageError: a network without two memories.
    """
    tally, points, first = Tally(), _PointCollector(samples, pictures), 0
    regularizer = forecaster.network.regularizer
    adapter = regularizer.adapter if isinstance(regularizer, predrnn_v2.Decoupling) else None

    def add_visit(visit: CellVisit) -> None:
        gates = visit.compute_gates()
        if not gates.keys() >= _SYMBOLS:
            return
        deltas = gates["i"] * gates["g"], gates["im"] * gates["gm"]
        size = len(deltas[0])
        cosine, adapted = predrnn_v2.measure_alignment(*deltas).cpu(), torch.tensor(torch.nan)
        if adapter is not None:
            adapted = predrnn_v2.measure_alignment(*map(adapter, deltas)).cpu()
        row = [torch.tensor(float(size)), size * cosine, size * adapted]
        tally.add(visit.layer, "cosine", visit.step, torch.stack([to_float64(value).cpu() for value in row]))
        points.add(first, visit.layer, visit.step, steps, *deltas)

    with torch.inference_mode():
        for batch in batches:
            steps = batch.frames.shape[1] - 1
            trace(forecaster.network, encode_input(forecaster, batch, context), add_visit)
            first += len(batch.frames)
    if not len(tally):
        name = getattr(forecaster.config, "name", "this network")
        fix = "study predrnn, predrnn_v2, predrnn_pp or mim"
        raise UsageError("decoupling", got=f"{name}, which does not have two memories", fix=fix)
    sums = tally.stack()
    means = sums[..., 1:] / sums[..., :1]
    return Alignment(tally.layers, means[..., 0], means[..., 1], *points.concatenate())


def extract_points(delta_c: Tensor, delta_m: Tensor) -> Tensor:
    """Extract the points of one sample, layer and step from its increments.

    Args:
        delta_c: (N, H', W'), increment of C.
        delta_m: (N, H', W'), increment of M.

    Returns:
        (2, N, 20): points of delta C, then of delta M; unit vectors.

    Raises:
        InputError: maps of fewer than ten cells.
    """
    c, m = delta_c.flatten(1), delta_m.flatten(1)
    if c.shape[1] < PEAKS:
        size = "x".join(map(str, delta_c.shape[1:]))
        raise InputError("maps", got=size, expected=f"{PEAKS} places or more", fix="train with a smaller patch")
    positions = torch.cat([c.topk(PEAKS, 1).indices, m.topk(PEAKS, 1).indices], 1)
    return torch.stack([normalize(delta.gather(1, positions), dim=1) for delta in (c, m)])


def embed(points: Floats) -> Floats:
    """Embed points (P, 20) in the plane, (P, 2), by t-SNE with scikit-learn's defaults; NaN where it is not installed.

    van der Maaten, Hinton 2008, https://www.jmlr.org/papers/v9/vandermaaten08a.html.
    """
    if importlib.util.find_spec("sklearn") is None:
        return np.full((len(points), 2), np.nan)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)  # the default, but where there are too few points for it
    embedded: Floats = TSNE(perplexity=perplexity, random_state=RANDOM_STATE).fit_transform(points)
    return embedded.astype(np.float64)


class _PointCollector:
    """Points of the first sequences, at evenly spaced steps."""

    def __init__(self, samples: int, pictures: int) -> None:
        self.samples, self.pictures = samples, pictures
        self.rows: list[tuple[int, int, int, Floats]] = []

    def add(self, first: int, layer: int, step: int, steps: int, delta_c: Tensor, delta_m: Tensor) -> None:
        """Add the points of a batch whose first sequence has the index `first`; increments (B, N, H', W')."""
        if step not in np.linspace(1, steps, min(self.pictures, steps)).round():
            return
        if delta_c[0, 0].numel() < PEAKS:
            return
        for sample in range(first, min(self.samples, first + len(delta_c))):
            points = extract_points(delta_c[sample - first], delta_m[sample - first])
            self.rows.append((sample, layer, step, to_float64(points).flatten(0, 1).cpu().numpy()))

    def concatenate(self) -> tuple[Counts, Counts, Counts, Names, Floats, Floats]:
        """Sample, layer, step and memory of each point; the points, and their embedding."""
        points = [row[3] for row in self.rows]
        sizes = [len(part) for part in points]
        keys = [np.repeat([row[axis] for row in self.rows], sizes).astype(np.int64) for axis in range(3)]
        if not points:
            return *keys, np.zeros(0, np.str_), np.zeros((0, 2 * PEAKS)), np.zeros((0, 2))  # type: ignore[return-value]
        memory = np.concatenate([np.repeat(["c", "m"], size // 2) for size in sizes])
        embedded = np.concatenate([embed(part) for part in points])
        return keys[0], keys[1], keys[2], memory, np.concatenate(points), embedded


def list_remarks(alignment: Alignment) -> list[str]:
    """List why there is no t-SNE plot, if there is none."""
    if not len(alignment.point):
        return [f"no t-SNE picture: it needs maps of {PEAKS} places or more; train with a smaller patch"]
    if np.isnan(alignment.embedded).any():
        return ["no t-SNE picture: it needs scikit-learn; pip install 'framecast[study]'"]
    return []


def summarise(alignment: Alignment) -> dict[str, float]:
    """Mean |cos| over layers and steps."""
    rows = {"mean |cos|": float(alignment.cosine.mean())}
    if np.isnan(alignment.adapted).all():
        return rows
    return rows | {"mean |cos|, adapted": float(alignment.adapted.mean())}


def draw(folder: Path, runs: Mapping[str, Alignment], context: int) -> None:
    """Draw cosines of all runs on one picture, and a t-SNE plot for each run and sample."""
    rows = [
        [
            _plot_cosines(f"{name}: |cos(delta C, delta M)|", alignment.layer, alignment.cosine, context)
            for name, alignment in runs.items()
        ]
    ]
    adapted = [
        _plot_cosines(f"{name}: behind the adapter", alignment.layer, alignment.adapted, context)
        for name, alignment in runs.items()
        if not np.isnan(alignment.adapted).all()
    ]
    if adapted:
        rows.append(adapted)
    panels.draw_panels(folder / "decoupling.png", rows, "0: orthogonal; 1: parallel. Dotted line: the last given frame")
    for name, alignment in runs.items():
        for sample in dict.fromkeys(alignment.sample.tolist()):
            prefix = f"{name}-" if len(runs) > 1 else ""
            if not list_remarks(alignment):
                _draw_points(folder / f"{prefix}tsne-{sample}.png", alignment, int(sample), name)


def _plot_cosines(title: str, layers: Counts, cosines: Floats, context: int) -> panels.Panel:
    steps = np.arange(1, cosines.shape[1] + 1)
    lines = [panels.PanelLine(f"layer {n}", steps, row, int(n) - 1) for n, row in zip(layers, cosines, strict=True)]
    return panels.Panel(title, "step", "mean |cos|", lines, mark=context, limits=(0, 1))


def _draw_points(path: Path, alignment: Alignment, sample: int, name: str) -> None:
    steps = sorted(set(alignment.step.tolist()))
    rows = []
    for layer in alignment.layer.tolist():
        row = []
        for step in steps:
            chosen = (alignment.sample == sample) & (alignment.point_layer == layer) & (alignment.step == step)
            groups = {
                f"delta {letter.upper()}": alignment.embedded[chosen & (alignment.memory == letter)]
                for letter in ("c", "m")
            }
            row.append(panels.Scatter(f"layer {layer}, step {step}", groups))
        rows.append(row)
    panels.draw_panels(
        path, rows, f"{name}, sequence {sample}. t-SNE; each panel by itself, one point per channel and memory"
    )
