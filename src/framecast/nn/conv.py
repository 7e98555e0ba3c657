"""Gate convolution, the layer that cells are made of: one convolution for several gates, with an optional layer norm."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framecast import kernels
from framecast.errors import UsageError
from framecast.nn.norm import Norm, layer_norm


class GateConv(nn.Module):
    """k x k convolution to the stacked channels of several gates, optional bias, optional layer norm after it.

    Args:
        in_channels: N_in.
        out_channels: M, number of gates x hidden channels.
        kernel_size: k, odd: an even kernel would shift or shrink the map.
        bias: whether a bias is added.
        norm: flavour of layer norm over the whole output, or None.
        size: (H, W) of the map; only "chw" uses it.

    Raises:
        UsageError: even kernel size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = False,
        norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise UsageError("kernel_size", got=kernel_size, expected="an odd number")
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.norm = layer_norm(norm, out_channels, size)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, bound: float | None = None) -> None:
        """Draw the weights from U(-bound, bound).

        Args:
            bound: given, biases become 0 (the TensorFlow codes); by default 1 / sqrt(N_in k k), for biases too
                (torch's convolution, the PyTorch codes).
        """
        default = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -(bound or default), bound or default)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -default, default) if bound is None else nn.init.zeros_(self.bias)

    def forward(self, *maps: Float[Tensor, "B _ H W"]) -> Tensor:
        """Convolve (B, N_in, H, W), in one map or in several along channels, to (B, M, H, W)."""
        out = kernels.conv(maps, self.weight, self.bias)
        # Backward hooks wrap the output in an autograd function, which a lazy convolution does not survive.
        return self.norm(kernels.materialize(out) if self._backward_hooks or self._backward_pre_hooks else out)


def grouped_conv(
    in_channels: int, out_channels: int, kernel_size: int, *, groups: int, dilation: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Make a convolution within groups of channels, which keeps the size of the map.

    Args:
        in_channels: N_in, a multiple of the groups.
        out_channels: N_out, a multiple of the groups.
        kernel_size: k, odd.
        groups: as many as channels for a depthwise one.
        dilation: distance of the taps, pixels.
        bias: whether a bias is added.
    """
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, groups=groups, bias=bias
    )
