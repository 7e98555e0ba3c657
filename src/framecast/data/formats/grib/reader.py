"""GRIB 1 and 2 through pygrib (ECMWF's ecCodes): MRMS composites, model fields.

pygrib rather than cfgrib: its wheels carry a separate ecCodes, while that of the package `eccodes` brings a second
PROJ library, with which pyproj crashes in the same process; and no index files are written next to the user's data.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import AbsentError, FileHeader, ReaderOptions
from framecast.data.formats.grib import mrms
from framecast.data.formats.grib.guard import check_sections
from framecast.data.formats.guards import SERIES_LIMIT, as_input_error, check_frame
from framecast.data.formats.variable_names import split_brackets
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.optional_imports import require
from framecast.types import Grid

SUFFIXES = (".grib2", ".grib", ".grb", ".grb2", ".grib2.gz", ".grb2.gz")
MESSAGE_LIMIT = 1 << 30
"""Bytes of one message, and of a whole gzipped file once unpacked."""
_WORDS = "GRIB messages that can be read"
_DISTANCES = {
    "lambert": ("DxInMetres", "DyInMetres"),
    "polar_stereographic": ("DxInMetres", "DyInMetres"),
    "mercator": ("DiInMetres", "DjInMetres"),
}
"""Keys of the distance of points in x and y, metres, by kind of grid."""
_STANDARD_NAMES = {"mm/h": "rainfall_rate", "dBZ": "equivalent_reflectivity_factor"}
"""CF standard names by units."""


_MRMS_NAME = re.compile(r"(?:MRMS_)?(.+?)_\d\d\.\d\d_\d{8}(?:-\d{6})?(?:\.grb2?|\.grib2?)?(?:\.gz)?", re.IGNORECASE)
"""Product, height and time: MRMS_PrecipRate_00.00_20190610-010600.grib2."""


class _Span(NamedTuple):
    """Bytes of a message in a file: where they begin, and how many there are."""

    start: int
    size: int


class _Field(NamedTuple):
    """Identity of a field: messages of one sequence share it."""

    short: str
    kind: str
    """Kind of level: isobaricInhPa, heightAboveGround."""
    level: str
    member: str
    """Member of an ensemble; empty where there is none."""
    step: str
    """Kind of time: instant, avg, accum."""

    @property
    def words(self) -> set[str]:
        """All that is known beyond the name."""
        return set(" ".join(self[1:]).split())


class GRIBReader:
    """Messages of one field on one grid, in the order of their valid times.

    Args:
        files: all of the source.
        options: variable, the short name of the field, needed where files hold several; with the level (or the member
            of an ensemble) in brackets, as in t[500], where they hold several of those.
    """

    name = "GRIB"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._requested = options.variable
        self._index: dict[Path, list[_Span]] = {}
        self._first: tuple[str, _Field] | None = None

    def read_header(self, path: Path) -> FileHeader:
        """Read fields, size, valid times and grid, out of the sections before the values."""
        name = str(path)
        fields: dict[_Field, list[_Span]] = {}
        with as_input_error(name, _WORDS):
            content = _read_content(path)
            for span in _find_messages(content, name):
                fields.setdefault(_identify_field(_decode_message(content, span), path), []).append(span)
            chosen = self._choose_field(list(fields), name)
            first, times = None, []
            for span in fields[chosen]:
                message = _decode_message(content, span)
                header = _describe(message, self._requested or chosen.short, span.size, name)
                first = first or header
                if header.grid != first.grid:
                    raise InputError(name, got=f"{chosen.short} on several grids", expected="one")
                times.append(np.datetime64(message.validDate, "ms"))
        assert first is not None
        self._index[path] = fields[chosen]
        return first._replace(frames=len(times), times=np.array(times, "datetime64[ms]"))

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack messages; missing pixels are NaN."""
        with as_input_error(str(path), _WORDS):
            content = _read_content(path)
            frames = [_decode_values(_decode_message(content, self._index[path][index])) for index in indices]
        return np.stack(frames)[:, None]

    def _choose_field(self, fields: Sequence[_Field], name: str) -> _Field:
        """Choose the field that is asked for, which must be on the same level in all files."""
        names = _name_fields(fields)
        short, words = split_brackets(self._requested or "")
        matches = [f for f in fields if not self._requested or (f.short == short and words <= f.words)]
        choices = shorten(", ".join(names[field] for field in (matches or fields)), 300)
        if len(matches) != 1:
            got = self._requested or f"{len(fields)} fields"
            if matches and self._requested:
                got = f"{self._requested}, which is {choices}"
            kind = InputError if matches else AbsentError
            fix = "name one with --var" if len(fields) > 1 else "leave --var out"
            raise kind(f"{name}: field", got=got, expected=f"one of {choices}", fix=fix)
        first, field = self._first or (name, matches[0])
        self._first = first, field
        got, expected = (f"{f.short} of {f.kind} {f.level} {f.member}".rstrip() for f in (matches[0], field))
        if got != expected:
            fix = f"name the level with --var, as in {field.short}[{field.level}], or put each into a folder of its own"
            raise InputError(name, got=got, expected=f"{expected}, as in {Path(first).name}", fix=fix)
        return matches[0]


def _decode_message(content: Any, span: _Span) -> Any:
    return require("pygrib", "grib").fromstring(bytes(content[span.start : span.start + span.size]))


def _identify_field(message: Any, path: Path) -> _Field:
    keys = ("typeOfLevel", "level", "bottomLevel", "stepType", "number")
    values = {key: str(message[key]) for key in keys if message.has_key(key)}
    level, bottom = values.get("level", ""), values.get("bottomLevel", "")
    level += f"-{bottom}" if bottom not in ("", level) else ""
    member = f"member {values['number']}" if "number" in values else ""
    return _Field(
        _read_short_name(message, path), values.get("typeOfLevel", ""), level, member, values.get("stepType", "")
    )


def _name_fields(fields: Sequence[_Field]) -> dict[_Field, str]:
    """Name fields: the short name, and in brackets what distinguishes fields that share it: t[500]."""
    names = {}
    for field in fields:
        namesakes = [other for other in fields if other.short == field.short]
        words = [word for at, word in enumerate(field) if len({other[at] for other in namesakes}) > 1]
        names[field] = f"{field.short}[{' '.join(filter(None, words))}]" if words else field.short
    return names


def _read_content(path: Path) -> Any:
    """Map the bytes of a file, or unpack them where they are gzipped."""
    if path.suffix != ".gz":
        return np.memmap(path, np.uint8, "r") if path.stat().st_size else b""
    with gzip.open(path) as file:
        content = file.read(MESSAGE_LIMIT + 1)  # one byte more, so that a longer file is noticed
    if len(content) > MESSAGE_LIMIT:
        raise InputError(str(path), got=f"more than {MESSAGE_LIMIT} bytes unpacked", expected="less")
    return content


def _find_messages(content: Any, name: str) -> Iterator[_Span]:
    """Find messages, and check their lengths and sections, which ecCodes trusts."""
    at, count = 0, 0
    while at < len(content):
        head = bytes(content[at : at + 16])
        if head[:4] != b"GRIB":
            if bytes(content[at : at + 1]) not in (b"\0", b"\n", b"\r"):  # padding between messages
                break
            at += 1
            continue
        # section 0: GRIB, then in edition 1 the length in 3 bytes, in edition 2 in the last 8; byte 7 is the edition
        edition = head[7] if len(head) == 16 else 0
        size = int.from_bytes(head[8:16], "big") if edition == 2 else int.from_bytes(head[4:7], "big")
        good = edition in (1, 2) and 16 <= size <= min(MESSAGE_LIMIT, len(content) - at)
        if not good or bytes(content[at + size - 4 : at + size]) != b"7777":
            raise InputError(name, got=f"a message of {size} bytes at {at}", expected="a whole one", fix="get it again")
        if edition == 2:
            check_sections(content, at, size, name)
        yield _Span(at, size)
        at, count = at + size, count + 1
        if count > SERIES_LIMIT:
            raise InputError(name, got="too many messages", expected=f"at most {SERIES_LIMIT}")
    if not count:
        raise InputError(name, got="no GRIB message", expected=_WORDS)


def _read_short_name(message: Any, path: Path) -> str:
    if not _is_mrms(message):
        return str(message["shortName"])
    match = _MRMS_NAME.fullmatch(path.name)
    return match[1] if match else f"{message['parameterCategory']}-{message['parameterNumber']}"


def _describe(message: Any, short: str, size: int, name: str) -> FileHeader:
    kind = message["gridType"]
    if kind not in ("regular_ll", "lambert", "polar_stereographic", "mercator", "rotated_ll"):
        raise InputError(name, got=f"a grid of kind {kind}", expected="rows and columns", fix="regrid it first")
    height, width = (
        int(message["Nj" if message.has_key("Nj") else "Ny"]),
        int(message["Ni" if message.has_key("Ni") else "Nx"]),
    )
    check_frame((height, width), 8, max(size, 1 << 20), name)
    units = _read_units(message)
    y, x = _read_axes(message, kind, height, width)
    projection = message.projparams
    product = _find_product(message)
    notes: tuple[str, ...] = ()
    if product is None and _is_mrms(message):
        number = f"{message['parameterCategory']}-{message['parameterNumber']}"
        notes = (f"MRMS: product {number} is not in NSSL's table; no value of it counts as missing but by --missing",)
    grid = Grid(
        variables=(short,),
        units=(units,),
        standard_names=(_STANDARD_NAMES.get(units, ""),),
        y=y,
        x=x,
        y_name="latitude" if kind == "regular_ll" else "y",
        x_name="longitude" if kind == "regular_ll" else "x",
        axis_units="degrees" if kind == "regular_ll" else "m",
        crs=" ".join(f"+{key}={value}" for key, value in projection.items()) if projection else None,
        missing=product.policy if product else "GRIB's bitmap",
    )
    known = None if units == "1" else units
    return FileHeader((1, height, width), np.dtype(np.float32), units=known, grid=grid, notes=notes)


def _is_mrms(message: Any) -> bool:
    return bool(message["editionNumber"] == 2 and message["discipline"] == mrms.DISCIPLINE)


def _find_product(message: Any) -> mrms.Product | None:
    if not _is_mrms(message):
        return None
    return mrms.find_product(int(message["parameterCategory"]), int(message["parameterNumber"]))


def _read_units(message: Any) -> str:
    if _is_mrms(message):
        product = _find_product(message)
        return product.units if product else "1"
    units = str(message["units"])
    return "1" if units in ("unknown", "~", "") else units


def _read_axes(message: Any, kind: str, height: int, width: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute latitudes of rows and longitudes of columns in [-180, 180), degrees, or metres; none on rotated grids."""
    if kind in _DISTANCES:
        return _project_axes(message, kind, height, width)
    if kind != "regular_ll":
        return (), ()
    ends = [
        float(message[f"{axis}Of{end}GridPointInDegrees"])
        for axis in ("latitude", "longitude")
        for end in ("First", "Last")
    ]
    if ends[3] < ends[2]:  # the grid crosses the meridian at which longitudes begin anew
        ends[3] += 360
    shift = 360.0 if ends[2] >= 180 else 0.0
    y = np.linspace(ends[0], ends[1], height)
    x = np.linspace(ends[2], ends[3], width) - shift
    return tuple(y.round(6).tolist()), tuple(x.round(6).tolist())


def _project_axes(message: Any, kind: str, height: int, width: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute centres of rows and columns, metres, from the first point on; none where pyproj is not installed."""
    try:
        import pyproj
    except ImportError:
        return (), ()
    across, up = (abs(float(message[key])) for key in _DISTANCES[kind])
    across = -across if message["iScansNegatively"] else across
    up = up if message["jScansPositively"] else -up
    lon, lat = (float(message[f"{axis}OfFirstGridPointInDegrees"]) for axis in ("longitude", "latitude"))
    left, first = pyproj.Proj(message.projparams)(lon, lat, errcheck=True)
    y, x = (start + step * np.arange(count) for start, step, count in ((first, up, height), (left, across, width)))
    return tuple(y.round(3).tolist()), tuple(x.round(3).tolist())


def _decode_values(message: Any) -> NDArray[np.float32]:
    masked, product = message.values, _find_product(message)
    stored = np.ma.getdata(masked)
    values = stored.astype(np.float32)
    if product is not None:
        values[np.isin(stored, product.missing)] = np.nan
        if product.no_echo is not None:
            values[stored == product.no_echo] = product.no_echo_value
    values[np.ma.getmaskarray(masked)] = np.nan
    return values
