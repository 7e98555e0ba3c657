"""Members as metrics take them: clipped, zero where missing, one lead time at a time, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float64, Shaped
from torch import Tensor

from framecast.metrics.base import Members, Statistics
from framecast.types import Frames, Valid

MemberFrame = Float64[Tensor, "B M C H W"]
"""One lead time of M members."""
TrueFrame = Float64[Tensor, "B C H W"]
"""One lead time of what was observed."""
SeenFrame = Bool[Tensor, "B C H W"]
"""Where it was observed."""


def score_leads(
    compute: Callable[[MemberFrame, TrueFrame, SeenFrame], Tensor],
    members: Members,
    truth: Frames,
    valid: Valid | None,
) -> Statistics:
    """Compute the statistics of one lead time after the other.

    Args:
        compute: of members clipped to [0, 1] and truth, both float64 and 0 where missing, and of where it was
            observed: (B, S).
        members: (B, M, K, C, H, W).
        truth: (B, K, C, H, W).
        valid: (B, K, C, H, W), or None.

    Returns:
        (B, K, S) float64.
    """
    leads = []
    for lead in range(truth.shape[1]):
        seen = torch.ones_like(truth[:, lead], dtype=torch.bool) if valid is None else valid[:, lead]
        frames = torch.where(seen[:, None], members[:, :, lead].double().clamp(0, 1), 0.0)
        leads.append(compute(frames, torch.where(seen, truth[:, lead].double(), 0.0), seen).double())
    return torch.stack(leads, 1)


def sum_frame(values: Shaped[Tensor, "B C H W"]) -> Float64[Tensor, " B"]:
    """Sum over the channels and pixels of a frame."""
    return values.double().sum((1, 2, 3))


def keep_nan(statistics: Float64[Tensor, "B S"], members: MemberFrame) -> Float64[Tensor, "B S"]:
    """Make counts NaN where a member is NaN, lest a broken forecast be counted as some rank."""
    return torch.where(members.isnan().flatten(1).any(1)[:, None], torch.nan, statistics)
