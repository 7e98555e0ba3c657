"""Peak signal-to-noise ratio of a frame: psnr, psnr_uint8."""

from __future__ import annotations

from typing import final

from framecast.metrics.metric import Metric, Statistics, Sums, Values
from framecast.metrics.pixels import (
    GREY_LEVELS,
    clipped,
    frame_mean,
    observed_pixels,
    per_frame,
    quantised,
    ratio,
    without_missing,
)
from framecast.types import Frames, Valid

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
        y, x = without_missing(prediction, valid), without_missing(truth, valid)
        if self.uint8:
            difference = (quantised(y) - quantised(x)) / GREY_LEVELS
        else:
            difference = clipped(y) - x.double()
        count = observed_pixels(truth, valid)
        mse = per_frame(difference.square()) / count
        return frame_mean(-10.0 * mse.clamp_min(LEAST_ERROR).log10(), count)

    def close(self, sums: Sums) -> Values:
        """Divide the one by the other."""
        return ratio(sums)
