"""Layer normalisation of feature maps, by its flavours."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framecast.types import Hidden

Norm = Literal["chw", "channel_affine", "position"]
"""Layer normalisation, biased variance, eps 1e-5. Over all of C, H, W of a sample, in two published flavours that differ
in their affine parameters: "chw" has one scale and shift per channel and pixel (PyTorch codes; fixes the map size),
"channel_affine" per channel (TensorFlow codes; any size). Over C at each position: "position", scale and shift per
channel (transformers; any size, and no pixel sees another)."""


def layer_norm(norm: Norm | None, channels: int, size: tuple[int, int]) -> nn.Module:
    """Make a layer normalisation; the identity for None.

    Args:
        norm: the flavour.
        channels: C.
        size: (H, W) of the map; only "chw" uses it.
    """
    if norm is None:
        return nn.Identity()
    if norm == "chw":
        return nn.LayerNorm([channels, *size])
    return PositionNorm(channels) if norm == "position" else nn.GroupNorm(1, channels)


class PositionNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, maps: Hidden) -> Tensor:
        """Normalise maps (B, C, H, W)."""
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


class BatchNorm(nn.Module):
    """Batch normalisation per channel, whose running statistics serve all that computes no gradients, and single values.

    Torch's own asks for a mode instead, and counts batches. Where a training computes a step again to save memory, the
    statistics of its batch are counted twice.

    Args:
        channels: C.
        momentum: share of a batch in the running statistics.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, maps: Hidden) -> Tensor:
        """Normalise maps (B, C, H, W)."""
        has_variance = maps.shape[0] * maps.shape[2] * maps.shape[3] > 1
        learns = self.training and torch.is_grad_enabled() and has_variance
        statistics = self.running_mean, self.running_var
        return F.batch_norm(maps, *statistics, self.weight, self.bias, learns, self.momentum)
