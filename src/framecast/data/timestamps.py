"""Times that are written in texts, such as names and headers of files: spellings, fractions, halves of the day, zones."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from framecast.errors import InputError
from framecast.formatting import shorten

_MINUS = "\N{MINUS SIGN}"
_DATE = r"((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
_HOUR, _SIXTY = r"([01]\d|2[0-3])", r"([0-5]\d)"
# seconds stand behind a hyphen only where minutes do: 0100-05:00 has a zone
_BEFORE_SECONDS = r"(?:(?<=-\d\d)-(?=\d\d(?!:\d\d))|(?<!-\d\d):|[_.m])?"
_CLOCK = rf"[-_.Tt ]?{_HOUR}[-_.:h]?{_SIXTY}(?:{_BEFORE_SECONDS}{_SIXTY}(?:[.,](\d{{1,9}}))?|(?!:\d\d))"
_UTC = r"[-_. ]?(?:[Zz]|UTC|utc|GMT)(?![A-Za-z])"
SPELLINGS = (
    re.compile(rf"(?<!\d){_DATE}{_CLOCK}(?!\d)"),
    re.compile(rf"(?<!\d){_DATE}{_HOUR}{_SIXTY}{_SIXTY}(\d{{3}})(?!\d)"),
    re.compile(rf"(?<!\d){_DATE}(?:[Tt](?=\d\d(?![\d:]))|[-_. ]?[Tt]?(?=\d\d{_UTC})){_HOUR}"),
    re.compile(rf"(?<!\d){_DATE}(?!\d)"),
)
"""Year to minute, second or fraction (201609281445, 2016-09-28_14-45-00.25), to millisecond in 17 digits, to hour
(20160928T14, 20160928.t14z), to day."""

ZONES = {
    **dict.fromkeys(("Z", "UT", "UTC", "GMT"), 0),
    **dict.fromkeys(("CET", "MEZ"), 60),
    **dict.fromkeys(("CEST", "MESZ", "EET"), 120),
    **dict.fromkeys(("EEST", "MSK"), 180),
    **dict.fromkeys(("JST", "KST"), 540),
    **{"AWST": 480, "ACST": 570, "ACDT": 630, "AEST": 600, "AEDT": 660, "NZST": 720, "NZDT": 780},
    **{"SAST": 120, "PKT": 300, "NPT": 345, "WIB": 420, "HKT": 480, "SGT": 480, "BRT": -180, "AKDT": -480},
    **{"EDT": -240, "EST": -300, "CDT": -300, "MDT": -360, "PDT": -420, "PST": -480, "AKST": -540, "HST": -600},
}
"""Minutes by which the clocks of a zone are ahead of UTC, by its name: only names that mean one zone."""
_SEVERAL = ("BST", "CST", "IST", "AST", "MST", "SST", "WEST", "WET")
"""Names that mean several zones, or are words as well."""
_LOCAL = ("LT", "LST", "LDT", "DST", "LOCAL", "LOC", "MET")
"""Names of local time, wherever that is, where they stand behind a clock."""
_WORDS = ("EST", "MSK", "UT", "HST", "SGT", "PKT", "NPT")
"""Names of zones that are taken for one in capitals only."""
_WINTER = ("CET", "MEZ", "EET", "EST", "PST", "AKST", "ACST", "AEST", "NZST")
"""Names of standard time, behind which DST is an hour more."""

_NAMED = "|".join(sorted(ZONES, key=len, reverse=True))
_HALF = re.compile(r"[-_. ]?([AaPp])\.?[Mm](?![A-Za-z])")
_ANY_CASE = "|".join(name for name in sorted(ZONES, key=len, reverse=True) if name not in (*_WORDS, "Z"))
_NAME = re.compile(rf"[-_. ]?\(?({_NAMED}|(?i:{_ANY_CASE})|(?<=\d)z)(?:[-_. ]?(DST|dst))?(?![A-Za-z0-9])\)?")
_FROM_UTC = re.compile(r"[-_. ]?\(?(?:UTC?|GMT|utc?|gmt) ?([-+])(\d\d?)(?::?(\d\d))?(?![A-Za-z0-9])\)?")
_OFFSET = re.compile(r"[_ ]?([-+])(\d\d)(?:[:.]?(\d\d))?(?![\d])")
_LEFT_NAME = rf"[-_. ]?\(?(?:{'|'.join([*_LOCAL, *_SEVERAL, *ZONES])})(?:[-+]\d\d?(?::?\d\d)?)?(?![A-Za-z0-9])"
_PLACE = (
    r"[-_. ]?[(\[]?(?:(?:UTC|GMT)\d\d?(?!\d)|(?:Europe|Africa|America|Asia|Australia|Pacific|Atlantic)[-_/][A-Z][a-z]+)"
)
_LEFT = re.compile(
    rf"\d+|T\d+|[_ ]?[-+](?:0\d|1[0-4]):?(?:[03]0|45)(?!\d)|[_ ]?\+\d\d?(?!\d)|{_LEFT_NAME}|{_PLACE}", re.IGNORECASE
)
_LEFT_OF_DATE = re.compile(r"[-_. ]?[Tt]?\d{1,6}(?!\d)")
_WORD = re.compile(rf"(?<![A-Za-z])({'|'.join([*_SEVERAL, *ZONES])})(?![A-Za-z])")
_EPOCH = re.compile(
    r"(\S+) since ([-+]?\d{1,5}(?:-\d{1,2}(?:-\d{1,2})?)?)"
    r"(?:(?: ?T ?| )(\d{1,2})(?::(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?)?)?"
    rf"(?: ?([AP])\.?M\.?)?(?: ?\(?({_NAMED})\)?| ?([-+]) ?(\d{{1,2}})(?::?(\d{{2}}))?)?",
    re.IGNORECASE,
)
"""Units of times, of blanks that are single."""


class Timestamp(NamedTuple):
    """A time in a text."""

    clock: datetime
    """As it is written, without its zone."""
    minutes: int
    """Minutes by which the zone is ahead of UTC."""
    zone: str
    """The zone as it is written; empty where there is none, which is taken as UTC."""
    begin: int
    end: int
    """Where it stands in the text, zone included."""

    @property
    def time(self) -> np.datetime64:
        """UTC, milliseconds."""
        return np.datetime64(self.clock - timedelta(minutes=self.minutes), "ms")


def find_stamps(text: str, spelling: re.Pattern[str], *, offsets: bool = True) -> list[Timestamp]:
    """Find all times in a text.

    Args:
        text: a name, a line of a header.
        spelling: one of `SPELLINGS`.
        offsets: whether numbers as in +0200 are zones. One with a minus is a zone where the clock follows the letter T,
            as ISO 8601 has it: elsewhere it may be the end of an interval, as in 202405010000-0100.

    Raises:
        ValueError: a day that is not in the calendar.
    """
    text = text.replace(_MINUS, "-")
    return [_make_stamp(text, match, offsets=offsets) for match in spelling.finditer(text)]


def parse_stamp(text: str, name: str) -> np.datetime64:
    """Parse a text that is one time, UTC, milliseconds.

    Args:
        text: the time, of any spelling, with or without a zone.
        name: the file and the key, for the error.

    Raises:
        InputError: a part of the text is no time, or it is none of the calendar.
    """
    for spelling in SPELLINGS:
        try:
            stamps = find_stamps(text.strip(), spelling)
        except ValueError:
            continue
        if stamps and stamps[0][-2:] == (0, len(text.strip())):
            return stamps[0].time
    raise InputError(
        name, got=repr(shorten(text, 60)), expected="a time as in 201609281445, 2016-09-28T14:45:00Z or +0200"
    )


def normalize_epoch(units: str) -> str | None:
    """Write the units of times in one way: "hours since 2024-01-01 00:00:00 +02:00"; None where a part is not understood.

    Args:
        units: a duration, the word since, and a date with or without a clock, its half of the day, and a zone.
    """
    match = _EPOCH.fullmatch(" ".join(units.split()))
    if match is None:
        return None
    unit, date, hour, minute, second, half, name, sign, ahead, quarters = match.groups()
    hours = int(hour or 0)
    if half and not 1 <= hours <= 12:
        return None
    hours = hours % 12 + 12 * (half in "Pp") if half else hours
    minutes = int(f"{sign}1") * (60 * int(ahead) + int(quarters or 0)) if sign else ZONES[(name or "Z").upper()]
    zone = f" {'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else ""
    return f"{unit} since {date} {hours:02}:{int(minute or 0):02}:{second or '00'}{zone}"


def find_rest(text: str) -> str:
    """Find what belongs to a time by its looks, at the beginning of the text behind it; empty where that says UTC."""
    match = _LEFT.match(text.replace(_MINUS, "-"))
    return match[0] if match and match[0].strip("-_. (").upper() not in ("Z", "UT", "UTC", "GMT") else ""


def find_rest_of_date(text: str, stamp: Timestamp) -> str:
    """Find what stands behind a date and may be its clock, or a counter."""
    match = None if sum(map(str.isdecimal, text[stamp.begin : stamp.end])) > 8 else _LEFT_OF_DATE.match(text, stamp.end)
    return match[0] if match else ""


def find_unused_zone(text: str, stamp: Timestamp) -> str:
    """Find a zone that is not used for a time: it means several, may be something else, or does not stand behind it."""
    left = find_rest(text[stamp.end :])
    if left and not left.strip("Tt").isdecimal():
        return left.strip("_. (")
    if stamp.zone:
        return ""
    return next((match[1] for match in _WORD.finditer(text) if ZONES.get(match[1], 1)), "")


def replace_zone(text: str) -> str | None:
    """Replace the name of a zone by its offset, as in +0200; None for a name that is not known."""
    if text not in ZONES:
        return None
    sign, minutes = "-" if ZONES[text] < 0 else "+", abs(ZONES[text])
    return f"{sign}{minutes // 60:02}{minutes % 60:02}"


def _make_stamp(text: str, match: re.Match[str], *, offsets: bool) -> Timestamp:
    year, month, day, *clock = match.groups()
    hour, minute, second, fraction = [*clock, None, None, None, None][:4]
    end, hours = match.end(), int(hour or 0)
    if hour and (half := _HALF.match(text, end)) and 1 <= hours <= 12:
        end, hours = half.end(), hours % 12 + 12 * (half[1] in "Pp")
    moment = datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second or 0))
    moment += timedelta(microseconds=int(f"{fraction or 0:0<6}"[:6]))
    minutes, zone, end = _find_zone(text, end, offsets=offsets, iso="T" in match[0].upper()) if hour else (0, "", end)
    return Timestamp(moment, minutes, zone, match.start(), end)


def _find_zone(text: str, end: int, *, offsets: bool, iso: bool) -> tuple[int, str, int]:
    """Find the zone behind a clock: minutes ahead of UTC, as it is written, and its end; (0, "", end) without one."""
    for expression, is_iso in ((_FROM_UTC, True), (_OFFSET, iso)):
        offset = expression.match(text, end) if offsets else None
        if offset and _is_zone(offset, is_iso):
            minutes = int(f"{offset[1]}1") * (60 * int(offset[2]) + int(offset[3] or 0))
            return (
                minutes,
                offset[0].strip("-_. ()") if expression is _FROM_UTC else offset[0].strip("_ "),
                offset.end(),
            )
    named = _NAME.match(text, end)
    if named is None:
        return 0, "", end
    name = named[1].upper()
    if named[2] and name not in _WINTER:
        return ZONES[name], named[1], named.end(1)
    return ZONES[name] + 60 * bool(named[2]), named[0].strip("-_. ()"), named.end()


def _is_zone(offset: re.Match[str], iso: bool) -> bool:
    """Whether a number behind a clock is a zone: of at most 14 hours, in quarters of an hour."""
    sign, hours, minutes = offset.groups()
    written = minutes in ("00", "30", "45") or (iso and minutes is None)
    touches = sign == "+" or offset[0][0] == "-" or offset[0].strip("-_. (")[0].isalpha()
    return written and int(hours) <= 14 and (iso or sign == "+") and touches
