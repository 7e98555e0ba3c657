"""Plugin that pysteps loads when it is imported: an importer of all files that framecast reads, and its nowcasts.

pysteps 1.21 knows entry points of importers, and none of nowcasts: so whoever loads the importer registers the nowcasts.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from framecast.adapters.pysteps import register
from framecast.errors import InputError

if TYPE_CHECKING:
    import xarray

_POSTPROCESSING = ("dtype", "fillna")
"""Keywords that pysteps gives to an importer, and takes care of itself."""


def import_framecast(
    filename: str, frame: int = -1, **reading: Any
) -> tuple[NDArray[np.float64], None, dict[str, Any]]:
    """Import one frame of any file that framecast reads, as `pysteps.io.importers` do.

    Args:
        filename: a file or a folder.
        frame: number of the frame, of several; by default the newest.
        reading: how the file is read, as in `open_frames`: variable="rain", units="mm/h", missing=255, ...

    Returns:
        (y, x), NaN where missing, of depths as mm/h, else in the units of the file; None for the quality; and metadata
        as pysteps names them, of which accutime is the step of the frames, and None where the file does not say it.

    Raises:
        InputError: a file that cannot be read, frames of several channels, or no such frame.
        UsageError: an unknown keyword.

    Example:
        >>> import numpy as np
        >>> from framecast.adapters.pysteps_plugin import import_framecast
        >>> np.save("rates.npy", np.eye(32, dtype=np.float32)[None])
        >>> rates, _, metadata = import_framecast("rates.npy", units="mm/h")
        >>> rates.shape, metadata["unit"], metadata["threshold"]
        ((32, 32), 'mm/h', 1.0)
    """
    from framecast.api.frames import open_frames
    from framecast.cf.labels import CHANNEL, TIME

    frames = open_frames(filename, **{name: value for name, value in reading.items() if name not in _POSTPROCESSING})
    if TIME not in frames.dims or frames.sizes[CHANNEL] != 1:
        fix = "choose one, as in variable='rain'"
        raise InputError(filename, got=f"axes {dict(frames.sizes)}", expected="frames of one channel", fix=fix)
    count = frames.sizes[TIME]
    if not -count <= frame < count:
        raise InputError(f"{filename}: frame", got=frame, expected=f"{-count} to {count - 1}")
    chosen = frames.isel({TIME: frame, CHANNEL: 0})
    values = chosen.values.astype(np.float64)
    steps = np.diff(frames[TIME].values) if TIME in frames.coords else np.empty(0, "timedelta64[ns]")
    accutime = float(min(steps) / np.timedelta64(1, "m")) if len(steps) else None
    return values, None, {**describe_values(values, frames.attrs.get("units", "1"), accutime), **describe_place(chosen)}


def describe_values(values: NDArray[np.float64], units: str, accutime: float | None) -> dict[str, Any]:
    """Describe values as the metadata of pysteps do: units, transform, least rain and value of no rain."""
    known = np.unique(values[np.isfinite(values)])
    is_reflectivity = units == "dBZ"
    relation = {"zr_a": 200.0, "zr_b": 1.6} if is_reflectivity else {}
    return {
        "unit": units,
        "transform": "dB" if is_reflectivity else None,
        "accutime": accutime,
        "zerovalue": float(known[0]) if len(known) else 0.0,
        "threshold": float(known[1]) if len(known) > 1 else float("nan"),
        "institution": "unknown",
        **relation,
    }


def describe_place(frame: xarray.DataArray) -> dict[str, Any]:
    """Describe the place of a frame as the metadata of pysteps do; empty where it is not known.

    Args:
        frame: (y, x), as `open_frames` gives it, its coordinates in units of its reference system.
    """
    import pyproj

    rows, columns = frame.dims
    mapping = frame.attrs.get("grid_mapping")
    if mapping not in frame.coords or not {rows, columns} <= set(frame.coords) or min(frame.shape) < 2:
        return {}
    with warnings.catch_warnings():  # pyproj warns that such a text may lose something; pysteps takes no other
        warnings.simplefilter("ignore", UserWarning)
        projection = pyproj.CRS.from_cf(frame.coords[mapping].attrs).to_proj4()
    y, x = frame[rows].values, frame[columns].values
    sizes = [float(abs(axis[-1] - axis[0]) / (len(axis) - 1)) for axis in (y, x)]
    return {
        "projection": projection,
        "cartesian_unit": frame[columns].attrs.get("units", "m"),
        "yorigin": "upper" if y[0] > y[-1] else "lower",
        "x1": float(x.min() - sizes[1] / 2),
        "x2": float(x.max() + sizes[1] / 2),
        "y1": float(y.min() - sizes[0] / 2),
        "y2": float(y.max() + sizes[0] / 2),
        "xpixelsize": sizes[1],
        "ypixelsize": sizes[0],
    }


if "pysteps" in sys.modules:  # which loads this module at the end of its own import
    register()
