"""Devices: choice of a device, what each can hold, processes and threads, subnormal numbers, copies to a GPU."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from framecast.errors import UsageError

Module = TypeVar("Module", bound=nn.Module)


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


def has_float64(device: torch.device | str) -> bool:
    """Whether a device has float64; Apple's GPUs do not."""
    return torch.device(device).type != "mps"


def choose_float64_device(device: torch.device | str) -> torch.device:
    """Choose where to compute in float64: the device itself, or the CPU where it has none."""
    return torch.device(device) if has_float64(device) else torch.device("cpu")


def to_float64(tensor: Tensor) -> Tensor:
    """Convert to float64, on the tensor's device, or on the CPU where that has none."""
    return (tensor if has_float64(tensor.device) else tensor.cpu()).double()


def move_module(module: Module, device: torch.device | str) -> Module:
    """Move a module to a device, in place; weights in float64 become float32 on a device that has no float64."""
    if not has_float64(device) and any(value.dtype == torch.float64 for value in module.state_dict().values()):
        module = module.float()
    return module.to(device)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore the state of an optimizer that may have been on another device.

    Whether Adam is fused depends on the device. Torch moves its counters of steps to where that needs them, by the
    setting in the state: that of the present device is written there first.

    Args:
        optimizer: gets the state.
        state: what `state_dict` gave; it is left as it is.
    """
    fused = [group.get("fused") for group in optimizer.param_groups]
    groups = [{**group, "fused": own} for group, own in zip(state["param_groups"], fused, strict=True)]
    optimizer.load_state_dict({**state, "param_groups": groups})


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Move a tensor to a device; to a GPU through pinned memory, so that the host does not wait for the copy.

    Args:
        tensor: any shape and dtype; float64 becomes float32 on a device that has no float64.
        device: target device.
    """
    device = torch.device(device)
    if tensor.dtype == torch.float64 and not has_float64(device):
        tensor = tensor.float()
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
