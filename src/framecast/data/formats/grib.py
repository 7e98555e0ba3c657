"""GRIB 1 and 2 through pygrib (ECMWF's ecCodes): MRMS composites, model fields.

pygrib rather than cfgrib: its wheels carry an ecCodes of their own, while that of the package `eccodes` brings a second
PROJ library, with which pyproj crashes in the same process; and no index files are written beside the user's data.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats import mrms
from framecast.data.formats.base import AbsentError, FileHeader, ReaderOptions
from framecast.data.formats.grib_sections import check_sections
from framecast.data.formats.guards import SERIES_LIMIT, as_input_error, check_frame
from framecast.errors import InputError
from framecast.optional import require
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
"""By kind of grid, keys of the distance of its points in x and y."""
_STANDARD_NAMES = {"mm/h": "rainfall_rate", "dBZ": "equivalent_reflectivity_factor"}
"""By units."""


_MRMS_NAME = re.compile(r"(?:MRMS_)?(.+?)_\d\d\.\d\d_\d{8}")
"""Product, height and date: MRMS_PrecipRate_00.00_20190610-010600."""


class _Message(NamedTuple):
    start: int
    size: int


class _Field(NamedTuple):
    """What messages of one sequence have in common."""

    short: str
    kind: str
    """Of the level: isobaricInhPa, heightAboveGround."""
    level: str
    member: str
    """Of an ensemble; empty where there is none."""
    step: str
    """instant, avg, accum."""

    @property
    def words(self) -> set[str]:
        """Everything but the name."""
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
        self._wanted = options.variable
        self._index: dict[Path, list[_Message]] = {}
        self._first: tuple[str, _Field] | None = None

    def read_header(self, path: Path) -> FileHeader:
        """Fields, size, valid times and place, out of the sections before the values."""
        name = str(path)
        fields: dict[_Field, list[_Message]] = {}
        with as_input_error(name, _WORDS):
            content = _content(path)
            for place in _messages(content, name):
                fields.setdefault(_field(_opened(content, place), path), []).append(place)
            chosen = self._chosen(list(fields), name)
            first, times = None, []
            for place in fields[chosen]:
                message = _opened(content, place)
                leaf = _leaf(message, self._wanted or chosen.short, place.size, name)
                first = first or leaf
                if leaf.grid != first.grid:
                    raise InputError(name, got=f"{chosen.short} on several grids", expected="one")
                times.append(np.datetime64(message.validDate, "ms"))
        assert first is not None
        self._index[path] = fields[chosen]
        return first._replace(frames=len(times), times=np.array(times, "datetime64[ms]"))

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack messages; missing pixels are NaN."""
        with as_input_error(str(path), _WORDS):
            content = _content(path)
            frames = [_values(_opened(content, self._index[path][index])) for index in indices]
        return np.stack(frames)[:, None]

    def _chosen(self, fields: Sequence[_Field], name: str) -> _Field:
        """The field that is wanted, which must be on the same level in all files."""
        names = _names(fields)
        wanted, _, words = (self._wanted or "").rstrip("]").partition("[")
        alike = [f for f in fields if not self._wanted or (f.short == wanted and set(words.split()) <= f.words)]
        told = ", ".join(names[field] for field in (alike or fields))[:300]
        if len(alike) != 1:
            got = f"{self._wanted}, which is {told}" if alike and self._wanted else self._wanted or f"fields {told}"
            kind = InputError if alike else AbsentError
            raise kind(f"{name}: field", got=got, expected=f"one of {told}", fix="name one with --var")
        first, field = self._first or (name, alike[0])
        self._first = first, field
        got, expected = (f"{f.short} of {f.kind} {f.level} {f.member}".rstrip() for f in (alike[0], field))
        if got != expected:
            fix = f"name the level with --var, as in {field.short}[{field.level}], or put each into a folder of its own"
            raise InputError(name, got=got, expected=f"{expected}, as in {Path(first).name}", fix=fix)
        return alike[0]


def _opened(content: Any, place: _Message) -> Any:
    return require("pygrib", "grib").fromstring(bytes(content[place.start : place.start + place.size]))


def _field(message: Any, path: Path) -> _Field:
    keys = ("typeOfLevel", "level", "bottomLevel", "stepType", "number")
    said = {key: str(message[key]) for key in keys if message.has_key(key)}
    level, bottom = said.get("level", ""), said.get("bottomLevel", "")
    level += f"-{bottom}" if bottom not in ("", level) else ""
    member = f"member {said['number']}" if "number" in said else ""
    return _Field(_short(message, path), said.get("typeOfLevel", ""), level, member, said.get("stepType", ""))


def _names(fields: Sequence[_Field]) -> dict[_Field, str]:
    """Short names, and in brackets what tells fields of the same name apart: t[500]."""
    names = {}
    for field in fields:
        alike = [other for other in fields if other.short == field.short]
        told = [word for at, word in enumerate(field) if len({other[at] for other in alike}) > 1]
        names[field] = f"{field.short}[{' '.join(filter(None, told))}]" if told else field.short
    return names


def _content(path: Path) -> Any:
    """The bytes of a file: mapped, or unpacked where they are gzipped."""
    if path.suffix != ".gz":
        return np.memmap(path, np.uint8, "r") if path.stat().st_size else b""
    with gzip.open(path) as file:
        content = file.read(MESSAGE_LIMIT + 1)
    if len(content) > MESSAGE_LIMIT:
        raise InputError(str(path), got=f"more than {MESSAGE_LIMIT} bytes unpacked", expected="less")
    return content


def _messages(content: Any, name: str) -> Iterator[_Message]:
    """Places of messages, whose lengths and sections are checked: ecCodes itself trusts them."""
    at, count = 0, 0
    while at < len(content):
        head = bytes(content[at : at + 16])
        if head[:4] != b"GRIB":
            if bytes(content[at : at + 1]) not in (b"\0", b"\n", b"\r"):  # padding between messages
                break
            at += 1
            continue
        edition = head[7] if len(head) == 16 else 0
        size = int.from_bytes(head[8:16], "big") if edition == 2 else int.from_bytes(head[4:7], "big")
        good = edition in (1, 2) and 16 <= size <= min(MESSAGE_LIMIT, len(content) - at)
        if not good or bytes(content[at + size - 4 : at + size]) != b"7777":
            raise InputError(name, got=f"a message of {size} bytes at {at}", expected="a whole one", fix="get it again")
        if edition == 2:
            check_sections(content, at, size, name)
        yield _Message(at, size)
        at, count = at + size, count + 1
        if count > SERIES_LIMIT:
            raise InputError(name, got="too many messages", expected=f"at most {SERIES_LIMIT}")
    if not count:
        raise InputError(name, got="no GRIB message", expected=_WORDS)


def _short(message: Any, path: Path) -> str:
    if not _is_mrms(message):
        return str(message["shortName"])
    found = _MRMS_NAME.match(path.name)
    return found[1] if found else path.name.removeprefix("MRMS_").split("_")[0]


def _leaf(message: Any, short: str, size: int, name: str) -> FileHeader:
    kind = message["gridType"]
    if kind not in ("regular_ll", "lambert", "polar_stereographic", "mercator", "rotated_ll"):
        raise InputError(name, got=f"a grid of kind {kind}", expected="rows and columns", fix="regrid it first")
    height, width = (
        int(message["Nj" if message.has_key("Nj") else "Ny"]),
        int(message["Ni" if message.has_key("Ni") else "Nx"]),
    )
    check_frame((height, width), 8, max(size, 1 << 20), name)
    units = _units(message)
    y, x = _axes(message, kind, height, width)
    projection = message.projparams
    product = _product(message)
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
    said = None if units == "1" else units
    return FileHeader((1, height, width), np.dtype(np.float32), units=said, grid=grid, notes=notes)


def _is_mrms(message: Any) -> bool:
    return bool(message["editionNumber"] == 2 and message["discipline"] == mrms.DISCIPLINE)


def _product(message: Any) -> mrms.Product | None:
    if not _is_mrms(message):
        return None
    return mrms.find_product(int(message["parameterCategory"]), int(message["parameterNumber"]))


def _units(message: Any) -> str:
    if _is_mrms(message):
        product = _product(message)
        return product.units if product else "1"
    units = str(message["units"])
    return "1" if units in ("unknown", "~", "") else units


def _axes(message: Any, kind: str, height: int, width: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Latitudes of rows and longitudes of columns in [-180, 180), degrees, or metres; nothing on rotated grids."""
    if kind in _DISTANCES:
        return _metres(message, kind, height, width)
    if kind != "regular_ll":
        return (), ()
    ends = [
        float(message[f"{axis}Of{end}GridPointInDegrees"])
        for axis in ("latitude", "longitude")
        for end in ("First", "Last")
    ]
    if ends[3] < ends[2]:
        ends[3] += 360
    shift = 360.0 if ends[2] >= 180 else 0.0
    y = np.linspace(ends[0], ends[1], height)
    x = np.linspace(ends[2], ends[3], width) - shift
    return tuple(y.round(6).tolist()), tuple(x.round(6).tolist())


def _metres(message: Any, kind: str, height: int, width: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Centres of rows and columns, from the first point on; nothing where pyproj is not installed."""
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


def _values(message: Any) -> NDArray[np.float32]:
    found, product = message.values, _product(message)
    stored = np.ma.getdata(found)
    values = stored.astype(np.float32)
    if product is not None:
        values[np.isin(stored, product.missing)] = np.nan
        if product.nothing is not None:
            values[stored == product.nothing] = product.value
    values[np.ma.getmaskarray(found)] = np.nan
    return values
