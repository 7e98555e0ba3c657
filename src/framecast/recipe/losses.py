"""Reconstruction losses: errors summed over observed pixels, and divided by their number in the whole batch.

The number is that of the batch over all processes and micro-batches. So a batch may be divided in any way: the losses
of its parts, and their gradients, add up to those of the whole.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from framecast.recipe.loss_terms import LossTerm
from framecast.transforms.normalize import Normalizer
from framecast.types import Frames, FrameSpec, Valid


class LossConfig(BaseModel):
    """Configuration of the loss.

    Args:
        kind: "mse", mean squared error; "l1l2", mean absolute plus mean squared error (PredRNN 2017); "none", the terms
            alone.
        reduction: "mean" over all pixels; "tensorflow", the form of the official TensorFlow codes:
            half the sum of squares, plus (l1l2) the sum of absolute errors, not divided by anything.
        context: whether predictions of the context's frames count too, where the network makes some.
        terms: further terms, each with its weight.
        decoupling: weight beta of PredRNN-V2's decoupling loss, in its mean form.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["mse", "l1l2", "none"] = "mse"
    reduction: Literal["mean", "tensorflow"] = "mean"
    decoupling: Annotated[float, Field(ge=0)] = 0.0
    context: bool = True
    terms: tuple[LossTerm, ...] = ()

    @model_validator(mode="after")
    def _check_terms(self) -> LossConfig:
        if self.kind == "none" and not self.terms:
            raise ValueError("kind: got none without terms, expected mse, l1l2, or terms")
        return self

    def check(self, spec: FrameSpec, normalizer: Normalizer) -> None:
        """Check that the terms fit frames.

        Raises:
            UsageError: a channel that is not there, or a threshold outside the range.
        """
        for term in self.terms:
            term.check(spec, normalizer)

    def check_horizon(self, horizon: int) -> None:
        """Check that the terms have as many weights as lead times.

        Raises:
            UsageError: one has not.
        """
        for term in self.terms:
            term.check_horizon(horizon)


def count_observed(truth: Frames, valid: Valid | None) -> int:
    """Count the observed pixels of the frames to be predicted, all but the first.

    Args:
        truth: (B, T, C, H, W).
        valid: (B, T, C, H, W), False where missing; None where nothing is.
    """
    return truth[:, 1:].numel() if valid is None else int(valid[:, 1:].sum())


def reconstruction_loss(
    config: LossConfig, prediction: Tensor, truth: Frames, valid: Valid | None, pixels: int | Tensor
) -> Tensor:
    """Compute the share of a (micro-)batch in the reconstruction loss.

    Args:
        config: kind and reduction of the loss.
        prediction: (B, T-1, C, H, W), of frames 1 to T-1, network units.
        truth: (B, T, C, H, W), network units; any value at missing pixels.
        valid: (B, T, C, H, W), False where missing.
        pixels: observed pixels of the whole batch, as `count_observed` gives them.

    Returns:
        scalar, network units (squared, or mixed for l1l2); the shares of all parts of a batch add up to its loss.
    """
    if config.kind == "none":
        return prediction.new_zeros((), dtype=truth.dtype)
    difference = prediction - truth[:, 1:]
    if valid is not None:
        # not times the mask: a missing pixel may be infinite, and 0 x inf is NaN
        difference = torch.where(valid[:, 1:], difference, 0)
    squares = difference.square().sum()
    absolutes = difference.abs().sum() if config.kind == "l1l2" else None
    if config.reduction == "tensorflow":
        return 0.5 * squares if absolutes is None else 0.5 * squares + absolutes
    return (squares if absolutes is None else squares + absolutes) / pixels
