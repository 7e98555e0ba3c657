"""Reference system of a grid: a pyproj.CRS of its file's grid mapping or text, and coordinates in the units of that."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj

from framecast.types import Grid

_METRES = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
    **dict.fromkeys(("ft", "foot", "feet", "international_foot"), 0.3048),
    **dict.fromkeys(("us_survey_foot", "us_survey_feet", "us survey foot", "us-ft", "ftus"), 1200 / 3937),
}
"""Metres of a unit of length, by its names in lower case."""
_RADIANS = {
    **dict.fromkeys(("rad", "radian", "radians"), 1.0),
    **dict.fromkeys(("microradian", "microradians", "urad", "µrad"), 1e-6),
}
"""Radians of a unit of angle, by its names in lower case."""
_UDUNITS = {"metre": "m", "kilometre": "km", "US survey foot": "US_survey_foot"}
"""Units of length by their names in WKT, as CF spells them."""
_FALSE_ORIGIN = ("false_easting", "false_northing")
"""Attributes of a CF grid mapping that are in the units of the coordinates."""


def read_crs(grid: Grid) -> Any:
    """Read the coordinate reference system of a grid, as a pyproj.CRS; None without any that PROJ understands.

    A CF grid mapping that names its projection takes precedence over a PROJ text in the same file, which many files have
    wrong. Its false origin is in the units of the coordinates.
    """
    mapping = json.dumps(grid.mapping, default=to_plain)
    return _read_crs(mapping, grid.crs, _METRES.get(grid.axis_units.lower(), 1.0))


@lru_cache(maxsize=8)
def _read_crs(mapping: str, crs: str | None, metres: float) -> Any:
    """Read a CF grid mapping, as JSON, or a text; kept, as PROJ searches for the datum of a mapping for 0.3 s."""
    attributes = json.loads(mapping)
    try:
        if "grid_mapping_name" in attributes and "crs_wkt" not in attributes:
            return pyproj.CRS.from_cf(_scale_false_origin(attributes, metres))
        return None if crs is None else pyproj.CRS.from_user_input(crs)
    except (pyproj.exceptions.CRSError, KeyError):
        return None


def in_units_of_crs(grid: Grid) -> Grid:
    """Convert coordinates to the unit of the CRS, in which GDAL takes them, whatever their attribute `units` says.

    Kilometres become metres, the scan angles of a geostationary satellite metres on PROJ's plane. Coordinates in units
    that are none of the CRS stay as they are.
    """
    crs = read_crs(grid)
    scale = find_scale(grid, crs)
    if scale is None or crs is None:
        return grid
    units = grid.axis_units
    if crs.is_projected:
        name = crs.axis_info[0].unit_name
        units = _UDUNITS.get(name, name)
    elif scale != 1:
        units = "degrees"
    origin = _METRES.get(grid.axis_units.lower(), 1.0) if "crs_wkt" not in grid.mapping else 1.0
    y, x = (tuple((np.array(axis) * scale).tolist()) if scale != 1 else axis for axis in (grid.y, grid.x))
    update = {"y": y, "x": x, "axis_units": units, "mapping": _scale_false_origin(grid.mapping, origin)}
    return grid.model_copy(update=update)


def _scale_false_origin(mapping: dict[str, Any], factor: float) -> dict[str, Any]:
    return {key: value * factor if key in _FALSE_ORIGIN else value for key, value in mapping.items()}


def find_scale(grid: Grid, crs: Any) -> float | None:
    """Find the factor from units of the coordinates to those of the CRS; None where they are none of it."""
    units = grid.axis_units.lower()
    if crs is None or units == "1":
        return 1.0
    if not crs.is_projected:
        return math.degrees(_RADIANS[units]) if units in _RADIANS else 1.0
    metres = _METRES.get(units)
    if metres is None and units in _RADIANS:
        # scan angles: PROJ's plane is that of the angles times the height above the ellipsoid
        heights = [p.value for p in crs.coordinate_operation.params if "atellite" in p.name and "eight" in p.name]
        metres = _RADIANS[units] * float(heights[0]) if heights else None
    return None if metres is None else metres / float(crs.axis_info[0].unit_conversion_factor)


def to_plain(value: Any) -> Any:
    """Convert values of NumPy to Python's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
