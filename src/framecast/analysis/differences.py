"""Does differencing make a series stationary? Variance and autocorrelation through time, layer by layer.

    v(s) = mean over units of var_t(s)      r_k(s) = sum over units, t of (s_t - s̄)(s_{t+k} - s̄) / sum of (s_t - s̄)^2

for s the frames X that are fed, the hidden states H, their differences from step to step, and MIM's D. A unit is a
channel at a pixel of a sequence; s̄ is its mean over time. A trend has r_k near 1 and small differences; differences that
have become noise have r_k near 0, or below: taking away the mean of T steps lowers it by about 1/T.

Wang et al.: Memory In Memory, CVPR 2019, section 3, https://arxiv.org/abs/1811.07490.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.analysis.trace import CellVisit, Counts, Floats, Names, Tally, encode_input, frame_channels, trace
from framecast.data.windows.loader import Batch
from framecast.errors import InputError
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting import panels

LAGS = 8
"""At most so many, and not more than half of the steps."""


class Differences(NamedTuple):
    """Statistics through time of S series."""

    series: Names
    """(S,), "x", "h", "difference of x", "difference of h", "d"."""
    layer: Counts
    """(S,), 1 at the bottom; 0 for the frames."""
    variance: Floats
    """(S,), v."""
    autocorrelation: Floats
    """(S, K), r at lags 0..K-1; NaN for a series that never changes."""


def measure_differences(forecaster: Forecaster, batches: Iterable[Batch], context: int) -> Differences:
    """Follow frames and hidden states through forecasts.

    Args:
        forecaster: the model.
        batches: windows, raw units.
        context: J, frames that a forecast is given.

    Raises:
        InputError: fewer than four steps.
    """
    tally = Tally()
    with torch.inference_mode():
        for batch in batches:
            steps = batch.frames.shape[1] - 1
            if steps < 4:
                raise InputError("differences", got=f"{steps + 1} frames", expected="at least 5", fix="raise --horizon")
            for (layer, name), values in _series(forecaster, batch, context).items():
                lags = min(LAGS, steps // 2)
                tally.add(layer, name, 1, through_time(torch.stack(values), lags))
                if name != "d":
                    moved = torch.stack(values).diff(dim=0)
                    tally.add(layer, f"difference of {name}", 1, through_time(moved, lags))
    sums = tally.stacked()[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = sums[:, 1:] / sums[:, 1:2]
    return Differences(tally.symbols, tally.layers, sums[:, 1] / sums[:, 0], r)


def _series(forecaster: Forecaster, batch: Batch, context: int) -> dict[tuple[int, str], list[Tensor]]:
    found: dict[tuple[int, str], list[Tensor]] = {}
    own = frame_channels(forecaster)

    def look(visit: CellVisit) -> None:
        if visit.layer == 1:
            found.setdefault((0, "x"), []).append(visit.x[:, :own])
        found.setdefault((visit.layer, "h"), []).append(visit.left.out)
        difference = visit.left.state._asdict().get("d")
        if difference is not None and visit.step > 1:  # at the first frame there is none
            found.setdefault((visit.layer, "d"), []).append(difference)

    trace(forecaster.network, encode_input(forecaster, batch, context), look)
    return found


def through_time(series: Tensor, lags: int) -> Tensor:
    """Sums from which v and r follow, which add up over batches.

    Args:
        series: (T, ...), T steps.
        lags: K.

    Returns:
        (1 + K,): number of values; then the sums over units and time of (s_t - s̄)(s_{t+k} - s̄), k = 0..K-1.
    """
    about = series.double().reshape(len(series), -1)
    about = about - about.mean(0)
    products = [(about[: len(about) - k] * about[k:]).sum() for k in range(lags)]
    return torch.stack([about.new_tensor(about.numel()), *products])


def summarise(found: Differences) -> dict[str, float]:
    """The variance of each layer's difference over its own: about 2 for noise, small for what moves slowly."""
    variance = {(str(name), int(layer)): v for name, layer, v in zip(*found[:3], strict=True)}
    rows = {}
    for (name, layer), own in variance.items():
        if name in ("x", "h"):
            moved = float(variance[f"difference of {name}", layer])
            rows[f"variance of the difference over its own, {_who(layer)}"] = (
                moved / float(own) if own else float("nan")
            )
    return rows


def draw(folder: Path, found: Mapping[str, Differences], context: int) -> None:
    """Draw, for each run, variances and the autocorrelation at lag 1 by layer, and by lag; `context` has no say here."""
    for name, one in found.items():
        prefix = f"{name}-" if len(found) > 1 else ""
        kinds = {"as it is": ("x", "h"), "its difference": ("difference of x", "difference of h"), "MIM's D": ("d",)}
        groups = {kind: np.isin(one.series, names) for kind, names in kinds.items() if np.isin(one.series, names).any()}
        variance, lag = (
            [
                panels.PanelLine(kind, one.layer[mine], values[mine], 5, dashes)
                for dashes, (kind, mine) in zip(("-", "--", ":"), groups.items(), strict=False)
            ]
            for values in (one.variance, one.autocorrelation[:, 1])
        )
        first = [
            panels.Panel("variance through time", "layer (0: frames)", "variance", variance, log=True),
            panels.Panel("autocorrelation at lag 1", "layer (0: frames)", "r", lag, limits=(-1, 1)),
        ]
        lags = np.arange(one.autocorrelation.shape[1])
        second = [
            panels.Panel(
                f"autocorrelation: {kind}",
                "lag, steps",
                "r",
                [
                    panels.PanelLine(_who(int(one.layer[row])), lags, one.autocorrelation[row], int(one.layer[row]))
                    for row in rows
                ],
                limits=(-1, 1),
            )
            for kind, rows in ((kind, np.flatnonzero(mine)) for kind, mine in groups.items())
        ]
        panels.draw_panels(folder / f"{prefix}differences.png", [first, second], name)


def _who(layer: int) -> str:
    return f"layer {layer}" if layer else "frames"
