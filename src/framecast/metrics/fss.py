"""Fractions skill score: events predicted in the right neighbourhood, by scale."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import pad

from framecast.errors import UsageError
from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.categorical import mark_events, name_at_threshold, scale_threshold
from framecast.metrics.reductions import sum_pixels
from framecast.types import Frames, Valid


def sum_windows(values: Float64[Tensor, "B T C H W"], size: int) -> Float64[Tensor, "B T C H W"]:
    """Sum the size x size window around every pixel, zeros beyond the frame; an even window leans up and left."""
    # Differences of running sums cost the same for every window; sums of events, 0 or 1, are exact in float64.
    before, after = size // 2, size - 1 - size // 2
    for dim, margins in ((-2, (0, 0, before + 1, after)), (-1, (before + 1, after, 0, 0))):
        length = values.shape[dim]
        running = pad(values, margins).cumsum(dim)
        values = running.narrow(dim, size, length) - running.narrow(dim, 0, length)
    return values


@final
class FSS(Metric):
    """Fractions skill score: 1 - sum (p - o)^2 / sum (p^2 + o^2). No unit, 0..1; more is better.

    p and o are the shares of pixels with an event in the scale x scale window around a pixel, predicted and observed;
    the sums run over the pixels of all frames and sequences of a lead time. Beyond the frame, and where a pixel is
    missing, there is no event in either. 0/0, no event at all, is NaN.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.
        scale: side of the window, pixels.

    Raises:
        UsageError: unless low < threshold <= high and the scale is at least 1.

    Source: Roberts, Lean 2008, Monthly Weather Review 136, eqs. 5 to 7; equal to pysteps.verification.spatialscores.
    """

    unit = "1"
    better = "more"
    perfect = 1.0
    size = 3

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0, *, scale: int = 1) -> None:
        if scale < 1:
            raise UsageError("scale of fss", got=scale, expected="at least 1 pixel")
        self.name = f"{name_at_threshold('fss', threshold)}/{scale}px"
        self.threshold = scale_threshold(threshold, low, high)
        self.scale = scale

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Sums of p^2, p o and o^2 over the frame."""
        share = 1 / self.scale**2
        p = share * sum_windows(mark_events(prediction, self.threshold, valid), self.scale)
        o = share * sum_windows(mark_events(truth, self.threshold, valid), self.scale)
        return torch.stack([sum_pixels(p * p), sum_pixels(p * o), sum_pixels(o * o)], dim=-1)

    def close(self, sums: Sums) -> ScoreValues:
        """One minus the error of the shares over the largest that it could be."""
        predicted, both, observed = sums.unbind(-1)
        return 1 - (predicted - 2 * both + observed) / (predicted + observed)
