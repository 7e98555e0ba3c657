"""Functional interface of the kernels: convolutions and gate updates that cells call."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from framecast.kernels.backend import Activation
from framecast.kernels.dispatch import backend_for, prepare_weight
from framecast.types import Hidden


def conv(
    x: Tensor | tuple[Tensor, ...], weight: Float[Tensor, "M N k k"], bias: Float[Tensor, " M"] | None = None
) -> Tensor:
    """Convolve for the gates: stride 1, zero padding k // 2, so that the map keeps its size.

    Args:
        x: (B, N, H, W), or several maps, which are stacked along channels.
        weight: (M, N, k, k) with odd k.
        bias: (M,) or None.

    Returns:
        (B, M, H, W).
    """
    maps = x if isinstance(x, tuple) else (x,)
    backend = backend_for(maps[0], weight)
    return backend.conv(maps, prepare_weight(backend, weight), bias, weight.shape[-1])


def memory_update(i: Tensor, f: Tensor, g: Tensor, memory: Hidden, forget_bias: float = 0.0) -> tuple[Tensor, Tensor]:
    """Update the memory of an LSTM from gates before their activation, all (B, N, H, W).

    Returns:
        memory' = sigma(f + forget_bias) o memory + delta, and delta = sigma(i) o tanh(g).
    """
    return backend_for(memory).memory_update(i, f, g, memory, forget_bias)


def output_update(o: Tensor, memory: Tensor, activation: Activation = "sigmoid") -> Tensor:
    """Form the hidden state activation(o) o tanh(memory) from the gate before its activation, both (B, N, H, W)."""
    return backend_for(memory).output_update(o, memory, activation)


def increment(i: Tensor, g: Tensor) -> Tensor:
    """Form the increment of a memory, sigma(i) o tanh(g), from gates before their activation, both (B, N, H, W)."""
    return backend_for(i).increment(i, g)


def highway_update(p: Tensor, u: Tensor, z: Hidden) -> Tensor:
    """Update a gradient highway: s o tanh(p) + (1 - s) o z with s = sigma(u), all (B, N, H, W)."""
    return backend_for(z).highway_update(p, u, z)
