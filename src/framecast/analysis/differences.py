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

from framecast.analysis.trace import CellVisit, Counts, Floats, Names, Tally, cut_frame, encode_input, trace
from framecast.data.windows.loader import Batch
from framecast.devices import to_float64
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.network import Network
from framecast.plotting import panels

LAGS = 8
"""Number of lags, at most; half of the steps where these are fewer."""


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
            steps = batch.frames.shape[1] - 1 - (context - forecaster.count_run_in(context))
            if steps < 4:
                raise InputError("differences", got=f"{steps + 1} frames", expected="at least 5", fix="raise --horizon")
            for (layer, name), values in _collect_series(forecaster, batch, context).items():
                lags = min(LAGS, steps // 2)
                tally.add(layer, name, 1, sum_products(torch.stack(values), lags))
                if name != "d":
                    differences = torch.stack(values).diff(dim=0)
                    tally.add(layer, f"difference of {name}", 1, sum_products(differences, lags))
    sums = tally.stack()[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = sums[:, 1:] / sums[:, 1:2]
    return Differences(tally.symbols, tally.layers, sums[:, 1] / sums[:, 0], r)


def _collect_series(forecaster: Forecaster, batch: Batch, context: int) -> dict[tuple[int, str], list[Tensor]]:
    """{(layer, name): a tensor (B, C, H', W') for each step} of one forecast."""
    if not isinstance(forecaster.network, Network):
        got, expected = type(forecaster.network).__name__, "a network whose cells take every step"
        raise UsageError("differences", got=got, expected=expected)
    series: dict[tuple[int, str], list[Tensor]] = {}

    def add_visit(visit: CellVisit) -> None:
        if visit.layer == 1:
            series.setdefault((0, "x"), []).append(cut_frame(forecaster, visit.x))
        series.setdefault((visit.layer, "h"), []).append(visit.output.out)
        difference = visit.output.state._asdict().get("d")
        if isinstance(difference, Tensor) and visit.step > 1:  # at the first frame there is none
            series.setdefault((visit.layer, "d"), []).append(difference)

    trace(forecaster.network, encode_input(forecaster, batch, context), add_visit)
    return series


def sum_products(series: Tensor, lags: int) -> Tensor:
    """Sum the products of a series with itself at each lag; v and r follow from the sums, which add up over batches.

    Args:
        series: (T, ...), T steps.
        lags: K.

    Returns:
        (1 + K,): number of values; then the sums over units and time of (s_t - s̄)(s_{t+k} - s̄), k = 0..K-1.
    """
    anomaly = to_float64(series).reshape(len(series), -1)
    anomaly = anomaly - anomaly.mean(0)
    products = [(anomaly[: len(anomaly) - k] * anomaly[k:]).sum() for k in range(lags)]
    return torch.stack([anomaly.new_tensor(anomaly.numel()), *products])


def summarise(statistics: Differences) -> dict[str, float]:
    """Variance of each layer's difference over that of the layer: about 2 for noise, small for what moves slowly."""
    variances = {(str(name), int(layer)): float(v) for name, layer, v in zip(*statistics[:3], strict=True)}
    rows = {}
    for (name, layer), variance in variances.items():
        if name in ("x", "h"):
            ratio = variances[f"difference of {name}", layer] / variance if variance else float("nan")
            rows[f"variance of the difference over its own, {_name_layer(layer)}"] = ratio
    return rows


def draw(folder: Path, runs: Mapping[str, Differences], context: int) -> None:
    """Draw, for each run, variances and the autocorrelation at lag 1 by layer, and by lag; no use of `context`."""
    for name, statistics in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        series, layers, variances, autocorrelation = statistics
        kinds = {"as it is": ("x", "h"), "its difference": ("difference of x", "difference of h"), "MIM's D": ("d",)}
        groups = {kind: np.isin(series, names) for kind, names in kinds.items() if np.isin(series, names).any()}
        variance, lag = (
            [
                panels.PanelLine(kind, layers[rows], values[rows], 5, dashes)
                for dashes, (kind, rows) in zip(("-", "--", ":"), groups.items(), strict=False)
            ]
            for values in (variances, autocorrelation[:, 1])
        )
        first = [
            panels.Panel("variance through time", "layer (0: frames)", "variance", variance, log=True),
            panels.Panel("autocorrelation at lag 1", "layer (0: frames)", "r", lag, limits=(-1, 1)),
        ]
        lags = np.arange(autocorrelation.shape[1])
        second = [
            panels.Panel(
                f"autocorrelation: {kind}",
                "lag, steps",
                "r",
                [
                    panels.PanelLine(_name_layer(int(layers[row])), lags, autocorrelation[row], int(layers[row]))
                    for row in np.flatnonzero(rows)
                ],
                limits=(-1, 1),
            )
            for kind, rows in groups.items()
        ]
        panels.draw_panels(folder / f"{prefix}differences.png", [first, second], name)


def _name_layer(layer: int) -> str:
    return f"layer {layer}" if layer else "frames"
