"""The contract of a back end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

from torch import Tensor

Activation = Literal["sigmoid", "tanh"]


class Backend(ABC):
    """What a back end computes. Shapes: features (B, N, H, W), weights (M, N, k, k), biases (M,).

    Gates come before their activation, as `conv` returned them, sliced and added by the cell. A back end may return
    from `conv` something that is still to be computed, as long as it behaves like a tensor.
    """

    @abstractmethod
    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Whether this back end can compute with x, and convolve it with the weight if there is one."""

    @abstractmethod
    def prepare(self, weight: Tensor) -> Any:
        """Bring a weight into the form that `conv` takes; differentiable; called once per weight and rollout."""

    @abstractmethod
    def conv(self, x: Tensor, prepared: Any, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Cross-correlate with zero padding kernel_size // 2 and stride 1."""

    @abstractmethod
    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Return (sigma(f + forget_bias) memory + delta, delta) with delta = sigma(i) tanh(g)."""

    @abstractmethod
    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Return activation(o) tanh(memory)."""

    @abstractmethod
    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Return sigma(i) tanh(g)."""

    @abstractmethod
    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Return z + sigma(u) (tanh(p) - z)."""
