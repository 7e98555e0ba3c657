"""Radar composites in the HDF5 of the Royal Netherlands Meteorological Institute (KNMI HDF5 Data Format, 3.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.decode import decode_values
from framecast.data.formats import hdf5
from framecast.data.formats.base import FileHeader, ReaderOptions
from framecast.data.formats.guards import as_input_error
from framecast.errors import InputError
from framecast.types import Grid

_FORMULA = re.compile(r"GEO\s*=\s*([-+.\deE]+)\s*\*\s*PV\s*([-+]\s*[.\deE]+)?")
_LENGTH = {"KM": "km", "M": "m", "DEG": "degrees"}


def is_knmi(path: Path) -> bool:
    """Whether an HDF5 file is laid out as KNMI's are.

    Raises:
        InputError: it is damaged.
        UsageError: h5py is not installed.
    """
    with hdf5.open_file(path) as file:
        return "image1" in file and "overview" in file


class KNMIReader:
    """Images of one kind: rain depths or reflectivity.

    Args:
        files: all of the source.
        options: variable, the group of the image where a file has several; image1 where None.
    """

    name = "KNMI HDF5"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._image = options.variable or "image1"

    def read_header(self, path: Path) -> FileHeader:
        """Read quantity, size, time of the end of the interval, and grid."""
        name = str(path)
        with hdf5.open_file(path) as file:
            image = hdf5.read_attributes(hdf5.find_member(file, self._image, name))
            overview = hdf5.read_attributes(hdf5.find_member(file, "overview", name))
            height, width = self._find_image(file, path).shape
            quantity = str(image.get("image_geo_parameter", "unknown"))
            begin, end = (_parse_time(overview.get(f"product_datetime_{edge}"), name) for edge in ("start", "end"))
            units = _parse_units(quantity, None if begin is None or end is None else (end - begin).total_seconds() / 60)
            codes = sorted(_read_codes(self._read_calibration(file, name), name))
            grid = _read_grid(file, quantity, units, codes, height, width, name)
        times = None if end is None else np.array([end.replace(tzinfo=None)], "datetime64[ms]")
        return FileHeader((1, height, width), np.dtype(np.float32), times=times, units=units, grid=grid)

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack the image."""
        name = str(path)
        with hdf5.open_file(path) as file:
            calibration = self._read_calibration(file, name)
            stored = hdf5.read_part(self._find_image(file, path), (), name)
        gain, offset = _parse_formula(calibration, name)
        return decode_values(stored, gain, offset, _read_codes(calibration, name))[None, None]

    def _find_image(self, file: Any, path: Path) -> Any:
        node = hdf5.find_member(file, f"{self._image}/image_data", str(path))
        if node is None:
            got = f"no {self._image}/image_data"
            raise InputError(str(path), got=got, expected="an image", fix="name its group with --var, e.g. image2")
        return hdf5.check_frame_array(node, str(path))

    def _read_calibration(self, file: Any, name: str) -> dict[str, Any]:
        return hdf5.read_attributes(hdf5.find_member(file, f"{self._image}/calibration", name))


def _parse_formula(calibration: Mapping[str, Any], name: str) -> tuple[float, float]:
    formula = str(calibration.get("calibration_formulas", "GEO=1*PV"))
    match = _FORMULA.match(formula.strip())
    if match is None:
        raise InputError(f"{name}: calibration_formulas", got=formula[:60], expected="GEO=a*PV+b")
    with as_input_error(name, "numbers in calibration_formulas"):
        return float(match[1]), float((match[2] or "0").replace(" ", ""))


def _read_codes(calibration: Mapping[str, Any], name: str) -> set[float]:
    codes = (
        hdf5.read_number(calibration, f"calibration_{key}", None, name) for key in ("missing_data", "out_of_image")
    )
    return {code for code in codes if code is not None}


def _parse_units(quantity: str, minutes: float | None) -> str:
    bracket = re.search(r"\[(.*?)\]", quantity)
    units = bracket[1].lower() if bracket else "1"
    if units == "mm" and minutes and minutes > 0:
        return f"mm per {minutes:g} min"
    return {"dbz": "dBZ"}.get(units, units)


def _parse_time(text: object, name: str) -> datetime | None:
    """Parse 26-AUG-2010;05:00:00.000 by English names of months, which strptime reads in the language of the system."""
    if text is None:
        return None
    with as_input_error(f"{name}: overview", "times as in 26-AUG-2010;05:00:00.000"):
        day, month, year, hour, minute, second = re.split(r"[-;:]", str(text).strip())
        number = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"].index(
            month.upper()
        ) + 1
        return datetime(int(year), number, int(day), int(hour), int(minute), int(float(second)), tzinfo=UTC)


def _convert_axes(projection: str) -> str:
    """Convert the axes of the earth to metres, as PROJ takes them; these files have them in kilometres."""
    return re.sub(r"\+([ab])=(\d{4}(?:\.\d*)?)(?=\s|$)", lambda m: f"+{m[1]}={1000 * float(m[2]):.10g}", projection)


def _read_grid(
    file: Any, quantity: str, units: str, codes: Sequence[float], height: int, width: int, name: str
) -> Grid:
    geographic = hdf5.read_attributes(hdf5.find_member(file, "geographic", name))
    projection = hdf5.read_attributes(hdf5.find_member(file, "geographic/map_projection", name)).get(
        "projection_proj4_params"
    )
    keys = ("geo_row_offset", "geo_column_offset", "geo_pixel_size_y", "geo_pixel_size_x")
    top, left, down, across = (hdf5.read_number(geographic, key, None, name) for key in keys)
    y: tuple[float, ...] = ()
    x: tuple[float, ...] = ()
    if top is not None and left is not None and down is not None and across is not None:
        # offsets count pixels; rows go down, and the size of a pixel in y is negative where y goes up
        y = tuple((top + row + 0.5) * down for row in range(height))
        x = tuple((left + column + 0.5) * across for column in range(width))
    dimension = str(geographic.get("geo_dim_pixel", "")).split(",")[0]
    return Grid(
        variables=(re.sub(r"_?\[.*", "", quantity).lower(),),
        units=(units,),
        standard_names=("equivalent_reflectivity_factor" if units == "dBZ" else "",),
        y=y,
        x=x,
        axis_units=_LENGTH.get(dimension.upper(), "1"),
        crs=_convert_axes(projection) if isinstance(projection, str) else None,
        missing=f"codes {', '.join(f'{code:g}' for code in codes)}, outside coverage" if codes else "no code is given",
    )
