"""A network whose step is computed tile by tile, so that the memory of a step is that of one tile.

The tiles of a step all begin from the state of the whole map, and each gives back the cells that it owns; predictions are
blended. An inner end of a tile is felt within the network's reach (how far one step carries a change, by its kernels), so
that tiles which overlap by twice the reach give what the whole map gives, to rounding, at any lead time: the exchange of
halos, as numerical weather models do it. Had each tile a state of its own, its ends would be felt one reach further with
every frame.

A network without such a reach (layer norms and matrices see all of the map) sees the tile instead of the map.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from framecast.cell import Cell
from framecast.errors import InputError
from framecast.network import Aux, Network, NetworkState
from framecast.tiling import Tile, tiles
from framecast.types import Frame

FURTHEST = 128
"""Cells; a step that carries further is taken as one that sees everything."""
BLENDED = 2
"""Cells over which neighbours are blended, at least."""
SEAM = "seam"
"""What a step reports: see `TiledNetwork.forward`."""


class Layout(NamedTuple):
    """How to tile the maps of a network."""

    tile: tuple[int, int]
    """(rows, columns) of a tile, cells."""
    overlap: int
    """Cells that neighbours share at least."""
    reach: int | None
    """Of the network, cells; None if it sees the whole map."""

    @property
    def margin(self) -> int:
        """Cells at an inner end that do not count: the reach, where the overlap has so many."""
        if self.reach is None:
            return self.overlap // 4
        return max(0, min(self.reach, (self.overlap - BLENDED) // 2))

    def exact(self) -> bool:
        """Whether tiles give what the whole map gives."""
        return self.reach is not None and self.margin == self.reach


class TiledNetwork(Network):
    """The same network, its step computed in tiles; its state is that of the whole map.

    Args:
        network: whose cells, head and weights are used.
        layout: how to tile.
        units: a tile's prediction as raw values, for the report of the seams; (B, 1, C, H, W) to any shape.

    Note:
        A part of the state that is no map (of the FC-LSTM) is kept for each tile, along a last axis of its own.
    """

    def __init__(self, network: Network, layout: Layout, units: Callable[[Tensor], Tensor]) -> None:
        super().__init__(cast("list[Cell]", list(network.cells)), network.head, network.regularizer)
        self.layout, self.units = layout, units

    def covering(self, height: int, width: int) -> tuple[Covered, ...]:
        """The tiles of a map."""
        return covering((height, width), self.layout.tile, self.layout.overlap, self.layout.margin)

    def init_state(self, frame: Frame) -> NetworkState:
        """Zeros, as `Network` has them, for the whole map."""
        number = len(self.covering(*frame.shape[-2:]))
        state: NetworkState = tree_map(
            lambda leaf, is_map: leaf if is_map else leaf[..., None].repeat(*[1] * leaf.ndim, number),
            super().init_state(frame),
            self._maps(),
        )
        return state

    def _maps(self) -> Any:
        """Which parts of the state are maps: those whose size follows the frame's."""
        small, large = (super(TiledNetwork, self).init_state(torch.empty(1, 1, n, n, device="meta")) for n in (3, 4))
        return tree_map(lambda a, b: a.shape[-2:] != b.shape[-2:], small, large)

    def forward(self, frame: Frame, state: NetworkState | None = None) -> tuple[Tensor, NetworkState, Aux]:
        """One step in time, see `Network.forward`.

        Returns:
            the predicted next frame, the new state, and as aux "seam" the sum of the squared differences (raw units)
            between the predictions of neighbours where both count, and how many values were compared.
        """
        height, width = frame.shape[-2:]
        state = self.init_state(frame) if state is None else state
        maps, (leaves, structure) = tree_leaves(self._maps()), tree_flatten(state)
        new: list[Tensor] = []
        blended: Tensor | None = None
        squares, compared = frame.new_zeros(()), 0
        for number, (tile, shared, before) in enumerate(self.covering(height, width)):
            cut = [leaf[tile.whole] if is_map else leaf[..., number] for leaf, is_map in zip(leaves, maps, strict=True)]
            part, after, _ = super().forward(frame[tile.whole], tree_unflatten(cut, structure))
            if blended is None:
                blended = part.new_zeros(*part.shape[:2], height, width)
                new = [_room(leaf, leaves[n].shape) for n, leaf in enumerate(tree_leaves(after))]
            if len(shared):
                difference = self._difference(part, blended[tile.whole], shared, before)
                squares, compared = squares + difference.square().sum(), compared + difference.numel()
            blended[tile.whole] += tile.weights.to(part) * part
            for into, leaf, is_map in zip(new, tree_leaves(after), maps, strict=True):
                if is_map:
                    into[tile.owned] = leaf[tile.inner]
                else:
                    into[..., number] = leaf
        assert blended is not None
        report: Aux = {SEAM: (squares, squares.new_full((), compared))}
        return blended, tree_unflatten(new, structure), report

    def _difference(self, part: Tensor, blended: Tensor, shared: Tensor, before: Tensor) -> Tensor:
        """Raw units; between a tile's prediction and that of the tiles before it, at `shared` cells of the tile."""
        shared = shared.to(part.device)
        ours, theirs = (values.flatten(-2)[..., shared][:, None, :, None] for values in (part, blended))
        return self.units(ours) - self.units(theirs / before.to(theirs))


class Covered(NamedTuple):
    """A tile, and what the tiles before it left to it."""

    tile: Tile
    shared: Tensor
    """Cells of the tile, row by row, where both it and tiles before it count."""
    before: Tensor
    """The weight that those before have there."""


@lru_cache(maxsize=4)
def covering(size: tuple[int, int], tile: tuple[int, int], overlap: int, margin: int) -> tuple[Covered, ...]:
    """The tiles of a map; arguments in cells, see `tiling.spans`."""
    weight = torch.zeros(size, dtype=torch.float64)
    found = []
    for one in tiles(size, tile, overlap, margin):
        before = weight[one.whole].flatten()
        shared = ((before > 0) & (one.weights.flatten() > 0)).nonzero()[:, 0]
        found.append(Covered(one, shared, before[shared].clone()))
        weight[one.whole] += one.weights
    return tuple(found)


def _room(leaf: Tensor, shape: torch.Size) -> Tensor:
    """An empty tensor like a leaf, of another size."""
    last = leaf.ndim == 4 and leaf.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        shape,
        dtype=leaf.dtype,
        device=leaf.device,
        memory_format=torch.channels_last if last and len(shape) == 4 else torch.contiguous_format,
    )


@torch.inference_mode()
def reach(network: Network, channels: int, size: tuple[int, int] | None = None) -> int | None:
    """How many cells one step carries a change: found by setting one cell to NaN, which no kernel hides.

    Args:
        network: any.
        channels: of a (patchified) frame.
        size: (rows, columns) of its map, where only one fits.

    Returns:
        cells; None if the step sees the whole map, or further than can be seen on its map.
    """
    # In double precision, where no back end computes blocks of cells at a time.
    probe = copy.deepcopy(network).to("cpu", torch.float64)
    rows, columns = size or (1, 2 * FURTHEST + 1)
    frame = torch.zeros(1, channels, rows, columns, dtype=torch.float64)
    _, state, _ = Network.forward(probe, frame)
    place = (..., rows // 2, columns // 2)

    def marked(leaf: Tensor) -> Tensor:
        leaf = leaf.clone()
        if leaf.shape[-2:] == (rows, columns):
            leaf[place] = torch.nan
        return leaf

    out, after, _ = Network.forward(probe, marked(frame), tree_map(marked, state))
    seen = torch.stack(
        [leaf.isnan().any(1)[0] for leaf in (out, *tree_leaves(after)) if leaf.shape[-2:] == out.shape[-2:]]
    )
    cells = seen.any(0).nonzero()
    edges = [(length, cells[:, axis]) for axis, length in enumerate((rows, columns)) if length > 1]
    if any(0 in found or length - 1 in found for length, found in edges):
        return None
    return max((int((found - length // 2).abs().max()) for length, found in edges), default=0)


def check_tile(tile: tuple[int, int], size: tuple[int, int]) -> None:
    """Whether a map holds a tile of a network that knows one size only.

    Raises:
        InputError: it is smaller.
    """
    if size[0] < tile[0] or size[1] < tile[1]:
        got, expected = ("x".join(map(str, pair)) for pair in (size, tile))
        raise InputError(
            "frames", got=f"a map of {got} cells", expected=f"{expected} or more: this network knows one size"
        )
