"""Sum of gradients over processes and micro-batches, in the order of the pieces of a batch, for equal bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel


class OrderedSum:
    """Hook of data-parallel training that adds gradients one after the other, as a single process accumulates them.

    An all-reduce adds in an order that depends on the number of processes, and rounding depends on the order. Here each
    process gets one part of the gradients of all, adds these up, and sends its sum to all: as much traffic as an
    all-reduce. Every micro-batch is summed when it is done, as the sum over processes comes between two of them.
    """

    def __init__(self) -> None:
        self._totals: dict[Tensor, Tensor] = {}

    def begin(self, parameters: Sequence[nn.Parameter], *, keeps_buffers: bool) -> None:
        """Put the gradients so far aside, to which those of the next micro-batch are added.

        Args:
            parameters: that are trained.
            keeps_buffers: whether the gradients must stay where they lie in memory.
        """
        held = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
        self._totals = {parameter: grad.clone() if keeps_buffers else grad for parameter, grad in held}
        for parameter, grad in held:
            if keeps_buffers:
                grad.zero_()
            else:
                parameter.grad = None

    def add(self, bucket: Any) -> Future[Tensor]:
        """Sum a bucket of gradients, once all of them are there.

        Args:
            bucket: GradBucket of torch.
        """
        own, world, rank = bucket.buffer(), distributed.get_world_size(), distributed.get_rank()
        size = -(-own.numel() // world)
        mine = torch.empty(world * size, dtype=own.dtype, device=own.device)
        distributed.all_to_all_single(mine, nn.functional.pad(own, (0, world * size - own.numel())))
        pieces = list(mine.view(world, size))
        totals = [self._totals[parameter].flatten() for parameter in bucket.parameters() if parameter in self._totals]
        if totals:
            total = nn.functional.pad(torch.cat(totals), (0, world * size - own.numel()))
            pieces = [total[rank * size : (rank + 1) * size], *pieces]
        summed = pieces[0].clone()
        for piece in pieces[1:]:
            summed += piece
        gathered = torch.empty_like(mine)
        distributed.all_gather(list(gathered.chunk(world)), summed)
        done: Future[Tensor] = Future(devices=[own.device] if own.is_cuda else None)
        done.set_result(gathered[: own.numel()])
        return done


def sum_in_order(module: Any) -> OrderedSum | None:
    """Let gradients of a module be summed in order; None where a single process trains it.

    Args:
        module: as Fabric has set it up.
    """
    parallel = getattr(module, "_forward_module", None)
    if not isinstance(parallel, DistributedDataParallel):
        return None
    hook = OrderedSum()
    # not a method: torch looks at annotations, which are texts here
    parallel.register_comm_hook(None, lambda state, bucket: hook.add(bucket))
    return hook
