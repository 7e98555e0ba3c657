"""Data sets of radar as mlcast specifies them (source data, radar precipitation): one Zarr, which framecast reads, too.

The specification is that of mlcast-dataset-validator, https://github.com/mlcast-community/mlcast-dataset-validator. What
it asks of the data themselves, a pixel of 1 km, 256 x 256 of them, three years, is for who gives them to say.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import xarray
from numcodecs import Zstd
from numpy.typing import NDArray
from zarr.errors import ZarrUserWarning

from framecast import files
from framecast.api.frames import open_frames
from framecast.cf.labels import CHANNEL, TIME
from framecast.data.units import DBZ_UNITS, RATE_UNITS, canonical_units
from framecast.errors import InputError, UsageError
from framecast.zarr_store import open_store

SPECIFICATION = "0.4.0"
"""Version of mlcast-dataset-validator that a data set holds to; it checks the specification 0.3.0, not 0.2.0."""
FRAMES = 32
"""Frames that are in memory at a time."""
MISSING = "missing_times"
_CONTACT = re.compile(r"[^<>]*\S[^<>]* <[^<>@\s]+@[^<>@\s]+>")
_SOFTWARE = re.compile(r"https://github\.com/[^/\s@]+/[^/\s@]+@\S+")
_IDENTIFIER = re.compile(r"[A-Z]{2}-[^\W_](?:\w*[^\W_])?-[^\W_](?:\w*[^\W_])?")
_QUANTITIES = {
    RATE_UNITS: ("rainfall_flux", "rainfall_flux", "rain rate", "kg m-2 h-1"),
    DBZ_UNITS: ("dbz", "equivalent_reflectivity_factor", "radar reflectivity", "dBZ"),
}
"""Name, standard name, long name and units of a variable, by the units of the frames."""


def write_dataset(
    path: str | PathLike[str],
    frames: xarray.DataArray | str | PathLike[str],
    *,
    license: str,
    created_by: str,
    identifier: str,
    created_with: str | None = None,
    dataset_version: str = "0.1.0",
    **reading: Any,
) -> Path:
    """Write frames of radar as a data set of mlcast: Zarr 2 with gathered metadata, a chunk a frame, Zstandard.

    Absent frames, of which no pixel has a value, and gaps in the times are listed in `missing_times`.

    Args:
        path: a new folder, NAME.zarr.
        frames: (time, y, x) or (time, channel, y, x) of one channel, mm/h or dBZ, with times in a fixed step and its
            gaps and with a projection, as `open_frames` gives them; or the path of what it reads.
        license: SPDX identifier of the data's licence, as in CC-BY-4.0.
        created_by: a contact, as in "Name <name@example.org>".
        identifier: country, institution, quantity, as in FI-FMI-dbz.
        created_with: address of the software that made it, as in https://github.com/OWNER/NAME@v1.0; by default
            framecast's. mlcast takes into its collection what a repository mlcast-community/mlcast-dataset-... made.
        dataset_version: version of the data set.
        reading: how a file is read, as in `open_frames`.

    Returns:
        the path.

    Raises:
        InputError: frames without times or a projection, of other units or of several channels, or of uneven steps.
        UsageError: a path that exists, or a text of another form.

    Example:
        >>> import framecast, numpy as np, pyproj, xarray
        >>> from framecast.adapters.mlcast_dataset import write_dataset
        >>> metres = {"units": "m", "axis": "X", "standard_name": "projection_x_coordinate"}
        >>> frames = xarray.DataArray(
        ...     np.ones((2, 8, 8), np.float32), dims=("time", "y", "x"), attrs={"units": "mm/h", "grid_mapping": "crs"},
        ...     coords={"time": np.array(["2024-05-01T12:00", "2024-05-01T12:05"], "datetime64[ns]"),
        ...         "x": ("x", np.arange(8) * 1e3, metres),
        ...         "y": ("y", np.arange(8) * -1e3, {**metres, "axis": "Y", "standard_name": "projection_y_coordinate"}),
        ...         "crs": ((), 0, pyproj.CRS("EPSG:3067").to_cf())})
        >>> who = {"license": "CC-BY-4.0", "created_by": "Jo <jo@example.org>", "identifier": "FI-FMI-rain"}
        >>> written = write_dataset("rain.zarr", frames, **who)
        >>> framecast.open_frames(written).units
        'mm/h'
    """
    path = files.check_new(Path(path))
    attributes = _make_attributes(license, created_by, identifier, created_with, dataset_version)
    array = frames if isinstance(frames, xarray.DataArray) else open_frames(frames, **reading)
    array = _check_frames(array)
    layout = _make_layout(array, attributes)
    with files.staged(path, folder=True) as temporary, open_store(temporary) as store:
        _fill(store, array, layout)
    return path


def _make_attributes(
    license: str, created_by: str, identifier: str, created_with: str | None, dataset_version: str
) -> dict[str, str]:
    """Make the global attributes.

    Raises:
        UsageError: a text of another form.
    """
    created_with = created_with or f"https://github.com/framecast/framecast@v{version('framecast')}"
    for name, text, form, expected in (
        ("license", license, re.compile(r"\S.*"), "an SPDX identifier, as in CC-BY-4.0"),
        ("created_by", created_by, _CONTACT, "a contact, as in 'Name <name@example.org>'"),
        ("identifier", identifier, _IDENTIFIER, "country, institution and quantity, as in FI-FMI-dbz"),
        ("created_with", created_with, _SOFTWARE, "https://github.com/OWNER/NAME@VERSION"),
    ):
        if not form.fullmatch(text):
            raise UsageError(name, got=repr(text), expected=expected)
    return {
        "Conventions": "CF-1.11",
        "license": license,
        "mlcast_created_on": datetime.now(UTC).isoformat(timespec="seconds"),
        "mlcast_created_by": created_by,
        "mlcast_created_with": created_with,
        "mlcast_dataset_version": dataset_version,
        "mlcast_dataset_validator_version": SPECIFICATION,
        "mlcast_dataset_identifier": identifier,
    }


def _check_frames(array: xarray.DataArray) -> xarray.DataArray:
    """Check frames, and give them the axes time, y, x, and a coordinate of each.

    Raises:
        InputError: other axes, no times or projection, units of something else, or times that lie on no even steps.
    """
    if CHANNEL in array.dims and array.sizes[CHANNEL] == 1:
        array = array.isel({CHANNEL: 0}, drop=True)
    mapping = str(array.attrs.get("grid_mapping"))
    sides = array.dims[-2:]
    known = [name for name in (*array.dims, mapping) if name in array.coords]
    if array.ndim != 3 or array.dims[0] != TIME or len(known) < 4:
        got = f"axes {dict(array.sizes)}, coordinates {list(array.coords)}"
        fix = "take frames of one channel from a file with times and a projection, by framecast.open_frames"
        raise InputError("frames", got=got, expected="(time, y, x) with times and a grid mapping", fix=fix)
    units = canonical_units(str(array.attrs.get("units", "1")))
    if units[0] not in _QUANTITIES or units[1] != 1:
        raise InputError("frames", got=f"units {array.attrs.get('units')}", expected=f"{RATE_UNITS} or {DBZ_UNITS}")
    if not pyproj.CRS.from_cf(array.coords[mapping].attrs).is_projected:
        raise InputError("frames", got="degrees", expected="x and y of a projection", fix="reproject them")
    _find_gaps(array[TIME].values)
    named = {name: new for name, new in zip((*sides, mapping), ("y", "x", "crs"), strict=True) if name != new}
    return array.rename(named).assign_attrs(units=units[0], grid_mapping="crs")


def _find_gaps(times: NDArray[Any]) -> NDArray[Any]:
    """Find the times that are not there, in steps of the shortest distance.

    Raises:
        InputError: times that do not ascend, or lie between these steps.
    """
    distances = np.diff(times)
    fix = "sort the frames, and leave out those between the steps"
    if not len(distances) or distances.dtype.kind != "m" or not (distances > np.timedelta64(0)).all():
        raise InputError("frames", got="times that do not ascend", expected="two or more, in order", fix=fix)
    step = distances.min()
    if (distances % step != np.timedelta64(0)).any():
        raise InputError("frames", got="uneven steps", expected=f"times {step} apart, or multiples of that", fix=fix)
    return np.setdiff1d(np.arange(times[0], times[-1], step), times)


def _make_layout(array: xarray.DataArray, attributes: dict[str, str]) -> xarray.Dataset:
    """Make the data set without its frames: rows, columns, their degrees, and the projection."""
    crs = pyproj.CRS.from_cf(array.coords["crs"].attrs)
    mapping = {**array.coords["crs"].attrs, "crs_wkt": crs.to_wkt(), "spatial_ref": crs.to_wkt()}
    x, y = np.meshgrid(array["x"].values, array["y"].values)
    longitude, latitude = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    degrees = {
        "lat": (latitude, {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}),
        "lon": (longitude, {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}),
    }
    coordinates = {
        **{side: (side, array[side].values, array[side].attrs) for side in ("y", "x")},
        **{name: (("y", "x"), values, said) for name, (values, said) in degrees.items()},
    }
    return xarray.Dataset({"crs": ((), np.int32(0), mapping)}, coordinates, attributes)


def _fill(store: Any, array: xarray.DataArray, layout: xarray.Dataset) -> None:
    """Write the frames, some at a time, and then which are missing."""
    name, standard_name, long_name, units = _QUANTITIES[array.attrs["units"]]
    said = {"standard_name": standard_name, "long_name": long_name, "units": units, "grid_mapping": "crs"}
    moment = {"units": "seconds since 1970-01-01", "calendar": "standard", "dtype": "int64", "chunks": (1024,)}
    frame = {"dtype": "float32", "_FillValue": np.float32(np.nan), "compressors": [Zstd(level=5)]}
    frame["chunks"] = (1, *array.shape[1:])
    absent, is_first = [_find_gaps(array[TIME].values)], True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        for at in range(0, array.sizes[TIME], FRAMES):
            values = array[at : at + FRAMES].values
            times, seen = array[TIME].values[at : at + FRAMES], np.isfinite(values).any((1, 2))
            absent.append(times[~seen])
            if not seen.any():
                continue
            part = xarray.Dataset({name: ((TIME, "y", "x"), values[seen], said)})
            part = part.assign_coords({TIME: (TIME, times[seen], {"standard_name": "time", "axis": "T"})})
            if is_first:
                part = part.merge(layout, combine_attrs="override").assign_attrs(layout.attrs)
                part.to_zarr(store, mode="w", encoding={name: frame, TIME: moment}, zarr_format=2, consolidated=True)
            else:
                part.to_zarr(store, append_dim=TIME, consolidated=True)
            is_first = False
        if is_first:
            raise InputError("frames", got="no valid value", expected="some pixels that are not missing")
        missing = np.unique(np.concatenate(absent))
        if len(missing):
            start = np.datetime_as_string(array[TIME].values[0].astype("datetime64[s]"))
            attributes = {
                **layout.attrs,
                "consistent_timestep_start": str(start),
            }  # asked for wherever a frame is missing
            listed = (MISSING, missing, {"long_name": "times without a frame"})
            data = xarray.Dataset(coords={MISSING: listed}, attrs=attributes)
            data.to_zarr(store, mode="a", encoding={MISSING: moment}, zarr_format=2, consolidated=True)
