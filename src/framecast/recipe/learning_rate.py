"""The learning rate as a closed form of the iteration, which counts from 1."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _LearningRate(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def factor(self, iteration: int, total: int) -> float:
        """What the base rate is multiplied with."""
        raise NotImplementedError


class Constant(_LearningRate):
    """Always the base rate."""

    kind: Literal["constant"] = "constant"

    def factor(self, iteration: int, total: int) -> float:
        """1."""
        return 1.0


class StepDecay(_LearningRate):
    """Times `gamma` after every `every` iterations."""

    kind: Literal["step"] = "step"
    every: Count
    gamma: Positive = 0.1

    def factor(self, iteration: int, total: int) -> float:
        """gamma^floor((i - 1) / every)."""
        return self.gamma ** ((iteration - 1) // self.every)


class Exponential(_LearningRate):
    """Times `gamma` once every `every` iterations, smoothly."""

    kind: Literal["exponential"] = "exponential"
    gamma: Positive = 0.9
    every: Count = 1000

    def factor(self, iteration: int, total: int) -> float:
        """gamma^((i - 1) / every)."""
        return self.gamma ** ((iteration - 1) / self.every)


class Cosine(_LearningRate):
    """Linear warm-up over `warmup` iterations, then half a cosine down to `floor` times the base rate."""

    kind: Literal["cosine"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0

    def factor(self, iteration: int, total: int) -> float:
        """Warm-up, then floor + (1 - floor) (1 + cos(pi progress)) / 2."""
        if iteration <= self.warmup:
            return iteration / self.warmup
        progress = (iteration - 1 - self.warmup) / max(1, total - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


class OneCycle(_LearningRate):
    """Up from base / div to the base rate, then down to base / div / final_div, both half cosines (Smith, Topin 2017).

    https://arxiv.org/abs/1708.07120; the numbers of `torch.optim.lr_scheduler.OneCycleLR`.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div: Positive = 25.0
    final_div: Positive = 1e4

    def factor(self, iteration: int, total: int) -> float:
        """Half a cosine up to the share `rise` of the training, half a cosine down."""
        step, top, end = iteration - 1, self.rise * total - 1, total - 1
        low, final = 1 / self.div, 1 / self.div / self.final_div
        if step <= top:
            return _half_cosine(low, 1.0, step / max(top, 1e-9))
        return _half_cosine(1.0, final, min(1.0, (step - top) / max(end - top, 1e-9)))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))


LearningRate = Annotated[Constant | StepDecay | Exponential | Cosine | OneCycle, Field(discriminator="kind")]
