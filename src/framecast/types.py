"""The shapes that everything speaks in, and the values that travel along the line of the data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Hidden = Float[Tensor, "B N H W"]
"""N feature maps of one frame."""
Frame = Float[Tensor, "B C H W"]
"""One frame of each sequence of a batch."""
Frames = Float[Tensor, "B T C H W"]
"""T frames of each sequence of a batch."""
Valid = Bool[Tensor, "B T C H W"]
"""True where a pixel was observed, False where it is missing."""
Known = Bool[Tensor, "B S"]
"""True where step s of a rollout is fed the true frame, False where it is fed the network's own last output."""


class FrameSpec(BaseModel):
    """What a frame is: the contract between data and model, which every saved model carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    units: str = "1"
    low: float = 0.0
    """Lower end of the value range, in `units`. Scores are computed on values scaled from [low, high] to [0, 1]."""
    high: float = 1.0
    """Upper end of the value range, in `units`."""
    step_minutes: float | None = None
    """Minutes between frames, where known."""


class Window(NamedTuple):
    """Consecutive frames in raw units: where `data` ends and a forecast begins."""

    frames: NDArray[np.float32]
    """(T, C, H, W), raw units; missing pixels hold NaN."""
    valid: NDArray[np.bool_] | None
    """(T, C, H, W), True where observed; None where nothing is missing."""
    time: np.datetime64 | None = None
    """Time of the first frame, where known."""
