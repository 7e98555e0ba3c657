"""State of a forecaster within a stream, and what it predicts frame by frame."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from framecast.nn.network import Advance, Aux
from framecast.transforms.missing import Observed


class StreamState(NamedTuple):
    """State of a forecaster within a stream. A value: keep it, copy it, branch from it."""

    network: Advance
    """State of the network, and its newest prediction."""
    observed: Observed | None
    """Observations so far; None where neither fill nor mask need them."""
    shape: tuple[int, ...]
    """(B, C, H, W) of the frames of the stream."""


class PredictedFrame(NamedTuple):
    """Prediction of one lead time."""

    frame: Tensor
    """(B, targets, H, W), raw units; (B, M, targets, H, W) of members."""
    aux: Aux
    """Report of the network's step, as of the seams of its tiles."""
