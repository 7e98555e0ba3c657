"""Reference back end: torch's direct convolutions, nothing fused. It is the oracle of every faster back end."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from framecast.kernels.backend import Activation, Backend

_ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class Direct(Backend):
    """Back end of direct convolutions; weights need no preparation."""

    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Return True: every tensor is accepted."""
        return True

    def prepare(self, weight: Tensor) -> Tensor:
        """Return the weight (M, N, k, k) unchanged."""
        return weight

    def conv(self, maps: tuple[Tensor, ...], prepared: Tensor, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Cross-correlate maps, stacked along channels, with zero padding kernel_size // 2; (B, M, H, W)."""
        x = maps[0] if len(maps) == 1 else torch.cat(maps, 1)
        return F.conv2d(x, prepared, bias, padding=kernel_size // 2)

    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Compute sigma(f + forget_bias) o memory + delta and delta = sigma(i) o tanh(g), all (B, N, H, W)."""
        delta = torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(f + forget_bias) * memory + delta, delta

    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Compute the hidden state activation(o) o tanh(memory), all (B, N, H, W)."""
        return _ACTIVATIONS[activation](o) * torch.tanh(memory)

    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Compute the increment sigma(i) o tanh(g), all (B, N, H, W)."""
        return torch.sigmoid(i) * torch.tanh(g)

    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Interpolate from the highway to the new values: z + sigma(u) o (tanh(p) - z), all (B, N, H, W)."""
        p, u = torch.tanh(p), torch.sigmoid(u)
        if p.dtype != z.dtype:  # autocast gives half precision to what a convolution returned
            p, u = p.to(z.dtype), u.to(z.dtype)
        return torch.lerp(z, p, u)
