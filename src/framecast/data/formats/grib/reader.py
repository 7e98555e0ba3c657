"""GRIB 1 and 2 through pygrib (ECMWF's ecCodes): MRMS composites, model fields.

pygrib rather than cfgrib: its wheels carry a separate ecCodes, while that of the package `eccodes` brings a second
PROJ library, with which pyproj crashes in the same process; and no index files are written next to the user's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import AbsentError, FileHeader, ReaderOptions
from framecast.data.formats.grib import mrms
from framecast.data.formats.grib.fields import GRIBField, Message, identify_message, name_fields
from framecast.data.formats.grib.grids import read_grid
from framecast.data.formats.grib.messages import WORDS, decode_message, find_messages, read_content
from framecast.data.formats.guards import as_input_error, check_frame
from framecast.data.formats.intervals import (
    CELL_METHODS,
    INSTANT,
    Interval,
    TimeTile,
    choose_tiles,
    describe_tiles,
    is_window,
)
from framecast.data.formats.variable_names import split_brackets
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.types import Grid

_UNMASKED = -(2**60)
"""Number for missing pixels that no field holds; ecCodes' own, 9999, is a height or a pressure too."""
_STANDARD_NAMES = {"mm/h": "rainfall_rate", "dBZ": "equivalent_reflectivity_factor"}
"""CF standard names by units."""


class _Frame(NamedTuple):
    """A frame: a message, or one less an earlier one."""

    message: Message
    earlier: Message | None
    tile: TimeTile


class GRIBReader:
    """Messages of one field on one grid, in the order of their valid times.

    Sums and means since a common start become those between their ends; the valid time of an interval is its end.

    Args:
        files: all of the source.
        options: variable, the short name of the field, needed where files hold several; in brackets the level, the member
            of an ensemble or the length of sums, as in t[500], tp[6h], where they hold several of those; tp[run] for the
            sums since the start of the forecast.
    """

    name = "GRIB"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self._files = list(files)
        self._short, words = split_brackets(options.variable or "")
        self._words = {word for word in words if not is_window(word)}
        self._windows = sorted(word for word in words if is_window(word))
        self._requested = options.variable
        self._messages: dict[Path, list[Message]] = {}
        self._frames: dict[Path, list[_Frame]] = {}
        self._notes: tuple[str, ...] = ()
        self._first: tuple[str, GRIBField] | None = None

    def read_header(self, path: Path) -> FileHeader:
        """Read fields, size, valid times and grid, out of the sections before the values."""
        name = str(path)
        with as_input_error(name, WORDS):
            chosen = self._choose_field(list(dict.fromkeys(each.field for each in self._list_messages(path))), name)
        self._choose_frames(chosen, name)
        frames = self._frames.get(path, [])
        if not frames:
            got = f"{chosen.short} of no length of time, or of another than {' '.join(self._windows)}".rstrip()
            raise AbsentError(name, got=got, expected="values of an instant or an interval")
        with as_input_error(name, WORDS):
            first = frames[0].message
            content = read_content(path)
            header = _describe(
                decode_message(content, first.span)[0],
                self._requested or chosen.short,
                first.span.size,
                frames[0].tile.interval,
                name,
            )
            if any(each.message.grid != first.grid for each in frames):
                raise InputError(name, got=f"{chosen.short} on several grids", expected="one")
        times = np.array([frame.tile.interval.end for frame in frames], "datetime64[ms]")
        runs = np.array([frame.message.run for frame in frames], "datetime64[ms]")
        return header._replace(frames=len(times), times=times, runs=runs, notes=(*self._notes, *header.notes))

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack messages; missing pixels are NaN."""
        contents: dict[Path, Any] = {}
        frames = []
        for frame in (self._frames[path][index] for index in indices):
            values = [
                None if message is None else _read_values(message, contents)
                for message in (frame.message, frame.earlier)
            ]
            assert values[0] is not None
            frames.append(frame.tile.combine(values[0], values[1]).astype(np.float32, copy=False))
        return np.stack(frames)[:, None]

    def _list_messages(self, path: Path) -> list[Message]:
        """List the messages of a file, which is looked at once."""
        if path not in self._messages:
            content = read_content(path)
            self._messages[path] = [identify_message(content, span, path) for span in find_messages(content, str(path))]
        return self._messages[path]

    def _choose_frames(self, field: GRIBField, name: str) -> None:
        """Choose the frames of a field in all files: which sums there are decides all of them together."""
        if self._frames:
            return
        messages: list[Message] = []
        for path in self._files:
            with as_input_error(str(path), WORDS):
                messages += [each for each in self._list_messages(path) if each.field == field]
        tiles = choose_tiles(
            [message.interval for message in messages],
            [message.is_since_start for message in messages],
            [(message.path.parent, message.run) for message in messages],
            self._windows,
            field.short,
            name,
        )
        for tile in tiles:
            message = messages[tile.entry]
            earlier = None if tile.earlier is None else messages[tile.earlier]
            self._frames.setdefault(message.path, []).append(_Frame(message, earlier, tile))
        self._notes = tuple(describe_tiles(tiles))

    def _choose_field(self, fields: Sequence[GRIBField], name: str) -> GRIBField:
        """Choose the field that is asked for, which must be on the same level in all files."""
        names = name_fields(fields)
        matches = [f for f in fields if not self._requested or (f.short == self._short and self._words <= f.words)]
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


def _describe(message: Any, short: str, packed: int, interval: Interval, name: str) -> FileHeader:
    """Describe frames by one of their messages.

    Args:
        message: decoded.
        short: name of the field, for users.
        packed: bytes of the message.
        interval: the time that a frame stands for.
        name: the file, for errors.
    """
    found = read_grid(message, name)
    check_frame((found.height, found.width), 8, max(packed, 1 << 20), name)
    units, product = _read_units(message), _find_product(message)
    notes: tuple[str, ...] = ()
    if product is None and mrms.is_mrms(message):
        number = f"{message['parameterCategory']}-{message['parameterNumber']}"
        notes = (f"MRMS: product {number} is not in NSSL's table; no value of it counts as missing but by --missing",)
    grid = Grid(
        variables=(short,),
        units=(units,),
        standard_names=(_STANDARD_NAMES.get(units, ""),),
        cell_methods=(CELL_METHODS.get(interval.kind, ""),),
        interval=None if interval.kind == INSTANT else (interval.length, "end"),
        y=found.y,
        x=found.x,
        y_name="latitude" if found.is_latlon else "y",
        x_name="longitude" if found.is_latlon else "x",
        axis_units="degrees" if found.is_latlon else "m",
        crs=found.crs,
        missing=product.policy if product else "GRIB's bitmap",
    )
    known = None if units == "1" else units
    return FileHeader((1, found.height, found.width), np.dtype(np.float32), units=known, grid=grid, notes=notes)


def _find_product(message: Any) -> mrms.Product | None:
    if not mrms.is_mrms(message):
        return None
    return mrms.find_product(int(message["parameterCategory"]), int(message["parameterNumber"]))


def _read_units(message: Any) -> str:
    if mrms.is_mrms(message):
        product = _find_product(message)
        return product.units if product else "1"
    units = str(message["units"])
    return "1" if units in ("unknown", "~", "") else units


def _read_values(message: Message, contents: dict[Path, Any]) -> NDArray[np.float32]:
    """Read the values of a message, from the contents of files that have been opened already where it is one of them."""
    with as_input_error(str(message.path), WORDS):
        if message.path not in contents:
            contents[message.path] = read_content(message.path)
        return _decode_values(decode_message(contents[message.path], message.span)[0])


def _decode_values(message: Any) -> NDArray[np.float32]:
    """Decode values in rows, columns from west to east; NaN where missing."""
    message["missingValue"] = _UNMASKED
    masked, product = message.values, _find_product(message)
    stored, missing = np.ma.getdata(masked), np.ma.getmaskarray(masked)
    values = stored.astype(np.float32)
    if product is not None:
        values[np.isin(stored, product.missing)] = np.nan
        if product.no_echo is not None:
            values[stored == product.no_echo] = product.no_echo_value
    values[missing] = np.nan
    if (
        message.has_key("alternativeRowScanning")
        and message["alternativeRowScanning"]
        and message["jPointsAreConsecutive"]
    ):
        # pygrib turns every other row, where it is every other column that runs the other way
        values[1::2] = values[1::2, ::-1]
        values[:, 1::2] = values[::-1, 1::2]
    return values[:, ::-1] if message["iScansNegatively"] else values
