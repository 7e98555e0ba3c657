"""Projection: positions in a grid of the pixels of pictures in web mercator (EPSG:3857), kept from picture to picture."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.maps.place import GridPlace, find_cover, find_place
from framecast.types import Grid

RADIUS = 6378137.0
"""Radius of the sphere of web mercator, metres."""
WORLD = math.pi * RADIUS
"""Half of the side of the world's square, metres."""
NORTHMOST = 85.0511287798066
"""Latitude at which that square ends, degrees."""
KEPT = 48
"""Pictures whose positions are kept."""
LONGEST = 1400
"""Pixels of the longer side of the picture of a whole grid, at most."""


class MapExtent(NamedTuple):
    """Rectangle in web mercator, metres, and the pixels of its picture."""

    west: float
    south: float
    east: float
    north: float
    width: int
    height: int

    @property
    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """South-west and north-east corner, latitude and longitude, degrees."""
        south, north = (to_latitude(value) for value in (self.south, self.north))
        west, east = (math.degrees(value / RADIUS) for value in (self.west, self.east))
        return (south, west), (north, east)


def to_mercator(latitude: float) -> float:
    """Convert a latitude, degrees, to metres of web mercator, cut to its square."""
    bounded = min(max(latitude, -NORTHMOST), NORTHMOST)
    return RADIUS * math.log(math.tan(math.pi / 4 + math.radians(bounded) / 2))


def to_latitude(metres: float) -> float:
    """Convert metres of web mercator to a latitude, degrees."""
    return math.degrees(2 * math.atan(math.exp(metres / RADIUS)) - math.pi / 2)


def tile_extent(zoom: int, x: int, y: int, size: int) -> MapExtent:
    """Find the extent of an XYZ tile, whose row 0 is the northernmost."""
    side = 2 * WORLD / 2**zoom
    west, north = x * side - WORLD, WORLD - y * side
    return MapExtent(west, north - side, west + side, north, size, size)


def centred_extent(zoom: int, latitude: float, longitude: float, size: int) -> MapExtent:
    """Find the extent of a picture of the size of a tile round a place."""
    half = WORLD / 2**zoom
    x, y = math.radians(longitude) * RADIUS, to_mercator(latitude)
    return MapExtent(x - half, y - half, x + half, y + half, size, size)


class MapProjection:
    """Where the pixels of pictures lie in a grid.

    Args:
        grid: of the frames; one without a place is shown as it is, row by row.
        height: rows.
        width: columns.
    """

    def __init__(self, grid: Grid, height: int, width: int) -> None:
        self.shape, self._is_flipped = (height, width), grid.is_south_up
        self._place: GridPlace | None = find_place(grid)
        self._kept: OrderedDict[MapExtent, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()
        cover = None if self._place is None else find_cover(self._place)
        self.whole: MapExtent | None = None
        if cover is not None:
            west, east = (math.radians(degrees) * RADIUS for degrees in (cover.west, cover.east))
            south, north = to_mercator(cover.south), to_mercator(cover.north)
            scale = min(LONGEST, 1.3 * max(height, width)) / max(east - west, north - south)
            sides = (max(1, round(scale * side)) for side in (east - west, north - south))
            self.whole = MapExtent(west, south, east, north, *sides)

    def find_positions(self, extent: MapExtent | None) -> NDArray[np.float32] | None:
        """Find column and row of each pixel of a picture, (2, rows, columns), rows of the data as they are stored.

        Args:
            extent: of the picture; None for the grid as it is, whose positions need no search and are None.
        """
        if extent is None or self._place is None:
            return None
        with self._lock:
            found = self._kept.get(extent)
        if found is None:
            found = self._locate(extent, self._place)
            with self._lock:
                self._kept[extent] = found
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return found

    def _locate(self, extent: MapExtent, place: GridPlace) -> NDArray[np.float32]:
        across = (np.arange(extent.width) + 0.5) / extent.width
        down = (np.arange(extent.height) + 0.5) / extent.height
        longitude = np.degrees((extent.west + across * (extent.east - extent.west)) / RADIUS)
        metres = extent.north - down * (extent.north - extent.south)
        latitude = np.degrees(2 * np.arctan(np.exp(metres / RADIUS)) - np.pi / 2)
        degrees = np.stack(np.meshgrid(longitude, latitude), axis=-1).reshape(-1, 2)
        positions = place.locate(degrees).T.reshape(2, extent.height, extent.width)
        return self._as_stored(positions).astype(np.float32)

    def find_pixel(self, latitude: float, longitude: float) -> tuple[int, int] | None:
        """Find row and column of a place, as they are stored; None outside the grid."""
        if self._place is None:
            return None
        column, row = self._as_stored(self._place.locate(np.array([[longitude, latitude]])).T)[:, 0]
        height, width = self.shape
        if not (-0.5 <= column < width - 0.5 and -0.5 <= row < height - 0.5):
            return None
        return min(round(float(row)), height - 1), min(round(float(column)), width - 1)

    def _as_stored(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._is_flipped:
            return positions
        return np.stack([positions[0], self.shape[0] - 1 - positions[1]])


def sample(
    frame: NDArray[np.floating], positions: NDArray[np.float32] | None, *, smooth: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Take the values of a frame (H, W) at positions (2, rows, columns): of the nearest pixel, or between the nearest.

    Returns:
        values, NaN where missing, and whether each lies inside the grid.
    """
    if positions is None:
        return np.asarray(frame, np.float32), np.ones(frame.shape, bool)
    (column, row), (height, width) = positions, frame.shape
    inside = (column >= -0.5) & (column < width - 0.5) & (row >= -0.5) & (row < height - 0.5)
    column, row = np.where(inside, column, 0).clip(0, width - 1), np.where(inside, row, 0).clip(0, height - 1)
    nearest = frame[np.rint(row).astype(np.int32), np.rint(column).astype(np.int32)]
    if not smooth:
        return np.asarray(nearest, np.float32), inside
    top, left = np.floor(row).astype(np.int32), np.floor(column).astype(np.int32)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = row - top, column - left
    total, weights = np.zeros(row.shape), np.zeros(row.shape)
    for at, weight in (
        ((top, left), (1 - down) * (1 - across)),
        ((top, right), (1 - down) * across),
        ((bottom, left), down * (1 - across)),
        ((bottom, right), down * across),
    ):
        known = np.isfinite(frame[at])  # what is missing has no say, and stays missing where it is the nearest
        total += np.where(known, weight * np.nan_to_num(frame[at]), 0)
        weights += weight * known
    mixed = np.where(np.isfinite(nearest), total / np.maximum(weights, 1e-9), nearest)
    return np.asarray(mixed, np.float32), inside
