"""Sharpness of frames: sharpness, sharpness_diff."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor
from torch.nn.functional import pad

from framecast.errors import InputError
from framecast.metrics.base import Metric, Statistics, Sums, Values
from framecast.metrics.pointwise import LEAST_ERROR
from framecast.metrics.reductions import GREY_LEVELS, clipped, frame_mean, per_frame, quantised, ratio, without_missing
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


def _neighbour_sum(values: FloatFrames) -> FloatFrames:
    """Up + down + left + right of every pixel; the border is reflected without repeating it (dcb|abcd|cba)."""
    padded = pad(values.flatten(0, 1), (1, 1, 1, 1), mode="reflect")
    vertical = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    horizontal = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return (vertical + horizontal).unflatten(0, values.shape[:2])


def _surrounded(truth: Frames, valid: Valid | None) -> Bool[Tensor, "B T C H W"]:
    """Where a pixel and its four neighbours were observed."""
    if valid is None:
        return torch.ones_like(truth, dtype=torch.bool)
    return valid & (_neighbour_sum((~valid).double()) == 0)


def _gradients(values: FloatFrames) -> Float64[Tensor, "B T C h w"]:
    """|z_ij - z_i-1,j| + |z_ij - z_i,j-1| of the pixels that have both neighbours (all but first row and column)."""
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
        It looks at the prediction only: noise is sharp too. Read it beside an error.

    Source: MIM (Wang et al. 2019, CVPR), official code.
    """

    name = "sharpness"
    unit = "grey levels"
    better = "more"

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Greatest absolute Laplacian of the frame, number of frames."""
        _require_neighbours(self.name, prediction)
        q = quantised(without_missing(prediction, valid))
        laplacian = (_neighbour_sum(q) - 4 * q).abs().clamp_max(GREY_LEVELS)
        counted = _surrounded(truth, valid)
        greatest = torch.where(counted, laplacian, 0.0).amax(dim=(2, 3, 4))
        return frame_mean(greatest, per_frame(counted.double()))

    def close(self, sums: Sums) -> Values:
        """Divide the one by the other."""
        return ratio(sums)


@final
class SharpnessDifference(Metric):
    """Sharpness difference: how like the gradients of prediction and truth are, mean over frames; more is better.

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
        y, x = clipped(without_missing(prediction, valid)), without_missing(truth, valid).double()
        counted = _surrounded(truth, valid)[..., 1:, 1:]
        difference = torch.where(counted, (_gradients(x) - _gradients(y)).abs(), 0.0)
        count = per_frame(counted.double())
        mean = per_frame(difference) / count
        return frame_mean(-10.0 * mean.clamp_min(LEAST_ERROR).log10(), count)

    def close(self, sums: Sums) -> Values:
        """Divide the one by the other."""
        return ratio(sums)
