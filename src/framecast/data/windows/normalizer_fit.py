"""Fit of a normalizer: the kind that suits the data, and its numbers from units, ranges and the training split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framecast.data.sources.value_scan import widen_range
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.errors import InputError, UsageError
from framecast.transforms.normalize import DBZ, Log, Normalizer, Range, Standard
from framecast.types import FrameSpec

Choice = Literal["auto", "range", "standard", "log", "dbz"]
"""Kind of a normalizer whose numbers come from the data."""
OFFSET = 0.001
"""Offset of "log", as a share of the value range."""


class Moments:
    """Streaming moments of each channel: count, mean, sum of squared deviations, lowest and highest value, in float64.

    Blocks are merged as in T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances" (1979), so that nothing cancels.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        self.count, self.mean, self._squares = (np.zeros(channels) for _ in range(3))
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)

    def add(self, frames: NDArray[np.float32]) -> None:
        """Add frames (T, C, H, W), raw units; pixels that are not finite are left out."""
        for channel, values in enumerate(frames.swapaxes(0, 1)):
            observed = values[np.isfinite(values)].astype(np.float64)
            if not observed.size:
                continue
            mean, total = observed.mean(), self.count[channel] + observed.size
            shift = mean - self.mean[channel]
            self._squares[channel] += np.square(observed - mean).sum()
            self._squares[channel] += shift**2 * self.count[channel] * observed.size / total
            self.mean[channel] += shift * observed.size / total
            self.count[channel] = total
            self.low[channel] = min(self.low[channel], observed.min())
            self.high[channel] = max(self.high[channel], observed.max())

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of each channel, of the population (divided by the number of pixels)."""
        return np.sqrt(self._squares / np.maximum(self.count, 1))


def fit_normalizer(
    choice: Choice | Normalizer,
    spec: FrameSpec,
    units: tuple[str, ...],
    training: Callable[[], Iterable[Any]],
    *,
    is_range_found: bool = False,
) -> Normalizer:
    """Fit a normalizer to the frames of the training split, so that it learns nothing of validation and test.

    Args:
        choice: "auto", reflectivity and rain rates on the dBZ scale, channels of several units each over its range in
            training, everything else over the value range; "range", the value range, of several channels each its own
            in training; "standard", mean and deviation of each channel in training; "log" over the value range, of
            several units each over its own in training; "dbz"; or a normalizer, of which the data decide only whether a
            DBZ gets rain rates.
        spec: frames of the data; channels that are no targets are normalized by their own ranges.
        units: units of each target, as the file spells them; empty where it states none.
        training: gives the frames of the training split, (T, C, H, W) in raw units, targets first, in pieces.
        is_range_found: whether the value range is that of all frames, those of validation and test among them: then the
            range in training replaces it.

    Raises:
        UsageError: a normalizer that these data cannot have.
        InputError: a channel of one value only.
    """
    if choice == "auto" and (spec.units == RATE_UNITS or (spec.units == DBZ_UNITS and spec.low == 0)):
        choice = "dbz"
    if choice == "dbz" or isinstance(choice, DBZ):
        return _choose_dbz(choice, spec)
    if choice == "standard":
        moments = _measure_training(choice, spec.targets, training)
        assert all(math.isfinite(number) for number in moments.mean)
        return Standard(mean=tuple(moments.mean.tolist()), std=tuple(moments.std.tolist()))
    if isinstance(choice, str):
        is_shared = len(set(units)) <= 1 and (choice != "range" or spec.targets == 1)
        if is_shared and not is_range_found:
            return _make_of_range(choice, spec.low, spec.high)
        moments = _measure_training(choice, spec.targets, training)
        low, high = moments.low, moments.high
        if is_shared:
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        return _make_of_range(choice, tuple(low.tolist()), tuple(high.tolist()))
    channels = getattr(choice, "channels", None)
    if channels not in (None, spec.targets):
        expected = f"{spec.targets}, the channels of the data"
        raise UsageError(f"normalize: {choice.kind}", got=f"numbers for {channels} channels", expected=expected)
    return choice


def _choose_dbz(choice: Literal["dbz"] | DBZ, spec: FrameSpec) -> DBZ:
    """Choose the dBZ scale that suits the units: reflectivity, or rain rates."""
    if spec.units not in (DBZ_UNITS, RATE_UNITS):
        fix = "name the units, or choose another normalizer"
        raise UsageError(
            "normalize: dbz", got=f"data in {spec.units}", expected=f"{DBZ_UNITS} or {RATE_UNITS}", fix=fix
        )
    rates = spec.units == RATE_UNITS
    if isinstance(choice, DBZ):
        return choice.model_copy(update={"rain_rate": rates})
    return DBZ(rain_rate=True) if rates else DBZ(high=spec.high)


def _make_of_range(choice: str, low: Any, high: Any) -> Range | Log:
    """Make the normalizer of a range, or of one for each channel."""
    if choice != "log":
        return Range(low=low, high=high)
    offset = OFFSET * (np.array(high) - np.array(low))
    return Log(low=low, high=high, offset=tuple(offset.tolist()) if offset.ndim else float(offset))


def fit_other_channels(spec: FrameSpec, training: Callable[[], Iterable[Any]]) -> FrameSpec:
    """Fit the ranges of the channels that are no targets to the frames of the training split.

    Args:
        spec: frames of the data; calendar channels keep their range, as do those without a value in training.
        training: gives the frames of the training split, (T, C, H, W) in raw units, in pieces.
    """
    others = (*spec.past, *spec.covariates)
    if all(channel.calendar for channel in others):
        return spec
    moments = Moments(len(others))
    for frames in training():
        moments.add(frames[:, spec.targets :])
    fitted = [
        channel
        if channel.calendar or not high >= low
        else channel.model_copy(update=dict(zip(("low", "high"), widen_range(low, high), strict=True)))
        for channel, low, high in zip(others, moments.low.tolist(), moments.high.tolist(), strict=True)
    ]
    past = len(spec.past)
    return spec.model_copy(update={"past": tuple(fitted[:past]), "covariates": tuple(fitted[past:])})


def _measure_training(choice: str, channels: int, training: Callable[[], Iterable[Any]]) -> Moments:
    moments = Moments(channels)
    for frames in training():
        moments.add(frames[:, :channels])
    flat = np.flatnonzero(~(moments.high > moments.low))  # also without any pixel: low is infinite then
    if len(flat):
        got = f"channel {flat[0]} of one value, or none, in training"
        fix = "give data.range" if channels == 1 and choice != "standard" else "leave that channel out"
        raise InputError(f"normalize: {choice}", got=got, expected="values that differ", fix=fix)
    return moments
