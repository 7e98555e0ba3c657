"""Channels that play different parts: what is forecast, and the covariates that are known beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.types import Channel, FrameSpec


class WindowParts(NamedTuple):
    """A window by what its channels are for."""

    frames: Tensor
    """(B, T, C, H, W), what is forecast: the targets, then channels that are known in the past only."""
    valid: Tensor | None
    """(B, T, C, H, W), False where missing."""
    covariates: Tensor | None
    """(B, T, E, H, W), NaN where missing; None where there are none."""


def divide_channels(frames: Tensor, valid: Tensor | None, spec: FrameSpec) -> WindowParts:
    """Tell the channels of windows apart.

    Args:
        frames: (B, T, C + E, H, W), raw units, as data give them.
        valid: (B, T, C + E, H, W), False where missing, or None.
        spec: what the channels are.
    """
    if not spec.covariates:
        return WindowParts(frames, valid, None)
    cut = spec.channels
    covariates = frames[:, :, cut:]
    if valid is None:
        return WindowParts(frames[:, :, :cut], None, covariates)
    return WindowParts(frames[:, :, :cut], valid[:, :, :cut], torch.where(valid[:, :, cut:], covariates, torch.nan))


def to_unit(values: Tensor, channels: Sequence[Channel]) -> Tensor:
    """Each channel's range to [0, 1]; channels are the third axis from the end."""
    low, high = _ends(values, channels)
    return (values - low) / (high - low)


def channel_lows(like: Tensor, spec: FrameSpec) -> Tensor:
    """(C, 1, 1), the lower end of the range of each forecast channel, raw units, in the dtype and place of `like`."""
    return _column(like, [spec.low] * spec.targets + [channel.low for channel in spec.past])


def _ends(like: Tensor, channels: Sequence[Channel]) -> tuple[Tensor, Tensor]:
    return _column(like, [c.low for c in channels]), _column(like, [c.high for c in channels])


def _column(like: Tensor, numbers: Sequence[float]) -> Tensor:
    # Filled where they are needed: a copy from the host would make it wait.
    return torch.stack([like.new_full((), number) for number in numbers])[:, None, None]
