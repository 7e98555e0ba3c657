"""Grids of GRIB messages: which have rows and columns, and where these lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from framecast.errors import InputError

_LATLON = ("regular_ll", "regular_gg", "mercator_ll")
"""Kinds of grids whose rows have one latitude, and columns one longitude."""
_WITHOUT_ROWS = {
    "reduced": "rows of different lengths",
    "unstructured": "points without rows and columns",
    "healpix": "points without rows and columns",
    "triangular": "points without rows and columns",
    "sh": "coefficients of spherical harmonics",
}
"""What kinds of grids, by the beginning of their names, have instead of rows and columns."""
_DISTANCES = (
    ("DxInMetres", "DyInMetres"),
    ("DiInMetres", "DjInMetres"),
    ("xDirectionGridLengthInMetres", "yDirectionGridLengthInMetres"),
)
"""Keys of the distance of points in x and y, metres."""
_ABSENT = 2**31 - 1
"""Number that ecCodes gives for one that is missing."""
Axes = tuple[tuple[float, ...], tuple[float, ...]]
"""Coordinates of rows and of columns; empty where they are not known."""


class MessageGrid(NamedTuple):
    """Rows, columns and place of a field, as `read_grid` gives them: columns from west to east."""

    height: int
    width: int
    y: tuple[float, ...]
    x: tuple[float, ...]
    is_latlon: bool
    crs: str | None


def read_grid(message: Any, name: str) -> MessageGrid:
    """Read the grid of a message.

    Args:
        message: as decoded by pygrib.
        name: the file, for errors.

    Raises:
        InputError: a grid without rows and columns.
    """
    kind = str(message["gridType"])
    sizes = [int(message[key]) if message.has_key(key) else _ABSENT for key in ("Nj", "Ni")]
    instead = next((words for start, words in _WITHOUT_ROWS.items() if kind.startswith(start)), None)
    if instead is None and (_ABSENT in sizes or min(sizes) < 1):
        instead = "points without rows and columns"
    if instead is not None:
        fix = "regrid it first, as cdo remapbil or wgrib2 -new_grid do"
        raise InputError(name, got=f"{instead} (grid {kind})", expected="rows and columns", fix=fix)
    height, width = sizes
    is_latlon = kind in _LATLON
    projection = _read_projection(message)
    y, x = _read_latlon(message, kind, height, width) if is_latlon else _project(message, projection, height, width)
    return MessageGrid(height, width, y, x, is_latlon, projection)


def _read_projection(message: Any) -> str | None:
    """Read the projection as a PROJ text; None where pygrib knows none or PROJ cannot use it."""
    try:
        text = " ".join(f"+{key}={value}" for key, value in message.projparams.items())
        import pyproj
    except ImportError:
        return text
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return None
    try:
        usable = bool(pyproj.CRS(text).to_wkt()) and "=-" not in text.partition("+h")[2]
    except pyproj.exceptions.ProjError:
        return None
    return text if usable else None


def _read_latlon(message: Any, kind: str, height: int, width: int) -> Axes:
    """Compute latitudes of rows, and longitudes of columns from west to east in [-180, 180), degrees."""
    first, last = (float(message[f"longitudeOf{end}GridPointInDegrees"]) for end in ("First", "Last"))
    west, east = (last, first) if message["iScansNegatively"] else (first, last)
    east += 360 if east < west else 0  # the grid crosses the meridian at which longitudes begin anew
    x = np.linspace(west, east, width) - (360 if west >= 180 else 0)
    top, bottom = (float(message[f"latitudeOf{end}GridPointInDegrees"]) for end in ("First", "Last"))
    y = np.linspace(top, bottom, height)
    if kind == "regular_gg":  # roots of a Legendre polynomial, which are not evenly spaced
        roots = np.sort(np.asarray(message["distinctLatitudes"], np.float64))
        roots = roots if len(roots) == height else _choose_rows(roots, min(top, bottom), height)
        y = roots if top < bottom else roots[::-1]
    return tuple(y.round(6).tolist()), tuple(x.round(6).tolist())


def _choose_rows(roots: Any, south: float, height: int) -> Any:
    """Choose the rows of a part of the globe, from the south on."""
    begin = int(np.abs(roots - south).argmin())
    return roots[begin : begin + height]


def _project(message: Any, projection: str | None, height: int, width: int) -> Axes:
    """Compute centres of rows and columns, metres; none where the grid has none, or pyproj is not installed."""
    keys = next((pair for pair in _DISTANCES if all(map(message.has_key, pair))), None)
    try:
        import pyproj
    except ImportError:
        return (), ()
    if projection is None or keys is None or not message.has_key("latitudeOfFirstGridPointInDegrees"):
        return (), ()
    across, up = (abs(float(message[key])) for key in keys)
    if not across or not up:
        return (), ()
    up = up if message["jScansPositively"] else -up
    lon, lat = (float(message[f"{axis}OfFirstGridPointInDegrees"]) for axis in ("longitude", "latitude"))
    left, first = pyproj.Proj(projection)(lon, lat, errcheck=True)
    left -= across * (width - 1) if message["iScansNegatively"] else 0
    y, x = (start + step * np.arange(count) for start, step, count in ((first, up, height), (left, across, width)))
    return tuple(y.round(3).tolist()), tuple(x.round(3).tolist())
