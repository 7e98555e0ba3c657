"""Layer normalisation of feature maps, by its flavours."""

from __future__ import annotations

from typing import Literal

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
