"""What scores of events share: a threshold on the scale of the scores, and where it is reached."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics.pixels import without_missing
from framecast.types import Frames, Valid


def label(score: str, threshold: float) -> str:
    """Name of a score at a threshold."""
    return f"{score}@{threshold:.12g}"


def scaled_threshold(threshold: float, low: float, high: float) -> float:
    """The threshold where [low, high] is [0, 1], by the expression that scales the data, so that equal stays equal.

    Frames are float32, where 0.7 mm/h lies a little below the double 0.7, and is to reach it.
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
    return (min(threshold, float(np.float32(threshold))) - low) / (high - low)


def events(values: Frames, threshold: float, valid: Valid | None) -> Float64[Tensor, "B T C H W"]:
    """1 where value >= threshold, 0 below and where missing; a NaN stays a NaN, lest a broken forecast score well."""
    values = without_missing(values, valid)
    # Before any cast to double: torch rounds the threshold to the dtype of the values, as they were rounded themselves.
    return torch.where(values.isnan(), torch.nan, (values >= threshold).double())
