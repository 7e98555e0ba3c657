"""Maps of the gates beside a step: how open each gate of each layer is, the mean over its channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from framecast.nn.cell import Cell

GATES = {"i": "input", "f": "forget", "o": "output", "im": "memory input", "fm": "memory forget"}
GATES |= {"z": "update", "r": "reset", "u": "highway"}
"""Symbols of the papers that are gates, from 0, closed, to 1, open, and their words."""


class GateMaps:
    """Gates of the cells that a step has called, as maps.

    Args:
        network: stack of cells.
    """

    def __init__(self, network: nn.Module) -> None:
        self._cells = [cell for cell in network.modules() if isinstance(cell, Cell)]
        self._called: list[tuple[Cell, Any]] = []

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Remember with what the cells are called."""
        self._called.clear()
        hooks = [cell.register_forward_pre_hook(lambda *call: self._called.append(call)) for cell in self._cells]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def compute(self) -> dict[str, Tensor]:
        """Compute the maps (B, H, W) of the last step by their names, as in "1 f": layer and symbol."""
        maps = {}
        for number, (cell, given) in enumerate(self._called, 1):
            for symbol, values in cell.gates(*given).items():
                if symbol in GATES:
                    maps[f"{number} {symbol}"] = values.mean(1)
        return maps


def describe_gate(name: str) -> str:
    """Describe a map for people, as in "layer 1, forget gate f"."""
    layer, symbol = name.split()
    return f"layer {layer}, {GATES[symbol]} gate {symbol}"


def list_gates(network: Any, frame: Tensor) -> list[str]:
    """List the maps of the size of a frame as a network takes it, (B, N, H, W); none for a network without gates."""
    maps = GateMaps(network)
    with torch.no_grad(), maps.listen():
        network.emit(frame, network.init_state(frame))
    return [name for name, values in maps.compute().items() if values.shape[-2:] == frame.shape[-2:]]
