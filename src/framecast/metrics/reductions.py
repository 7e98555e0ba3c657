"""What the families of metrics share: pixels made comparable, and sums over frames."""

from __future__ import annotations

from math import prod

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from framecast.metrics.base import Statistics, Sums, Values
from framecast.types import Frames, Valid

FrameValues = Float64[Tensor, "B T"]
"""One number for each frame."""

GREY_LEVELS = 255


def without_missing(values: Frames, valid: Valid | None) -> Frames:
    """Put 0 on the missing pixels, so that what they hold (NaN, a fill value) cannot enter any arithmetic."""
    return values if valid is None else torch.where(valid, values, 0.0)


def clipped(values: Frames) -> Float64[Tensor, "B T C H W"]:
    """Cut to the value range [0, 1]."""
    return values.double().clamp(0.0, 1.0)


def quantised(values: Frames) -> Float64[Tensor, "B T C H W"]:
    """Cut to [0, 1], then truncate to the 256 grey levels 0..255, kept as floats so that a NaN stays a NaN.

    Note:
        The product is formed in float32, as in predrnn-pytorch, so that a value at the edge of a grey level falls to
        the same side; k / 255 becomes k for every k.
    """
    return (values.float().clamp(0.0, 1.0) * GREY_LEVELS).floor().double()


def per_frame(values: Float[Tensor, "B T C H W"]) -> FrameValues:
    """Sum over the channels and pixels of each frame."""
    return values.double().sum(dim=(2, 3, 4))


def observed_pixels(values: Frames, valid: Valid | None) -> FrameValues:
    """Count the observed pixels (channels counted one by one) of each frame."""
    if valid is None:
        return values.new_full(values.shape[:2], prod(values.shape[2:]), dtype=torch.float64)
    return valid.sum(dim=(2, 3, 4)).double()


def frame_mean(scores: FrameValues, count: FrameValues) -> Statistics:
    """Statistic of a mean over frames: (score, 1) of each frame, (0, 0) where nothing of it could be scored."""
    scored = count > 0
    return torch.stack([torch.where(scored, scores, 0.0), scored.double()], dim=-1)


def ratio(sums: Sums) -> Values:
    """Close a mean: the first sum over the second; 0/0 is NaN."""
    return sums[:, 0] / sums[:, 1]
