"""A weight as the fast back end holds it during one rollout.

The gradients of all time steps are added up in one place. Autograd sees only a token: a number made from the weight,
taken in by every convolution. When all of them have gone backward, the token's own backward pass hands the sum over.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.kernels.autograd import once


class WeightStore:
    """The weight (M, N, k, k), contiguous, and its gradient so far in each backward pass.

    Passes over the same graph may follow one another, or break off; each adds up for itself.

    Args:
        weight: the parameter.
    """

    def __init__(self, weight: Tensor) -> None:
        self.parameter = weight.detach()
        self.version = 0 if weight.is_inference() else weight._version
        self.data = self.parameter.contiguous()
        self._sums: dict[int, Tensor] = {}

    def check(self) -> None:
        """Raise if the weight was changed since the forward pass.

        Raises:
            RuntimeError: as torch does for its own operations.
        """
        if not self.parameter.is_inference() and self.parameter._version != self.version:
            raise RuntimeError("a weight was changed in place between the forward and the backward pass")

    def sum(self) -> Tensor:
        """Where the backward pass under way adds its gradients to."""
        number = torch._C._current_graph_task_id()
        if number not in self._sums:
            self._sums[number] = torch.zeros_like(self.data)
        return self._sums[number]

    def collect(self) -> Tensor:
        """Take the sum of the backward pass under way."""
        gradient = self.sum()
        del self._sums[torch._C._current_graph_task_id()]
        return gradient


class PreparedWeight(NamedTuple):
    """What convolutions take."""

    token: Tensor
    store: WeightStore
    weight: Tensor
    """As it was given."""

    @property
    def taps(self) -> int:
        """Edge of the kernel."""
        return self.store.data.shape[-1]


class _Token(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, store: WeightStore) -> Tensor:
        ctx.store = store
        return weight.new_zeros(1)

    @staticmethod
    @once
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        return ctx.store.collect(), None


def hold_weight(weight: Tensor) -> PreparedWeight:
    """Hold a weight for a rollout."""
    store = WeightStore(weight)
    return PreparedWeight(_Token.apply(weight, store), store, weight)
