"""Radar composites in the HDF5 of the Royal Netherlands Meteorological Institute (KNMI HDF5 Data Format, 3.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.decode import decode_values
from framecast.data.formats import hdf5
from framecast.data.formats.base import AbsentError, FileHeader, ReaderOptions
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.types import Grid

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FORMULA = re.compile(rf"GEO=(?:([-+]?{_NUMBER})\*)?PV(?:\*([-+]?{_NUMBER}))?([-+]{_NUMBER})?", re.IGNORECASE)
"""Formula without blanks, brackets and double signs."""
_SIGNS = {"+-": "-", "-+": "-", "--": "+", "++": "+"}
_PARAMETER = re.compile(r"(.*?)_*\[([^\[\]]*)\]")
"""Quantity and its units: REFLECTIVITY_[DBZ]."""
_TIME = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4});(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z?")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_LENGTH = {"KM": "km", "M": "m", "DEG": "degrees"}


def is_knmi(path: Path) -> bool:
    """Whether an HDF5 file is laid out as KNMI's are.

    Raises:
        InputError: it is damaged.
    """
    with hdf5.open_file(path) as file:
        return bool(hdf5.list_numbered(file, "image")) and "overview" in file


class _Image(NamedTuple):
    """One of the images of a file."""

    group: str
    parameter: str
    """Quantity and units, as the file has them: REFLECTIVITY_[DBZ]."""
    product: str

    @property
    def quantity(self) -> str:
        """The parameter without its units, in lower case."""
        return _split_parameter(self.parameter)[0]

    @property
    def words(self) -> str:
        """The group, and in parentheses what it holds."""
        return f"{self.group} ({', '.join(filter(None, (self.parameter, self.product)))})"


class KNMIReader:
    """Images of one kind: rain depths or reflectivity.

    Args:
        files: all of the source.
        options: variable, needed where a file has several images: the group of one (image2), its quantity
            (reflectivity) or its product (RAD_NL25_PCP_H1.5).
    """

    name = "KNMI HDF5"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._requested = options.variable
        self._first: tuple[str, _Image] | None = None

    def read_header(self, path: Path) -> FileHeader:
        """Read quantity, size, time of the end of the interval, and grid."""
        name = str(path)
        with hdf5.open_file(path) as file:
            image = self._choose_image(file, path)
            overview = hdf5.read_attributes(hdf5.find_member(file, "overview", name))
            height, width = _find_array(file, image, path).shape
            begin, end = (_parse_time(overview.get(f"product_datetime_{edge}"), name) for edge in ("start", "end"))
            units = _parse_units(
                image.parameter, None if begin is None or end is None else (end - begin).total_seconds() / 60
            )
            codes = sorted(_read_codes(_read_calibration(file, image, name), name))
            grid = _read_grid(file, image.quantity, units, codes, height, width, name)
        times = None if end is None else np.array([end.replace(tzinfo=None)], "datetime64[ms]")
        return FileHeader((1, height, width), np.dtype(np.float32), times=times, units=units, grid=grid)

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack the image."""
        name = str(path)
        with hdf5.open_file(path) as file:
            image = self._choose_image(file, path)
            calibration = _read_calibration(file, image, name)
            stored = hdf5.read_part(_find_array(file, image, path), (), name)
        gain, offset = _parse_formula(calibration, name)
        return decode_values(stored, gain, offset, _read_codes(calibration, name))[None, None]

    def _choose_image(self, file: Any, path: Path) -> _Image:
        """Choose the image that is asked for, or the only one; of one quantity and product in all files."""
        images = _list_images(file, str(path))
        wanted = (self._requested or "").lower()
        chosen = [image for image in images if not wanted or wanted in _list_names(image)]
        if len(chosen) != 1:
            got = f"{len(chosen)} images" + (f" called {self._requested}" if self._requested else "")
            fix = "name the group of one with --var, e.g. image2" if len(images) > 1 else "leave --var out"
            kind = AbsentError if self._requested and not chosen else InputError
            expected = f"one of {', '.join(image.words for image in images)}"
            raise kind(f"{path}: image", got=got, expected=expected, fix=fix)
        first, image = self._first or (path.name, chosen[0])
        self._first = first, image
        if chosen[0][1:] != image[1:]:
            fix = "name the quantity or the product with --var, or put each into a folder of its own"
            raise InputError(f"{path}: image", got=chosen[0].words, expected=f"{image.words}, as in {first}", fix=fix)
        return chosen[0]


def _list_images(file: Any, name: str) -> list[_Image]:
    """List the images of a file in the order of their numbers."""
    images = []
    for group in hdf5.list_numbered(file, "image"):
        if hdf5.find_member(file, f"{group}/image_data", name) is not None:
            about = hdf5.read_attributes(hdf5.find_member(file, group, name))
            parameter = str(about.get("image_geo_parameter", "unknown")).strip()
            images.append(_Image(group, parameter, str(about.get("image_product_name", "")).strip()))
    if not images:
        raise InputError(name, got="no imageN/image_data", expected="an image in KNMI's layout")
    return images


def _list_names(image: _Image) -> set[str]:
    return {image.group, image.quantity, image.parameter.lower(), image.product.lower()}


def _find_array(file: Any, image: _Image, path: Path) -> Any:
    return hdf5.check_frame_array(hdf5.find_member(file, f"{image.group}/image_data", str(path)), str(path))


def _read_calibration(file: Any, image: _Image, name: str) -> dict[str, Any]:
    return hdf5.read_attributes(hdf5.find_member(file, f"{image.group}/calibration", name))


def _parse_formula(calibration: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Parse gain and offset out of GEO = gain * PV + offset, whose offset may have a sign of its own."""
    formula = str(calibration.get("calibration_formulas", "GEO=1*PV"))
    text = re.sub(r"[\s()\0]", "", formula)
    for signs, sign in _SIGNS.items():
        text = text.replace(signs, sign)
    match = _FORMULA.fullmatch(text)
    if match is None or (match[1] and match[2]):
        expected = "GEO = a * PV + b"
        raise InputError(f"{name}: calibration_formulas", got=repr(shorten(formula, 60)), expected=expected)
    return float(match[1] or match[2] or 1), float(match[3] or 0)


def _read_codes(calibration: Mapping[str, Any], name: str) -> set[float]:
    codes = (hdf5.read_code(calibration, f"calibration_{key}", name) for key in ("missing_data", "out_of_image"))
    return {code for code in codes if code is not None}


def _split_parameter(parameter: str) -> tuple[str, str]:
    """Split a parameter into quantity and units, in lower case; what is written otherwise is a quantity as a whole."""
    match = _PARAMETER.fullmatch(parameter)
    return (match[1].lower(), match[2].strip().lower()) if match else (parameter.lower(), "")


def _parse_units(parameter: str, minutes: float | None) -> str:
    units = _split_parameter(parameter)[1] or "1"
    if units == "mm" and minutes and minutes > 0:
        return f"mm per {minutes:g} min"
    return {"dbz": "dBZ"}.get(units, units)


def _parse_time(text: object, name: str) -> datetime | None:
    """Parse 26-AUG-2010;05:00:00.000 by English names of months, which strptime reads in the language of the system."""
    if text is None:
        return None
    match = _TIME.fullmatch(str(text).strip())
    try:
        if match is None or match[2].upper() not in _MONTHS:
            raise ValueError
        day, hour, minute, second = (int(match[number]) for number in (1, 4, 5, 6))
        fraction = int(f"{match[7] or '':0<6}"[:6])
        return datetime(int(match[3]), _MONTHS.index(match[2].upper()) + 1, day, hour, minute, second, fraction, UTC)
    except ValueError as error:
        expected = "a time as in 26-AUG-2010;05:00:00.000"
        raise InputError(f"{name}: overview", got=repr(shorten(str(text), 60)), expected=expected) from error


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
        variables=(quantity,),
        units=(units,),
        standard_names=("equivalent_reflectivity_factor" if units == "dBZ" else "",),
        y=y,
        x=x,
        axis_units=_LENGTH.get(dimension.upper(), "1"),
        crs=_convert_axes(projection) if isinstance(projection, str) else None,
        missing=f"codes {', '.join(f'{code:g}' for code in codes)}, outside coverage" if codes else "no code is given",
    )
