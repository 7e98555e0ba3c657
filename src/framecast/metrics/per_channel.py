"""Metrics of single channels, for frames whose channels have different units."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.reductions import count_observed
from framecast.types import Frames, FrameSpec, Valid


@final
class ChannelMetric(Metric):
    """A metric of one channel, on the value range of `spec`.

    Args:
        metric: the metric, made for `spec`.
        index: of the channel in the frames, 0 first.
        spec: frames of this channel alone, with its name.
        frame_spec: frames of all channels, on whose value ranges they are scaled.
    """

    beyond_range = True  # frames may be scaled on another range than that of `spec`: `statistics` cuts to the latter

    def __init__(self, metric: Metric, index: int, spec: FrameSpec, frame_spec: FrameSpec) -> None:
        self.metric, self.index, self.spec = metric, index, spec
        self.name = f"{spec.names[0]}:{metric.name}"
        self.unit, self.better, self.perfect = metric.unit, metric.better, metric.perfect
        self.size, self.parts = metric.size + 1, metric.parts
        self.of_members = metric.of_members
        self.shared = metric.shared and f"{spec.names[0]}:{metric.shared}"
        low, high = frame_spec.target_ranges[index]
        self._low, self._span = low, high - low

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Statistics of the metric, then the number of observed pixels of the channel."""
        channel = slice(self.index, self.index + 1)
        prediction, truth = (self._rescale(frames[..., channel, :, :]) for frames in (prediction, truth))
        truth = truth if self.metric.beyond_range else truth.clamp(0, 1)
        valid = None if valid is None else valid[:, :, channel]
        statistics = self.metric.statistics(prediction, truth, valid)
        return torch.cat([statistics, count_observed(truth, valid)[..., None]], dim=-1)

    def _rescale(self, frames: Frames) -> Frames:
        """Scale frames from the range that they come on to that of `spec`."""
        # Through raw values in the float32 of the data, to the bit, so that a value that equals a threshold still does.
        raw = (frames.double() * self._span + self._low).float().double()
        return (raw - self.spec.low) / (self.spec.high - self.spec.low)

    def close(self, sums: Sums) -> ScoreValues:
        """Close the sums of the metric; the pixel count plays no part."""
        return self.metric.close(self.drop_pixels(sums))

    def drop_pixels(self, sums: Float64[Tensor, "*rows S"]) -> Float64[Tensor, "*rows _"]:
        """Drop the pixel count from statistics or sums, which leaves those of the metric."""
        return sums[..., :-1]

    def count_pixels(self, sums: Sums) -> list[int]:
        """Count the observed pixels of the channel by lead time."""
        return [int(count) for count in sums[..., -1].tolist()]
