"""Sharpness of frames: sharpness, sharpness_diff."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor
from torch.nn.functional import pad

from framecast.errors import InputError
from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.pointwise import LEAST_ERROR
from framecast.metrics.reductions import (
    GREY_LEVELS,
    clip_to_range,
    divide_sums,
    quantise,
    stack_frame_scores,
    sum_pixels,
    zero_missing,
)
from framecast.types import Frames, Valid

FloatFrames = Float64[Tensor, "B T C H W"]


def _require_neighbours(name: str, frames: Frames) -> None:
    height, width = frames.shape[-2:]
    if min(height, width) < 2:
        raise InputError(
            name,
            got=f"frames of {height} x {width} pixels",
            expected="at least 2 x 2, so that every pixel has neighbours",
            fix="leave it out of the metrics of this data",
        )


def _sum_neighbours(values: FloatFrames) -> FloatFrames:
    """Sum the four neighbours of every pixel; the border is reflected without repeating it (dcb|abcd|cba)."""
    padded = pad(values.flatten(0, 1), (1, 1, 1, 1), mode="reflect")
    vertical = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    horizontal = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return (vertical + horizontal).unflatten(0, values.shape[:2])


def _mark_surrounded(truth: Frames, valid: Valid | None) -> Bool[Tensor, "B T C H W"]:
    """Mark the pixels that were observed together with their four neighbours."""
    if valid is None:
        return torch.ones_like(truth, dtype=torch.bool)
    return valid & (_sum_neighbours((~valid).double()) == 0)


def _sum_gradients(values: FloatFrames) -> Float64[Tensor, "B T C h w"]:
    """Sum |z_ij - z_i-1,j| + |z_ij - z_i,j-1| at the pixels that have both neighbours: all but first row and column."""
    inner = values[..., 1:, 1:]
    return (inner - values[..., :-1, 1:]).abs() + (inner - values[..., 1:, :-1]).abs()


@final
class Sharpness(Metric):
    """Sharpness by the Laplacian: its greatest absolute value in a predicted frame, mean over frames; more is better.

    In grey levels, 0..255. With q the prediction truncated to grey levels, the Laplacian is
    q_up + q_down + q_left + q_right - 4 q, the border reflected without repeating it; its absolute value is cut at
    255 and the maximum is over all pixels and channels. With missing pixels, only pixels that were observed together
    with their four neighbours count, and frames without any are left out.

    Note:
        It measures the prediction alone: noise is sharp too. Read it together with an error.

    Source: MIM (Wang et al. 2019, CVPR), official code.
    """

    name = "sharpness"
    unit = "grey levels"
    better = "more"

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Greatest absolute Laplacian of the frame, number of frames."""
        _require_neighbours(self.name, prediction)
        q = quantise(zero_missing(prediction, valid))
        laplacian = (_sum_neighbours(q) - 4 * q).abs().clamp_max(GREY_LEVELS)
        counted = _mark_surrounded(truth, valid)
        greatest = torch.where(counted, laplacian, 0.0).amax(dim=(2, 3, 4))
        return stack_frame_scores(greatest, sum_pixels(counted.double()))

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)


@final
class SharpnessDifference(Metric):
    """Sharpness difference: likeness of the gradients of prediction and truth, mean over frames; more is better.

    In dB: 10 log10(1 / max(1e-10, mean of |(Gi x + Gj x) - (Gi y + Gj y)|)), Gi z = |z_ij - z_i-1,j|,
    Gj z = |z_ij - z_i,j-1|, on the clipped prediction, the mean over the pixels of a frame that have an upper and a
    left neighbour. With missing pixels, only pixels that were observed together with their four neighbours count,
    and frames without any are left out.

    Note:
        Equal gradients count 100 dB; by the formula of the paper they are infinite.

    Source: Mathieu, Couprie, LeCun 2016, ICLR, https://arxiv.org/abs/1511.05440
    """

    name = "sharpness_diff"
    unit = "dB"
    better = "more"

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sharpness difference of the frame, number of frames."""
        _require_neighbours(self.name, prediction)
        y, x = clip_to_range(zero_missing(prediction, valid)), zero_missing(truth, valid).double()
        counted = _mark_surrounded(truth, valid)[..., 1:, 1:]
        difference = torch.where(counted, (_sum_gradients(x) - _sum_gradients(y)).abs(), 0.0)
        count = sum_pixels(counted.double())
        mean = sum_pixels(difference) / count
        return stack_frame_scores(-10.0 * mean.clamp_min(LEAST_ERROR).log10(), count)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)
