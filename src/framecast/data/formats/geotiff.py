"""GeoTIFF series through rasterio: one file a time, bands as channels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.decode import decode_values
from framecast.data.formats.base import FileHeader, ReaderOptions
from framecast.data.formats.guards import as_input_error, check_frame
from framecast.data.timestamps import parse_stamp
from framecast.errors import InputError
from framecast.optional_imports import require
from framecast.types import Grid

SUFFIXES = (".tif", ".tiff")
BLOCK_LIMIT = 1 << 28
"""Bytes of one unpacked tile."""
ENVIRONMENT = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64, "GDAL_PAM_ENABLED": "NO"}
"""Options of GDAL: the file alone counts, companions such as .aux.xml do not; a cache of 64 MB."""

GEO_KEYS = 34735
"""TIFF tag of a GeoTIFF."""

_WORDS = "a GeoTIFF that can be read"
_ITEM = re.compile(r'<Item name="([^"<>]{1,60})"([^<>]{0,200})>([^<>]{0,200})</Item>')
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each TIFF type."""
_UNIT = re.compile(r'\bunit="([^"]{1,40})"')


class GeoTIFFReader:
    """GeoTIFFs on one grid. FMI's items (Gain, Offset, Nodata, Observation time) count as GDAL's do.

    Args:
        files: all of the source.
        options: variable, numbers of bands with commas between them; all bands where None.
    """

    name = "GeoTIFF"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        parts = [] if options.variable is None else options.variable.split(",")
        if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            raise InputError("variable", got=options.variable, expected="numbers of bands, for example 1,2")
        self._bands = [int(part) for part in parts]

    def read_header(self, path: Path) -> FileHeader:
        """Read size, bands, scale, time and grid."""
        with _opened(path) as file:
            bands = self._choose_bands(file, path)
            items = _read_items(file)
            shape = (len(bands), file.height, file.width)
            stamp = items.get("Observation time")
            times = None if stamp is None else np.array([parse_stamp(stamp[1], f"{path}: Observation time")])
            grid = _read_grid(file, bands, items)
        units = grid.units[0] if len(set(grid.units)) == 1 else None
        return FileHeader(shape, np.dtype(np.float32), times=times, units=units or None, grid=grid)

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read all bands, in physical units."""
        with _opened(path) as file:
            bands = self._choose_bands(file, path)
            items = _read_items(file)
            stored = file.read(bands)
            out = np.empty(stored.shape, np.float32)
            for index, band in enumerate(bands):
                scale, offset, missing = _read_calibration(file, band, items)
                out[index] = decode_values(stored[index], scale, offset, () if missing is None else (missing,))
        out[~np.isfinite(out)] = np.nan
        return out[None]

    def _choose_bands(self, file: Any, path: Path) -> list[int]:
        bands = self._bands or list(range(1, file.count + 1))
        if not bands or max(bands) > file.count:
            raise InputError(f"{path}: bands", got=f"{max(bands, default=0)}", expected=f"1 to {file.count}")
        kinds = {np.dtype(kind).kind for kind in file.dtypes}
        if not kinds <= set("fiu"):
            raise InputError(str(path), got=f"values of {', '.join(file.dtypes)}", expected="real numbers")
        size = max(np.dtype(kind).itemsize for kind in file.dtypes)
        check_frame((len(bands), file.height, file.width), size, path.stat().st_size, str(path))
        if max(rows * columns for rows, columns in file.block_shapes) * size * file.count > BLOCK_LIMIT:
            raise InputError(str(path), got=f"tiles of {file.block_shapes[0]}", expected=f"at most {BLOCK_LIMIT} bytes")
        return bands


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    rasterio = require("rasterio", "geo")
    errors = require("rasterio.errors", "geo")
    with as_input_error(str(path), _WORDS):
        _check_tags(path)
    with (
        as_input_error(str(path), _WORDS, errors.RasterioError),
        rasterio.Env(**ENVIRONMENT),
        rasterio.open(path, driver="GTiff") as file,
    ):
        yield file


class _Tags(NamedTuple):
    """First directory of a TIFF."""

    order: Literal["little", "big"]
    width: int
    """Bytes of a value or an offset."""
    entries: list[bytes]
    whole: bool
    """Whether all entries are there."""


def is_geotiff(path: Path) -> bool:
    """Whether a TIFF says where its pixels lie on earth.

    Its tags are read here and not by Pillow, which refuses some of the sample types that GeoTIFFs have.

    Raises:
        InputError: the file cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        return False
    with as_input_error(str(path), _WORDS):
        tags = _read_tags(path)
    return any(int.from_bytes(entry[:2], tags.order) == GEO_KEYS for entry in tags.entries)


def _read_tags(path: Path) -> _Tags:
    with path.open("rb") as file:
        # byte order (II or MM), version, offset of the directory: 4 bytes each, 8 in BigTIFF, whose version is 43
        head = file.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        width, size = (8, 20) if big else (4, 12)
        file.seek(int.from_bytes(head[8:16] if big else head[4:8], order))
        count = int.from_bytes(file.read(8 if big else 2), order)
        table = file.read(min(count, 1000) * size)
    entries = [table[at : at + size] for at in range(0, len(table) - size + 1, size)]
    return _Tags(order, width, entries, len(table) == count * size)


def _check_tags(path: Path) -> None:
    """Refuse a file that ends before one of its tags: GDAL would leave out the tag, and with it the scale or the mask."""
    size, (order, width, entries, whole) = path.stat().st_size, _read_tags(path)
    for entry in entries:
        # tag, type, number of values, and the values or, where they are longer, their offset in the file
        kind, number = int.from_bytes(entry[2:4], order), entry[4:-width]
        length = _SIZES.get(kind, 1) * int.from_bytes(number, order)
        whole &= length <= width or int.from_bytes(entry[-width:], order) + length <= size
    if not whole:
        raise InputError(
            str(path), got="the end of the file before that of its tags", expected=_WORDS, fix="get it again"
        )


def _read_items(file: Any) -> dict[str, tuple[str, str]]:
    """Read the GDAL_METADATA tag: name to (unit, text). FMI wraps its items in one more layer, which GDAL leaves."""
    tags = file.tags()
    items = {str(name): ("", str(text)) for name, text in tags.items()}
    for name, rest, text in _ITEM.findall(tags.get("GDAL_METADATA", "")):
        unit = _UNIT.search(rest)
        items[name] = (unit[1] if unit else "", text.strip())
    return items


def _read_calibration(file: Any, band: int, items: dict[str, tuple[str, str]]) -> tuple[float, float, float | None]:
    scale, offset, missing = file.scales[band - 1], file.offsets[band - 1], file.nodatavals[band - 1]
    if (scale, offset) == (1.0, 0.0) and {"Gain", "Offset"} <= set(items):
        scale, offset = float(items["Gain"][1]), float(items["Offset"][1])
    if missing is None and "Nodata" in items:
        missing = float(items["Nodata"][1])
    if not (np.isfinite(scale) and np.isfinite(offset) and scale):
        raise InputError(file.name, got=f"scale {scale}, offset {offset}", expected="finite numbers, scale not 0")
    return scale, offset, missing


def _read_grid(file: Any, bands: Sequence[int], items: dict[str, tuple[str, str]]) -> Grid:
    unit, quantity = items.get("Quantity", ("", ""))
    names = [file.descriptions[band - 1] or quantity or f"band {band}" for band in bands]
    units = [file.units[band - 1] or unit for band in bands]
    missing = [_read_calibration(file, band, items)[2] for band in bands]
    transform = file.transform
    straight = transform.b == 0 and transform.d == 0
    degrees = bool(file.crs and file.crs.is_geographic)
    policy = "NaN" if missing[0] is None else f"nodata {missing[0]:g}"
    if "Undetect" in items:
        policy += f"; undetect {items['Undetect'][1]} is a value, not missing"
    return Grid(
        variables=tuple(names),
        units=tuple(units),
        standard_names=tuple("equivalent_reflectivity_factor" if unit.lower() == "dbz" else "" for unit in units),
        y=tuple(transform.f + (row + 0.5) * transform.e for row in range(file.height)) if straight else (),
        x=tuple(transform.c + (column + 0.5) * transform.a for column in range(file.width)) if straight else (),
        y_name="latitude" if degrees else "y",
        x_name="longitude" if degrees else "x",
        axis_units="degrees" if degrees else "m",
        crs=file.crs.to_wkt() if file.crs else None,
        missing=policy,
    )
