"""The contract of a metric: a statistic that adds up, and a function that closes the sum."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from jaxtyping import Float, Float64
from torch import Tensor

from framecast.types import Frames, Valid

Members = Float[Tensor, "B M T C H W"]
"""Frames of M members."""
Statistics = Float64[Tensor, "B T S"]
"""S additive numbers of each sequence and lead time."""
Sums = Float64[Tensor, "T S"]
"""Statistics summed over sequences: S numbers of each lead time."""
ScoreValues = Float64[Tensor, " T"]
"""A score by lead time."""


DIRECTIONS = {"less": "lower is better", "more": "higher is better", "one": "closer to 1 is better"}
"""Each value of `Metric.better` in words."""


class Metric(ABC):
    """One way to score forecasts by lead time.

    Only the S numbers of each lead time are kept, so the memory is constant, and sums of different batches or
    processes add up to the sums of the whole. Concrete metrics are never subclassed.
    """

    name: str
    """Name in tables and recipes."""
    unit: str
    """Unit, for the header of a table; `range` is the length of the value range [low, high] of the data."""
    better: Literal["less", "more", "one"]
    """Direction of a better forecast: a lower score, a higher one, or one closer to 1."""
    perfect: float | None = None
    """The score of a perfect forecast, for the skill over another forecast; None where such a skill would mislead."""
    beyond_range: bool = False
    """Whether `truth` comes as it was observed, and not clipped to the value range."""
    of_members: bool = False
    """Whether `prediction` comes with all its members, (B, M, K, C, H, W); else as their mean."""
    size: int = 2
    """S, how many numbers `statistics` gives; most metrics need two, a sum and a count."""
    shared: str | None = None
    """Key of the statistics: metrics with equal keys have equal statistics, which are then computed once."""
    parts: tuple[str, ...] = ()
    """Names of the S numbers where they are counts worth reporting, such as hits and misses."""

    @abstractmethod
    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Score each sequence of a batch, in additive numbers.

        Args:
            prediction: (B, K, C, H, W), scaled so that the value range of the data is [0, 1]; not clipped.
            truth: (B, K, C, H, W), scaled likewise and clipped to [0, 1], unless `beyond_range`; missing pixels may
                hold NaN.
            valid: (B, K, C, H, W), True where observed; None where nothing is missing. Pixels that are not
                observed must not influence the result, whatever they hold.

        Returns:
            (B, K, S) float64.

        Raises:
            InputError: if the frames are too small for this metric.
        """

    @abstractmethod
    def close(self, sums: Sums) -> ScoreValues:
        """Turn (K, S) sums over all sequences into (K,) scores; NaN where the score is undefined.

        Each row is closed by itself, so that the sums of many resamplings can be closed at once.
        """
