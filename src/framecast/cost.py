"""What a network costs at a size: parameters, multiply-adds, and memory, counted without computing anything."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from framecast.models import ModelConfig
from framecast.rollout import rollout


class Cost(NamedTuple):
    """Of one sequence."""

    parameters: int
    multiply_adds: int
    """Of the convolutions of a rollout of T - 1 steps, forward."""
    training_bytes: int
    """What autograd keeps for the backward pass of such a rollout, float32, with the direct kernels; the fast ones keep
    about as much. Weights, gradients and Adam come on top."""
    weights_bytes: int
    """Weights, float32; training holds four times as much (gradients and Adam's two averages)."""


def cost(config: ModelConfig, channels: int, height: int, width: int, *, patch: int, frames: int) -> Cost:
    """Count what a network costs.

    Args:
        config: the network.
        channels: of a frame.
        height: of a frame, pixels.
        width: of a frame, pixels.
        patch: P.
        frames: T, frames of a sequence, so that T - 1 are predicted.
    """
    with torch.device("meta"):
        rows, columns = -(-height // patch), -(-width // patch)
        network = config.build(channels * patch**2, rows, columns)
        sequence = torch.empty(1, frames, channels * patch**2, rows, columns)
    owned = {id(p) for p in network.parameters()}
    kept: dict[tuple[int, int], int] = {}

    def note(tensor: Tensor) -> Tensor:
        if id(tensor) not in owned:
            storage = tensor.untyped_storage()
            kept[id(tensor), tensor._version] = min(tensor.numel() * tensor.element_size(), storage.nbytes())
            alive.append(tensor)
        return tensor

    alive: list[Tensor] = []
    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        rollout(network, sequence, frames - 1)
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2, sum(kept.values()), 4 * parameters)
