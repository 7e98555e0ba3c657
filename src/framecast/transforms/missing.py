"""Missing pixels on their way through a network: what it sees in their place, and what it is told about them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from framecast.types import Frames, Known, Valid

Fill = Literal["low", "mean", "last"]
"""What the network sees at a missing pixel: the low end of the channel's range; the mean of the frame's observed pixels;
or the last value that was observed there, the low end where there was none."""


class Observed(NamedTuple):
    """What a stream has observed so far."""

    last: Float[Tensor, "B C H W"]
    """The last observed value of each pixel, raw units; the low end of the range where there was none."""
    seen: Bool[Tensor, "B C H W"]
    """Where there was one."""


def observed_in_context(valid: Valid) -> Tensor:
    """Where a forecast can be known: (B, 1, C, H, W), the pixels that were observed in some frame of the context.

    Args:
        valid: (B, J, C, H, W), of the context.
    """
    return valid.any(1, keepdim=True)


def fill_missing(frames: Frames, valid: Valid, fill: Fill, low: Tensor, before: Observed | None = None) -> Tensor:
    """Put values in the place of missing pixels; nothing of a later frame is used.

    Args:
        frames: (B, T, C, H, W), raw units; any value where missing.
        valid: (B, T, C, H, W), False where missing.
        fill: the policy.
        low: (C, 1, 1), lower end of each channel's range, raw units.
        before: what was observed before these frames.
    """
    if fill == "low":
        return torch.where(valid, frames, low)
    if fill == "last":
        first = torch.where(valid[:, 0], frames[:, 0], low if before is None else before.last)
        places = torch.arange(frames.shape[1], device=frames.device)[:, None, None, None].expand(frames.shape)
        newest = torch.where(valid, places, 0).cummax(1).values
        return torch.cat([first[:, None], frames[:, 1:]], 1).gather(1, newest)
    count = valid.sum((-2, -1), keepdim=True)
    mean = torch.where(valid, frames, 0).sum((-2, -1), keepdim=True) / count
    return torch.where(valid, frames, torch.where(count > 0, mean, low))


def update_observed(frames: Frames, valid: Valid, low: Tensor, before: Observed | None = None) -> Observed:
    """What has been observed once these frames have passed; arguments as for `filled`."""
    seen = valid.any(1) if before is None else valid.any(1) | before.seen
    return Observed(fill_missing(frames, valid, "last", low, before)[:, -1], seen)


def mask_channel(valid: Valid, known: Known, before: Observed | None = None) -> Tensor:
    """What the network is told about its input: 1 where all channels were observed.

    A step that is fed a true frame gets that frame's mask; one that is fed the network's own output gets what could be
    known of it, the pixels that were observed in some true frame up to then.

    Args:
        valid: (B, T, C, H, W), of the true frames, False where missing.
        known: (B, S), which steps are fed true frames; S may be more than T.
        before: what was observed before these frames.

    Returns:
        (B, S, 1, H, W), booleans.
    """
    truth = known[:, : valid.shape[1], None, None, None]
    valid = valid[:, : known.shape[1]]
    seen = (valid & truth).to(torch.uint8).cummax(1).values.bool()
    if before is not None:
        seen = seen | before.seen[:, None]
    shown = torch.where(truth, valid, seen)
    beyond = seen[:, -1:].expand(-1, known.shape[1] - valid.shape[1], -1, -1, -1)
    return torch.cat([shown, beyond], 1).all(2, keepdim=True)
