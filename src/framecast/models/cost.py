"""What a network costs at a size: parameters, multiply-adds, and memory, counted without computing anything."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from framecast.models import ModelConfig
from framecast.models.config import build_network
from framecast.nn.network import Network
from framecast.nn.rollout import rollout

COUNTED = 2
"""Steps that are gone through."""


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


def count_cost(
    config: ModelConfig, channels: int, height: int, width: int, *, patch: int, frames: int, extra: int = 0
) -> Cost:
    """Count what a network costs.

    Args:
        config: the network.
        channels: of a frame.
        height: of a frame, pixels.
        width: of a frame, pixels.
        patch: P.
        frames: T, frames of a sequence, so that T - 1 are predicted.
        extra: channels beside them that are not predicted (covariates, a mask).
    """
    with torch.device("meta"):
        rows, columns = -(-height // patch), -(-width // patch)
        network = build_network(config, channels * patch**2, rows, columns, extra * patch**2)
        sequence = torch.empty(1, frames, channels * patch**2, rows, columns)
        beside = torch.empty(1, frames - 1, extra * patch**2, rows, columns) if extra else None
    steps = frames - 1
    counted = _counted(network, sequence, beside, min(steps, COUNTED))
    if steps > COUNTED:  # from the second step on, each costs the same
        before = _counted(network, sequence, beside, COUNTED - 1)
        counted = _Counted(*(now + (steps - COUNTED) * (now - then) for now, then in zip(counted, before, strict=True)))
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, counted.multiply_adds, counted.kept_bytes, 4 * parameters)


class _Counted(NamedTuple):
    multiply_adds: int
    kept_bytes: int


class _Counter(TorchDispatchMode):
    """Adds up what torch's own formulas say of each product; torch's FlopCounterMode would load its compiler for that."""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        self.operations += formula(*args, **(kwargs or {}), out_val=out) if formula else 0
        return out


def _counted(network: Network, sequence: Tensor, beside: Tensor | None, steps: int) -> _Counted:
    owned = {id(p) for p in network.parameters()}
    kept: dict[tuple[int, int], int] = {}

    def note(tensor: Tensor) -> Tensor:
        if id(tensor) not in owned:
            storage = tensor.untyped_storage()
            kept[id(tensor), tensor._version] = min(tensor.numel() * tensor.element_size(), storage.nbytes())
            alive.append(tensor)
        return tensor

    alive: list[Tensor] = []
    counter = _Counter()
    with counter, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        rollout(network, sequence, steps, extra=None if beside is None else beside[:, :steps])
    return _Counted(counter.operations // 2, sum(kept.values()))
