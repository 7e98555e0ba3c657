"""The contract of a back end."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Backend(ABC):
    """What a back end computes. Shapes: features (B, N, H, W), weights (M, N, k, k), biases (M,)."""

    @abstractmethod
    def prepare(self, weight: Tensor) -> Tensor:
        """Bring a weight into the form that `conv` takes; differentiable; called once per weight and rollout."""

    @abstractmethod
    def conv(self, x: Tensor, prepared: Tensor, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Cross-correlate with zero padding kernel_size // 2 and stride 1."""

    @abstractmethod
    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Return (sigma(f + forget_bias) memory + delta, delta) with delta = sigma(i) tanh(g)."""

    @abstractmethod
    def output_update(self, o: Tensor, memory: Tensor) -> Tensor:
        """Return sigma(o) tanh(memory)."""
