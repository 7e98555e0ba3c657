"""Memory plan of a forecast: the whole map where it fits into the limit, else the largest tiles that fit."""

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
"""Share of the free memory that a forecast may take where no limit is given."""
HEAP = 1.5
"""Memory taken from the system per byte of tensors alive: holes between blocks, copies inside libraries; measured, see
docs/tiles.md."""
SPARE = 32 * 2**20
"""Bytes that a process takes once: scratch of the kernels, code that was not in memory before."""
BASE_WORK = 192
"""Bytes for each pixel and channel of a base: its fields and changes, moved, smoothed and mixed."""
READING = 24
"""Bytes that a value takes while it is read: as stored, in double precision, and its mask."""
SAMPLE = 16
"""Rows and columns of the map on which the memory of a step is measured."""


class MemoryLimits(NamedTuple):
    """The user's limits of memory and tiles; None leaves the choice to `plan_memory`."""

    memory: int | None = None
    """Bytes that the process may hold, on a GPU its tensors; by default the share `SHARE` of what is free."""
    tile: int | None = None
    """Edge of a tile, pixels; 0 for no tiles."""
    overlap: int | None = None
    """Rows and columns that neighbouring tiles share, pixels."""


NO_LIMITS = MemoryLimits()


class StepMemory(NamedTuple):
    """Memory of one time step, bytes per map cell and sequence."""

    state: float
    """State that passes from step to step."""
    step: float
    """Peak within a step, without the state from which it began."""


class FrameMemory(NamedTuple):
    """Memory of the frames on the device of the network, bytes."""

    total: int
    """Frames of all sequences, for the whole forecast."""
    per_sequence: int
    """Work on one sequence of a batch."""


class PeakMemory(NamedTuple):
    """Estimate of the process's peak memory, bytes, for each way to compute a batch."""

    held: int
    """Bytes that the process holds already."""
    frames: FrameMemory
    need: StepMemory
    area: int
    """Cells of the map."""

    def _add_up(self, batch: int, tensors: float) -> int:
        return int(self.held + SPARE + self.frames.total + batch * (self.frames.per_sequence + HEAP * tensors))

    def estimate_whole(self, batch: int) -> int:
        """Estimate the peak of computing the whole map at once."""
        return self._add_up(batch, self.area * (self.need.state + self.need.step))

    def estimate_tiled(self, batch: int, tile_area: int, *, on_disk: bool) -> int:
        """Estimate the peak with tiles of so many cells; old and new state of the whole map count unless on disk."""
        state = 0 if on_disk else 2 * self.area * self.need.state
        return self._add_up(batch, state + tile_area * (self.need.state + self.need.step))

    def find_largest_edge(self, batch: int, limit: int, *, on_disk: bool) -> int:
        """Find the edge of the largest square tile within a limit, cells; 0 for none."""
        left = limit - self.estimate_tiled(batch, 0, on_disk=on_disk)
        return int(max(left / (batch * HEAP * (self.need.state + self.need.step)), 0) ** 0.5)


class MemoryPlan(NamedTuple):
    """Way to compute a forecast on a map of `cells` (rows, columns): tiles, batch size, memory and its limit, bytes."""

    layout: TileLayout | None
    """Tiles; None for the whole map at once."""
    batch_size: int
    cells: tuple[int, int]
    patch: int
    need: int
    """Estimated peak of the process, bytes."""
    limit: int
    idle_overlap: bool = False
    """Whether the user gave an overlap, and there are no tiles."""

    def apply(self, forecaster: Forecaster) -> Forecaster:
        """Make the forecaster compute by this plan."""
        return forecaster if self.layout is None else forecaster.tiled(self.layout)

    @property
    def tiles(self) -> int:
        """Number of tiles; 1 for the whole map."""
        layout = self.layout
        return 1 if layout is None else len(cover_with_tiles(self.cells, layout.tile, layout.overlap, layout.margin))

    def as_dict(self) -> dict[str, Any]:
        """Plan as plain values; lengths in pixels."""
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
        """Plan as one line for the user."""
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
    forecaster: Forecaster,
    size: tuple[int, int],
    *,
    batch_size: int,
    frames: FrameMemory,
    room: MemoryLimits = NO_LIMITS,
) -> MemoryPlan:
    """Choose how to compute: as a whole, else with fewer sequences at a time, else in tiles, else with the state on disk.

    A network that sees all of its map, as by layer norms, gets tiles of the trained size: others change its statistics.

    Args:
        forecaster: model on its device.
        size: (H, W) of a frame, pixels.
        batch_size: sequences at a time, at most.
        frames: memory of the frames.
        room: the user's limits.

    Raises:
        UsageError: an impossible tile or overlap, or too little memory.
    """
    device = next(forecaster.parameters()).device
    tiles = choose_tiles(forecaster, size, room)
    need, held = measure_step_memory(forecaster), held_bytes(device)
    limit = room.memory or int(held + SHARE * free_bytes(device))
    peak = PeakMemory(held, frames, need, tiles.cells[0] * tiles.cells[1])
    batches = list_batch_sizes(batch_size) if tiles.tile is None else []
    choices: list[TilingOption] = [(None, batch, peak.estimate_whole(batch)) for batch in batches]
    choices += [] if room.tile == 0 else _list_tiled(batch_size, peak, limit, tiles)
    for layout, batch, total in choices:
        # a user who refuses tiles and sets no limit gets the whole map, whatever memory is free
        if total <= limit or (room.tile == 0 and room.memory is None):
            idle = layout is None and room.overlap is not None
            return MemoryPlan(layout, batch, tiles.cells, forecaster.patch, total, limit, idle)
    least = format_bytes(min(total for _, _, total in choices))
    fix = "allow more, give a smaller --tile or --overlap, or predict a part of the domain"
    kind = "of one size, " if forecaster.config.fixed_size else ""
    fix = f"allow more: this network takes frames {kind}as a whole" if tiles.is_fixed else fix
    raise UsageError("memory", got=f"a limit of {format_bytes(limit)}", expected=f"about {least} or more", fix=fix)


def with_tiles(forecaster: Forecaster, size: tuple[int, int], room: MemoryLimits = NO_LIMITS) -> Forecaster:
    """Make a forecaster compute in tiles if the user gives them or the network needs them; memory is not looked at.

    Raises:
        UsageError: an impossible tile or overlap; an overlap without tiles.
    """
    tiles = choose_tiles(forecaster, size, room)
    if tiles.tile is not None:
        return forecaster.tiled(tiles.make_layout(0, on_disk=False))
    if room.overlap is not None:
        raise _make_overlap_error(room)
    return forecaster


def choose_tiles(forecaster: Forecaster, size: tuple[int, int], room: MemoryLimits) -> TileChoice:
    """Choose the tiles that the user gives or the network needs."""
    cells, trained = forecaster.cells(*size), forecaster.cells(forecaster.spec.height, forecaster.spec.width)
    if room.tile == 0 and room.overlap is not None:
        raise _make_overlap_error(room)
    one_size = trained if forecaster.config.fixed_size else None
    network = forecaster.network
    if not (network.tileable and isinstance(network, Network)):
        if room.tile:
            raise UsageError("--tile", got=f"{room.tile} pixels", expected="0: this network is computed as a whole")
        return TileChoice(cells, None, None, None, is_fixed=True)
    reach = None if one_size else measure_reach(network, forecaster.input_channels)
    tile = None
    if room.tile or (room.tile is None and reach is None and (cells[0] > trained[0] or cells[1] > trained[1])):
        tile = one_size or ((-(-room.tile // forecaster.patch),) * 2 if room.tile else trained)
    return TileChoice(cells, tile, _choose_overlap(room, forecaster.patch, reach, tile), reach, one_size is not None)


class TileChoice(NamedTuple):
    """Tiles as far as user and network decide them; memory decides the rest. Lengths in cells; `reach` of a step."""

    cells: tuple[int, int]
    """Rows and columns of the map."""
    tile: tuple[int, int] | None
    """Rows and columns of a tile; None where memory decides."""
    overlap: int | None
    """None for a quarter of a tile, whose size is not known yet."""
    reach: int | None
    is_fixed: bool
    """Whether the network takes no other tiles: it has one size, or maps of several."""

    def make_layout(self, max_edge: int, *, on_disk: bool) -> TileLayout:
        """Make tiles of edges up to `max_edge`, but never so small that most of the work is done twice."""
        overlap = max(max_edge // 4, 1) if self.overlap is None else self.overlap
        edge = max(2 * overlap, max_edge, 1)
        rows, columns = (_trim_edge(length, edge, overlap) for length in self.cells)
        return TileLayout(self.tile or (rows, columns), overlap, self.reach, on_disk)


TilingOption = tuple[TileLayout | None, int, int]
"""Layout, sequences at a time, and the estimated peak of the process, bytes."""


def _list_tiled(batch_size: int, peak: PeakMemory, limit: int, tiles: TileChoice) -> Iterator[TilingOption]:
    if tiles.is_fixed and tiles.tile is None:  # the map is as large as the only tile that there could be
        return
    for on_disk, batch in product((False, True), list_batch_sizes(batch_size)):
        layout = tiles.make_layout(peak.find_largest_edge(batch, limit, on_disk=on_disk), on_disk=on_disk)
        tile_area = min(layout.tile[0], tiles.cells[0]) * min(layout.tile[1], tiles.cells[1])
        yield layout, batch, peak.estimate_tiled(batch, tile_area, on_disk=on_disk)


def _trim_edge(length: int, tile: int, overlap: int) -> int:
    """Shrink the edge of a tile as far as no more tiles are needed to cover the length."""
    count = 1 if tile >= length else 1 + -(-(length - tile) // (tile - overlap))
    return -(-(length + (count - 1) * overlap) // count)


def _make_overlap_error(room: MemoryLimits) -> UsageError:
    fix = "give --tile with it, or leave it out"
    return UsageError("--overlap", got=f"{room.overlap} pixels", expected="tiles, and there are none", fix=fix)


def _choose_overlap(room: MemoryLimits, patch: int, reach: int | None, tile: tuple[int, int] | None) -> int | None:
    """Choose the overlap, cells: enough for exact tiles, else a quarter of a tile; None while its size is not known."""
    if room.overlap is not None:
        overlap = -(-room.overlap // patch)
    elif reach is None:
        return None if tile is None else min(tile) // 4
    else:
        overlap = 2 * reach + BLENDED if tile is None else min(2 * reach + BLENDED, min(tile) // 2)
    if tile is not None and overlap >= min(tile):
        raise UsageError("--overlap", got=f"{room.overlap} pixels", expected=f"less than a tile, {patch * min(tile)}")
    return overlap


def list_batch_sizes(batch_size: int) -> list[int]:
    """List the batch size, half of it, and so on to 1."""
    return [batch_size >> times for times in range(batch_size.bit_length())]


def measure_step_memory(forecaster: Forecaster) -> StepMemory:
    """Measure the memory of a time step by taking one, on a small map or on the only one that the network takes."""
    network, spec, weight = forecaster.network, forecaster.spec, next(forecaster.parameters())
    size = (spec.height, spec.width) if forecaster.config.fixed_size else (SAMPLE * forecaster.patch,) * 2
    rows, columns = forecaster.cells(*size)
    frame = weight.new_zeros(1, forecaster.input_channels, rows, columns)

    beside = frame[:, spec.channels * forecaster.patch**2 :] if forecaster.extra_channels else None

    def take_step(state: Any) -> Advance:
        advance = network.observe(frame, state)
        return advance if advance.frame is not None else network.emit(beside, advance.state)

    with torch.inference_mode():
        state = take_step(None).state
        step = peak_tensor_bytes(lambda: take_step(state))
    area = rows * columns
    return StepMemory(sum(leaf.nbytes for leaf in tree_leaves(state)) / area, step / area)


def measure_frame_memory(
    forecaster: Forecaster, target_spec: FrameSpec, sequences: int, context: int, horizon: int, piece: int
) -> FrameMemory:
    """Estimate the memory of the frames of a forecast, by counting values; 0 on a GPU, as frames stay on the host.

    All `sequences` have `context` + `horizon` frames like `target_spec`; `piece` frames of each are read at a time.
    """
    if next(forecaster.parameters()).device.type != "cpu":
        return FrameMemory(0, 0)
    pixels, covariates = target_spec.height * target_spec.width, len(forecaster.spec.covariates)
    channels, targets = forecaster.spec.channels + covariates, target_spec.channels
    # float32 of context and forecast, one byte of the mask; covariates need whole contexts before the first step
    values = targets * (context + horizon) + (channels * context if covariates else 0)
    observed = 64 if forecaster.mask_channel or forecaster.fill == "last" else 0
    work = forecaster.spec.channels * (24 + observed) + 16 * forecaster.extra_channels
    work += 12 * covariates * (context + horizon)
    work += 0 if forecaster.base is None else BASE_WORK * forecaster.spec.channels
    reading = READING * channels * (context if covariates else piece)
    return FrameMemory(pixels * sequences * (4 * values + targets), pixels * (reading + work))
