"""Interface of a back end: the arithmetic of cells that can be exchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

from torch import Tensor

Activation = Literal["sigmoid", "tanh"]


class Backend(ABC):
    """Back end of convolutions and gates. Shapes: features (B, N, H, W), weights (M, N, k, k), biases (M,).

    Gates are passed before their activation, as `conv` returned them, sliced and added by the cell. `conv` may return a
    lazy result, as long as it behaves like a tensor.
    """

    @abstractmethod
    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Return whether this back end computes with x, and convolves it with the weight if there is one."""

    @abstractmethod
    def prepare(self, weight: Tensor) -> Any:
        """Bring a weight into the form that `conv` takes; differentiable; called once per weight and rollout."""

    @abstractmethod
    def conv(self, maps: tuple[Tensor, ...], prepared: Any, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Cross-correlate the maps, stacked along channels, with zero padding kernel_size // 2 and stride 1."""

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
