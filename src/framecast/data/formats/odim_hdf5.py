"""Radar composites in ODIM HDF5, versions 2.0 to 2.4 (EUMETNET OPERA, "ODIM_H5 data information model").

Attributes of `what` may stand with the dataset or with the data; the nearer one counts. `nodata` (not looked at) is
missing; `undetect` (looked at, no echo) is 0 rain, or -32 dBZ, which is below any echo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.decode import decode_values
from framecast.data.formats import hdf5
from framecast.data.formats.base import AbsentError, FileHeader, ReaderOptions
from framecast.data.formats.guards import as_input_error
from framecast.errors import InputError
from framecast.types import Grid

NO_ECHO = -32.0
"""Value of undetect, dBZ: FMI's code 0, and below any echo."""
OBJECTS = ("COMP", "IMAGE", "CVOL")
"""Values of what/object that are composites; others are in polar coordinates."""
_UNITS = {"RATE": "mm/h", "ACRR": "mm", "HGHT": "km", "VRAD": "m/s"}
_NAMES = {
    "RATE": "rainfall_rate",
    "ACRR": "lwe_thickness_of_precipitation_amount",
    "DBZH": "equivalent_reflectivity_factor",
}
_ECHO = re.compile(r"(DBZ|T)[HV]?C?")


class _Quantity(NamedTuple):
    """Quantity of a file, and how its codes become values."""

    array: str
    """Path of the values."""
    name: str
    gain: float
    offset: float
    nodata: float | None
    undetect: float | None
    units: str


def is_odim(path: Path) -> bool:
    """Whether an HDF5 file is ODIM's: it says so, or which of ODIM's objects it holds.

    Raises:
        InputError: it is damaged.
        UsageError: h5py is not installed.
    """
    with hdf5.open_file(path) as file:
        conventions = str(hdf5.read_attributes(file).get("Conventions", ""))
        what = hdf5.read_attributes(hdf5.find_member(file, "what", str(path)))
    return conventions.startswith("ODIM") or "object" in what


class ODIMReader:
    """Composites of one quantity.

    Args:
        files: all of the source.
        options: variable, the quantity (RATE, DBZH, ACRR, ...), needed where a file has several.
    """

    name = "ODIM HDF5"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._quantity = options.variable

    def read_header(self, path: Path) -> FileHeader:
        """Read quantity, size, nominal time and grid."""
        with hdf5.open_file(path) as file:
            what = hdf5.read_attributes(hdf5.find_member(file, "what", str(path)))
            if what.get("object", "COMP") not in OBJECTS:
                got = f"ODIM object {what['object']}, in polar coordinates"
                raise InputError(str(path), got=got, expected="a composite", fix="make one first, e.g. with wradlib")
            quantity = self._find_quantity(file, path)
            array = hdf5.check_frame_array(file[quantity.array], str(path))
            height, width = array.shape
            where = hdf5.read_attributes(hdf5.find_member(file, "where", str(path)))
            where |= hdf5.read_attributes(hdf5.find_member(file, quantity.array.split("/")[0] + "/where", str(path)))
            grid = _read_grid(where, quantity, height, width, str(path))
            times = _read_time(what, str(path))
        return FileHeader((1, height, width), np.dtype(np.float32), times=times, units=quantity.units, grid=grid)

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack; nodata is missing, undetect a value."""
        with hdf5.open_file(path) as file:
            quantity = self._find_quantity(file, path)
            stored = hdf5.read_part(hdf5.check_frame_array(file[quantity.array], str(path)), (), str(path))
        missing = () if quantity.nodata is None else (quantity.nodata,)
        values = decode_values(stored, quantity.gain, quantity.offset, missing)
        if quantity.undetect is not None and quantity.undetect != quantity.nodata:
            values[stored == quantity.undetect] = NO_ECHO if _ECHO.fullmatch(quantity.name) else 0.0
        values[~np.isfinite(values)] = np.nan
        return values[None, None]

    def _find_quantity(self, file: Any, path: Path) -> _Quantity:
        name = str(path)
        quantities = []
        for dataset in _list_numbered(file, "dataset"):
            about = hdf5.read_attributes(hdf5.find_member(file, f"{dataset}/what", name))
            for data in _list_numbered(hdf5.find_member(file, dataset, name), "data"):
                nearer = about | hdf5.read_attributes(hdf5.find_member(file, f"{dataset}/{data}/what", name))
                key = f"{dataset}/{data}/data"
                if hdf5.find_member(file, key, name) is not None:
                    quantities.append(_describe(key, nearer, name))
        names = list(dict.fromkeys(quantity.name for quantity in quantities))
        requested = self._quantity or (names[0] if len(names) == 1 else None)
        chosen = next((quantity for quantity in quantities if quantity.name == requested), None)
        if chosen is None:
            got = self._quantity or (f"quantities {', '.join(names)}" if names else "no datasetN/dataM/data")
            expected = f"one of {', '.join(names) or 'none'}"
            kind = AbsentError if self._quantity else InputError
            raise kind(f"{name}: quantity", got=got, expected=expected, fix="name one with --var")
        return chosen


def _list_numbered(group: Any, word: str) -> list[str]:
    """List the members dataset1, dataset2, ... dataset10 in the order of their numbers."""
    keys = [key for key in group if re.fullmatch(rf"{word}\d{{1,4}}", key)]
    return sorted(keys, key=lambda key: int(key[len(word) :]))


def _describe(key: str, what: Mapping[str, Any], name: str) -> _Quantity:
    quantity = str(what.get("quantity", "unknown"))
    units = _UNITS.get(quantity, "dBZ" if _ECHO.fullmatch(quantity) else "1")
    if quantity == "ACRR" and (minutes := _read_interval(what, name)):
        units = f"mm per {minutes:g} min"
    gain = hdf5.read_number(what, "gain", 1.0, name)
    if not gain:
        raise InputError(f"{name}: gain", got=gain, expected="a number that is not 0")
    return _Quantity(
        key,
        quantity,
        gain,
        hdf5.read_number(what, "offset", 0.0, name) or 0.0,
        hdf5.read_number(what, "nodata", None, name),
        hdf5.read_number(what, "undetect", None, name),
        units,
    )


def _parse_time(date: object, time: object, name: str) -> datetime:
    with as_input_error(name, "date YYYYMMDD and time HHMMSS in what"):
        # some files leave out the seconds
        return datetime.strptime(f"{date} {str(time)[:6]:0<6}", "%Y%m%d %H%M%S")


def _read_interval(what: Mapping[str, Any], name: str) -> float | None:
    """Read the length of the interval of a sum, minutes; None where it is not known."""
    if not {"startdate", "starttime", "enddate", "endtime"} <= set(what):
        return None
    begin = _parse_time(what["startdate"], what["starttime"], name)
    minutes = (_parse_time(what["enddate"], what["endtime"], name) - begin).total_seconds() / 60
    return minutes if minutes > 0 else None


def _read_time(what: Mapping[str, Any], name: str) -> NDArray[Any] | None:
    if not {"date", "time"} <= set(what):
        return None
    return np.array([_parse_time(what["date"], what["time"], name)], "datetime64[ms]")


def _read_grid(where: Mapping[str, Any], quantity: _Quantity, height: int, width: int, name: str) -> Grid:
    projection = where.get("projdef")
    x, y = _project_axes(where, height, width, name) if isinstance(projection, str) else ((), ())
    policy = f"nodata {quantity.nodata:g}" if quantity.nodata is not None else "NaN"
    if quantity.undetect is not None:
        policy += f"; undetect {quantity.undetect:g} is {'-32 dBZ' if quantity.units == 'dBZ' else '0'}, not missing"
    return Grid(
        variables=(quantity.name,),
        units=(quantity.units,),
        standard_names=(_NAMES.get(quantity.name, ""),),
        y=y,
        x=x,
        axis_units="m",
        crs=projection if isinstance(projection, str) else None,
        missing=policy,
    )


def _project_axes(
    where: Mapping[str, Any], height: int, width: int, name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute centres of columns and rows, metres, from the upper left corner; none without pyproj or a corner."""
    keys = ("UL_lon", "UL_lat", "xscale", "yscale")
    lon, lat, across, down = (hdf5.read_number(where, key, None, name) for key in keys)
    if lon is None or lat is None or across is None or down is None:
        return (), ()
    try:
        import pyproj
    except ImportError:
        return (), ()
    with as_input_error(name, "a PROJ text in where/projdef", pyproj.exceptions.ProjError):
        left, top = pyproj.Proj(where["projdef"])(lon, lat)
        # corners are rounded to a few metres in some files: on a projection with false origin they fall on whole pixels
        left, top = (round(end) if abs(end - round(end)) < 0.01 * across else end for end in (left, top))
        x = tuple(left + (column + 0.5) * across for column in range(width))
        y = tuple(top - (row + 0.5) * down for row in range(height))
    return x, y
