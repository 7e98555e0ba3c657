"""Has PhyCell learnt derivatives? The moments of its filters, each beside the one derivative that it is meant to be.

    m(n; a, b) = sum over i, j of (i - 3)^a / a! (j - 3)^b / b! w(n; i, j)

Filter n = 7 a' + b' is the derivative of order a' along rows and b' along columns where m(n; a', b') = 1 and its other
moments are 0.

Le Guen, Thome: Disentangling Physical Dynamics from Unknown Factors, CVPR 2020, https://arxiv.org/abs/2003.01460.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from framecast.analysis.trace import Floats
from framecast.devices import to_float64
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models.phydnet import ORDERS, PhyCell
from framecast.plotting import panels


class FilterMoments(NamedTuple):
    """Moments of 49 filters; filters by row, moments by column, in the order of 7 times a plus b."""

    mean: Floats
    """(49, 49), mean over the channels that a filter takes."""
    error: Floats
    """(49, 49), root mean square over those channels of the difference from 1 and 0."""
    loss: Floats
    """(), loss of the moments."""


def measure_moments(forecaster: Forecaster) -> FilterMoments:
    """Compute the moments of a network's physical cell.

    Args:
        forecaster: the model.

    Raises:
        UsageError: a network without a physical cell.
    """
    cell = next((part for part in forecaster.network.modules() if isinstance(part, PhyCell)), None)
    if cell is None:
        got, expected = type(forecaster.config).__name__, "phydnet with its physical branch"
        raise UsageError("moments", got=got, expected=expected)
    with torch.inference_mode():
        moments = to_float64(cell.moments()).cpu().flatten(2).movedim(1, -1).numpy()
        loss = float(cell.measure_moments())
    errors = moments - np.eye(ORDERS**2)[:, :, None]
    return FilterMoments(moments.mean(-1), np.sqrt(np.square(errors).mean(-1)), np.array(loss))


def summarise(moments: FilterMoments) -> dict[str, float]:
    """Mean of the moments that are meant to be 1, root mean square of those that are meant to be 0, and the loss."""
    own = np.eye(len(moments.mean), dtype=bool)
    return {
        "own moment, mean (meant: 1)": float(moments.mean[own].mean()),
        "other moments, rms (meant: 0)": float(np.sqrt(np.square(moments.error[~own]).mean())),
        "loss of the moments": float(moments.loss),
    }


def draw(folder: Path, runs: Mapping[str, FilterMoments], context: int) -> None:
    """Draw the moments of each run as a square, and those that are meant to be 1 by order; no use of `context`."""
    for name, moments in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        own = np.diagonal(moments.mean).reshape(ORDERS, ORDERS)
        square = panels.ColourMatrix("moments of the filters", "moment 7 a + b", "filter 7 a' + b'", moments.mean, 1.0)
        orders = panels.ColourMatrix("own moment, meant: 1", "order b along columns", "order a along rows", own, 1.0)
        note = f"{name}. Red: 1, white: 0, blue: -1; derivatives are red on the diagonal, white elsewhere"
        panels.draw_panels(folder / f"{prefix}moments.png", [[square, orders]], note)
