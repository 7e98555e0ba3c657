"""Learning-rate schedules: closed forms of the iteration, which counts from 1."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from framecast.types import MAX_COUNT, Count


class _LearningRate(BaseModel):
    """Interface of a learning-rate schedule."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def factor(self, iteration: int, total: int) -> float:
        """Compute the factor of the base rate.

        Args:
            iteration: 1 for the first.
            total: iterations of the whole training.
        """
        raise NotImplementedError


class Constant(_LearningRate):
    """Constant schedule: the base rate throughout."""

    kind: Literal["constant"] = "constant"

    def factor(self, iteration: int, total: int) -> float:
        """Return 1."""
        return 1.0


class StepDecay(_LearningRate):
    """Step decay: the rate is multiplied by `gamma` after every `every` iterations."""

    kind: Literal["step"] = "step"
    every: Count
    gamma: PositiveFloat = 0.1

    def factor(self, iteration: int, total: int) -> float:
        """Compute gamma^floor((i - 1) / every)."""
        return self.gamma ** ((iteration - 1) // self.every)


class Exponential(_LearningRate):
    """Exponential decay: the rate falls by `gamma` within every `every` iterations, smoothly."""

    kind: Literal["exponential"] = "exponential"
    gamma: PositiveFloat = 0.9
    every: Count = 1000

    def factor(self, iteration: int, total: int) -> float:
        """Compute gamma^((i - 1) / every)."""
        return self.gamma ** ((iteration - 1) / self.every)


class Cosine(_LearningRate):
    """Cosine decay: linear warm-up over `warmup` iterations, then half a cosine down to `floor` times the base rate."""

    kind: Literal["cosine"] = "cosine"
    warmup: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0

    def factor(self, iteration: int, total: int) -> float:
        """Compute i / warmup, then floor + (1 - floor) (1 + cos(pi progress)) / 2."""
        if iteration <= self.warmup:
            return iteration / self.warmup
        progress = (iteration - 1 - self.warmup) / max(1, total - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


class OneCycle(_LearningRate):
    """One cycle: from base / div up to the base rate, then down to base / div / final_div, both by half a cosine.

    Smith, Topin 2017, https://arxiv.org/abs/1708.07120; the numbers of `torch.optim.lr_scheduler.OneCycleLR`.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div: PositiveFloat = 25.0
    final_div: PositiveFloat = 1e4

    def factor(self, iteration: int, total: int) -> float:
        """Compute half a cosine up over the share `rise` of the training, then half a cosine down."""
        step, top, end = iteration - 1, self.rise * total - 1, total - 1  # counted from 0, as torch does
        low, final = 1 / self.div, 1 / self.div / self.final_div
        if step <= top:
            return _interpolate(low, 1.0, step / max(top, 1e-9))
        return _interpolate(1.0, final, min(1.0, (step - top) / max(end - top, 1e-9)))


def _interpolate(start: float, end: float, progress: float) -> float:
    """Interpolate along half a cosine; `progress` is 0 to 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))


LearningRate = Annotated[Constant | StepDecay | Exponential | Cosine | OneCycle, Field(discriminator="kind")]
