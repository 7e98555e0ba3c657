"""A weight as the fast back end holds it during one rollout.

The gradients of all time steps are added up in one place. Autograd sees only a token: a number made from the weight,
taken in by every convolution. When all of them have gone backward, the token's own backward pass hands the sum over.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Store:
    """The weight (M, N, k, k), contiguous, and its gradient so far.

    Args:
        weight: the parameter.
    """

    def __init__(self, weight: Tensor) -> None:
        self.parameter = weight.detach()
        self.version = 0 if weight.is_inference() else weight._version
        self.data = self.parameter.contiguous()
        self.gradient: Tensor | None = None

    def check(self) -> None:
        """Raise if the weight was changed since the forward pass.

        Raises:
            RuntimeError: as torch does for its own operations.
        """
        if not self.parameter.is_inference() and self.parameter._version != self.version:
            raise RuntimeError("a weight was changed in place between the forward and the backward pass")

    def sum(self) -> Tensor:
        """Where gradients are added to."""
        if self.gradient is None:
            self.gradient = torch.zeros_like(self.data)
        return self.gradient


class Weight(NamedTuple):
    """What convolutions take."""

    token: Tensor
    store: Store

    @property
    def taps(self) -> int:
        """Edge of the kernel."""
        return self.store.data.shape[-1]


class _Token(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, store: Store) -> Tensor:
        ctx.store = store
        return weight.new_zeros(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        gradient, ctx.store.gradient = ctx.store.sum(), None
        return gradient, None


def held(weight: Tensor) -> Weight:
    """Hold a weight for a rollout."""
    store = Store(weight)
    return Weight(_Token.apply(weight, store), store)
