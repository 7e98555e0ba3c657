"""The reference back end: torch's own direct convolutions, nothing fused. The oracle of every faster one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from framecast.kernels.backend import Activation, Backend

_ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class Direct(Backend):
    """Direct convolution; weights need no preparation."""

    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Everything."""
        return True

    def prepare(self, weight: Tensor) -> Tensor:
        """Return the weight itself."""
        return weight

    def conv(self, maps: tuple[Tensor, ...], prepared: Tensor, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Cross-correlate with zero padding kernel_size // 2."""
        x = maps[0] if len(maps) == 1 else torch.cat(maps, 1)
        return F.conv2d(x, prepared, bias, padding=kernel_size // 2)

    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Gate the old memory and add the new: the shared arithmetic of every LSTM here."""
        delta = torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(f + forget_bias) * memory + delta, delta

    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Gate what leaves the cell."""
        return _ACTIVATIONS[activation](o) * torch.tanh(memory)

    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Gate what is new."""
        return torch.sigmoid(i) * torch.tanh(g)

    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Mix the old with the new."""
        p, u = torch.tanh(p), torch.sigmoid(u)
        if p.dtype != z.dtype:  # autocast gives half precision to what a convolution returned
            p, u = p.to(z.dtype), u.to(z.dtype)
        return torch.lerp(z, p, u)
