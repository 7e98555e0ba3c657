"""Fit of a forecaster's base to the training split of a data set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from framecast.bases import Fitted
from framecast.data import DataSet
from framecast.forecasting.forecaster import Forecaster

FITTED_WINDOWS = 80
"""Largest number of training windows of a fit; a few dozen numbers for each lead time need no more."""


def fit_base(forecaster: Forecaster, dataset: DataSet) -> bool:
    """Fit the base of a forecaster to training windows, spread evenly; a base that has no numbers stays as it is.

    Args:
        forecaster: its base is changed in place.
        dataset: windows of context + horizon frames; with the motion of whole frames, where the base needs it.

    Returns:
        whether there was something to fit.

    Raises:
        InputError: the frames cannot be read.
    """
    base = None if forecaster.base is None else forecaster.base.base
    if not isinstance(base, Fitted):
        return False
    base.fit(_read_windows(forecaster, dataset), dataset.context)
    return True


def _read_windows(forecaster: Forecaster, dataset: DataSet) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Read training windows in the data's own step, in network units."""
    total = dataset.count("train")
    used = min(total, FITTED_WINDOWS)
    for number in range(used):
        window = dataset.window("train", 0, number * total // used)
        if window.pace != 1:
            continue
        channels = forecaster.spec.channels
        seen = np.isfinite(window.frames[:, :channels])
        frames = torch.from_numpy(np.where(seen, window.frames[:, :channels], 0)[None])
        mask = torch.from_numpy(seen[None])
        motion = None if window.motion is None else torch.from_numpy(window.motion[None])
        yield forecaster.to_units(frames, mask), mask, motion
