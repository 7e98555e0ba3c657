"""Where a training computes: device, processes and which of them this one is."""

from __future__ import annotations

from typing import NamedTuple

import torch

from framecast.errors import UsageError


class Place(NamedTuple):
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


HERE = Place()
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
