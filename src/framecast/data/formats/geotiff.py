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

GEO_TAGS = {33550, 33922, 34264, 34735, 42112, 42113}
"""TIFF tags that only GDAL honours: scale, tie points, matrix and keys of a GeoTIFF; GDAL's metadata and nodata."""
ORIENTATION, PAGE_KIND = 274, 254
MASK_PAGE = 4
"""Bit of the kind of a page that is the mask of another."""
PAGES = 100
"""Pages of a TIFF among which one that is a mask is looked for."""

_WORDS = "a GeoTIFF that can be read"
_ITEM = re.compile(r'<Item name="([^"<>]{1,60})"([^<>]{0,200})>([^<>]{0,200})</Item>')
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each TIFF type."""
SHORT = 3
"""Type of a TIFF's whole numbers of 16 bits."""
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
        with open_dataset(path, str(path), "GTiff") as file:
            bands = self._choose_bands(file, path)
            items = _read_items(file)
            shape = (len(bands), file.height, file.width)
            stamp = items.get("Observation time")
            times = None if stamp is None else np.array([parse_stamp(stamp[1], f"{path}: Observation time")])
            grid = _read_grid(file, bands, items, path)
            notes = tuple(_describe_bands(file, bands))
            if (read_tag(path, ORIENTATION) or 1) != 1:
                notes += ("orientation: rows and columns are as stored, whatever the tag says, as GDAL has them",)
        units = grid.units[0] if len(set(grid.units)) == 1 else None
        return FileHeader(shape, np.dtype(np.float32), times=times, units=units or None, grid=grid, notes=notes)

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read all bands, in physical units; NaN where GDAL's mask (RFC 15) is 0: by nodata, a mask, or alpha."""
        with open_dataset(path, str(path), "GTiff") as file:
            bands = self._choose_bands(file, path)
            items = _read_items(file)
            stored = file.read(bands)
            out = np.empty(stored.shape, np.float32)
            for index, band in enumerate(bands):
                scale, offset, code = _read_calibration(file, band, items)
                # of a code that GDAL knows its mask tells, with the tolerance that floats take
                codes = (code,) if code is not None and file.nodatavals[band - 1] is None else ()
                out[index] = decode_values(stored[index], scale, offset, codes)
                missing = _read_missing(file, path, band)
                if missing is not None:
                    out[index][missing] = np.nan
        out[~np.isfinite(out)] = np.nan
        return out[None]

    def _choose_bands(self, file: Any, path: Path) -> list[int]:
        bands = self._bands or [band for band in range(1, file.count + 1) if not is_alpha(file, band)]
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
def open_dataset(path: Path, name: str, driver: Literal["GTiff", "PNG"]) -> Iterator[Any]:
    """Open a file with one driver of GDAL, as a rasterio dataset.

    Args:
        path: the file.
        name: what GDAL is asked for: the path, or a page of it.
        driver: the only one that is tried, so that no other format can hide behind the suffix.

    Raises:
        InputError: it is damaged, or no such file.
        UsageError: rasterio is not installed.
    """
    rasterio = require("rasterio", "geo")
    errors = require("rasterio.errors", "geo")
    internal = require("rasterio._err", "geo")  # what GDAL says of a damaged mask comes without rasterio's own error
    words = "a TIFF that can be read" if driver == "GTiff" else "a PNG that can be read"
    if driver == "GTiff":
        with as_input_error(str(path), words):
            _check_tags(path)
    with (
        as_input_error(str(path), words, errors.RasterioError, internal.CPLE_BaseError),
        rasterio.Env(**ENVIRONMENT),
        rasterio.open(name, driver=driver) as file,
    ):
        yield file


def is_alpha(file: Any, band: int) -> bool:
    """Whether a band of a rasterio dataset says which pixels are there, and is no channel."""
    return file.colorinterp[band - 1].name == "alpha"


def _read_missing(file: Any, path: Path, band: int) -> NDArray[np.bool_] | None:
    """Read where pixels of a band are missing by GDAL's rules (RFC 15), (H, W); None where none can be.

    A mask, in a file beside or in the file itself, takes precedence over nodata, and nodata over alpha.
    """
    beside = find_mask_file(path)
    if beside is not None:
        with open_dataset(beside, str(beside), "GTiff") as mask:
            if mask.shape != file.shape:
                raise InputError(
                    str(beside), got=f"a mask of {mask.shape}", expected=f"{file.shape}, as of {path.name}"
                )
            return mask.read(min(band, mask.count)) == 0
    if any(flag.name == "all_valid" for flag in file.mask_flag_enums[band - 1]):
        return None
    return file.read_masks(band) == 0


def find_mask_file(path: Path) -> Path | None:
    """Find the mask beside a TIFF, which GDAL names after it; None where there is none."""
    beside = path.with_name(f"{path.name}.msk")
    return beside if path.suffix.lower() in SUFFIXES and beside.is_file() else None


class _Tags(NamedTuple):
    """Directory of a page of a TIFF."""

    order: Literal["little", "big"]
    width: int
    """Bytes of a value or an offset."""
    entries: list[bytes]
    whole: bool
    """Whether all entries are there."""

    def find(self, *tags: int) -> int | None:
        """Find the first value of the first of some tags, as a number of 16 or 32 bits; None where there is none."""
        for entry in self.entries:
            if int.from_bytes(entry[:2], self.order) in tags:
                short = int.from_bytes(entry[2:4], self.order) == SHORT
                return int.from_bytes(entry[-self.width :][: 2 if short else 4], self.order)
        return None


def is_geotiff(path: Path) -> bool:
    """Whether a TIFF says where its pixels lie on earth, or which of them are missing.

    Its tags are read here and not by Pillow, which refuses some of the sample types that GeoTIFFs have, and takes a mask
    for one more frame.

    Raises:
        InputError: the file cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        return False
    if find_mask_file(path) is not None:
        return True
    with as_input_error(str(path), _WORDS):
        for number, tags in enumerate(_list_tags(path)):
            if number == 0 and tags.find(*GEO_TAGS) is not None:
                return True
            if (tags.find(PAGE_KIND) or 0) & MASK_PAGE:
                return True
            if number == PAGES:
                break
    return False


def read_tag(path: Path, tag: int) -> int | None:
    """Read a small number from the first directory of a TIFF; None where it is not there."""
    return next(_list_tags(path)).find(tag)


def _list_tags(path: Path) -> Iterator[_Tags]:
    """Iterate over the directories of a TIFF, one of each page."""
    with path.open("rb") as file:
        # byte order (II or MM), version, offset of the directory: 4 bytes each, 8 in BigTIFF, whose version is 43
        head = file.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        width, size = (8, 20) if big else (4, 12)
        start, seen = int.from_bytes(head[8:16] if big else head[4:8], order), set[int]()
        while not seen or (start and start not in seen):
            seen.add(start)
            file.seek(start)
            count = int.from_bytes(file.read(8 if big else 2), order)
            table = file.read(min(count, 1000) * size)
            entries = [table[at : at + size] for at in range(0, len(table) - size + 1, size)]
            yield _Tags(order, width, entries, len(table) == count * size)
            start = int.from_bytes(file.read(width), order)


def _check_tags(path: Path) -> None:
    """Refuse a file that ends before one of its tags: GDAL would leave out the tag, and with it the scale or the mask."""
    size, (order, width, entries, whole) = path.stat().st_size, next(_list_tags(path))
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


def _describe_bands(file: Any, bands: Sequence[int]) -> Iterator[str]:
    """Describe bands and pages that are no channels, and bands of numbers that stand for colours."""
    alpha = [band for band in range(1, file.count + 1) if is_alpha(file, band) and band not in bands]
    if alpha:
        yield f"bands: {', '.join(map(str, alpha))} is alpha, which says what is missing, and no channel"
    if any(file.colorinterp[band - 1].name == "palette" for band in bands):
        yield "bands: values are numbers of a table of colours, as stored"
    if len(file.subdatasets) > 1:
        yield f"pages: the first of {len(file.subdatasets)} is read"


def _place(first: float, step: float, count: int, unit: float) -> tuple[float, ...]:
    """Place the centres of rows or columns from the edge of the first one on, in a unit of so many metres."""
    return tuple(unit * (first + (number + 0.5) * step) for number in range(count))


def _read_grid(file: Any, bands: Sequence[int], items: dict[str, tuple[str, str]], path: Path) -> Grid:
    unit, quantity = items.get("Quantity", ("", ""))
    names = [file.descriptions[band - 1] or quantity or f"band {band}" for band in bands]
    units = [file.units[band - 1] or unit for band in bands]
    missing = [_read_calibration(file, band, items)[2] for band in bands]
    transform = file.transform
    straight = transform.b == 0 and transform.d == 0
    degrees = bool(file.crs and file.crs.is_geographic)
    # feet and kilometres become metres
    metres = file.crs.linear_units_factor[1] if file.crs and file.crs.is_projected else 1.0
    flags = {flag.name for flag in file.mask_flag_enums[bands[0] - 1]}
    if find_mask_file(path) is not None or flags == {"per_dataset"}:
        policy = "mask"
    elif "alpha" in flags:
        policy = "alpha 0"
    else:
        policy = "NaN" if missing[0] is None else f"nodata {missing[0]:g}"
    if "Undetect" in items:
        policy += f"; undetect {items['Undetect'][1]} is a value, not missing"
    return Grid(
        variables=tuple(names),
        units=tuple(units),
        standard_names=tuple("equivalent_reflectivity_factor" if unit.lower() == "dbz" else "" for unit in units),
        y=_place(transform.f, transform.e, file.height, metres) if straight else (),
        x=_place(transform.c, transform.a, file.width, metres) if straight else (),
        y_name="latitude" if degrees else "y",
        x_name="longitude" if degrees else "x",
        axis_units="degrees" if degrees else "m",
        # without coordinates a reference system would put the frames at its origin
        crs=file.crs.to_wkt() if file.crs and straight else None,
        missing=policy,
    )
