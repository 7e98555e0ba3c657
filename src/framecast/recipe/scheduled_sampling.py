"""Sampling schedules: the steps of a rollout that are fed true frames in training, as closed forms of the iteration.

Iterations count from 1. Every draw is a pure function of (seed, iteration): resuming, or dividing a batch among
processes, changes nothing. A draw is made for the whole batch of an iteration; each process takes its rows.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from framecast.types import MAX_COUNT, Count, Known

_STREAM = 0x5A3D
"""First number of the seeds of these draws; part of the results."""
Probability = Annotated[float, Field(ge=0, le=1)]
OFFICIAL_SHARE = 50_000 / 80_000
"""Share of its iterations after which the official training ends its schedules."""


class _Schedule(BaseModel):
    """Interface of a sampling schedule."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def probabilities(self, iteration: int, total: int) -> tuple[float, float]:
        """Compute the probability that the true frame is fed, at (context, horizon) steps.

        Args:
            iteration: 1 for the first.
            total: iterations of the whole training, of which a schedule without a length takes its share.
        """
        raise NotImplementedError

    def check(self, total: int) -> None:
        """Check that the schedule fits into a training of `total` iterations.

        Raises:
            ValueError: the schedule is longer, or ends before it begins.
        """

    def known(self, iteration: int, total: int, *, seed: int, batch: int, context: int, frames: int) -> Known:
        """Draw the steps that are fed true frames.

        Args:
            iteration: 1 for the first.
            total: iterations of the whole training.
            seed: seed of the run.
            batch: sequences of the iteration, over all processes.
            context: J, true frames of a forecast.
            frames: T, frames of a sequence.

        Returns:
            (batch, T - 1), True where the true frame is fed. Entries are independent; step 0 is always True.
        """
        encoder, decoder = self.probabilities(iteration, total)
        generator = np.random.default_rng([_STREAM, seed, iteration])
        # the order of the official code: first all of the encoder's draws, then the decoder's
        past: NDArray[np.bool_] = generator.random((batch, context - 1)) < encoder
        future: NDArray[np.bool_] = generator.random((batch, frames - context - 1)) < decoder
        start = np.ones((batch, 1), dtype=bool)
        return torch.from_numpy(np.concatenate([start, past, future], 1))


class ScheduledSampling(_Schedule):
    """Scheduled sampling: the context is true; in the horizon true frames become ever rarer.

    Bengio et al. 2015, https://arxiv.org/abs/1506.03099. Curves of the probability at iteration i: linear,
    max(floor, start - rate i); exponential, k^i with k < 1; inverse sigmoid, k / (k + exp(i / k)) with k >= 1. From
    iteration `stop` on it is `floor`.

    Args:
        stop: the iteration from which on the probability is `floor`; by default 5/8 of the training, the official
            share (50,000 of 80,000).
        rate: slope of the linear curve; by default it falls from `start` to `floor` at `stop`. Officially 2e-5.
        k: constant of the other curves; by default they reach about 1 % at `stop`.
    """

    kind: Literal["scheduled"] = "scheduled"
    curve: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"
    start: Probability = 1.0
    floor: Probability = 0.0
    rate: Annotated[float, Field(gt=0)] | None = None
    k: Annotated[float, Field(gt=0)] | None = None
    stop: Count | None = None

    @model_validator(mode="after")
    def _check_curve(self) -> ScheduledSampling:
        if self.floor > self.start:
            raise ValueError(f"floor, start: got {self.floor}, {self.start}, expected floor <= start")
        if self.curve != "linear" and "start" in self.model_fields_set and self.start != 1:
            raise ValueError(f"start: the {self.curve} curve begins at 1; leave it out")
        if self.curve == "linear" and self.k is not None:
            raise ValueError("k: the linear curve has none; use rate, or another curve")
        if self.curve != "linear" and self.rate is not None:
            raise ValueError(f"rate: the {self.curve} curve has none; use k")
        if self.curve == "exponential" and self.k is not None and self.k >= 1:
            raise ValueError(f"k: got {self.k}, expected less than 1 for the exponential curve")
        if self.curve == "inverse_sigmoid" and self.k is not None and self.k < 1:
            raise ValueError(f"k: got {self.k}, expected at least 1 for the inverse sigmoid")
        return self

    def probability(self, iteration: int, total: int) -> float:
        """Compute the probability of a true frame within the horizon."""
        stop = self.stop or max(1, round(OFFICIAL_SHARE * total))
        if iteration >= stop:
            return self.floor
        if self.curve == "linear":
            rate = self.rate or (self.start - self.floor) / stop
            return max(self.floor, self.start - rate * iteration)
        if self.curve == "exponential":
            return max(self.floor, (self.k or 0.01 ** (1 / stop)) ** iteration)
        k = self.k or max(1.0, stop / 12)
        return max(self.floor, k / (k + math.exp(min(iteration / k, 700.0))))  # math.exp overflows from 710 on

    def probabilities(self, iteration: int, total: int) -> tuple[float, float]:
        """Return 1 for the context, and the curve's probability for the horizon."""
        return 1.0, self.probability(iteration, total)


class ReverseScheduledSampling(_Schedule):
    """Reverse scheduled sampling: the context becomes true, the horizon predicted; both start half true.

    With s = iteration - step_1, encoder from `step_1` to `step_2`: exponential 1 - (1 - start) exp(-s / alpha), the
    official curve; linear start + (1 - start) s / (step_2 - step_1); sigmoid
    start + (1 - start) / (1 + exp((b - s) / alpha)) with b half-way. Decoder: start (1 - s / (step_2 - step_1)).
    Before, both are `start`; after, 1 and 0.

    Wang et al.: PredRNN, TPAMI 2022, section 3.4, https://arxiv.org/abs/2103.09504.

    Args:
        step_1: first iteration of the curves; by default 5/16 of the training (officially 25,000 of 80,000).
        step_2: last iteration of the curves; by default 5/8 of the training (officially 50,000 of 80,000).
        alpha: time scale of the curve, iterations; by default a tenth of step_2 - step_1 (officially 2,500).
    """

    kind: Literal["reverse"] = "reverse"
    curve: Literal["exponential", "linear", "sigmoid"] = "exponential"
    start: Probability = 0.5
    step_1: Annotated[int, Field(ge=0, le=MAX_COUNT)] | None = None
    step_2: Count | None = None
    alpha: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check_order(self) -> ReverseScheduledSampling:
        if self.step_1 is not None and self.step_2 is not None and self.step_1 >= self.step_2:
            raise ValueError(f"step_1, step_2: got {self.step_1}, {self.step_2}, expected step_1 < step_2")
        return self

    def _resolve_steps(self, total: int) -> tuple[int, int]:
        """Resolve (step_1, step_2) for a training of `total` iterations."""
        second = self.step_2 or max(1, round(OFFICIAL_SHARE * total))
        return (second // 2 if self.step_1 is None else self.step_1), second

    def check(self, total: int) -> None:
        """Check that step_1 lies before step_2 in a training of `total` iterations.

        Raises:
            ValueError: step_1 does not.
        """
        first, second = self._resolve_steps(total)
        if first >= second:
            fix = "give step_2 too, or lower step_1"
            raise ValueError(f"step_1: got {first}, expected less than step_2, which is {second} here; {fix}")

    def probabilities(self, iteration: int, total: int) -> tuple[float, float]:
        """Compute the probabilities of the encoder (context) and the decoder (horizon)."""
        first, second = self._resolve_steps(total)
        alpha = self.alpha or max(1.0, (second - first) / 10)
        if iteration < first:
            return self.start, self.start
        if iteration >= second:
            return 1.0, 0.0
        s, span = iteration - first, second - first
        growth = {
            "exponential": 1 - math.exp(-s / alpha),
            "linear": s / span,
            "sigmoid": 1 / (1 + math.exp(min((span / 2 - s) / alpha, 700.0))),
        }[self.curve]
        return self.start + (1 - self.start) * growth, self.start * (1 - s / span)


class Free(_Schedule):
    """Free running, as at test time: the context is true, the horizon predicted."""

    kind: Literal["free"] = "free"

    def probabilities(self, iteration: int, total: int) -> tuple[float, float]:
        """Return 1 for the context, 0 for the horizon."""
        return 1.0, 0.0


class Forced(_Schedule):
    """Teacher forcing: all frames are true."""

    kind: Literal["forced"] = "forced"

    def probabilities(self, iteration: int, total: int) -> tuple[float, float]:
        """Return 1 for the context and the horizon."""
        return 1.0, 1.0


Sampling = Annotated[ScheduledSampling | ReverseScheduledSampling | Free | Forced, Field(discriminator="kind")]


def sampling_end(sampling: Sampling, total: int) -> int | None:
    """Find the iteration from which on the share of true frames is constant; None if it is from the start, or never.

    Args:
        sampling: the schedule.
        total: iterations of the training.
    """
    final = sampling.probabilities(total, total)
    if sampling.probabilities(1, total) == final:
        return None
    low, high = 1, total  # changes at low, not at high; once it is final it stays so
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sampling.probabilities(middle, total) == final else (middle, high)
    return high if high < total else None
