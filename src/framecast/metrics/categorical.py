"""Scores of events above a threshold, from counts of hits, misses, false alarms and correct negatives.

The four counts are pooled over the pixels and sequences of a lead time, then the ratio is formed; averaging the
ratios of single sequences would give other numbers. 0/0, as where nothing was observed nor predicted, is NaN.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.reductions import count_observed, sum_pixels, zero_missing
from framecast.types import Frames, Valid

USUAL_THRESHOLDS = {"dBZ": (15.0, 25.0, 35.0), "mm/h": (0.1, 1.0, 5.0)}
"""Thresholds of events by the units of a channel, where a user names none."""
COUNTS = ("hits", "misses", "false_alarms", "correct_negatives")
"""The four statistics of every metric here, which share them at equal thresholds."""


def _count_outcomes(prediction: Frames, truth: Frames, valid: Valid | None, threshold: float) -> Statistics:
    """Count hits, misses, false alarms and correct negatives of each sequence and lead time."""
    predicted, observed = mark_events(prediction, threshold, valid), mark_events(truth, threshold, valid)
    hits = sum_pixels(predicted * observed)
    misses = sum_pixels(observed) - hits
    false_alarms = sum_pixels(predicted) - hits
    correct_negatives = count_observed(truth, valid) - hits - misses - false_alarms
    return torch.stack([hits, misses, false_alarms, correct_negatives], dim=-1)


def _name_counts(threshold: float) -> str:
    """Name the counts at a threshold on the scale [0, 1], as `Metric.shared`."""
    return f"counts at {threshold!r}"


@final
class CSI(Metric):
    """Critical success index: hits / (hits + misses + false alarms). No unit, 0..1; more is better.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.

    Source: Schaefer 1990, Weather and Forecasting 5(4); as used by Shi et al. 2015, NeurIPS.
    """

    unit = "1"
    better = "more"
    perfect = 1.0
    size = 4
    parts = COUNTS

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0) -> None:
        self.name = name_at_threshold("csi", threshold)
        self.threshold = scale_threshold(threshold, low, high)
        self.shared = _name_counts(self.threshold)

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Hits, misses, false alarms and correct negatives of the frame."""
        return _count_outcomes(prediction, truth, valid, self.threshold)

    def close(self, sums: Sums) -> ScoreValues:
        """Hits over everything but the correct negatives."""
        hits, misses, false_alarms, _ = sums.unbind(-1)
        return hits / (hits + misses + false_alarms)


@final
class POD(Metric):
    """Probability of detection: hits / (hits + misses). No unit, 0..1; more is better.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.

    Predicting events everywhere makes it 1: read it beside the false alarm ratio.

    Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences, ch. 9 (there: hit rate).
    """

    unit = "1"
    better = "more"
    size = 4
    parts = COUNTS

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0) -> None:
        self.name = name_at_threshold("pod", threshold)
        self.threshold = scale_threshold(threshold, low, high)
        self.shared = _name_counts(self.threshold)

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Hits, misses, false alarms and correct negatives of the frame."""
        return _count_outcomes(prediction, truth, valid, self.threshold)

    def close(self, sums: Sums) -> ScoreValues:
        """Hits over the observed events."""
        hits, misses, _, _ = sums.unbind(-1)
        return hits / (hits + misses)


@final
class FAR(Metric):
    """False alarm ratio: false alarms / (hits + false alarms). No unit, 0..1; less is better.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.

    Predicting hardly any event makes it small: read it beside the probability of detection.

    Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences, ch. 9.
    """

    unit = "1"
    better = "less"
    size = 4
    parts = COUNTS

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0) -> None:
        self.name = name_at_threshold("far", threshold)
        self.threshold = scale_threshold(threshold, low, high)
        self.shared = _name_counts(self.threshold)

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Hits, misses, false alarms and correct negatives of the frame."""
        return _count_outcomes(prediction, truth, valid, self.threshold)

    def close(self, sums: Sums) -> ScoreValues:
        """False alarms over the predicted events."""
        hits, _, false_alarms, _ = sums.unbind(-1)
        return false_alarms / (hits + false_alarms)


@final
class HSS(Metric):
    """Heidke skill score: 2 (h n - m f) / ((h + m)(m + n) + (h + f)(f + n)). No unit, at most 1; more is better.

    h hits, m misses, f false alarms, n correct negatives; 0 is the skill of chance.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.

    Source: Heidke 1926, Geografiska Annaler 8; Wilks 2019, ch. 9.
    """

    unit = "1"
    better = "more"
    perfect = 1.0
    size = 4
    parts = COUNTS

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0) -> None:
        self.name = name_at_threshold("hss", threshold)
        self.threshold = scale_threshold(threshold, low, high)
        self.shared = _name_counts(self.threshold)

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Hits, misses, false alarms and correct negatives of the frame."""
        return _count_outcomes(prediction, truth, valid, self.threshold)

    def close(self, sums: Sums) -> ScoreValues:
        """Skill over chance."""
        h, m, f, n = sums.unbind(-1)
        return 2 * (h * n - m * f) / ((h + m) * (m + n) + (h + f) * (f + n))


@final
class FrequencyBias(Metric):
    """Frequency bias: (hits + false alarms) / (hits + misses). No unit, 0 or more; closer to 1 is better.

    Number of predicted events over that of observed ones, wherever they lie: above 1 too many, below 1 too few. A
    forecast can have no bias and no skill.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.

    Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences, ch. 9 (there: bias ratio).
    """

    unit = "1"
    better = "one"
    size = 4
    parts = COUNTS

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0) -> None:
        self.name = name_at_threshold("bias", threshold)
        self.threshold = scale_threshold(threshold, low, high)
        self.shared = _name_counts(self.threshold)

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Hits, misses, false alarms and correct negatives of the frame."""
        return _count_outcomes(prediction, truth, valid, self.threshold)

    def close(self, sums: Sums) -> ScoreValues:
        """Predicted events over observed ones."""
        hits, misses, false_alarms, _ = sums.unbind(-1)
        return (hits + false_alarms) / (hits + misses)


def name_at_threshold(score: str, threshold: float) -> str:
    """Name a score at a threshold, as in csi@0.5."""
    return f"{score}@{threshold:.12g}"


def scale_threshold(threshold: float, low: float, high: float) -> float:
    """Scale a threshold from [low, high] to [0, 1], by the expression that scales the data, so that equal stays equal.

    Args:
        threshold: raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.

    Raises:
        UsageError: unless low < threshold <= high.
    """
    if not low < high:
        raise UsageError("value range", got=f"low {low:g}, high {high:g}", expected="low < high")
    if not low < threshold <= high:
        # Frames are clipped to the range: at or below low everything is an event, above high nothing is.
        raise UsageError(
            f"threshold {threshold:g}",
            expected=f"a value above {low:g} and not above {high:g}, the value range of the data",
            fix="give it in the raw units of the data",
        )
    # Frames are float32, where 0.7 mm/h lies a little below the double 0.7, and is to reach it.
    return (min(threshold, float(np.float32(threshold))) - low) / (high - low)


def mark_events(values: Frames, threshold: float, valid: Valid | None) -> Float64[Tensor, "B T C H W"]:
    """Mark values >= threshold by 1, others and missing ones by 0; a NaN stays, lest a broken forecast score well."""
    values = zero_missing(values, valid)
    # Before any cast to double: torch rounds the threshold to the dtype of the values, as they were rounded themselves.
    return torch.where(values.isnan(), torch.nan, (values >= threshold).double())
