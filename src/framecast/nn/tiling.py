"""Tiling of a map: the extent of each tile, the cells that it owns, and the weights that blend tiles.

Along each axis, tiles of one length are spread evenly, so that neighbours share at least `overlap` cells:

    tile      |----------------|                 cells near a tile's inner end saw a map that ends too early: their
    next                 |----------------|      weight is 0 over `margin` cells, and rises from there to 1.
    weights   1111111111110  .5  0111111111      The weights of all tiles sum to 1 in every cell.

Everything is in cells of the map, and a cell is a patch: no tile cuts one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from types import EllipsisType
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.errors import UsageError

MapIndex = tuple[EllipsisType, slice, slice]
"""Index of rows and columns, behind any other axes."""


class Span(NamedTuple):
    """Extent of a tile along one axis, cells."""

    start: int
    stop: int
    """The cell after the last one."""
    first: int
    """The first cell that it owns; each cell of the axis is owned by one tile."""
    last: int
    """The cell after the last one that it owns."""
    weights: Tensor
    """(stop - start,), float64, blending weight of each cell."""


def cover_axis(length: int, tile: int, overlap: int, margin: int) -> list[Span]:
    """Cover one axis with tiles of one length.

    Args:
        length: cells of the axis.
        tile: cells of a tile; one tile covers a shorter axis.
        overlap: cells that neighbours share at least.
        margin: cells at a tile's inner end that are not used; at most half the overlap.

    Raises:
        UsageError: an overlap that is no part of the tile, or a margin that leaves cells without a tile.
    """
    if length < 1 or tile < 1:
        raise UsageError("tile", got=f"{tile} cells of {length}", expected="at least one of each")
    if not 0 <= overlap < min(tile, length) and tile < length:
        raise UsageError("overlap", got=f"{overlap} cells", expected=f"0 to {tile - 1}, less than a tile")
    if not 0 <= 2 * margin <= overlap:
        raise UsageError("margin", got=f"{margin} cells", expected=f"0 to {overlap // 2}, half the overlap")
    tile = min(tile, length)
    count = 1 if tile == length else 1 + -(-(length - tile) // (tile - overlap))
    starts = [index * (length - tile) // max(count - 1, 1) for index in range(count)]
    # Ownership changes in the middle of an overlap, as far as possible from the inner ends of both tiles.
    cuts = [0, *((before + tile + after) // 2 for before, after in pairwise(starts)), length]
    weights = torch.zeros(count, length, dtype=torch.float64)
    for index, start in enumerate(starts):
        weights[index, start : start + tile] = _ramp(tile, overlap, margin, start > 0, start + tile < length)
    weights /= weights.sum(0)
    return [
        Span(start, start + tile, first, last, weights[index, start : start + tile])
        for index, (start, (first, last)) in enumerate(zip(starts, pairwise(cuts), strict=True))
    ]


def _ramp(tile: int, overlap: int, margin: int, left: bool, right: bool) -> Tensor:
    """Weights before they are divided by their sum: 0 over the margin of an inner end, then up to 1 along the overlap."""
    inner = torch.full((tile,), torch.inf, dtype=torch.float64)
    distance = torch.arange(tile, dtype=torch.float64)
    inner = torch.minimum(inner, distance) if left else inner
    inner = torch.minimum(inner, distance.flip(0)) if right else inner
    return ((inner - margin + 1) / (overlap - 2 * margin + 1)).clamp(0, 1)


class Tile(NamedTuple):
    """Rectangle of a map, as its extent along each axis."""

    y: Span
    x: Span

    @property
    def whole(self) -> MapIndex:
        """Index of the tile in the map."""
        return ..., slice(self.y.start, self.y.stop), slice(self.x.start, self.x.stop)

    @property
    def owned(self) -> MapIndex:
        """Index, in the map, of the cells that the tile owns."""
        return ..., slice(self.y.first, self.y.last), slice(self.x.first, self.x.last)

    @property
    def inner(self) -> MapIndex:
        """Index, in the tile, of the cells that it owns."""
        y, x = self.y, self.x
        return ..., slice(y.first - y.start, y.last - y.start), slice(x.first - x.start, x.last - x.start)

    @property
    def weights(self) -> Tensor:
        """Blending weights (rows, columns), float64; the sum over tiles is 1."""
        return self.y.weights[:, None] * self.x.weights


def tile_map(size: tuple[int, int], tile: tuple[int, int], overlap: int, margin: int) -> Iterator[Tile]:
    """Cover a map with tiles, row by row.

    Args:
        size: (rows, columns) of the map.
        tile: (rows, columns) of a tile; an axis that is shorter is covered by one.
        overlap: cells that neighbours share at least.
        margin: cells at a tile's inner end that are not used; at most half the overlap.

    Raises:
        UsageError: an overlap that is no part of the tile, or a margin that leaves cells without a tile.
    """
    y, x = (cover_axis(length, edge, overlap, margin) for length, edge in zip(size, tile, strict=True))
    return (Tile(rows, columns) for rows, columns in product(y, x))
