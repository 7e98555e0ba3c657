"""What all networks of the plain form (see plain.py) have in common: the time loop, the mask, the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.plain_cells import conv
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framecast.nn.network import Network


class Plain(nn.Module, ABC):
    """A network with its time loop and its loss.

    Args:
        config: framecast's description of the same network.
        channels: of a patchified frame.
        size: (rows, columns) of the map.
        recompute: whether each cell is computed again in the backward pass, torch's way to save memory.
    """

    def __init__(self, config: Any, channels: int, size: tuple[int, int], *, recompute: bool) -> None:
        super().__init__()
        self.hidden, self.layers = config.hidden[0], len(config.hidden)
        self.recompute = recompute
        self.cells = nn.ModuleList(self.build_cells(channels, config.kernel_size, size))
        self.head = conv(self.hidden, channels, 1)

    @abstractmethod
    def build_cells(self, channels: int, kernel_size: int, size: tuple[int, int]) -> list[nn.Module]:
        """The cells, bottom up."""

    def widths(self, channels: int) -> list[int]:
        """Input channels of each layer."""
        return [channels, *[self.hidden] * (self.layers - 1)]

    def zeros(self, frames: Tensor) -> list[Tensor]:
        """One zero map for each layer."""
        batch, _, _, height, width = frames.shape
        return [frames.new_zeros(batch, self.hidden, height, width) for _ in range(self.layers)]

    @abstractmethod
    def start(self, frames: Tensor) -> dict[str, Any]:
        """The state before the first frame."""

    @abstractmethod
    def step(self, x: Tensor, state: dict[str, Any], first: bool) -> Tensor:
        """The top hidden state; `state` is changed in place."""

    def penalty(self, state: dict[str, Any]) -> Tensor | float:
        """What the loss has besides the squared error."""
        return 0.0

    def cell(self, cell: nn.Module, *inputs: Tensor) -> Any:
        """Run a cell, keeping its activations or not."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(cell, *inputs, use_reentrant=False)
        return cell(*inputs)

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """All predictions and the loss.

        Args:
            frames: (B, T, C, H, W); any values where the mask is 0.
            mask: (B, S, C, H, W), 1 where the true frame is fed at the last S of the T - 1 steps, else 0.

        Returns:
            (B, T - 1, C, H, W), and mean squared error plus penalty.
        """
        steps = frames.shape[1] - 1
        free = steps - mask.shape[1]
        state, predictions = self.start(frames), []
        for t in range(steps):
            if t < max(1, free):
                frame = frames[:, t]
            else:
                frame = mask[:, t - free] * frames[:, t] + (1 - mask[:, t - free]) * predictions[-1]
            predictions.append(self.head(self.step(frame, state, t == 0)))
        prediction = torch.stack(predictions, 1)
        return prediction, F.mse_loss(prediction, frames[:, 1:]) + self.penalty(state)

    def theirs(self, name: str) -> tuple[str, slice]:
        """Framecast's parameter that one of ours is, and its rows that are meant."""
        return name, slice(None)

    def _pairs(self) -> Iterator[tuple[str, slice, nn.Parameter]]:
        for name, parameter in self.named_parameters():
            yield *self.theirs(name), parameter

    @torch.no_grad()
    def take_weights(self, network: Network) -> None:
        """Copy all weights of the same network of framecast's."""
        given = dict(network.named_parameters())
        for name, rows, parameter in self._pairs():
            parameter.copy_(given[name][rows].reshape(parameter.shape))

    def gradients(self) -> dict[str, Tensor]:
        """The gradients by framecast's names, each as a flat vector; none where the loss does not reach."""
        parts: dict[str, list[Tensor]] = {}
        for name, _, parameter in self._pairs():
            if parameter.grad is not None:
                parts.setdefault(name, []).append(parameter.grad.flatten())
        return {name: torch.cat(found) for name, found in parts.items()}
