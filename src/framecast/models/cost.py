"""Cost of a network at a frame size: parameters, multiply-adds and memory, counted without computing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from framecast.models import ModelConfig
from framecast.models.config import build_network
from framecast.nn.base_head import BaseStep
from framecast.nn.network import SequenceNetwork
from framecast.nn.rollout import rollout

Build = Callable[[int, int, int, int], SequenceNetwork]
"""Makes a network of so many channels, rows, columns and further channels."""
BaseSteps = Callable[[Tensor], Iterator[BaseStep]]
"""Gives the forecasts of the steps of a rollout from the frames of the context, (1, J, C, H, W)."""
COUNTED = 2
"""Steps that are counted one by one; from the second on, each costs the same."""


class Cost(NamedTuple):
    """Cost of a network for one sequence."""

    parameters: int
    multiply_adds: int
    """Multiply-adds of the convolutions, forward, in a rollout of T - 1 steps."""
    training_bytes: int
    """Bytes that autograd keeps for the backward pass of the rollout, float32, with the direct kernels; the fast ones
    keep about as much. Weights, gradients and Adam come on top."""
    weights_bytes: int
    """Bytes of the weights, float32; training holds four times as much (gradients and Adam's two averages)."""


def count_cost(
    config: ModelConfig,
    channels: int,
    height: int,
    width: int,
    *,
    patch: int,
    frames: int,
    context: int | None = None,
    extra: int = 0,
    build: Build | None = None,
    base: BaseSteps | None = None,
) -> Cost:
    """Count the cost of a network.

    Args:
        config: of the network.
        channels: C of a frame.
        height: H of a frame, pixels.
        width: W of a frame, pixels.
        patch: P, pixels.
        frames: T, frames of a sequence, so that T - 1 are predicted.
        context: J, after which a network that does not feed back begins to predict; by default half of T.
        extra: E, input channels that are not predicted (covariates, a mask).
        build: makes the network, where it forecasts against a base; by default `build_network` of the configuration.
        base: what the base says of the frames that follow those of the context.
    """
    with torch.device("meta"):
        rows, columns = -(-height // patch), -(-width // patch)
        shape = channels * patch**2, rows, columns, extra * patch**2
        network = build_network(config, *shape) if build is None else build(*shape)
        rows, columns = (-(-edge // network.stride) * network.stride for edge in (rows, columns))
        sequence = torch.empty(1, frames, channels * patch**2, rows, columns)
        covariates = torch.empty(1, frames - 1, extra * patch**2, rows, columns) if extra else None
        past = torch.empty(1, context or max(frames // 2, 1), channels, height, width)
    steps = frames - 1
    if not network.feeds_back:
        sequence = sequence[:, : past.shape[1]]
    count = partial(_count_rollout, network, sequence, covariates, None if base is None else partial(base, past))
    work = count(min(steps, COUNTED) if network.feeds_back else steps)
    if steps > COUNTED and network.feeds_back:
        shorter = count(COUNTED - 1)
        work = _Work(*(a + (steps - COUNTED) * (a - b) for a, b in zip(work, shorter, strict=True)))
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, work.multiply_adds, work.saved_bytes, 4 * parameters)


class _Work(NamedTuple):
    multiply_adds: int
    saved_bytes: int


class _Counter(TorchDispatchMode):
    """Adds up the operations of each product by torch's formulas; torch's FlopCounterMode would load the compiler."""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        self.operations += formula(*args, **(kwargs or {}), out_val=out) if formula else 0
        return out


def _count_rollout(
    network: SequenceNetwork,
    sequence: Tensor,
    covariates: Tensor | None,
    base: Callable[[], Iterator[BaseStep]] | None,
    steps: int,
) -> _Work:
    parameters = {id(p) for p in network.parameters()}
    saved: dict[tuple[int, int], int] = {}
    alive: list[Tensor] = []  # an id is only unique among objects that live

    def save(tensor: Tensor) -> Tensor:
        if id(tensor) not in parameters:
            # An expanded tensor has less memory than elements, and of a view only its elements count.
            storage = tensor.untyped_storage()
            saved[id(tensor), tensor._version] = min(tensor.numel() * tensor.element_size(), storage.nbytes())
            alive.append(tensor)
        return tensor

    counter = _Counter()
    with counter, torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        extra = None if covariates is None else covariates[:, :steps]
        rollout(network, sequence, steps, extra=extra, base=None if base is None else base())
    return _Work(counter.operations // 2, sum(saved.values()))  # torch counts a multiply-add as two
