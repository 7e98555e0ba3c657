"""Structural similarity of frames: ssim, ssim_uint8, ssim_range2, ssim_gaussian."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import max_pool2d

from framecast.errors import InputError, UsageError
from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.reductions import (
    clip_to_range,
    count_observed,
    divide_sums,
    quantise,
    stack_frame_scores,
    sum_pixels,
    zero_missing,
)
from framecast.types import Frames, Valid

K1, K2 = 0.01, 0.03
UNIFORM_WINDOW = 7
GAUSSIAN_WINDOW, SIGMA = 11, 1.5

FloatFrames = Float64[Tensor, "B T C H W"]
WindowMap = Float64[Tensor, "B T C h w"]


class _Variant(NamedTuple):
    name: str
    data_range: float = 1.0
    quantise: bool = False
    gaussian: bool = False


_VARIANTS = {
    "float": _Variant("ssim"),
    "uint8": _Variant("ssim_uint8", data_range=255.0, quantise=True),
    "range2": _Variant("ssim_range2", data_range=2.0),
    "gaussian": _Variant("ssim_gaussian", gaussian=True),
}


def _make_taps(*, gaussian: bool) -> list[float]:
    """Make the weights of the window along one axis; the window is their outer product and sums to 1."""
    if not gaussian:
        return [1 / UNIFORM_WINDOW] * UNIFORM_WINDOW
    offsets = torch.arange(GAUSSIAN_WINDOW, dtype=torch.float64) - GAUSSIAN_WINDOW // 2
    weights = (-0.5 * (offsets / SIGMA).square()).exp()
    return (weights / weights.sum()).tolist()


def _filter_axis(values: Float64[Tensor, "*shape"], taps: list[float], dim: int) -> Float64[Tensor, "*smaller"]:
    """Correlate values with the taps along one axis, where all neighbours exist."""
    length = values.shape[dim] - len(taps) + 1
    total = taps[0] * values.narrow(dim, 0, length)
    for start, tap in enumerate(taps[1:], 1):
        total = total + tap * values.narrow(dim, start, length)
    return total


def _average_windows(values: FloatFrames, taps: list[float]) -> WindowMap:
    """Average over every window that lies inside the frame."""
    # Sums of shifted frames: as fast as a convolution in float64, and no back end can round them to fewer bits.
    return _filter_axis(_filter_axis(values, taps, dim=-2), taps, dim=-1)


def _compare_windows(y: FloatFrames, x: FloatFrames, *, data_range: float, gaussian: bool) -> WindowMap:
    """SSIM of each window: (2 mu_x mu_y + c1)(2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1)(s_x^2 + s_y^2 + c2))."""
    taps = _make_taps(gaussian=gaussian)
    pixels = len(taps) ** 2
    # Sample covariances for the uniform window, as skimage does by default; population ones for Wang's.
    unbias = 1.0 if gaussian else pixels / (pixels - 1)
    mean_y, mean_x = _average_windows(y, taps), _average_windows(x, taps)
    variances = unbias * (_average_windows(y * y + x * x, taps) - mean_y * mean_y - mean_x * mean_x)
    covariance = unbias * (_average_windows(y * x, taps) - mean_y * mean_x)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_y * mean_x + c1) / (mean_y * mean_y + mean_x * mean_x + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def _mark_observed_windows(valid: Valid, size: int) -> WindowMap:
    """Mark the windows that are fully observed by 1, the others by 0."""
    missing = max_pool2d((~valid).flatten(0, 1).float(), size, stride=1)
    return 1.0 - missing.unflatten(0, valid.shape[:2]).double()


@final
class SSIM(Metric):
    """Structural similarity index: mean over the windows of a frame, then over frames. No unit; more is better.

    Equals `skimage.metrics.structural_similarity`: K1 0.01, K2 0.03, windows that leave the frame are not counted,
    each channel by itself. With missing pixels, only fully observed windows count, and frames without any are left
    out. Variants are on different scales, most of all on dark frames; compare only like with like.

    Args:
        variant: `float` (the name is then `ssim`): 7x7 uniform window, sample covariance, data range 1, on the
            clipped prediction. `uint8` (`ssim_uint8`): `float` on grey levels 0..255 by truncation, data range 255
            (predrnn-pytorch). `range2` (`ssim_range2`): `float` with data range 2, which old versions of skimage
            assumed for floats (MIM and OpenSTL published it). `gaussian` (`ssim_gaussian`): 11x11 Gaussian window of
            sigma 1.5, population covariance, data range 1 (Wang et al.).

    Raises:
        UsageError: for an unknown variant.

    Source: Wang, Bovik, Sheikh, Simoncelli 2004, IEEE Trans. Image Process. 13(4),
    https://doi.org/10.1109/TIP.2003.819861; scikit-image.
    """

    unit = "1"
    better = "more"
    perfect = 1.0

    def __init__(self, variant: str = "float") -> None:
        if variant not in _VARIANTS:
            raise UsageError("variant of SSIM", got=repr(variant), expected=f"one of {', '.join(_VARIANTS)}")
        self.variant = _VARIANTS[variant]
        self.name = self.variant.name
        self.window = GAUSSIAN_WINDOW if self.variant.gaussian else UNIFORM_WINDOW

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """SSIM of the frame, number of frames."""
        height, width = prediction.shape[-2:]
        if min(height, width) < self.window:
            raise InputError(
                self.name,
                got=f"frames of {height} x {width} pixels",
                expected=f"at least {self.window} x {self.window}, the size of its window",
                fix="leave it out of the metrics of this data",
            )
        prepare = quantise if self.variant.quantise else clip_to_range
        y, x = prepare(zero_missing(prediction, valid)), prepare(zero_missing(truth, valid))
        scores = _compare_windows(y, x, data_range=self.variant.data_range, gaussian=self.variant.gaussian)
        if valid is None:
            count = count_observed(scores, None)
        else:
            windows = _mark_observed_windows(valid, self.window)
            count = sum_pixels(windows)
            scores = torch.where(windows > 0, scores, 0.0)
        return stack_frame_scores(sum_pixels(scores) / count, count)

    def close(self, sums: Sums) -> ScoreValues:
        """Divide the sum by the count."""
        return divide_sums(sums)
