"""Interface of the terms of the loss: masks, channels, thresholds and lead times, as all terms have them.

A term is one number for each sequence, so that the terms of the parts of a batch add up to those of the whole. What is
drawn by chance is a pure function of seed and iteration: resuming, or dividing a batch, changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, model_serializer
from torch import Tensor

from framecast.errors import UsageError
from framecast.transforms.normalize import Normalizer, Positive
from framecast.types import MAX_COUNT, FrameSpec, Valid


class Moment(NamedTuple):
    """Moment of a training, on which draws depend and nothing else."""

    iteration: int
    """1 for the first."""
    total: int
    """Iterations of the whole training."""
    seed: int
    """Seed of the run."""


BEGINNING = Moment(1, 1, 0)


class Term(BaseModel):
    """Interface of a term of the loss: one number for each sequence.

    Args:
        weight: factor of the term.
        channels: numbers of the channels that count, 0 for the first; null for all.
        lead_weights: weight of each lead time, as many as the horizon; or the factor, at most 1, from one to the next.
            Frames of the context that count weigh as the first. Null for equal ones; the sum of all is without meaning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    _later: ClassVar[tuple[str, ...]] = ("channels", "lead_weights")
    """Fields that older recipes lack: without a value they are no part of a recipe's identity."""

    weight: Positive = 1.0
    kind: str
    channels: Annotated[tuple[Annotated[int, Field(ge=0, le=MAX_COUNT)], ...], Field(min_length=1)] | None = None
    lead_weights: Annotated[tuple[Positive, ...], Field(min_length=1)] | Annotated[float, Field(gt=0, le=1)] | None = (
        None
    )

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, serialize: Any) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if not (name in self._later and value is None)}

    @property
    def levels(self) -> tuple[float, ...]:
        """Raw values that must lie in the value range of each channel that counts."""
        return ()

    def check(self, spec: FrameSpec, normalizer: Normalizer) -> None:
        """Check that the term fits frames.

        Raises:
            UsageError: a channel that is not there, or a level outside what the normalizer keeps of the value range.
        """
        name = f"loss.terms: {self.kind}"
        numbers = range(spec.channels) if self.channels is None else self.channels
        if max(numbers) >= spec.channels:
            expected = f"numbers from 0 to {spec.channels - 1}"
            raise UsageError(f"{name}: channels", got=list(numbers), expected=expected)
        if not self.levels:
            return
        ends = [*spec.target_ranges, *((channel.low, channel.high) for channel in spec.past)]
        ranges = torch.tensor(ends, dtype=torch.float64).T[:, :, None, None]
        lows, highs = normalizer.denormalize(normalizer.normalize(ranges)).flatten(1).tolist()  # without what it cuts
        for number in numbers:
            low, high = lows[number], highs[number]
            slack = 1e-9 * (high - low)
            if not (low + slack < min(self.levels) and max(self.levels) <= high + slack):
                expected = f"above {low:g} and up to {high:g}, the range of channel {number}"
                fix = "lower them, or name the channels that they are of: channels: [0]"
                got = " and ".join(f"{level:g}" for level in dict.fromkeys((min(self.levels), max(self.levels))))
                raise UsageError(f"{name}: thresholds{self._said_of_levels()}", got=got, expected=expected, fix=fix)

    def _said_of_levels(self) -> str:
        return ""

    def check_horizon(self, horizon: int) -> None:
        """Check that there are as many weights as lead times.

        Raises:
            UsageError: there are not.
        """
        if isinstance(self.lead_weights, tuple) and len(self.lead_weights) != horizon:
            expected = f"{horizon}, one for each frame of the horizon"
            raise UsageError("loss.terms: lead_weights", got=len(self.lead_weights), expected=expected)

    def compute(
        self,
        prediction: Tensor,
        truth: Tensor,
        valid: Valid | None,
        normalizer: Normalizer,
        horizon: int | None = None,
        moment: Moment = BEGINNING,
    ) -> Tensor:
        """Compute the term.

        Args:
            prediction: (B, K, C, H, W), network units; computed with in the dtype of `truth`.
            truth: (B, K, C, H, W), network units; any value where missing.
            valid: (B, K, C, H, W), False where missing; None where nothing is.
            normalizer: raw units to network units.
            horizon: number of the frames, at the end, that lie beyond the context; None for all.
            moment: iteration of the training.

        Returns:
            (B,), without the weight; 0 where nothing was observed.
        """
        levels = truth.new_tensor(self.levels)[:, None, None, None].expand(-1, truth.shape[2], 1, 1)
        levels = normalizer.normalize(levels)
        mask = torch.ones_like(truth, dtype=torch.bool) if valid is None else valid
        prediction = prediction.to(truth.dtype)  # bf16 has no FFT, and too few digits for thresholds
        if self.channels is not None:
            chosen = list(self.channels)
            prediction, truth, mask, levels = (x[..., chosen, :, :] for x in (prediction, truth, mask, levels))
        # 0 is the low end of the range, or the mean: the same where missing in both
        prediction, truth = torch.where(mask, prediction, 0), torch.where(mask, truth, 0)
        sums, counts = self._measure(prediction, truth, mask, levels, moment)
        weights = self._weigh_leads(sums, horizon)
        least = torch.finfo(truth.dtype).tiny
        return (weights * sums).sum(1) / (weights * counts).sum(1).clamp_min(least)

    def _measure(
        self, prediction: Tensor, truth: Tensor, mask: Tensor, levels: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Measure each frame.

        Args:
            prediction: (B, K, C, H, W), 0 where missing.
            truth: (B, K, C, H, W), 0 where missing.
            mask: (B, K, C, H, W), True where observed.
            levels: (L, C, 1, 1), `levels` in network units.
            moment: iteration of the training.

        Returns:
            (B, K) sums, and the numbers (B, K) of what they sum.
        """
        raise NotImplementedError

    def _weigh_leads(self, like: Tensor, horizon: int | None) -> Tensor:
        """Weights (K,) of K frames, of which the last `horizon` are beyond the context."""
        frames, chosen = like.shape[1], self.lead_weights
        if chosen is None:
            return like.new_ones(frames)
        leads = frames if horizon is None else min(horizon, frames)
        weights = chosen[:leads] if isinstance(chosen, tuple) else tuple(chosen**k for k in range(leads))
        return like.new_tensor((weights[0],) * (frames - leads) + weights)
