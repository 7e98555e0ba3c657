"""Where a forecast lies: the grid mapping of CF, the affine transform of GeoTIFF."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from framecast.errors import UsageError
from framecast.optional_imports import require
from framecast.types import Grid

EVEN = 0.01
"""Share of a step by which rows or columns may be off and still count as evenly spaced: coordinates are rounded."""
_METRES = dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0) | dict.fromkeys(
    ("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0
)
_GDAL = "GeoTransform"
"""What GDAL and rioxarray say in the grid mapping beside CF: the corner and size of the source's pixels."""

pyproj = require("pyproj", "grids")


def read_crs(grid: Grid) -> Any:
    """The coordinate reference system as a pyproj.CRS; None where the file has none, or none that PROJ understands.

    A grid mapping that says its projection counts more than a PROJ text beside it, which many files have wrong.
    """
    try:
        if "grid_mapping_name" in grid.mapping and "crs_wkt" not in grid.mapping:
            return pyproj.CRS.from_cf(grid.mapping)
        return None if grid.crs is None else pyproj.CRS.from_user_input(grid.crs)
    except (pyproj.exceptions.CRSError, KeyError):
        return None


def grid_mapping(grid: Grid) -> dict[str, Any]:
    """Attributes of the CF grid mapping variable; what the source has is carried over. Empty where nothing is known.

    But for the source's pixels, which are not those of a forecast of averaged ones: the coordinates tell.
    """
    crs = read_crs(grid)
    made = {} if crs is None else {key: _plain(value) for key, value in crs.to_cf().items()}
    if made.get("grid_mapping_name") == "polar_stereographic":  # pyproj leaves out which pole, which CF wants to know
        pole = np.copysign(90.0, made.get("standard_parallel", 90.0))
        made.setdefault("latitude_of_projection_origin", float(pole))
    if grid.mapping:
        kept = {key: value for key, value in grid.mapping.items() if key != _GDAL}
        return {"crs_wkt": made["crs_wkt"], **kept} if "crs_wkt" in made else kept
    return made if made.get("grid_mapping_name", "unknown") != "unknown" else {}


def describe_crs(crs: Any) -> str:
    """The CRS for people."""
    if crs is None:
        return "no place, as the input has none"
    nameless = crs.name in ("unknown", "undefined", "unnamed")
    return crs.coordinate_operation.method_name if nameless and crs.coordinate_operation is not None else crs.name


def axis_attributes(grid: Grid, letter: str) -> dict[str, str]:
    """CF attributes of the coordinate "y" or "x"."""
    crs = read_crs(grid)  # some files say metres of their degrees
    degrees = grid.axis_units.startswith("degree") or (crs is not None and crs.is_geographic)
    rotated = grid.mapping.get("grid_mapping_name") == "rotated_latitude_longitude"
    angle, compass = ("latitude", "degrees_north") if letter == "y" else ("longitude", "degrees_east")
    if degrees and not rotated:
        return {"standard_name": angle, "units": compass, "axis": letter.upper()}
    name = f"grid_{angle}" if rotated else f"projection_{letter}_coordinate"
    projected = {} if grid.crs is None and not grid.mapping else {"standard_name": name}
    return {**projected, "units": grid.axis_units, "axis": letter.upper()}


def transform(grid: Grid, crs: Any) -> Any:
    """From (column, row) to the coordinates of the CRS, rows from north to south; None where there are none.

    Args:
        grid: of the forecast.
        crs: its pyproj.CRS, or None.

    Raises:
        UsageError: rows or columns are not evenly spaced, or in units that are none of a projection.
    """
    affine = require("affine", "geo")
    if len(grid.y) < 2 or len(grid.x) < 2:
        return None
    scale = _scale(grid.axis_units.lower(), crs)
    y, x = (np.array(axis) * scale for axis in (grid.y, grid.x))
    down, across = _step(y, grid.y_name), _step(x, grid.x_name)
    top = max(y[0], y[-1])
    return affine.Affine(across, 0.0, x[0] - across / 2, 0.0, -abs(down), top + abs(down) / 2)


def _scale(units: str, crs: Any) -> float:
    """What makes coordinates those of the CRS."""
    if crs is None or not crs.is_projected or units == "1":
        return 1.0
    if units not in _METRES:
        got, fix = f"coordinates in {units}", "write .nc, which can hold any axis"
        raise UsageError("GeoTIFF", got=got, expected="m or km, as of a projection", fix=fix)
    return _METRES[units] / float(crs.axis_info[0].unit_conversion_factor)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _step(axis: Any, name: str) -> float:
    step = float(axis[-1] - axis[0]) / (len(axis) - 1)
    off = max(abs(float(b - a) - step) for a, b in itertools.pairwise(axis))
    if off > EVEN * abs(step):
        got = f"steps that differ by {off:g}"
        raise UsageError(
            f"GeoTIFF: {name}", got=got, expected="evenly spaced", fix="write .nc, which can hold any axis"
        )
    return step
