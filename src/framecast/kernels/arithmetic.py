"""The functions that cells call; each hands its arguments to the back end in use."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from framecast.kernels.switch import active, prepared
from framecast.types import Hidden


def conv(x: Hidden, weight: Float[Tensor, "M N k k"], bias: Float[Tensor, " M"] | None = None) -> Tensor:
    """Convolution of the gates: stride 1, zero padding k // 2, so that the map keeps its size.

    Args:
        x: (B, N, H, W).
        weight: (M, N, k, k) with odd k.
        bias: (M,) or None.

    Returns:
        (B, M, H, W).
    """
    return active().conv(x, prepared(weight), bias, weight.shape[-1])


def memory_update(i: Tensor, f: Tensor, g: Tensor, memory: Hidden, forget_bias: float = 0.0) -> tuple[Tensor, Tensor]:
    """LSTM update of a memory from gates before their activation, all (B, N, H, W).

    Returns:
        memory' = sigma(f + forget_bias) o memory + delta, and delta = sigma(i) o tanh(g).
    """
    return active().memory_update(i, f, g, memory, forget_bias)


def output_update(o: Tensor, memory: Tensor) -> Tensor:
    """Hidden state sigma(o) o tanh(memory), both (B, N, H, W), from the output gate before its activation."""
    return active().output_update(o, memory)
