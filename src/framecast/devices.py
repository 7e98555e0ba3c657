"""Devices: choice of a device, processes and threads, subnormal numbers, copies of tensors to a GPU."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framecast.errors import UsageError


class Launch(NamedTuple):
    """Device and group of a process.

    Args:
        device: "cpu", "cuda", "mps" or "auto".
        processes: number of processes on this machine.
        nodes: number of machines.
        rank: number of this process over all machines, from 0.
    """

    device: str = "auto"
    processes: int = 1
    nodes: int = 1
    rank: int = 0


SINGLE_PROCESS = Launch()
"""One process on the best device."""


def resolve_device(name: str) -> str:
    """Resolve the name of a device: "auto" is cuda, else mps, else cpu.

    Args:
        name: "cpu", "cuda", "mps" or "auto".

    Raises:
        UsageError: no such device here.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, ok in available.items() if ok)
    if not available.get(name, False):
        expected = ", ".join(["auto", *(device for device, ok in available.items() if ok)])
        raise UsageError("device", got=name, expected=f"one of {expected} here")
    return name


def flush_subnormals() -> None:
    """Round numbers below 1.2e-38 to zero in this process; call it before the first parallel work.

    Gates that saturate give gradients that small, with which a processor computes up to a hundred times slower: steps of
    a training on a CPU get several times longer. Threads that were started before keep their own setting.
    """
    torch.set_flush_denormal(True)


def limit_threads(count: int) -> None:
    """Limit the threads of this process; use one thread where other processes compute too.

    Threads of OpenMP spin while they wait for each other. Where others need the cores, two threads are slower than one.

    Args:
        count: 1 or more.
    """
    torch.set_num_threads(count)


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Move a tensor to a device; to a GPU through pinned memory, so that the host does not wait for the copy.

    Args:
        tensor: any shape and dtype.
        device: target device.
    """
    device = torch.device(device)
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
