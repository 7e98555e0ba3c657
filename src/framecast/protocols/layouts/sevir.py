"""Layout of SEVIR: CATALOG.csv, and HDF5 files of events of 49 frames of vertically integrated liquid."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.hdf5 import open_file
from framecast.errors import InputError
from framecast.protocols.definition import Protocol
from framecast.protocols.layouts.base import ProtocolWindows, find_path, join_inside, need_path

FRAMES = 49
"""Frames of an event, 5 minutes apart."""
KIND = "vil"
COLUMNS = {"id", "file_name", "file_index", "img_type", "time_utc", "pct_missing"}
"""Columns of the catalogue that are read."""


class _Event(NamedTuple):
    name: str
    file: str
    number: int


def find_sevir(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find the windows of the events behind `test_from` of which nothing is missing, by the names of events."""
    catalog = need_path(folder, protocol.files[0])
    span, stride = (protocol.frames - 1) * protocol.every + 1, (protocol.stride or protocol.horizon) * protocol.every
    windows = [
        (event, start)
        for event in _list_events(catalog, protocol.test_from)
        for start in range(0, FRAMES - span + 1, stride)
    ]

    def read(index: int) -> NDArray[np.generic]:
        event, start = windows[index]
        path = find_path(catalog.parent, f"data/{event.file}")
        if path is None:
            origin = protocol.files[0].origin
            raise InputError(
                event.file, got=f"nothing in {catalog.parent}", expected=f"data/{event.file} from {origin}"
            )
        with open_file(path) as file:
            frames = file[KIND][event.number, :, :, start : start + span : protocol.every]
        return np.moveaxis(frames, -1, 0)[:, None]

    return ProtocolWindows([f"{event.name}/{start}" for event, start in windows], read)


def _list_events(catalog: Path, test_from: str | None) -> list[_Event]:
    """List events by name; those with several rows of this kind are left out, as in the published readers."""
    begin, rows = datetime.fromisoformat(test_from or "2019-06-01"), defaultdict(list)
    with catalog.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if lacking := COLUMNS - set(reader.fieldnames or ()):
            raise InputError(str(catalog), got=f"no column {min(lacking)}", expected=", ".join(sorted(COLUMNS)))
        for row in reader:
            try:
                is_whole, begins = float(row["pct_missing"] or "nan") == 0, datetime.fromisoformat(row["time_utc"])
                event = _Event(row["id"], row["file_name"], int(row["file_index"]))
            except ValueError as error:
                raise InputError(
                    f"{catalog}, line {reader.line_num}", got=str(error), expected="a row of SEVIR"
                ) from error
            if row["img_type"] == KIND and is_whole and begins > begin:
                join_inside(catalog.parent, event.file)
                rows[event.name].append(event)
    return [events[0] for _, events in sorted(rows.items()) if len(events) == 1]
