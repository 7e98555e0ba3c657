"""Tiles that cover a map: where they lie, which cells each of them owns, and the weights that blend them.

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

Place = tuple[EllipsisType, slice, slice]
"""An index of rows and columns, whatever axes come before."""


class Span(NamedTuple):
    """A tile's part of one axis."""

    start: int
    stop: int
    """Beyond the last cell."""
    first: int
    """The first cell that it owns; each cell of the axis is owned by one tile."""
    last: int
    """Beyond the last one that it owns."""
    weights: Tensor
    """(stop - start,), float64."""


def cover_axis(length: int, tile: int, overlap: int, margin: int) -> list[Span]:
    """Cover one axis.

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
    starts = [place * (length - tile) // max(count - 1, 1) for place in range(count)]
    cuts = [0, *((before + tile + after) // 2 for before, after in pairwise(starts)), length]
    weights = torch.zeros(count, length, dtype=torch.float64)
    for number, start in enumerate(starts):
        weights[number, start : start + tile] = _rise(tile, overlap, margin, start > 0, start + tile < length)
    weights /= weights.sum(0)
    return [
        Span(start, start + tile, first, last, weights[number, start : start + tile])
        for number, (start, (first, last)) in enumerate(zip(starts, pairwise(cuts), strict=True))
    ]


def _rise(tile: int, overlap: int, margin: int, left: bool, right: bool) -> Tensor:
    """0 over the margin of an inner end, then up to 1 along the rest of the overlap."""
    inner = torch.full((tile,), torch.inf, dtype=torch.float64)
    distance = torch.arange(tile, dtype=torch.float64)
    inner = torch.minimum(inner, distance) if left else inner
    inner = torch.minimum(inner, distance.flip(0)) if right else inner
    return ((inner - margin + 1) / (overlap - 2 * margin + 1)).clamp(0, 1)


class Tile(NamedTuple):
    """One tile."""

    y: Span
    x: Span

    @property
    def whole(self) -> Place:
        """Its place in the map."""
        return ..., slice(self.y.start, self.y.stop), slice(self.x.start, self.x.stop)

    @property
    def owned(self) -> Place:
        """The part of the map that it owns."""
        return ..., slice(self.y.first, self.y.last), slice(self.x.first, self.x.last)

    @property
    def inner(self) -> Place:
        """The part of the tile that it owns."""
        y, x = self.y, self.x
        return ..., slice(y.first - y.start, y.last - y.start), slice(x.first - x.start, x.last - x.start)

    @property
    def weights(self) -> Tensor:
        """(rows, columns); the sum over tiles is 1."""
        return self.y.weights[:, None] * self.x.weights


def tile_map(size: tuple[int, int], tile: tuple[int, int], overlap: int, margin: int) -> Iterator[Tile]:
    """Cover a map, row by row.

    Args:
        size: (rows, columns) of the map.
        tile: (rows, columns) of a tile; an axis that is shorter is covered by one.
        overlap: see `spans`.
        margin: see `spans`.

    Raises:
        UsageError: as `spans`.
    """
    y, x = (cover_axis(length, part, overlap, margin) for length, part in zip(size, tile, strict=True))
    return (Tile(rows, columns) for rows, columns in product(y, x))
