"""Radar composites in ODIM HDF5, versions 2.0 to 2.4 (EUMETNET OPERA, "ODIM_H5 data information model").

Attributes of `what` may stand with the dataset or with the data; the nearer one counts. `nodata` (not looked at) is
missing; `undetect` (looked at, no echo) is 0 rain, or -32 dBZ, which is below any echo.
"""

from __future__ import annotations

import math
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
from framecast.data.formats.variable_names import split_brackets
from framecast.errors import InputError
from framecast.formatting import shorten
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
_TIME = re.compile(r"(\d{8}) (\d{4}(?:\d{2})?)(?:\.(\d{1,6}))?Z?")
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
    product: str
    """Kind of product and its parameter, a height or an angle: CAPPI 1000."""
    interval: str
    """Length of the interval of a sum: 6h; empty for others."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What frames of one sequence share."""
        return self.name, self.product, self.interval

    @property
    def words(self) -> set[str]:
        """All that a user may put into brackets behind the name."""
        dataset = self.array.split("/")[0]
        return {dataset, self.interval, *self.product.split()}


def is_odim(path: Path) -> bool:
    """Whether an HDF5 file is ODIM's: it says so, or which of ODIM's objects it holds.

    Raises:
        InputError: it is damaged.
    """
    with hdf5.open_file(path) as file:
        conventions = str(hdf5.read_attributes(file).get("Conventions", ""))
        what = hdf5.read_attributes(hdf5.find_member(file, "what", str(path)))
    return conventions.startswith("ODIM") or "object" in what


class ODIMReader:
    """Composites of one quantity.

    Args:
        files: all of the source.
        options: variable, the quantity (RATE, DBZH, ACRR, ...), needed where a file has several; in brackets the product,
            its height or the length of its interval, as in DBZH[CAPPI 1000] or ACRR[6h], where it has several of those.
    """

    name = "ODIM HDF5"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._requested = options.variable
        self._first: tuple[str, _Quantity] | None = None

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
        values = decode_values(stored, quantity.gain, quantity.offset, ())
        values[~np.isfinite(values)] = np.nan
        if quantity.undetect is not None:
            values[_find_code(stored, quantity.undetect)] = NO_ECHO if _ECHO.fullmatch(quantity.name) else 0.0
        if quantity.nodata is not None:
            values[_find_code(stored, quantity.nodata)] = np.nan
        return values[None, None]

    def _find_quantity(self, file: Any, path: Path) -> _Quantity:
        name = str(path)
        quantities = []
        for dataset in hdf5.list_numbered(file, "dataset"):
            about = hdf5.read_attributes(hdf5.find_member(file, f"{dataset}/what", name))
            for data in hdf5.list_numbered(hdf5.find_member(file, dataset, name), "data"):
                nearer = about | hdf5.read_attributes(hdf5.find_member(file, f"{dataset}/{data}/what", name))
                key = f"{dataset}/{data}/data"
                if hdf5.find_member(file, key, name) is not None:
                    quantities.append(_describe(key, nearer, name))
        if not quantities:
            raise InputError(name, got="no datasetN/dataM/data", expected="a composite in ODIM's layout")
        return self._choose_quantity(quantities, path)

    def _choose_quantity(self, quantities: Sequence[_Quantity], path: Path) -> _Quantity:
        """Choose the quantity that is asked for, or the only one; of one product in all files."""
        names = _name_quantities(quantities)
        short, words = split_brackets(self._requested or "")
        matches = [q for q in quantities if not self._requested or (q.name == short and words <= q.words)]
        if len(matches) != 1:
            choices = ", ".join(names[quantity] for quantity in (matches or quantities))
            got = f"{len(matches)} datasets" + (f" of {self._requested}" if self._requested else "")
            fix = "name one with --var" if len(quantities) > 1 else "leave --var out"
            kind = InputError if matches else AbsentError
            raise kind(f"{path}: quantity", got=got, expected=f"one of {choices}", fix=fix)
        first, quantity = self._first or (path.name, matches[0])
        self._first = first, quantity
        got, expected = (" ".join(filter(None, each.identity)) for each in (matches[0], quantity))
        if got != expected:
            fix = "name one with --var, or put each into a folder of its own"
            raise InputError(f"{path}: quantity", got=got, expected=f"{expected}, as in {first}", fix=fix)
        return matches[0]


def _name_quantities(quantities: Sequence[_Quantity]) -> dict[_Quantity, str]:
    """Name quantities, and in brackets what distinguishes those that share a name: DBZH[CAPPI 1000]."""
    names = {}
    for quantity in quantities:
        namesakes = [other for other in quantities if other.name == quantity.name]
        facts = [tuple(filter(None, other.identity[1:])) for other in namesakes]
        own = tuple(filter(None, quantity.identity[1:])) if len(set(facts)) == len(facts) else ()
        words = " ".join(own) or quantity.array.split("/")[0]
        names[quantity] = f"{quantity.name}[{words}]" if len(namesakes) > 1 else quantity.name
    return names


def _describe(key: str, what: Mapping[str, Any], name: str) -> _Quantity:
    quantity = str(what.get("quantity", "unknown"))
    units = _UNITS.get(quantity, "dBZ" if _ECHO.fullmatch(quantity) else "1")
    minutes = _read_interval(what, name) if quantity == "ACRR" else None
    units = f"mm per {minutes:g} min" if minutes else units
    gain = hdf5.read_number(what, "gain", 1.0, name)
    if not gain:
        raise InputError(f"{name}: gain", got=gain, expected="a number that is not 0")
    return _Quantity(
        key,
        quantity,
        gain,
        hdf5.read_number(what, "offset", 0.0, name) or 0.0,
        hdf5.read_code(what, "nodata", name),
        hdf5.read_code(what, "undetect", name),
        units,
        " ".join(filter(None, (str(what.get("product", "")).strip(), _format_parameter(what.get("prodpar"))))),
        _format_minutes(minutes) if minutes else "",
    )


def _find_code(stored: NDArray[Any], code: float) -> NDArray[np.bool_]:
    """Find the values that are a code, which may be NaN."""
    return np.isnan(stored) if math.isnan(code) else np.asarray(stored == code)


def _format_parameter(value: object) -> str:
    """Format the parameter of a product: numbers without needless digits."""
    return f"{value:g}" if isinstance(value, int | float) else str("" if value is None else value).strip()


def _format_minutes(minutes: float) -> str:
    return f"{minutes / 60:g}h" if minutes % 60 == 0 else f"{minutes:g}min"


def _parse_time(date: object, time: object, name: str) -> datetime:
    """Parse YYYYMMDD and HHMMSS; some files leave out the seconds, or have a fraction of them."""
    match = _TIME.fullmatch(f"{date} {time}")
    try:
        if match is None:
            raise ValueError
        return datetime.strptime(f"{match[1]} {match[2]:0<6} {match[3] or '0'}", "%Y%m%d %H%M%S %f")
    except ValueError as error:
        got, expected = shorten(f"date {date!r}, time {time!r}", 80), "YYYYMMDD and HHMMSS, as texts"
        raise InputError(f"{name}: what", got=got, expected=expected) from error


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
    with as_input_error(name, "a PROJ text in where/projdef", pyproj.exceptions.ProjError, fix=None):
        left, top = pyproj.Proj(where["projdef"])(lon, lat)
        # corners are rounded to a few metres in some files: on a projection with false origin they fall on whole pixels
        left, top = (round(end) if abs(end - round(end)) < 0.01 * across else end for end in (left, top))
        x = tuple(left + (column + 0.5) * across for column in range(width))
        y = tuple(top - (row + 0.5) * down for row in range(height))
    return x, y
