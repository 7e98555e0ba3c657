"""Arithmetic that metrics share: missing pixels, the value range, grey levels, and sums over frames."""

from __future__ import annotations

from math import prod

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from framecast.metrics.base import ScoreValues, Statistics, Sums
from framecast.types import Frames, Valid

FrameValues = Float64[Tensor, "B T"]
"""One number of each frame."""

GREY_LEVELS = 255
"""The highest of the grey levels 0..255."""


def zero_missing(values: Frames, valid: Valid | None) -> Frames:
    """Put 0 on the missing pixels, so that what they hold (NaN, a fill value) cannot enter any arithmetic."""
    return values if valid is None else torch.where(valid, values, 0.0)


def clip_to_range(values: Frames) -> Float64[Tensor, "B T C H W"]:
    """Cut values to the value range [0, 1]."""
    return values.double().clamp(0.0, 1.0)


def quantise(values: Frames) -> Float64[Tensor, "B T C H W"]:
    """Cut values to [0, 1], then truncate to the 256 grey levels 0..255, kept as floats so that a NaN stays a NaN.

    Note:
        The product is formed in float32, as in predrnn-pytorch, so that a value at the edge of a grey level falls to
        the same side; k / 255 becomes k for every k.
    """
    return (values.float().clamp(0.0, 1.0) * GREY_LEVELS).floor().double()


def sum_pixels(values: Float[Tensor, "B T C H W"]) -> FrameValues:
    """Sum over the channels and pixels of each frame."""
    return values.double().sum(dim=(2, 3, 4))


def count_observed(values: Frames, valid: Valid | None) -> FrameValues:
    """Count the observed pixels (channels counted one by one) of each frame."""
    if valid is None:
        return values.new_full(values.shape[:2], prod(values.shape[2:]), dtype=torch.float64)
    return valid.sum(dim=(2, 3, 4)).double()


def stack_frame_scores(scores: FrameValues, count: FrameValues) -> Statistics:
    """Stack the statistics of a mean over frames: (score, 1) of each frame, (0, 0) where `count` is 0.

    Args:
        scores: (B, K), anything where nothing could be scored.
        count: (B, K), number of pixels or windows that the score is over.
    """
    scored = count > 0
    # where, not a product: 0 times the NaN of an empty frame would be NaN.
    return torch.stack([torch.where(scored, scores, 0.0), scored.double()], dim=-1)


def divide_sums(sums: Sums) -> ScoreValues:
    """Divide the first sum by the second, as a mean is closed; 0/0 is NaN."""
    return sums[:, 0] / sums[:, 1]
