"""Georeference of a grid in files: CF grid mapping and axes, affine transform of GeoTIFF."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from framecast.errors import UsageError
from framecast.maps.reference_systems import find_scale, in_units_of_crs, read_crs, to_plain
from framecast.optional_imports import require
from framecast.types import Grid

SPACING_TOLERANCE = 0.01
"""Share of a step by which rows or columns may be off and still count as evenly spaced: coordinates are rounded."""
_GDAL_TRANSFORM = "GeoTransform"
"""Attribute that GDAL and rioxarray add to the CF grid mapping: corner and size of the source's pixels."""


def make_grid_mapping(grid: Grid) -> dict[str, Any]:
    """Make the attributes of the CF grid mapping variable; those of the source are carried over, none where unknown."""
    crs = read_crs(grid)
    attributes = {} if crs is None else {key: to_plain(value) for key, value in crs.to_cf().items()}
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
    if find_scale(grid, crs) is None:
        got, fix = f"coordinates in {grid.axis_units}", "write .nc, which can hold any axis"
        raise UsageError("GeoTIFF", got=got, expected="m or km, as of a projection", fix=fix)
    grid = in_units_of_crs(grid)
    y, x = np.array(grid.y), np.array(grid.x)
    down, across = _measure_spacing(y, grid.y_name), _measure_spacing(x, grid.x_name)
    top = max(y[0], y[-1])
    # coordinates are centres of pixels, a transform starts from the corner of the first
    return affine.Affine(across, 0.0, x[0] - across / 2, 0.0, -abs(down), top + abs(down) / 2)


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
