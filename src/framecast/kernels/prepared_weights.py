"""Weights of the fast back end during one rollout, and the sums of their gradients.

A weight is used at every time step. Autograd would make one gradient of its size for each use and add them up; here the
kernels add to one buffer. Autograd sees a token in place of the weight: a number made from the weight, which every
convolution takes in. When all of them have gone backward, the backward pass of the token returns the buffer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.kernels.autograd import once


class WeightStore:
    """Weight (M, N, k, k), contiguous, and the sum of its gradients in each backward pass under way.

    Several passes may go over one graph, or break off with an error; each has a sum of its own.

    Args:
        weight: the parameter.
    """

    def __init__(self, weight: Tensor) -> None:
        self.parameter = weight.detach()
        self.version = 0 if weight.is_inference() else weight._version
        self.data = self.parameter.contiguous()
        self._sums: dict[int, Tensor] = {}

    def check(self) -> None:
        """Check that the weight was not changed since, as torch checks the tensors that it saves.

        Raises:
            RuntimeError: it was changed in place.
        """
        if not self.parameter.is_inference() and self.parameter._version != self.version:
            raise RuntimeError("a weight was changed in place between the forward and the backward pass")

    def sum(self) -> Tensor:
        """Sum to which the backward pass under way adds its gradients, (M, N, k, k)."""
        number = torch._C._current_graph_task_id()  # one for each call of backward()
        if number not in self._sums:
            self._sums[number] = torch.zeros_like(self.data)
        return self._sums[number]

    def collect(self) -> Tensor:
        """Take the sum of the backward pass under way."""
        gradient = self.sum()
        del self._sums[torch._C._current_graph_task_id()]
        return gradient


class PreparedWeight(NamedTuple):
    """Weight as convolutions take it."""

    token: Tensor
    """(1,), which stands for the weight in the graph; its value is not used."""
    store: WeightStore
    weight: Tensor
    """The parameter."""

    @property
    def taps(self) -> int:
        """Edge of the kernel, pixels."""
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
    """Hold a weight (M, N, k, k) for a rollout."""
    store = WeightStore(weight)
    return PreparedWeight(_Token.apply(weight, store), store, weight)
