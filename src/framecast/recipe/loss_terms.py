"""Terms of the loss that do not reward blur: what is scored can be trained."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from framecast.transforms.normalize import Normalizer
from framecast.types import Valid

FEW = 20.0
"""Pixels added to the union of events, so that a sequence with next to none says little."""


class _Term(BaseModel):
    """Interface of a term of the loss: one number for each sequence.

    Args:
        weight: factor of the term.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: Annotated[float, Field(gt=0)] = 1.0

    def compute(self, prediction: Tensor, truth: Tensor, valid: Valid | None, normalizer: Normalizer) -> Tensor:
        """Compute the term.

        Args:
            prediction: (B, K, C, H, W), network units.
            truth: (B, K, C, H, W), network units; any finite value where missing.
            valid: (B, K, C, H, W), False where missing; None where nothing is.
            normalizer: raw units to network units.

        Returns:
            (B,), without the weight.
        """
        raise NotImplementedError


class SoftCSI(_Term):
    """One less the critical success index of events above thresholds, with the forecast's events soft.

    An event is forecast to the degree s = sigmoid((x - threshold) / width). With truths o the term is
    1 - sum(s o) / (sum(s + o - s o) + 20), of each sequence, lead time and threshold, averaged.

    Args:
        thresholds: raw units.
        width: raw units.
    """

    kind: Literal["csi"] = "csi"
    thresholds: Annotated[tuple[float, ...], Field(min_length=1)]
    width: Annotated[float, Field(gt=0)]

    def compute(self, prediction: Tensor, truth: Tensor, valid: Valid | None, normalizer: Normalizer) -> Tensor:
        """Compute the term of each sequence, (B,)."""
        mask = torch.ones_like(truth) if valid is None else valid.to(truth.dtype)
        terms = []
        for threshold in self.thresholds:
            ends = truth.new_tensor([threshold, threshold + self.width])[:, None, None, None]
            low, high = normalizer.normalize(ends).flatten().tolist()
            happened = (truth >= low).to(truth.dtype) * mask
            forecast = torch.sigmoid((prediction - low) / (high - low)) * mask
            hits = (forecast * happened).sum((2, 3, 4))
            union = (forecast + happened).sum((2, 3, 4)) - hits
            terms.append(1 - hits / (union + FEW))
        return torch.stack(terms).mean((0, 2))


LossTerm = SoftCSI
