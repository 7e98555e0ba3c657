"""Missing pixels at the input of a network: values that fill them, and the channel that marks them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from framecast.types import Frames, Known, Valid

Fill = Literal["low", "mean", "last"]
"""Value that fills a missing pixel: the low end of the channel's range; the mean of the frame's observed pixels; or the
last value observed at the pixel, the low end where there was none."""


class Observed(NamedTuple):
    """Observations of a stream up to now."""

    last: Float[Tensor, "B C H W"]
    """The last observed value of each pixel, raw units; the low end of the range where there was none."""
    ever: Bool[Tensor, "B C H W"]
    """True where a value was observed at least once."""


def observed_in_context(valid: Valid) -> Tensor:
    """Mark where a forecast can be known: at the pixels that were observed in some frame of the context.

    Args:
        valid: (B, J, C, H, W), of the context, False where missing.

    Returns:
        (B, 1, C, H, W), booleans.
    """
    return valid.any(1, keepdim=True)


def fill_missing(frames: Frames, valid: Valid, fill: Fill, low: Tensor, before: Observed | None = None) -> Tensor:
    """Fill missing pixels, from their own frame and earlier ones only.

    Args:
        frames: (B, T, C, H, W), raw units; anything where missing.
        valid: (B, T, C, H, W), False where missing.
        fill: what missing pixels become.
        low: (C, 1, 1), lower end of each channel's range, raw units.
        before: observations before these frames.
    """
    if fill == "low":
        return torch.where(valid, frames, low)
    if fill == "last":
        first = torch.where(valid[:, 0], frames[:, 0], low if before is None else before.last)
        times = torch.arange(frames.shape[1], device=frames.device)[:, None, None, None].expand(frames.shape)
        newest = torch.where(valid, times, 0).cummax(1).values  # (B, T, C, H, W), time of the last observation
        return torch.cat([first[:, None], frames[:, 1:]], 1).gather(1, newest)
    count = valid.sum((-2, -1), keepdim=True)
    mean = torch.where(valid, frames, 0).sum((-2, -1), keepdim=True) / count
    return torch.where(valid, frames, torch.where(count > 0, mean, low))


def update_observed(frames: Frames, valid: Valid, low: Tensor, before: Observed | None = None) -> Observed:
    """Update the observations of a stream with the frames that have passed.

    Args:
        frames: (B, T, C, H, W), raw units; anything where missing.
        valid: (B, T, C, H, W), False where missing.
        low: (C, 1, 1), lower end of each channel's range, raw units.
        before: observations before these frames.
    """
    ever = valid.any(1) if before is None else valid.any(1) | before.ever
    return Observed(fill_missing(frames, valid, "last", low, before)[:, -1], ever)


def mask_channel(valid: Valid, known: Known, before: Observed | None = None) -> Tensor:
    """Make the mask that is a channel of the input: True where all channels were observed.

    A step that is fed a true frame gets that frame's mask. A step that is fed the network's output gets the pixels that
    were observed in some true frame up to then: nothing can be known of the others.

    Args:
        valid: (B, T, C, H, W), of the true frames, False where missing.
        known: (B, S), True where a step is fed a true frame; S may exceed T.
        before: observations before these frames.

    Returns:
        (B, S, 1, H, W), booleans.
    """
    truth = known[:, : valid.shape[1], None, None, None]
    valid = valid[:, : known.shape[1]]
    ever = (valid & truth).to(torch.uint8).cummax(1).values.bool()
    if before is not None:
        ever = ever | before.ever[:, None]
    within = torch.where(truth, valid, ever)
    beyond = ever[:, -1:].expand(-1, known.shape[1] - valid.shape[1], -1, -1, -1)
    return torch.cat([within, beyond], 1).all(2, keepdim=True)
