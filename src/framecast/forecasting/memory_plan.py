"""Frames of any size within a limit of memory: as a whole where that fits, else in the largest tiles that fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.formatting import format_bytes
from framecast.memory_usage import free_bytes, held_bytes, peak_tensor_bytes
from framecast.nn.network import Advance, Network
from framecast.nn.tiled_network import BLENDED, TileLayout, cover_with_tiles, measure_reach
from framecast.types import FrameSpec

SHARE = 0.8
"""Of the free memory that a forecast may take where no limit is given."""
HEAP = 1.5
"""Memory taken from the system, over the bytes of the tensors alive: holes between blocks, copies inside libraries; as
measured, see docs/tiles.md."""
SPARE = 32 * 2**20
"""Bytes that a process takes once: scratch of the kernels, code that was not in memory before."""
READING = 24
"""Bytes that a value takes while it is read: as stored, in double precision, and its mask."""
SAMPLE = 16
"""Rows and columns of the map on which the need of a step is counted."""


class MemoryLimits(NamedTuple):
    """What a user said about memory and tiles; None leaves the choice to framecast."""

    memory: int | None = None
    """The most that the process may hold, bytes; on a GPU, its tensors. By default most of what is free."""
    tile: int | None = None
    """Edge of a tile, pixels; 0 for none."""
    overlap: int | None = None
    """Pixels that neighbours share."""


ANY = MemoryLimits()


class StepMemory(NamedTuple):
    """Of one sequence, bytes."""

    state: float
    """Of a cell of the map."""
    step: float
    """That a step holds at most beside the state it began from, for a cell."""


class FrameMemory(NamedTuple):
    """What frames take where the network computes, bytes."""

    all: int
    """As long as the forecast lasts."""
    each: int
    """For each sequence of a batch."""


class PeakMemory(NamedTuple):
    """What ways to compute would take at their peak, bytes."""

    held: int
    """By the process already."""
    frames: FrameMemory
    need: StepMemory
    area: int
    """Cells of the map."""

    def _sum(self, batch: int, tensors: float) -> int:
        return int(self.held + SPARE + self.frames.all + batch * (self.frames.each + HEAP * tensors))

    def whole(self, batch: int) -> int:
        """The map at once."""
        return self._sum(batch, self.area * (self.need.state + self.need.step))

    def tiled(self, batch: int, inside: int, *, on_disk: bool) -> int:
        """In tiles of `inside` cells; the old and the new state of the map beside them, unless on disk."""
        state = 0 if on_disk else 2 * self.area * self.need.state
        return self._sum(batch, state + inside * (self.need.state + self.need.step))

    def largest(self, batch: int, limit: int, *, on_disk: bool) -> int:
        """Edge of the largest tile within a limit, cells; 0 for none."""
        left = limit - self.tiled(batch, 0, on_disk=on_disk)
        return int(max(left / (batch * HEAP * (self.need.state + self.need.step)), 0) ** 0.5)


class MemoryPlan(NamedTuple):
    """How a forecast is computed."""

    layout: TileLayout | None
    """None for the whole map at once."""
    batch_size: int
    cells: tuple[int, int]
    patch: int
    need: int
    """Estimated peak of the process, bytes."""
    limit: int
    idle_overlap: bool = False
    """Whether an overlap was asked for that no tile has."""

    def of(self, forecaster: Forecaster) -> Forecaster:
        """The forecaster that computes so."""
        return forecaster if self.layout is None else forecaster.tiled(self.layout)

    @property
    def tiles(self) -> int:
        """How many."""
        layout = self.layout
        return 1 if layout is None else len(cover_with_tiles(self.cells, layout.tile, layout.overlap, layout.margin))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, in pixels."""
        layout = self.layout
        return {
            "tiles": self.tiles,
            "tile": None if layout is None else [self.patch * edge for edge in layout.tile],
            "overlap": None if layout is None else self.patch * layout.overlap,
            "state_on_disk": layout is not None and layout.on_disk,
            "exact": layout is None or layout.exact(),
            "estimated_bytes": self.need,
            "limit_bytes": self.limit,
        }

    def __str__(self) -> str:
        """One line."""
        memory = f"about {format_bytes(self.need)} of memory, limit {format_bytes(self.limit)}"
        if self.layout is None:
            idle = ", so that --overlap has no meaning" if self.idle_overlap else ""
            return f"computed whole{idle}; {memory}"
        rows, columns = (self.patch * edge for edge in self.layout.tile)
        kind = "as the whole would be" if self.layout.exact() else "an approximation of the whole"
        tiles = f"{self.tiles} tiles of {rows}x{columns}, overlap {self.patch * self.layout.overlap}"
        disk = ", state on disk" if self.layout.on_disk else ""
        return f"computed in {tiles}{disk}, {kind}; {memory}"


def plan_memory(
    forecaster: Forecaster, size: tuple[int, int], *, batch_size: int, frames: FrameMemory, room: MemoryLimits = ANY
) -> MemoryPlan:
    """Choose how to compute: as a whole, else with fewer sequences at a time, else in tiles, else with the state on disk.

    A network that sees all of its map, by layer norms say, is given tiles of the size that it was trained on, as it would
    see other statistics on a larger map.

    Args:
        forecaster: on its device.
        size: (H, W) of a frame, pixels.
        batch_size: sequences at a time, at most.
        frames: what the frames take.
        room: what the user said.

    Raises:
        UsageError: a tile or an overlap that cannot be, or too little memory.
    """
    device = next(forecaster.parameters()).device
    cut = choose_tiles(forecaster, size, room)
    need, held = measure_step_memory(forecaster), held_bytes(device)
    limit = room.memory or int(held + SHARE * free_bytes(device))
    budget = PeakMemory(held, frames, need, cut.cells[0] * cut.cells[1])
    choices = list(_whole(batch_size, budget)) if cut.tile is None else []
    choices += [] if room.tile == 0 else _tiled(batch_size, budget, limit, cut)
    for layout, batch, total in choices:
        if total <= limit or (room.tile == 0 and room.memory is None):
            idle = layout is None and room.overlap is not None
            return MemoryPlan(layout, batch, cut.cells, forecaster.patch, total, limit, idle)
    least = format_bytes(min(total for _, _, total in choices))
    fix = "allow more, give a smaller --tile or --overlap, or predict a part of the domain"
    kind = "of one size, " if forecaster.config.fixed_size else ""
    fix = f"allow more: this network takes frames {kind}as a whole" if cut.is_fixed else fix
    raise UsageError("memory", got=f"a limit of {format_bytes(limit)}", expected=f"about {least} or more", fix=fix)


def with_tiles(forecaster: Forecaster, size: tuple[int, int], room: MemoryLimits = ANY) -> Forecaster:
    """The forecaster in tiles if they are asked for or the network needs them, whatever memory there is; see `plan`.

    Raises:
        UsageError: a tile or an overlap that cannot be; an overlap where there are no tiles.
    """
    cut = choose_tiles(forecaster, size, room)
    if cut.tile is not None:
        return forecaster.tiled(cut.layout(0, on_disk=False))
    if room.overlap is not None:
        raise _overlap_alone(room)
    return forecaster


def choose_tiles(forecaster: Forecaster, size: tuple[int, int], room: MemoryLimits) -> TileChoice:
    """Which tiles a user or the network asks for."""
    cells, trained = forecaster.cells(*size), forecaster.cells(forecaster.spec.height, forecaster.spec.width)
    if room.tile == 0 and room.overlap is not None:
        raise _overlap_alone(room)
    one_size = trained if forecaster.config.fixed_size else None
    network = forecaster.network
    if not (network.tileable and isinstance(network, Network)):
        if room.tile:
            raise UsageError("--tile", got=f"{room.tile} pixels", expected="0: this network is computed as a whole")
        return TileChoice(cells, None, None, None, is_fixed=True)
    far = None if one_size else measure_reach(network, input_channels(forecaster))
    tile = None
    if room.tile or (room.tile is None and far is None and (cells[0] > trained[0] or cells[1] > trained[1])):
        tile = one_size or ((-(-room.tile // forecaster.patch),) * 2 if room.tile else trained)
    return TileChoice(cells, tile, _overlap(room, forecaster.patch, far, tile), far, one_size is not None)


class TileChoice(NamedTuple):
    """What is known of the tiles before their memory is."""

    cells: tuple[int, int]
    """Of the map."""
    tile: tuple[int, int] | None
    """None for any."""
    overlap: int | None
    """None for a quarter of a tile, whose size is not known yet."""
    reach: int | None
    is_fixed: bool
    """Whether the network takes no other tiles: it knows one size, or has maps of several."""

    def layout(self, most: int, *, on_disk: bool) -> TileLayout:
        """In tiles whose edges may be `most` cells; never so small that most of the work is done twice."""
        overlap = max(most // 4, 1) if self.overlap is None else self.overlap
        edge = max(2 * overlap, most, 1)
        rows, columns = (_trimmed(length, edge, overlap) for length in self.cells)
        return TileLayout(self.tile or (rows, columns), overlap, self.reach, on_disk)


Choice = tuple[TileLayout | None, int, int]
"""Layout, sequences at a time, and the estimated peak of the process, bytes."""


def _whole(batch_size: int, budget: PeakMemory) -> Iterator[Choice]:
    for batch in halvings(batch_size):
        yield None, batch, budget.whole(batch)


def _tiled(batch_size: int, budget: PeakMemory, limit: int, cut: TileChoice) -> Iterator[Choice]:
    if cut.is_fixed and cut.tile is None:  # the map is as large as the only tile that there could be
        return
    for on_disk, batch in product((False, True), halvings(batch_size)):
        layout = cut.layout(budget.largest(batch, limit, on_disk=on_disk), on_disk=on_disk)
        inside = min(layout.tile[0], cut.cells[0]) * min(layout.tile[1], cut.cells[1])
        yield layout, batch, budget.tiled(batch, inside, on_disk=on_disk)


def _trimmed(length: int, tile: int, overlap: int) -> int:
    """The smallest tile of which no more are needed."""
    count = 1 if tile >= length else 1 + -(-(length - tile) // (tile - overlap))
    return -(-(length + (count - 1) * overlap) // count)


def _overlap_alone(room: MemoryLimits) -> UsageError:
    fix = "give --tile with it, or leave it out"
    return UsageError("--overlap", got=f"{room.overlap} pixels", expected="tiles, and there are none", fix=fix)


def _overlap(room: MemoryLimits, patch: int, far: int | None, tile: tuple[int, int] | None) -> int | None:
    """Cells; by default so many that tiles are exact, else a quarter of a tile, None while that is not known."""
    if room.overlap is not None:
        overlap = -(-room.overlap // patch)
    elif far is None:
        return None if tile is None else min(tile) // 4
    else:
        overlap = 2 * far + BLENDED if tile is None else min(2 * far + BLENDED, min(tile) // 2)
    if tile is not None and overlap >= min(tile):
        raise UsageError("--overlap", got=f"{room.overlap} pixels", expected=f"less than a tile, {patch * min(tile)}")
    return overlap


def halvings(batch_size: int) -> list[int]:
    """The batch size, half of it, and so on to 1."""
    return [batch_size >> times for times in range(batch_size.bit_length())]


def measure_step_memory(forecaster: Forecaster) -> StepMemory:
    """Count what a step needs, on a small map or the only one that fits; by taking one."""
    network, spec, weight = forecaster.network, forecaster.spec, next(forecaster.parameters())
    size = (spec.height, spec.width) if forecaster.config.fixed_size else (SAMPLE * forecaster.patch,) * 2
    rows, columns = forecaster.cells(*size)
    frame = weight.new_zeros(1, input_channels(forecaster), rows, columns)

    def move(state: Any) -> Advance:
        moved = network.observe(frame, state)
        return moved if moved.frame is not None else network.emit(None, moved.state)

    with torch.inference_mode():
        state = move(None).state
        step = peak_tensor_bytes(lambda: move(state))
    area = rows * columns
    return StepMemory(sum(leaf.nbytes for leaf in tree_leaves(state)) / area, step / area)


def measure_frame_memory(
    forecaster: Forecaster, out: FrameSpec, sequences: int, context: int, horizon: int, at_once: int
) -> FrameMemory:
    """Count what frames take: all targets in and out with their mask, and all contexts where there are covariates.

    On a GPU nothing that counts there: they stay with the host.
    For each sequence of a batch, what reading takes, so many frames at once, one frame in work, what was observed so
    far, and covariates of all frames.
    """
    if next(forecaster.parameters()).device.type != "cpu":
        return FrameMemory(0, 0)
    pixels, covariates = out.height * out.width, len(forecaster.spec.covariates)
    read = forecaster.spec.channels + covariates
    kept = out.channels * (context + horizon) + (read * context if covariates else 0)
    remembered = 64 if forecaster.mask_channel or forecaster.fill == "last" else 0
    work = forecaster.spec.channels * (24 + remembered) + 16 * forecaster.extra_channels
    work += 12 * covariates * (context + horizon)
    reading = READING * read * (context if covariates else at_once)
    return FrameMemory(pixels * sequences * (4 * kept + out.channels), pixels * (reading + work))


def input_channels(forecaster: Forecaster) -> int:
    """Of a patchified frame with all that enters the network beside it: covariates and the mask."""
    return (forecaster.spec.channels + forecaster.extra_channels) * forecaster.patch**2
