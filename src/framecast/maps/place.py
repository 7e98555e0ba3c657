"""Place: change between longitudes and latitudes and the pixels of a grid, north up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyproj
from numpy.typing import NDArray

from framecast.maps.reference_systems import find_scale, in_units_of_crs, read_crs
from framecast.types import Grid

Line = NDArray[np.float64]
"""Points (P, 2) of a line: column and row in pixels; 0 is the centre of the first, rows from the north."""
PROBES = 33
"""Rows and columns whose longitudes and latitudes say what a grid covers."""
_BEYOND = 1e4
"""Pixels by which axes are continued beyond their ends."""


class Cover(NamedTuple):
    """Longitudes and latitudes that a grid covers."""

    west: float
    east: float
    south: float
    north: float

    @property
    def span(self) -> float:
        """The longer side, degrees of latitude, about."""
        narrow = math.cos(math.radians(min(abs(self.south), abs(self.north))))
        return max(self.north - self.south, (self.east - self.west) * narrow)


class GridPlace(NamedTuple):
    """Change between degrees and the pixels of a grid."""

    project: Callable[[Any, Any], tuple[Any, Any]]
    """Longitudes and latitudes to coordinates."""
    unproject: Callable[[Any, Any], tuple[Any, Any]]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    """Coordinates of columns and of rows, these from the north."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.y), len(self.x)

    def locate(self, degrees: Line) -> Line:
        """Convert longitudes and latitudes (P, 2) to columns and rows; what a projection cannot show is infinite."""
        x, y = self.project(*degrees.T)
        return np.stack([_interpolate(x, self.x), _interpolate(y, self.y)], axis=1)


def find_place(grid: Grid) -> GridPlace | None:
    """Find where a grid lies; None where that is not known.

    Args:
        grid: with coordinates that are longitudes and latitudes, or those of a CRS.

    Example:
        >>> import numpy as np
        >>> from framecast.maps.place import find_place
        >>> from framecast.types import Grid
        >>> place = find_place(Grid(y=(60.0, 59.0, 58.0), x=(10.0, 11.0), axis_units="degrees"))
        >>> place.locate(np.array([[10.5, 58.0]])).tolist()
        [[0.5, 2.0]]
    """
    if len(grid.y) < 2 or len(grid.x) < 2:
        return None
    crs = read_crs(grid)
    if crs is None and (not grid.axis_units.startswith("degree") or "grid_mapping_name" in grid.mapping):
        return None
    if find_scale(grid, crs) is None:
        return None
    grid = in_units_of_crs(grid)
    x, y = np.array(grid.x, np.float64), np.array(grid.y, np.float64)
    y = y[::-1] if grid.is_south_up else y
    if crs is None or (crs.is_geographic and not crs.is_derived):
        return GridPlace(_keep_degrees, _keep_degrees, x, y)
    try:
        forward = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform
        back = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform
    except pyproj.exceptions.ProjError:  # another planet, or a map in kilometres that names them metres
        return None
    return GridPlace(_wrap(forward, (x[0] + x[-1]) / 2) if crs.is_geographic else forward, back, x, y)


def find_cover(place: GridPlace) -> Cover | None:
    """Find the longitudes and latitudes that a grid covers, edges of its pixels too; None where it shows no place."""
    height, width = place.shape
    rows, columns = (np.linspace(-0.5, size - 0.5, PROBES) for size in (height, width))
    x, y = np.meshgrid(_continue(columns, place.x), _continue(rows, place.y))
    longitude, latitude = (np.asarray(part, np.float64) for part in place.unproject(x, y))
    known = np.isfinite(longitude) & np.isfinite(latitude)
    if not known.any():
        return None
    longitude, latitude = longitude[known], latitude[known]
    if place.project is not _keep_degrees:  # round the middle, whose longitudes may be those of the date line
        middle = float(np.degrees(np.angle(np.exp(1j * np.radians(longitude)).sum())))
        longitude = middle + (longitude - middle + 180) % 360 - 180
    return Cover(*(float(value) for value in (longitude.min(), longitude.max(), latitude.min(), latitude.max())))


def _keep_degrees(x: Any, y: Any) -> tuple[Any, Any]:
    return x, y


def _wrap(forward: Callable[[Any, Any], tuple[Any, Any]], middle: float) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Bring the longitudes of a rotated pole to within 180 degrees of the middle of a grid."""

    def project(longitude: Any, latitude: Any) -> tuple[Any, Any]:
        x, y = forward(longitude, latitude)
        return x + 360 * np.round((middle - np.asarray(x)) / 360), y

    return project


def _interpolate(values: Any, axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the positions of values on an axis, which is continued beyond its ends."""
    first, last = axis[0] - _BEYOND * (axis[1] - axis[0]), axis[-1] + _BEYOND * (axis[-1] - axis[-2])
    points = np.concatenate([[first], axis, [last]])
    positions = np.concatenate([[-_BEYOND], np.arange(len(axis)), [len(axis) - 1 + _BEYOND]])
    order = slice(None) if first < last else slice(None, None, -1)
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), np.interp(values, points[order], positions[order]), np.inf)


def _continue(positions: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the coordinates at positions on an axis, half a pixel beyond its ends too."""
    ends = np.array([1.5 * axis[0] - 0.5 * axis[1], 1.5 * axis[-1] - 0.5 * axis[-2]])
    points = np.concatenate([[-0.5], np.arange(len(axis)), [len(axis) - 0.5]])
    return np.interp(positions, points, np.concatenate([ends[:1], axis, ends[1:]]))
