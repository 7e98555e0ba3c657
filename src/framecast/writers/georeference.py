"""Georeference of a grid: reference system, CF grid mapping and axes, affine transform of GeoTIFF."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from framecast.errors import UsageError
from framecast.optional_imports import require
from framecast.types import Grid

SPACING_TOLERANCE = 0.01
"""Share of a step by which rows or columns may be off and still count as evenly spaced: coordinates are rounded."""
_METRES = dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0) | dict.fromkeys(
    ("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0
)
_GDAL_TRANSFORM = "GeoTransform"
"""Attribute that GDAL and rioxarray add to the CF grid mapping: corner and size of the source's pixels."""

pyproj = require("pyproj", "grids")


def read_crs(grid: Grid) -> Any:
    """Read the coordinate reference system of a grid, as a pyproj.CRS; None without any that PROJ understands.

    A CF grid mapping that names its projection takes precedence over a PROJ text in the same file, which many files have
    wrong.
    """
    try:
        if "grid_mapping_name" in grid.mapping and "crs_wkt" not in grid.mapping:
            return pyproj.CRS.from_cf(grid.mapping)
        return None if grid.crs is None else pyproj.CRS.from_user_input(grid.crs)
    except (pyproj.exceptions.CRSError, KeyError):
        return None


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
    return attributes if attributes.get("grid_mapping_name", "unknown") != "unknown" else {}


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
    scale = _find_scale(grid.axis_units.lower(), crs)
    y, x = (np.array(axis) * scale for axis in (grid.y, grid.x))
    down, across = _measure_spacing(y, grid.y_name), _measure_spacing(x, grid.x_name)
    top = max(y[0], y[-1])
    # coordinates are centres of pixels, a transform starts from the corner of the first
    return affine.Affine(across, 0.0, x[0] - across / 2, 0.0, -abs(down), top + abs(down) / 2)


def _find_scale(units: str, crs: Any) -> float:
    """Find the factor from units of the coordinates to those of the CRS."""
    if crs is None or not crs.is_projected or units == "1":
        return 1.0
    if units not in _METRES:
        got, fix = f"coordinates in {units}", "write .nc, which can hold any axis"
        raise UsageError("GeoTIFF", got=got, expected="m or km, as of a projection", fix=fix)
    return _METRES[units] / float(crs.axis_info[0].unit_conversion_factor)


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
