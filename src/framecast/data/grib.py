"""GRIB 1 and 2 through pygrib (ECMWF's ecCodes): MRMS composites, model fields.

pygrib rather than cfgrib: its wheels carry an ecCodes of their own, while that of the package `eccodes` brings a second
PROJ library, with which pyproj crashes in the same process; and no index files are written beside the user's data.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.damage import FRAME_LIMIT, SERIES_LIMIT, check_frame, damage, library
from framecast.data.family import AbsentError, Leaf, Wish
from framecast.errors import InputError
from framecast.types import Grid

SUFFIXES = (".grib2", ".grib", ".grb", ".grb2", ".grib2.gz", ".grb2.gz")
MESSAGE_LIMIT = 1 << 30
"""Bytes of one message, and of a whole gzipped file once unpacked."""
MRMS = 209
"""Discipline of NOAA/NSSL's Multi-Radar/Multi-Sensor products, which ecCodes has no names for."""
MRMS_RATE = (6, 1)
"""Category and number of PrecipRate, mm/h."""
MRMS_CODES = {6: (-1.0, -3.0), 9: (-99.0, -999.0), 10: (-99.0, -999.0), 11: (-99.0, -999.0)}
"""By category: missing, and outside coverage."""

_WORDS = "GRIB messages that can be read"


class _Message(NamedTuple):
    start: int
    size: int


class GRIB:
    """Messages of one field on one grid, in the order of their valid times.

    Args:
        wish: variable, the short name of the field, needed where files hold several.
    """

    name = "GRIB"

    def __init__(self, wish: Wish) -> None:
        self._wanted = wish.variable
        self._index: dict[Path, list[_Message]] = {}

    def look(self, path: Path) -> Leaf:
        """Fields, size, valid times and place, out of the sections before the values."""
        pygrib = library("pygrib", "grib")
        name = str(path)
        fields: dict[str, list[tuple[_Message, np.datetime64]]] = {}
        leaves: dict[str, Leaf] = {}
        with damage(name, _WORDS):
            content = _content(path)
            for place in _messages(content, name):
                message = pygrib.fromstring(bytes(content[place.start : place.start + place.size]))
                short = _short(message, path)
                fields.setdefault(short, []).append((place, np.datetime64(message.validDate, "ms")))
                leaf = _leaf(message, short, place.size, name)
                if leaves.setdefault(short, leaf).grid != leaf.grid:
                    raise InputError(name, got=f"{short} on several grids", expected="one")
        chosen = self._wanted or (next(iter(fields)) if len(fields) == 1 else None)
        if chosen not in fields:
            got = self._wanted or f"fields {', '.join(fields) or 'none'}"
            expected = f"one of {', '.join(fields) or 'none'}"
            kind = AbsentError if self._wanted else InputError
            raise kind(f"{name}: field", got=got, expected=expected, fix="name one with --var")
        self._index[path] = [place for place, _ in fields[chosen]]
        times = np.array([time for _, time in fields[chosen]], "datetime64[ms]")
        return leaves[chosen]._replace(frames=len(times), times=times)

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack messages; missing pixels are NaN."""
        pygrib = library("pygrib", "grib")
        frames = []
        with damage(str(path), _WORDS):
            content = _content(path)
            for index in indices:
                start, size = self._index[path][index]
                frames.append(_values(pygrib.fromstring(bytes(content[start : start + size]))))
        return np.stack(frames)[:, None]


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
            _check_sections(content, at, size, name)
        yield _Message(at, size)
        at, count = at + size, count + 1
        if count > SERIES_LIMIT:
            raise InputError(name, got="too many messages", expected=f"at most {SERIES_LIMIT}")
    if not count:
        raise InputError(name, got="no GRIB message", expected=_WORDS)


def _check_sections(content: Any, start: int, size: int, name: str) -> None:
    at, end, seen = start + 16, start + size - 4, []
    while at < end:
        length, number = int.from_bytes(bytes(content[at : at + 4]), "big"), int(content[at + 4])
        if length < 5 or at + length > end or not 1 <= number <= 7:
            raise InputError(name, got=f"section {number} of {length} bytes", expected="whole sections", fix="damaged")
        seen.append(number)
        if number == 3:
            points = int.from_bytes(bytes(content[at + 6 : at + 10]), "big")
            if not 0 < points <= FRAME_LIMIT:
                raise InputError(name, got=f"{points} points", expected=f"1 to {FRAME_LIMIT}")
        at += length
    if seen not in ([1, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7]):
        raise InputError(name, got=f"sections {seen}", expected="1 to 7, each once", fix="split its fields with wgrib2")


def _short(message: Any, path: Path) -> str:
    if message["editionNumber"] == 2 and message["discipline"] == MRMS:
        return path.name.split("_")[0]
    return str(message["shortName"])


def _leaf(message: Any, short: str, size: int, name: str) -> Leaf:
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
    codes = MRMS_CODES.get(message["parameterCategory"], ()) if _is_mrms(message) else ()
    policy = f"values {', '.join(f'{code:g}' for code in codes)}" if codes else "GRIB's bitmap"
    grid = Grid(
        variables=(short,),
        units=(units,),
        standard_names=("rainfall_rate" if units == "mm/h" else "",),
        y=y,
        x=x,
        y_name="latitude" if kind == "regular_ll" else "y",
        x_name="longitude" if kind == "regular_ll" else "x",
        axis_units="degrees" if kind == "regular_ll" else "m",
        crs=" ".join(f"+{key}={value}" for key, value in projection.items()) if projection else None,
        missing=policy,
    )
    return Leaf((1, height, width), np.dtype(np.float32), units=None if units == "1" else units, grid=grid)


def _is_mrms(message: Any) -> bool:
    return bool(message["editionNumber"] == 2 and message["discipline"] == MRMS)


def _units(message: Any) -> str:
    if not _is_mrms(message):
        units = str(message["units"])
        return "1" if units in ("unknown", "~", "") else units
    if (message["parameterCategory"], message["parameterNumber"]) == MRMS_RATE:
        return "mm/h"
    return "dBZ" if message["parameterCategory"] in (9, 10, 11) else "1"


def _axes(message: Any, kind: str, height: int, width: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Latitudes of rows and longitudes of columns in [-180, 180), degrees; nothing on other grids."""
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


def _values(message: Any) -> NDArray[np.float32]:
    found = message.values
    values = np.ma.filled(found.astype(np.float32), np.nan) if np.ma.isMaskedArray(found) else found.astype(np.float32)
    if _is_mrms(message):
        for code in MRMS_CODES.get(message["parameterCategory"], ()):
            values[found == code] = np.nan
    return values
