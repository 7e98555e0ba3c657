"""A metric of one channel, where channels mean different things."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.metrics.base import Metric, Statistics, Sums, Values
from framecast.metrics.reductions import observed_pixels
from framecast.types import Frames, FrameSpec, Valid


@final
class ChannelMetric(Metric):
    """Another metric, of one channel alone and on that channel's own value range.

    Args:
        metric: which, made for `own`.
        place: of the channel, 0 first.
        own: what frames of this channel are, with its name.
        shared: what frames of all channels are, on whose value range they are scaled.
    """

    beyond_range = True  # the shared range is not this channel's: it is cut to its own here

    def __init__(self, metric: Metric, place: int, own: FrameSpec, shared: FrameSpec) -> None:
        self.metric, self.place, self.own = metric, place, own
        self.name = f"{own.names[0]}:{metric.name}"
        self.unit, self.better, self.perfect = metric.unit, metric.better, metric.perfect
        self.size, self.parts = metric.size + 1, metric.parts
        self.shared = metric.shared and f"{own.names[0]}:{metric.shared}"
        self._range = shared.low, shared.high - shared.low

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Those of the metric, and how many pixels of the channel were observed."""
        alone = slice(self.place, self.place + 1)
        predicted, observed = (self._on_own_range(frames[:, :, alone]) for frames in (prediction, truth))
        observed = observed if self.metric.beyond_range else observed.clamp(0, 1)
        seen = None if valid is None else valid[:, :, alone]
        found = self.metric.statistics(predicted, observed, seen)
        return torch.cat([found, observed_pixels(observed, seen)[..., None]], dim=-1)

    def _on_own_range(self, frames: Frames) -> Frames:
        """Through the raw values to the bit, so that what equals a threshold still does."""
        low, span = self._range
        raw = (frames.double() * span + low).float().double()
        return (raw - self.own.low) / (self.own.high - self.own.low)

    def close(self, sums: Sums) -> Values:
        """As the metric does."""
        return self.metric.close(self.own_sums(sums))

    def own_sums(self, sums: Float64[Tensor, "*rows S"]) -> Float64[Tensor, "*rows _"]:
        """The numbers of the metric itself."""
        return sums[..., :-1]

    def pixels(self, sums: Sums) -> list[int]:
        """How many were observed, by lead time."""
        return [int(count) for count in sums[..., -1].tolist()]
