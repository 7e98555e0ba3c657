"""Fit of bases to the training split of a data set: that of a network, or one that forecasts alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from framecast.bases import CalibratedBase, Fitted, LinearBase
from framecast.data import DataSet
from framecast.data.durations import count_period
from framecast.errors import InputError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import BaseAlone

FITTED_WINDOWS = 80
"""Largest number of training windows of a fit; a few dozen numbers for each lead time need no more."""
FITTED_SIDE = 256
"""Rows and columns of a window that are used, at most: of larger ones a part, elsewhere in each."""
BATCH_PIXELS = 100_000
"""Pixels of the windows that are taken together."""
FITTED_KINDS = {"linear": LinearBase, "calibrated": CalibratedBase}
"""Bases with numbers of their own, by name."""


def is_fitted_name(name: str) -> bool:
    """Whether a text names a baseline that is fitted, as in linear, or one with a period, as in linear:24h."""
    kind, colon, _ = name.partition(":")
    return kind in FITTED_KINDS and (not colon or FITTED_KINDS[kind] is LinearBase)


def make_base_alone(name: str, dataset: DataSet) -> Forecaster:
    """Make a Forecaster without a network: a base that is fitted to the training split.

    Args:
        name: "linear" or "calibrated"; "linear:24h" with a period, frames or a time.
        dataset: windows of context + horizon frames.

    Raises:
        InputError: no training split, a context shorter than the period, or frames that cannot be read.
        UsageError: a period that is no whole number of steps.
    """
    if not dataset.count("train"):
        raise InputError(f"baseline {name}", got="no training split to fit it to", fix="leave it out, or give --split")
    kind, colon, period = name.partition(":")
    if colon and (needed := count_period(period, dataset.spec, f"baseline {kind}")) > dataset.context:
        got, fix = f"{dataset.context} frames of context", "give more context, or leave this baseline out"
        raise InputError(f"baseline {name}", got=got, expected=f"{needed} or more, one period", fix=fix)
    base = FITTED_KINDS[kind](leads=dataset.horizon, **({"period": period} if colon else {}))
    forecaster = Forecaster(
        BaseAlone(), dataset.spec, dataset.normalizer("auto"), patch=1, context=dataset.context, base=base
    )
    fit_base(forecaster, add_motion(dataset, forecaster))
    return forecaster.eval()


def add_motion(dataset: DataSet, forecaster: Forecaster, newest: int | None = None) -> DataSet:
    """Let windows bring the motion of whole frames, where the base of a forecaster needs it.

    Args:
        dataset: windows of context + horizon frames.
        forecaster: its base and network decide at how many frames of the context motion is needed.
        newest: number of the newest frames of the context that the network runs over; by default all.
    """
    if forecaster.base is None or not forecaster.base.base.tracks:
        return dataset
    newest = newest if forecaster.network.feeds_back else 1
    return dataset.with_motion(forecaster.to_tracked, forecaster.normalizer.model_dump_json(), newest)


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
    base.fit(_read_batches(forecaster, dataset), dataset.context)
    return True


def _read_batches(forecaster: Forecaster, dataset: DataSet) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Read training windows in the data's own step, in network units, as many at a time as are small together."""
    waiting: list[tuple[Tensor, Tensor, Tensor | None]] = []
    for window in _read_windows(forecaster, dataset):
        if waiting and (window[0].shape != waiting[0][0].shape or _count_pixels(waiting) >= BATCH_PIXELS):
            yield _join(waiting)
            waiting = []
        waiting.append(window)
    if waiting:
        yield _join(waiting)


def _count_pixels(windows: list[tuple[Tensor, Tensor, Tensor | None]]) -> int:
    return sum(frames[0, 0, 0].numel() for frames, _, _ in windows)


def _join(windows: list[tuple[Tensor, Tensor, Tensor | None]]) -> tuple[Tensor, Tensor, Tensor | None]:
    frames, masks, motion = zip(*windows, strict=True)
    known = [field for field in motion if field is not None]
    return torch.cat(frames), torch.cat(masks), torch.cat(known) if known else None


def _read_windows(forecaster: Forecaster, dataset: DataSet) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    total, channels, generator = dataset.count("train"), forecaster.spec.channels, np.random.default_rng(0)
    used = min(total, FITTED_WINDOWS)
    for number in range(used):
        window = dataset.window("train", 0, number * total // used)
        if window.pace != 1:
            continue
        spare = [max(0, size - FITTED_SIDE) for size in window.frames.shape[-2:]]
        top, left = (int(generator.integers(number + 1)) for number in spare)
        part = ..., slice(top, top + FITTED_SIDE), slice(left, left + FITTED_SIDE)
        values = window.frames[:, :channels][part]
        seen = np.isfinite(values)
        frames, mask = torch.from_numpy(np.where(seen, values, 0)[None]), torch.from_numpy(seen[None])
        motion = None if window.motion is None else torch.from_numpy(window.motion[part][None])
        yield forecaster.to_units(frames, mask), mask, motion
