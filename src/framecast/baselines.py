"""What a forecast must beat. The same interface as a Forecaster."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from framecast.errors import InputError
from framecast.types import Frames, FrameSpec, Valid


class Baseline(ABC):
    """A forecast without a network.

    Args:
        spec: the frames; `spec.low` stands for what is missing.
    """

    def __init__(self, spec: FrameSpec) -> None:
        self.spec = spec

    def predict(self, frames: Frames, horizon: int, valid: Valid | None = None) -> Tensor:
        """Predict (B, K, C, H, W) from (B, J, C, H, W), raw units.

        Raises:
            InputError: frames of another shape.
        """
        if frames.ndim != 5 or frames.shape[1] < 1 or frames.shape[2] != self.spec.channels:
            expected = f"(batch, time >= 1, {self.spec.channels}, height, width)"
            raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected=expected)
        frames = frames if frames.is_floating_point() else frames.float()
        return self.frame(frames, valid)[:, None].expand(-1, horizon, -1, -1, -1)

    @abstractmethod
    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """The one frame, (B, C, H, W), that is predicted for all lead times."""


class Persistence(Baseline):
    """The last frame stays."""

    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """The last frame; `spec.low` where it is missing."""
        return frames[:, -1] if valid is None else torch.where(valid[:, -1], frames[:, -1], self.spec.low)


class Mean(Baseline):
    """The mean of all given frames stays."""

    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """The mean over time of values cut to the value range; missing pixels count as `spec.low`, for rain none."""
        frames = frames if valid is None else torch.where(valid, frames, self.spec.low)
        return frames.clamp(self.spec.low, self.spec.high).mean(1)


class Blank(Baseline):
    """Nothing: the low end of the value range everywhere."""

    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """All `spec.low`."""
        return torch.full_like(frames[:, -1], self.spec.low)


BASELINES: dict[str, type[Baseline]] = {"persistence": Persistence, "mean": Mean, "blank": Blank}
