"""Frames of any size within a limit of memory: as a whole where that fits, else in the largest tiles that fit."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

from framecast.errors import UsageError
from framecast.forecaster import Forecaster
from framecast.memory import free_bytes, held_bytes, peak_of, written
from framecast.network import Network
from framecast.tiled import BLENDED, Layout, covering, reach

SHARE = 0.8
"""Of the free memory that a forecast may take where no limit is given."""
HEAP = 1.5
"""Memory taken from the system, over the bytes of the tensors alive: holes between blocks, copies inside libraries; as
measured, see docs/tiles.md."""
SAMPLE = 16
"""Rows and columns of the map on which the need of a step is counted."""


class Room(NamedTuple):
    """What a user said about memory and tiles; None leaves the choice to framecast."""

    memory: int | None = None
    """The most that the process may hold, bytes; on a GPU, its tensors. By default most of what is free."""
    tile: int | None = None
    """Edge of a tile, pixels; 0 for none."""
    overlap: int | None = None
    """Pixels that neighbours share."""


ANY = Room()


class Need(NamedTuple):
    """Of one sequence, bytes."""

    state: float
    """Of a cell of the map."""
    step: float
    """That a step holds at most beside the state it began from, for a cell."""


class Plan(NamedTuple):
    """How a forecast is computed."""

    layout: Layout | None
    """None for the whole map at once."""
    batch_size: int
    cells: tuple[int, int]
    patch: int
    need: int
    """Estimated peak of the process, bytes."""
    limit: int

    def of(self, forecaster: Forecaster) -> Forecaster:
        """The forecaster that computes so."""
        return forecaster if self.layout is None else forecaster.tiled(self.layout)

    @property
    def tiles(self) -> int:
        """How many."""
        layout = self.layout
        return 1 if layout is None else len(covering(self.cells, layout.tile, layout.overlap, layout.margin))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, in pixels."""
        layout = self.layout
        return {
            "tiles": self.tiles,
            "tile": None if layout is None else [self.patch * edge for edge in layout.tile],
            "overlap": None if layout is None else self.patch * layout.overlap,
            "exact": layout is None or layout.exact(),
            "estimated_bytes": self.need,
            "limit_bytes": self.limit,
        }

    def __str__(self) -> str:
        """One line."""
        memory = f"about {written(self.need)} of memory, limit {written(self.limit)}"
        if self.layout is None:
            return f"computed whole; {memory}"
        rows, columns = (self.patch * edge for edge in self.layout.tile)
        kind = "as the whole would be" if self.layout.exact() else "an approximation of the whole"
        tiles = f"{self.tiles} tiles of {rows}x{columns}, overlap {self.patch * self.layout.overlap}"
        return f"computed in {tiles}, {kind}; {memory}"


def plan(
    forecaster: Forecaster, size: tuple[int, int], *, batch_size: int, frames_bytes: int, room: Room = ANY
) -> Plan:
    """Choose how to compute: fewer sequences at a time before tiles, the largest tiles that fit.

    Args:
        forecaster: on its device.
        size: (H, W) of a frame, pixels.
        batch_size: sequences at a time, at most.
        frames_bytes: what the frames take that are held at the same time, on the same device.
        room: what the user said.

    Raises:
        UsageError: a tile or an overlap that cannot be, or too little memory.
    """
    cells = forecaster.cells(*size)
    device = next(forecaster.parameters()).device
    held = held_bytes(device)
    limit = room.memory or int(held + SHARE * free_bytes(device))
    base = held + frames_bytes
    one_size = forecaster.cells(forecaster.spec.height, forecaster.spec.width) if forecaster.config.fixed_size else None
    need = needed(forecaster, one_size)
    area = cells[0] * cells[1]
    if not room.tile and one_size in (None, cells):
        batches = [max(1, batch_size >> halvings) for halvings in range(batch_size.bit_length())]
        for batch in [batch_size] if room.tile == 0 else batches:
            total = int(base + HEAP * batch * area * (need.state + need.step))
            if total <= limit or room.tile == 0:
                return Plan(None, batch, cells, forecaster.patch, total, limit)
    layout = _layout(forecaster, one_size, room, cells, need, (limit - base) / HEAP)
    rows, columns = (min(pair) for pair in zip(layout.tile, cells, strict=True))
    total = int(base + HEAP * (2 * area * need.state + rows * columns * (need.state + need.step)))
    if total > limit and room.memory is not None:
        fix = "allow more, give a smaller --tile or --overlap, or predict a part of the domain"
        raise UsageError("--max-memory", got=written(limit), expected=f"about {written(total)} or more", fix=fix)
    return Plan(layout, 1, cells, forecaster.patch, total, limit)


def needed(forecaster: Forecaster, one_size: tuple[int, int] | None = None) -> Need:
    """Count what a step needs, on a small map; by taking one.

    Args:
        forecaster: on its device.
        one_size: (rows, columns), where the network fits no other map.
    """
    network, weight = forecaster.network, next(forecaster.parameters())
    rows, columns = one_size or (SAMPLE, SAMPLE)
    frame = weight.new_zeros(1, channels(forecaster), rows, columns)
    with torch.inference_mode():
        _, state, _ = network(frame)
        step = peak_of(lambda: network(frame, state))
    area = rows * columns
    return Need(sum(leaf.nbytes for leaf in tree_leaves(state)) / area, step / area)


def channels(forecaster: Forecaster) -> int:
    """Of a patchified frame."""
    return forecaster.spec.channels * forecaster.patch**2


def _layout(
    forecaster: Forecaster,
    one_size: tuple[int, int] | None,
    room: Room,
    cells: tuple[int, int],
    need: Need,
    available: float,
) -> Layout:
    network: Network = forecaster.network
    far = reach(network, channels(forecaster), one_size)
    patch = forecaster.patch
    asked = None if room.overlap is None else -(-room.overlap // patch)
    if one_size is not None:
        tile = one_size
    elif room.tile:
        tile = (-(-room.tile // patch),) * 2
    else:
        least = 4 if far is None else 2 * (2 * far + BLENDED if asked is None else asked) + 1
        left = (available - 2 * cells[0] * cells[1] * need.state) / (need.state + need.step)
        tile = (max(least, int(max(left, 0) ** 0.5)),) * 2
    overlap = asked
    if overlap is None:
        overlap = min(tile) // 4 if far is None else min(2 * far + BLENDED, min(tile) // 2)
    if overlap >= min(tile):
        raise UsageError("--overlap", got=f"{room.overlap} pixels", expected=f"less than a tile, {patch * min(tile)}")
    return Layout(tile, overlap, far)
