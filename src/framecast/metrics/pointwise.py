"""Scores of the errors of pixels: mse, sse, mae, fmae, rmse, psnr.

The literature's "MSE" (56.8 of PredRNN on Moving MNIST) is a sum over the pixels of a frame: here it is `sse`, and
`mse` is a mean. The default forms clip the prediction to the value range first, as predrnn-pytorch does; the
unclipped forms are OpenSTL's.
"""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.reductions import (
    GREY_LEVELS,
    clip_to_range,
    count_observed,
    divide_sums,
    quantise,
    stack_frame_scores,
    sum_pixels,
    zero_missing,
)
from framecast.types import Frames, Valid


def _subtract(prediction: Frames, truth: Frames, valid: Valid | None, *, clip: bool) -> Float64[Tensor, "B T C H W"]:
    """Prediction less truth, 0 on missing pixels, in float64."""
    y, x = zero_missing(prediction, valid), zero_missing(truth, valid)
    return (clip_to_range(y) if clip else y.double()) - x.double()


def _pool_pixels(errors: Float64[Tensor, "B T C H W"], valid: Valid | None) -> Statistics:
    """Statistics of a mean over the observed pixels of all frames; `errors` are 0 on the others."""
    return torch.stack([sum_pixels(errors), count_observed(errors, valid)], dim=-1)


def _sum_each_frame(errors: Float64[Tensor, "B T C H W"], valid: Valid | None) -> Statistics:
    """Statistics of a sum over the observed pixels of a frame, averaged over frames."""
    return stack_frame_scores(sum_pixels(errors), count_observed(errors, valid))


@final
class MSE(Metric):
    """Mean squared error: mean of (y - x)^2 over the observed pixels of all sequences. In range²; less is better.

    Args:
        raw: length of the value range and its unit, for a score in raw units; the name is then `mse_raw`.
        clip: cut prediction and truth to the value range; without, the name is `mse_unclipped`, unless raw.
    """

    better = "less"
    perfect = 0.0

    def __init__(self, raw: tuple[float, str] | None = None, *, clip: bool = True) -> None:
        self.name = "mse_raw" if raw else "mse" if clip else "mse_unclipped"
        self.clip, self.beyond_range = clip, raw is not None and not clip
        length, unit = raw or (1.0, "range")
        self.factor, self.unit = length**2, f"{unit}²"

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of (y - x)^2, number of observed pixels."""
        return _pool_pixels(_subtract(prediction, truth, valid, clip=self.clip).square(), valid)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return self.factor * divide_sums(sums)


@final
class SSE(Metric):
    """Sum of squared errors of a frame: sum of (y - x)^2 over its C H W observed pixels, mean over frames.

    This is the "MSE" of the papers on Moving MNIST. In range² per frame; less is better. With missing pixels the sum
    runs over the observed ones; frames without any are left out.

    Args:
        clip: clip the prediction to the value range first (predrnn-pytorch); without, the name is `sse_unclipped`
            (OpenSTL).

    Source: PredRNN (Wang et al. 2017, NeurIPS); predrnn-pytorch; OpenSTL (Tan et al. 2023, NeurIPS).
    """

    unit = "range² per frame"
    better = "less"
    perfect = 0.0

    def __init__(self, *, clip: bool = True) -> None:
        self.name = "sse" if clip else "sse_unclipped"
        self.clip = clip

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of (y - x)^2 over the frame, number of frames."""
        return _sum_each_frame(_subtract(prediction, truth, valid, clip=self.clip).square(), valid)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)


@final
class MAE(Metric):
    """Mean absolute error: mean of |y - x| over observed pixels, prediction clipped. In range; less is better.

    Args:
        raw: length of the value range and its unit, for a score in raw units; the name is then `mae_raw`.
        clip: cut prediction and truth to the value range; without, values beyond it count as they are.
    """

    better = "less"
    perfect = 0.0

    def __init__(self, raw: tuple[float, str] | None = None, *, clip: bool = True) -> None:
        self.name = "mae" if raw is None else "mae_raw"
        self.clip, self.beyond_range = clip, not clip
        self.factor, self.unit = raw or (1.0, "range")

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of |y - x|, number of observed pixels."""
        return _pool_pixels(_subtract(prediction, truth, valid, clip=self.clip).abs(), valid)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return self.factor * divide_sums(sums)


@final
class FMAE(Metric):
    """Frame mean absolute error: sum of |y - x| over a frame, prediction not clipped, mean over frames.

    In range per frame; less is better. With missing pixels the sum runs over the observed ones; frames without any
    are left out. OpenSTL calls it MAE.

    Source: MIM (Wang et al. 2019, CVPR), official code.
    """

    name = "fmae"
    unit = "range per frame"
    better = "less"
    perfect = 0.0

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of |y - x| over the frame, number of frames."""
        return _sum_each_frame(_subtract(prediction, truth, valid, clip=False).abs(), valid)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)


@final
class RMSE(Metric):
    """Root of the mean squared error over the observed pixels of all sequences. In range; less is better.

    Args:
        raw: length of the value range and its unit, for a score in raw units; the name is then `rmse_raw`.
        clip: cut prediction and truth to the value range; without, values beyond it count as they are.

    Note:
        At each lead time it is the root of the pooled mean, not a mean of roots.
    """

    better = "less"
    perfect = 0.0

    def __init__(self, raw: tuple[float, str] | None = None, *, clip: bool = True) -> None:
        self.name = "rmse" if raw is None else "rmse_raw"
        self.clip, self.beyond_range = clip, not clip
        self.factor, self.unit = raw or (1.0, "range")

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sum of (y - x)^2, number of observed pixels."""
        return _pool_pixels(_subtract(prediction, truth, valid, clip=self.clip).square(), valid)

    def close(self, sums: Sums) -> ScoreValues:
        """Root of the sum over the count."""
        return self.factor * divide_sums(sums).sqrt()


LEAST_ERROR = 1e-10
"""Floor of a frame's error under a logarithm: a perfect frame counts 100 dB. It would be infinite, and so would be
the mean of any set of frames that has one."""


@final
class PSNR(Metric):
    """Peak signal-to-noise ratio: -10 log10(max(mse of the frame, 1e-10)), mean over frames. In dB; more is better.

    The mean squared error is over the observed pixels of one frame, on the clipped prediction, the peak being the
    value range. Frames without an observed pixel are left out.

    Args:
        uint8: compute on prediction and truth truncated to grey levels 0..255 (predrnn-pytorch, MIM); the name is
            then `psnr_uint8`. Without: on floats (OpenSTL).

    Note:
        A perfect frame counts 100 dB; in the published code it is infinite.
    """

    unit = "dB"
    better = "more"

    def __init__(self, *, uint8: bool = False) -> None:
        self.name = "psnr_uint8" if uint8 else "psnr"
        self.uint8 = uint8

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """PSNR of the frame, number of frames."""
        y, x = zero_missing(prediction, valid), zero_missing(truth, valid)
        if self.uint8:
            difference = (quantise(y) - quantise(x)) / GREY_LEVELS
        else:
            difference = clip_to_range(y) - x.double()
        count = count_observed(truth, valid)
        mse = sum_pixels(difference.square()) / count
        return stack_frame_scores(-10.0 * mse.clamp_min(LEAST_ERROR).log10(), count)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)
