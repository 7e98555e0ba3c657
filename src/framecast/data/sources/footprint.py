"""Footprints of grids: which rectangle of the world the pixels of a file cover, and whether two files show one place."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from framecast.types import Grid

LEAST = 0.5
"""Pixels, of the finer grid, by which two rectangles must overlap in both directions: neighbours touch."""
ALIKE = 0.05
"""Share of a pixel by which the corners of one grid may differ from file to file."""
_METRES = {"km": 1000.0, "kilometre": 1000.0, "kilometres": 1000.0, "kilometer": 1000.0, "kilometers": 1000.0}


class Footprint(NamedTuple):
    """Rectangle that the pixels of a grid cover, and the number of pixels."""

    south: float
    north: float
    west: float
    east: float
    rows: int
    columns: int
    units: str
    """degrees, m, or what the file says."""
    crs: str
    """WKT, PROJ text or CF grid mapping as JSON; empty where the file states none."""


def find_footprint(grid: Grid) -> Footprint | None:
    """Find the rectangle that a grid covers, whatever the direction of its axes; None where it has no coordinates."""
    if not grid.y or not grid.x:
        return None
    spans = [(min(axis), max(axis), abs(axis[-1] - axis[0]) / max(1, len(axis) - 1)) for axis in (grid.y, grid.x)]
    widest = max(step for _, _, step in spans)  # for an axis of one pixel
    units = grid.axis_units.lower()
    units, scale = ("m", _METRES[units]) if units in _METRES else (units, 1.0)
    if units == "1" and grid.x_name.lower().startswith("lon") and grid.y_name.lower().startswith("lat"):
        units = "degrees"  # of files that leave the units of their axes out
    south, north, west, east = (
        end * scale for low, high, step in spans for end in (low - (step or widest) / 2, high + (step or widest) / 2)
    )
    text = json.dumps(grid.mapping, sort_keys=True, default=str) if _is_named(grid) else grid.crs or ""
    return Footprint(south, north, west, east, len(grid.y), len(grid.x), units, text)


def are_one_place(one: Footprint, other: Footprint) -> bool | None:
    """Whether two rectangles overlap by more than half a pixel in both directions; None where nobody knows.

    Rectangles of different projections are compared in degrees, by pyproj where it is there; longitudes from 0 to 360
    and from -180 to 180 are the same.
    """
    if (one.units, one.crs) != (other.units, other.crs):
        degrees = _to_degrees(one), _to_degrees(other)
        if degrees[0] is None or degrees[1] is None:
            return None
        one, other = degrees  # type: ignore[assignment]
    pairs = []
    for first, second in ((one, other), (other, one)):
        pixels = (first.north - first.south) / first.rows, (first.east - first.west) / first.columns
        pairs.append((first, second, pixels))
    least = [LEAST * min(pairs[0][2][axis], pairs[1][2][axis]) for axis in (0, 1)]
    shifts = (-360.0, 0.0, 360.0) if one.units.startswith("degree") and not _is_rotated(one) else (0.0,)
    rows = min(one.north, other.north) - max(one.south, other.south)
    columns = max(min(one.east, other.east + shift) - max(one.west, other.west + shift) for shift in shifts)
    return rows > least[0] and columns > least[1]


def describe_corners(grid: Grid) -> tuple[object, ...]:
    """Describe the ends of both axes, and the CRS."""
    ends = [tuple(float(f"{value:.10g}") for value in (axis[0], axis[-1])) if axis else () for axis in (grid.y, grid.x)]
    return (*ends, grid.crs)


def are_one_grid(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same corners, but for the last bits of their coordinates, and the same CRS."""
    if one.crs != other.crs or (len(one.y), len(one.x)) != (len(other.y), len(other.x)):
        return False
    for axis, twin in ((one.y, other.y), (one.x, other.x)):
        step = abs(axis[-1] - axis[0]) / (len(axis) - 1) if len(axis) > 1 else abs(axis[0]) * 1e-5 if axis else 0.0
        if axis and max(abs(axis[0] - twin[0]), abs(axis[-1] - twin[-1])) > ALIKE * step:
            return False
    return True


def _is_named(grid: Grid) -> bool:
    return grid.crs is None and "grid_mapping_name" in grid.mapping


def _is_rotated(area: Footprint) -> bool:
    """Whether degrees are not those of the Earth's own poles."""
    return area.crs.startswith("{")


@lru_cache(maxsize=4096)
def _to_degrees(area: Footprint) -> Footprint | None:
    """Convert a rectangle to longitudes and latitudes around it; None where its CRS is not known, or without pyproj."""
    if area.units.startswith("degree") and (not area.crs or area.crs == "EPSG:4326"):
        return area._replace(units="degrees", crs="")
    crs = _read_crs(area.crs)
    if crs is None or not (crs.is_geographic or area.units == "m"):
        return None
    import pyproj

    try:
        change = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        west, south, east, north = change.transform_bounds(area.west, area.south, area.east, area.north)
    except pyproj.exceptions.ProjError:
        return None
    if not np.isfinite([west, south, east, north]).all():
        return None
    return area._replace(south=south, north=north, west=west, east=east + 360 * (east < west), units="degrees", crs="")


def _read_crs(text: str) -> Any:
    """Read a CRS by pyproj; None where it is not understood, or pyproj is not installed."""
    try:
        import pyproj
    except ImportError:
        return None
    try:
        return pyproj.CRS.from_cf(json.loads(text)) if text.startswith("{") else pyproj.CRS.from_user_input(text)
    except (pyproj.exceptions.CRSError, KeyError, ValueError):
        return None
