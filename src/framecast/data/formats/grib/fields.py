"""Fields of GRIB messages: what a message is of, and how a user names it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framecast.data.formats.grib.messages import MessageSpan, decode_message
from framecast.data.formats.grib.mrms import is_mrms
from framecast.data.formats.grib.times import read_interval, read_reference_time
from framecast.data.formats.intervals import INSTANT, Interval

_MRMS_NAME = re.compile(
    r"(?:MRMS_)?(.+?)_\d\d\.\d\d_\d{8}(?:-\d{6})?(?:\.grb2?|\.grib2?)?(?:\.gz|\.bz2|\.xz)?", re.IGNORECASE
)
"""Product, height and date: MRMS_PrecipRate_00.00_20190610-010600."""


class GRIBField(NamedTuple):
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


class Message(NamedTuple):
    """A message of a file, as its sections before the values describe it."""

    path: Path
    span: MessageSpan
    field: GRIBField
    interval: Interval
    run: np.datetime64
    """Start of the forecast, or time of the analysis, UTC."""
    grid: str
    """Digest of the section of the grid."""

    @property
    def is_since_start(self) -> bool:
        """Whether the interval begins at the start of the forecast."""
        return bool(self.interval.kind != INSTANT and self.interval.start == self.run)


def identify_message(content: Any, span: MessageSpan, path: Path) -> Message:
    """Read what a message is of, out of the sections before its values."""
    message, unit = decode_message(content, span)
    interval = read_interval(message, unit)
    run = read_reference_time(message)
    return Message(path, span, _identify_field(message, path), interval, run, str(message["md5GridSection"]))


def _identify_field(message: Any, path: Path) -> GRIBField:
    keys = ("typeOfLevel", "level", "bottomLevel", "stepType", "number")
    values = {key: str(message[key]) for key in keys if message.has_key(key)}
    level, bottom = values.get("level", ""), values.get("bottomLevel", "")
    level += f"-{bottom}" if bottom not in ("", level) else ""
    member = f"member {values['number']}" if "number" in values else ""
    return GRIBField(
        _read_short_name(message, path), values.get("typeOfLevel", ""), level, member, values.get("stepType", "")
    )


def name_fields(fields: Sequence[GRIBField]) -> dict[GRIBField, str]:
    """Name fields: the short name, and in brackets what distinguishes fields that share it: t[500]."""
    names = {}
    for field in fields:
        namesakes = [other for other in fields if other.short == field.short]
        words = [word for at, word in enumerate(field) if len({other[at] for other in namesakes}) > 1]
        names[field] = f"{field.short}[{' '.join(filter(None, words))}]" if words else field.short
    return names


def _read_short_name(message: Any, path: Path) -> str:
    if not is_mrms(message):
        return str(message["shortName"])
    match = _MRMS_NAME.fullmatch(path.name)
    return match[1] if match else f"{message['parameterCategory']}-{message['parameterNumber']}"
