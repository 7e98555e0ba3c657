"""Channels by their part in a forecast: those that are forecast, and covariates that are known in advance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.types import Channel, FrameSpec


class WindowParts(NamedTuple):
    """The channels of a window by their part in a forecast."""

    frames: Tensor
    """(B, T, C, H, W): the targets, then channels that are known in the past only; raw units."""
    valid: Tensor | None
    """(B, T, C, H, W), False where missing; None where nothing is."""
    covariates: Tensor | None
    """(B, T, E, H, W), NaN where missing; raw units. None where there are none."""


def divide_channels(frames: Tensor, valid: Tensor | None, spec: FrameSpec) -> WindowParts:
    """Divide the channels of windows into forecast channels and covariates.

    Args:
        frames: (B, T, C + E, H, W), raw units, the covariates last.
        valid: (B, T, C + E, H, W), False where missing; None where nothing is.
        spec: of the frames; gives C and E.
    """
    if not spec.covariates:
        return WindowParts(frames, valid, None)
    forecast, covariates = frames[:, :, : spec.channels], frames[:, :, spec.channels :]
    if valid is None:
        return WindowParts(forecast, None, covariates)
    covariates = torch.where(valid[:, :, spec.channels :], covariates, torch.nan)
    return WindowParts(forecast, valid[:, :, : spec.channels], covariates)


def to_unit(values: Tensor, channels: Sequence[Channel]) -> Tensor:
    """Scale the range of each channel to [0, 1].

    Args:
        values: (..., C, H, W), raw units.
        channels: C of them, whose `low` and `high` are the range.
    """
    low = make_column([channel.low for channel in channels], values)
    high = make_column([channel.high for channel in channels], values)
    return (values - low) / (high - low)


def channel_lows(like: Tensor, spec: FrameSpec) -> Tensor:
    """Lower end of the range of each forecast channel, (C, 1, 1), raw units, on the device and in the dtype of `like`."""
    return make_column(spec.lows[: spec.channels], like)


def target_ends(like: Tensor, spec: FrameSpec) -> tuple[Tensor, Tensor]:
    """Lower and upper end of each target's range, (C, 1, 1), raw units, on the device and in the dtype of `like`."""
    low, high = zip(*spec.target_ranges, strict=True)
    return make_column(low, like), make_column(high, like)


def make_column(numbers: Sequence[float], like: Tensor) -> Tensor:
    """Make (C, 1, 1) of one number for each channel, on the device and in the dtype of `like`."""
    # Filled on the device: a copy from the host would make it wait.
    return torch.stack([like.new_full((), number) for number in numbers])[:, None, None]
