"""Georeference of a grid: reference system, CF grid mapping and axes, affine transform of GeoTIFF."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from framecast.errors import UsageError
from framecast.optional_imports import require
from framecast.types import Grid

SPACING_TOLERANCE = 0.01
"""Share of a step by which rows or columns may be off and still count as evenly spaced: coordinates are rounded."""
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
_GDAL_TRANSFORM = "GeoTransform"
"""Attribute that GDAL and rioxarray add to the CF grid mapping: corner and size of the source's pixels."""

pyproj = require("pyproj", "grids")


def read_crs(grid: Grid) -> Any:
    """Read the coordinate reference system of a grid, as a pyproj.CRS; None without any that PROJ understands.

    A CF grid mapping that names its projection takes precedence over a PROJ text in the same file, which many files have
    wrong. Its false origin is in the units of the coordinates.
    """
    try:
        if "grid_mapping_name" in grid.mapping and "crs_wkt" not in grid.mapping:
            return pyproj.CRS.from_cf(_scale_false_origin(grid.mapping, _METRES.get(grid.axis_units.lower(), 1.0)))
        return None if grid.crs is None else pyproj.CRS.from_user_input(grid.crs)
    except (pyproj.exceptions.CRSError, KeyError):
        return None


def in_units_of_crs(grid: Grid) -> Grid:
    """Convert coordinates to the unit of the CRS, in which GDAL takes them, whatever their attribute `units` says.

    Kilometres become metres, the scan angles of a geostationary satellite metres on PROJ's plane. Coordinates in units
    that are none of the CRS stay as they are.
    """
    crs = read_crs(grid)
    scale = _find_scale(grid, crs)
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


def make_grid_mapping(grid: Grid) -> dict[str, Any]:
    """Make the attributes of the CF grid mapping variable; those of the source are carried over, none where unknown."""
    crs = read_crs(grid)
    attributes = {} if crs is None else {key: _to_plain(value) for key, value in crs.to_cf().items()}
    if attributes.get("grid_mapping_name") == "polar_stereographic":  # pyproj leaves out which pole; CF requires it
        pole = np.copysign(90.0, attributes.get("standard_parallel", 90.0))
        attributes.setdefault("latitude_of_projection_origin", float(pole))
    if grid.mapping:
        # the source's transform is wrong for frames whose pixels were averaged; the coordinates say where these lie
        source = {key: value for key, value in grid.mapping.items() if key != _GDAL_TRANSFORM}
        return {"crs_wkt": attributes["crs_wkt"], **source} if "crs_wkt" in attributes else source
    if attributes.get("grid_mapping_name", "unknown") != "unknown":
        return attributes
    # a projection that CF has no name for: WKT, by CF's name of the attribute and by GDAL's
    return {} if crs is None else {"crs_wkt": crs.to_wkt(), "spatial_ref": crs.to_wkt("WKT1_GDAL")}


def describe_crs(crs: Any) -> str:
    """Describe a pyproj.CRS, or None, for the user."""
    if crs is None:
        return "no place, as the input has none"
    nameless = crs.name in ("unknown", "undefined", "unnamed")
    return crs.coordinate_operation.method_name if nameless and crs.coordinate_operation is not None else crs.name


def make_axis_attributes(grid: Grid, letter: str) -> dict[str, str]:
    """Make the CF attributes of the coordinate "y" or "x"."""
    crs = read_crs(grid)  # as some files name metres as the units of their degrees
    degrees = grid.axis_units.startswith("degree") or (crs is not None and crs.is_geographic)
    rotated = grid.mapping.get("grid_mapping_name") == "rotated_latitude_longitude"
    angle, compass = ("latitude", "degrees_north") if letter == "y" else ("longitude", "degrees_east")
    if degrees and not rotated:
        return {"standard_name": angle, "units": compass, "axis": letter.upper()}
    name = f"grid_{angle}" if rotated else f"projection_{letter}_coordinate"
    projected = {} if grid.crs is None and not grid.mapping else {"standard_name": name}
    return {**projected, "units": grid.axis_units, "axis": letter.upper()}


def make_transform(grid: Grid, crs: Any) -> Any:
    """Compute the affine transform from (column, row) to coordinates of the CRS, rows from north to south.

    Args:
        grid: grid of the forecast.
        crs: pyproj.CRS of the grid, or None.

    Returns:
        an affine.Affine; None for a grid without coordinates, or of a single row or column.

    Raises:
        UsageError: rows or columns are not evenly spaced, or their units are none of a projection.
    """
    affine = require("affine", "geo")
    if len(grid.y) < 2 or len(grid.x) < 2:
        return None
    if _find_scale(grid, crs) is None:
        got, fix = f"coordinates in {grid.axis_units}", "write .nc, which can hold any axis"
        raise UsageError("GeoTIFF", got=got, expected="m or km, as of a projection", fix=fix)
    grid = in_units_of_crs(grid)
    y, x = np.array(grid.y), np.array(grid.x)
    down, across = _measure_spacing(y, grid.y_name), _measure_spacing(x, grid.x_name)
    top = max(y[0], y[-1])
    # coordinates are centres of pixels, a transform starts from the corner of the first
    return affine.Affine(across, 0.0, x[0] - across / 2, 0.0, -abs(down), top + abs(down) / 2)


def _find_scale(grid: Grid, crs: Any) -> float | None:
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


def _to_plain(value: Any) -> Any:
    """Convert values of NumPy to Python's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _measure_spacing(axis: Any, name: str) -> float:
    """Measure the signed distance between coordinates; refuse an axis on which it varies."""
    step = float(axis[-1] - axis[0]) / (len(axis) - 1)
    deviation = max(abs(float(b - a) - step) for a, b in itertools.pairwise(axis))
    if deviation > SPACING_TOLERANCE * abs(step):
        got = f"steps that differ by {deviation:g}"
        raise UsageError(
            f"GeoTIFF: {name}", got=got, expected="evenly spaced", fix="write .nc, which can hold any axis"
        )
    return step
