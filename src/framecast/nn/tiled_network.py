"""Tiled network: each step is computed tile by tile, the state is whole, in memory or on disk.

The tiles of a step all begin from the state of the whole map, and each writes the cells that it owns; predictions are
blended. An inner end of a tile is felt within the network's reach (how far one step carries a change, by its kernels), so
that tiles which overlap by twice the reach give what the whole map gives, to rounding, at any lead time: the exchange of
halos, as numerical weather models do it. Had each tile a state of its own, its ends would be felt one reach further with
every frame.

A network without such a reach (layer norms and matrices see all of the map) sees the tile instead of the map.
"""

from __future__ import annotations

import copy
import tempfile
import weakref
from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from framecast.errors import InputError, naming_full_disk
from framecast.nn.cell import Cell
from framecast.nn.network import Aux, Network, NetworkState
from framecast.nn.tiling import MapIndex, Tile, tile_map
from framecast.types import Frame


class DiskMap:
    """A map (B, N, H, W), zeros at first, in a file without a name, which is gone with the last use of it.

    Indexing with rows and columns reads a part, as a tensor of its own; assigning writes one. Files are read and written
    rather than mapped, so that they are no memory of this process, and a full disk is an OSError and no crash.

    Args:
        shape: (B, N, H, W).
        dtype: of the values.
        device: of the parts that are read.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.shape, self.dtype, self.device = torch.Size(shape), dtype, device
        self.place = f"{tempfile.gettempdir()}, the folder of TMPDIR, for large maps"
        self.file = tempfile.TemporaryFile(prefix="framecast-", buffering=0)  # noqa: SIM115 -- the next line closes it
        weakref.finalize(self, self.file.close)
        with naming_full_disk(self.place):
            self.file.truncate(prod(shape) * dtype.itemsize)

    def _locate_rows(self, index: MapIndex) -> list[int]:
        """Offsets in the file at which the rows of a part begin, bytes; the file is (B, H, W, N)."""
        batch, channels, height, width = self.shape
        _, rows, columns = index
        cell = channels * self.dtype.itemsize
        return [
            ((b * height + y) * width + columns.start) * cell
            for b in range(batch)
            for y in range(rows.start, rows.stop)
        ]

    def __getitem__(self, index: MapIndex) -> Tensor:
        batch, channels, _, _ = self.shape
        _, rows, columns = index
        part = torch.empty(batch, rows.stop - rows.start, columns.stop - columns.start, channels, dtype=self.dtype)
        lines = part.view(torch.uint8).flatten(0, 1).flatten(1).numpy()
        for line, start in zip(lines, self._locate_rows(index), strict=True):
            self.file.seek(start)
            if self.file.readinto(line) != line.nbytes:
                raise OSError(f"{self.file.name}: could not be read back")
        return part.permute(0, 3, 1, 2).to(self.device)

    def __setitem__(self, index: MapIndex, values: Tensor) -> None:
        part = values.detach().to("cpu").permute(0, 2, 3, 1).contiguous()
        lines = part.view(torch.uint8).flatten(0, 1).flatten(1).numpy()
        with naming_full_disk(self.place):
            for line, start in zip(lines, self._locate_rows(index), strict=True):
                self.file.seek(start)
                rest = memoryview(line)
                while rest:  # a disk may take a part, and say only the next time that it is full
                    rest = rest[self.file.write(rest) :]


FURTHEST = 128
"""Cells; a step that carries a change further counts as one that sees the whole map."""
BLENDED = 2
"""Least cells over which neighbours are blended."""
SEAM = "seam"
"""Name of the report of a step on the differences between tiles."""


class TileLayout(NamedTuple):
    """Tile size and overlap for the maps of a network."""

    tile: tuple[int, int]
    """(rows, columns) of a tile, cells."""
    overlap: int
    """Cells that neighbours share at least."""
    reach: int | None
    """How far one step of the network carries a change, cells; None if it sees the whole map, or its position in it."""
    on_disk: bool = False
    """Whether the state of the whole map lies on disk, in the folder for temporary files."""

    @property
    def margin(self) -> int:
        """Cells at an inner end with weight 0: the reach, where the overlap is wide enough."""
        if self.reach is None:
            return self.overlap // 4
        return max(0, min(self.reach, (self.overlap - BLENDED) // 2))

    def exact(self) -> bool:
        """Whether tiles give what the whole map gives."""
        return self.reach is not None and self.margin == self.reach


class TiledNetwork(Network):
    """Network whose step is computed in tiles; its state is that of the whole map.

    Args:
        network: its cells, head and weights are used.
        layout: how to tile.
        units: from a tile's prediction to raw units, for the report of the seams; (B, 1, C, H, W) to any shape. None for
            a network against a base, whose tiles give no frames yet: then there is no report.

    Note:
        A part of the state that is no map (of the FC-LSTM) is kept for each tile, along a last axis of its own.
    """

    def __init__(self, network: Network, layout: TileLayout, units: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__(cast("list[Cell]", list(network.cells)), network.head, network.regularizer)
        self.layout, self.units, self.base_head = layout, units, network.base_head

    def cover(self, height: int, width: int) -> tuple[CoveredTile, ...]:
        """Cover a map of height x width cells with tiles."""
        return cover_with_tiles((height, width), self.layout.tile, self.layout.overlap, self.layout.margin)

    def init_state(self, frame: Frame) -> NetworkState:
        """Make the state before the first frame: zeros for the whole map."""
        count = len(self.cover(*frame.shape[-2:]))

        def make_zeros(leaf: Tensor, is_map: bool) -> Any:
            zeros = self._allocate(frame, leaf.shape if is_map else (*leaf.shape, count), is_map=is_map)
            return zeros if isinstance(zeros, DiskMap) else zeros.zero_()

        shapes = super().init_state(torch.empty_like(frame, device="meta"))
        state: NetworkState = tree_map(make_zeros, shapes, self._find_maps())
        return state

    def _allocate(self, like: Tensor, shape: tuple[int, ...], *, is_map: bool) -> Any:
        """Make an uninitialised tensor for a part of the new state, or zeros on disk."""
        if is_map and self.layout.on_disk:
            return DiskMap(shape, like.dtype, like.device)
        last = like.ndim == len(shape) == 4 and like.is_contiguous(memory_format=torch.channels_last)
        form = torch.channels_last if last else torch.contiguous_format
        return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=form)

    def _find_maps(self) -> Any:
        """Tell for each part of the state whether it is a map: its size follows that of the frame."""
        small, large = (super(TiledNetwork, self).init_state(torch.empty(1, 1, n, n, device="meta")) for n in (3, 4))
        return tree_map(lambda a, b: a.shape[-2:] != b.shape[-2:], small, large)

    def forward(self, frame: Frame, state: NetworkState | None = None) -> tuple[Tensor, NetworkState, Aux]:
        """Advance by one frame, tile by tile.

        Args:
            frame: (B, C, H, W), network units.
            state: after the frame before; None before the first frame.

        Returns:
            the predicted next frame, the new state, and as aux "seam" the sum of the squared differences (raw units)
            between the predictions of neighbours where both count, and how many values were compared.
        """
        height, width = frame.shape[-2:]
        state = self.init_state(frame) if state is None else state
        maps, (leaves, structure) = tree_leaves(self._find_maps()), tree_flatten(state)
        new: list[Any] = []
        blended: Tensor | None = None
        squares, compared = frame.new_zeros(()), 0
        for index, (tile, shared, before) in enumerate(self.cover(height, width)):
            cut = [leaf[tile.whole] if is_map else leaf[..., index] for leaf, is_map in zip(leaves, maps, strict=True)]
            part, after, _ = super().forward(frame[tile.whole], tree_unflatten(cut, structure))
            if blended is None:
                blended = part.new_zeros(*part.shape[:2], height, width)
                parts = zip(tree_leaves(after), leaves, maps, strict=True)
                # Apart from the old state: every tile of this step begins from that.
                new = [self._allocate(leaf, whole.shape, is_map=is_map) for leaf, whole, is_map in parts]
            if len(shared) and self.units is not None:
                difference = self._difference(part, blended[tile.whole], shared, before, self.units)
                squares, compared = squares + difference.square().sum(), compared + difference.numel()
            blended[tile.whole] += tile.weights.to(part) * part
            for into, leaf, is_map in zip(new, tree_leaves(after), maps, strict=True):
                if is_map:
                    into[tile.owned] = leaf[tile.inner]
                else:
                    into[..., index] = leaf
        assert blended is not None
        report: Aux = {} if self.units is None else {SEAM: (squares, squares.new_full((), compared))}
        return blended, tree_unflatten(new, structure), report

    def _difference(
        self, part: Tensor, blended: Tensor, shared: Tensor, before: Tensor, units: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Subtract the prediction of earlier tiles from a tile's, at the `shared` cells of the tile, raw units."""
        shared = shared.to(part.device)
        predicted, earlier = (values.flatten(-2)[..., shared][:, None, :, None] for values in (part, blended))
        return units(predicted) - units(earlier / before.to(earlier))


class CoveredTile(NamedTuple):
    """Tile, and the cells that it shares with the tiles before it."""

    tile: Tile
    shared: Tensor
    """Numbers of the cells of the tile, row by row, where both it and tiles before it have a weight."""
    before: Tensor
    """Sum of the weights of the tiles before it, at the shared cells."""


@lru_cache(maxsize=4)
def cover_with_tiles(
    size: tuple[int, int], tile: tuple[int, int], overlap: int, margin: int
) -> tuple[CoveredTile, ...]:
    """Cover a map with tiles.

    Args:
        size: (rows, columns) of the map.
        tile: (rows, columns) of a tile.
        overlap: cells that neighbours share at least.
        margin: cells at a tile's inner end that are not used.
    """
    weight = torch.zeros(size, dtype=torch.float64)
    covered = []
    for part in tile_map(size, tile, overlap, margin):
        before = weight[part.whole].flatten()
        shared = ((before > 0) & (part.weights.flatten() > 0)).nonzero()[:, 0]
        covered.append(CoveredTile(part, shared, before[shared].clone()))
        weight[part.whole] += part.weights
    return tuple(covered)


@torch.inference_mode()
def measure_reach(network: Network, channels: int) -> int | None:
    """Measure how many cells one step carries a change, by setting one cell to NaN, which no kernel hides.

    Args:
        network: takes maps of any size.
        channels: of a (patchified) frame.

    Returns:
        cells; None if the step sees the whole map.
    """
    # A strip is enough, as kernels are square; in double precision no back end computes blocks of cells at a time.
    probe = copy.deepcopy(network).to("cpu", torch.float64)
    frame = torch.zeros(1, channels, 1, 2 * FURTHEST + 1, dtype=torch.float64)
    _, state, _ = Network.forward(probe, frame)

    def mark(leaf: Tensor) -> Tensor:
        leaf = leaf.clone()
        if leaf.shape[-2:] == frame.shape[-2:]:
            leaf[..., FURTHEST] = torch.nan
        return leaf

    out, after, _ = Network.forward(probe, mark(frame), tree_map(mark, state))
    maps = [leaf for leaf in (out, *tree_leaves(after)) if leaf.shape[-2:] == frame.shape[-2:]]
    cells = torch.cat(maps, 1).isnan().any(1).nonzero()[:, -1]
    reach = int((cells - FURTHEST).abs().max())
    return None if reach == FURTHEST else reach


def check_tile(tile: tuple[int, int], size: tuple[int, int]) -> None:
    """Check that a map is not smaller than the tile of a network that takes one size only.

    Args:
        tile: (rows, columns) of the tile, cells.
        size: (rows, columns) of the map, cells.

    Raises:
        InputError: the map is smaller.
    """
    if size[0] < tile[0] or size[1] < tile[1]:
        got, expected = (f"{rows}x{columns}" for rows, columns in (size, tile))
        raise InputError(
            "frames", got=f"a map of {got} cells", expected=f"{expected} or more: this network knows one size"
        )
