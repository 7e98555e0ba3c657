"""Devices: which one computes, processes and threads, arithmetic of a process, and the way of tensors to a GPU."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framecast.errors import UsageError


class Launch(NamedTuple):
    """One process of a group.

    Args:
        device: "cpu", "cuda", "mps" or "auto".
        processes: on this machine.
        nodes: machines.
        rank: of this process over all machines.
    """

    device: str = "auto"
    processes: int = 1
    nodes: int = 1
    rank: int = 0


SINGLE_PROCESS = Launch()
"""One process on the best device."""


def resolve_device(name: str) -> str:
    """The device that a user's word means here: "auto" is cuda, else mps, else cpu.

    Raises:
        UsageError: no such device here.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, ok in there.items() if ok)
    if not there.get(name, False):
        expected = ", ".join(["auto", *(device for device, ok in there.items() if ok)])
        raise UsageError("device", got=name, expected=f"one of {expected} here")
    return name


def flush_subnormals() -> None:
    """Let numbers below 1.2e-38 be zero in this process; call it before the first parallel work.

    Gates that saturate give gradients that small, with which a processor computes up to a hundred times slower: steps of
    a training on a CPU get several times longer. Threads that were started before keep their own setting.
    """
    torch.set_flush_denormal(True)


def limit_threads(count: int) -> None:
    """Compute with so many threads in this process: one where processes beside it compute too.

    Threads of OpenMP spin while they wait for each other. Where others need the cores, two threads are slower than one.

    Args:
        count: 1 or more.
    """
    torch.set_num_threads(count)


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device; to a GPU through pinned memory, so that the host does not wait for the copy.

    Args:
        tensor: of any shape and dtype.
        device: where it is needed.
    """
    device = torch.device(device)
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
