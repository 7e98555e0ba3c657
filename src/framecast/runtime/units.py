"""Raw units to network units, in NumPy: what motion is estimated from; the graph of a model has its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.errors import CheckpointError
from framecast.runtime.description import Description

Float32Array = NDArray[np.float32]


def to_network_units(frames: Float32Array, about: Description) -> Float32Array:
    """Convert the targets of frames (..., targets, H, W), raw units, to network units.

    Raises:
        CheckpointError: a normalizer that this version does not know.
    """
    normalizer = about.normalizer
    kind, values = normalizer["kind"], frames
    if kind == "range":
        values = (frames - _column(normalizer["low"])) / _span(normalizer)
    elif kind == "standard":
        values = (frames - _column(normalizer["mean"])) / _column(normalizer["std"])
    elif kind == "log":
        offset = _column(normalizer["offset"])
        scale = np.log1p(_span(normalizer) / offset)
        values = np.log1p(np.maximum(frames - _column(normalizer["low"]), 0) / offset) / scale
    elif kind == "dbz":
        values = np.clip(_to_dbz(frames, normalizer) / np.float32(normalizer["high"]), 0, 1)
    elif kind != "identity":
        raise CheckpointError("normalizer", got=kind, expected="one of identity, range, standard, log, dbz")
    low, high = about.value_range
    return values if (low, high) == (0, 1) else np.float32(low) + np.float32(high - low) * values


def _to_dbz(frames: Float32Array, normalizer: dict[str, Any]) -> Float32Array:
    if not normalizer["rain_rate"]:
        return frames
    a, b = (np.float32(number) for number in normalizer["coefficients"])
    reflectivity: Float32Array = 10 * np.log10(np.maximum(a * np.maximum(frames, 0) ** b, np.float32(1e-12)))
    return reflectivity


def _column(numbers: float | Sequence[float]) -> Float32Array:
    """Make one number for all channels, or (C, 1, 1) of one for each."""
    values = np.asarray(numbers, np.float32)
    return values[:, None, None] if values.ndim else values


def _span(normalizer: dict[str, Any]) -> Float32Array:
    return _column(np.subtract(normalizer["high"], normalizer["low"]).tolist())
