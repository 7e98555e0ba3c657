"""Exponential moving average of the weights, which often forecasts better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average: average <- decay average + (1 - decay) weights, after every update.

    The decay grows with the number of updates n as (1 + n) / (10 + n) up to `decay`, so that the random first
    weights are soon forgotten.

    Args:
        parameters: the weights to average.
        decay: the final decay, 0 to 1.
    """

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.updates = parameters, decay, 0
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Average the present weights in."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the averaged weights within the context."""
        weights = [p.detach().clone() for p in self.parameters]
        self._copy(self.values)
        try:
            yield
        finally:
            self._copy(weights)

    @torch.no_grad()
    def _copy(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def state(self) -> dict[str, object]:
        """Return the average and the number of updates, for a checkpoint."""
        return {"values": self.values, "updates": self.updates}

    @torch.no_grad()
    def restore(self, state: dict[str, object]) -> None:
        """Restore an average that `state` returned."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        for average, value in zip(self.values, state["values"], strict=True):  # type: ignore[call-overload]
            average.copy_(value)
