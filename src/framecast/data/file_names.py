"""Names of files: times, counters, and the order that people expect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.timestamps import (
    SPELLINGS,
    ZONES,
    Timestamp,
    find_rest,
    find_rest_of_date,
    find_stamps,
    find_unused_zone,
    replace_zone,
)
from framecast.errors import InputError, UsageError

_DIRECTIVES = {  # of strptime, with the texts that they match
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "H": r"\d{2}",
    "I": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "j": r"\d{3}",
    "f": r"\d{1,6}",
    "b": r"[A-Za-z]{3}",
    "p": r"[AaPp][Mm]",
    "z": r"(?:Z|[-+]\d{2}:?\d{2})",
    "Z": "|".join(sorted(ZONES, key=len, reverse=True)).join(("(?:", ")")),
    "%": "%",
}
_SUFFIXES = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,7})*$")
_DECIMAL = re.compile(r"(.*?)([-+]?)(\d{1,18}(?:\.\d{1,18})?)(\D*)", re.DOTALL)
_WHOLE = re.compile(r"(.*?)([-+]?)(\d{1,18})(\D*)", re.DOTALL)
_LEAD = re.compile(r"(?<![A-Za-z0-9])[fF]\d{2,4}(?!\d)|\+\d{2,3}[hH]")
"""Lead times behind the start of a forecast: fc_2024050100_f000, fc_2024050100+012h."""
_DATE = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])")
_EXACT = 1 << 53
"""Whole numbers up to which float64 has each."""


class NameTimes(NamedTuple):
    """Times in the names of files."""

    values: NDArray[Any]
    """(names,), milliseconds, UTC."""
    notes: tuple[str, ...] = ()
    """Zones that were heeded, and parts of the names that were not."""


def times_from_pattern(names: Sequence[str], pattern: str) -> NameTimes:
    """Parse times in names by a pattern of strptime, which may stand anywhere in a name.

    Args:
        names: names of files.
        pattern: for example %Y%m%d_%H%M, made of the directives %Y %y %m %d %H %I %M %S %j %f %b %p %z %Z.

    Raises:
        UsageError: an unknown directive, or one that occurs twice.
        InputError: a name that does not match.
    """
    expression = _compile_pattern(pattern)
    times, left = [], ""
    for name in names:
        # where the pattern fits in several places, a whole number goes before a part of one
        places = sorted(expression.finditer(name), key=lambda match: _follows_digit(name, match))
        parsed = ((_parse_time(match[1], pattern), match) for match in places)
        moment, match = next((pair for pair in parsed if pair[0] is not None), (None, None))
        if moment is None or match is None:
            raise InputError(name, got="no time in the name", expected=f"the pattern {pattern}", fix="change --times")
        times.append(np.datetime64(moment, "ms"))
        left = left or find_rest(name[match.end(1) :])
    note = f"times: {left} behind {pattern} is not heeded; %S is seconds, %f a fraction, %z a zone as in +0200"
    return NameTimes(np.array(times, "datetime64[ms]"), (note,) if left else ())


def times_from_names(names: Sequence[str], groups: Sequence[int] | None = None) -> NameTimes | None:
    """Parse times in names by the usual spellings; None unless every name has one in the same spelling.

    A time that all files of a group share is that of the recording, not of its frames, and a date without a clock is a
    time only where it differs within each group: something else gives the order of such files. Of several times in each
    name the first counts that differs within each group, as the valid time behind the start of a forecast.

    Args:
        names: names of files.
        groups: number of files in each group, in their order; None for one group.
    """
    edges = np.cumsum(groups or [len(names)])[:-1]
    for spelling in SPELLINGS:
        try:
            stamps = _find_zoned_stamps(names, spelling)
        except ValueError:  # the 31st of a month of 30 days
            return None
        if stamps is None:
            continue
        columns = [np.array([row[at].time for row in stamps]) for at in range(min(map(len, stamps)))]
        distinct = [[_count_distinct(part) for part in np.split(column, edges)] for column in columns]
        chosen = next((at for at, shares in enumerate(distinct) if min(shares) == 1), 0)
        is_date = spelling is SPELLINGS[-1]
        if min(distinct[chosen]) < 1 if is_date else min(distinct[chosen]) == 0:
            continue
        notes = _describe_stamps(names, [row[chosen] for row in stamps])
        if len(columns) > 1 and sum(min(shares) > 0 for shares in distinct) > 1:
            notes = (*notes, f"times: names hold {len(columns)}, number {chosen + 1} is used; --times names another")
        return NameTimes(columns[chosen].astype("datetime64[ms]"), notes)
    return None


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts frame2 before frame10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d{1,18})", name) if part]


def counters_from_names(names: Sequence[str]) -> NDArray[np.float64] | None:
    """Read the counter in names that differ in their last number only; None where they differ otherwise.

    The number may have a sign, where not all have a minus (which then is a hyphen), and decimals. 1.9 and 1.10 are
    numbered in two levels, not decimals. Counters are in units of the last decimal.
    """
    stems = [_SUFFIXES.sub("", name) for name in names]
    if len({name[len(stem) :] for name, stem in zip(names, stems, strict=True)}) != 1:
        return None
    for expression in (_DECIMAL, _WHOLE):
        matches = [match for stem in stems if (match := expression.fullmatch(stem))]
        if len(matches) < len(stems) or len({(match[1], match[4]) for match in matches}) != 1:
            continue
        fractions = [match[3].partition(".")[2] for match in matches]
        if len(set(map(len, fractions))) > 1 and any(text != "0" and text.endswith("0") for text in fractions):
            continue
        hyphens = all(match[2] == "-" for match in matches)
        signs = ["-" if match[2] == "-" and not hyphens else "" for match in matches]
        unit = 10 ** max(map(len, fractions))
        counters = [int(Decimal(sign + match[3]) * unit) for sign, match in zip(signs, matches, strict=True)]
        base = min(counters) if max(map(abs, counters)) > _EXACT else 0
        return np.array([counter - base for counter in counters], np.float64)
    return None


def forecasts_from_names(names: Sequence[str]) -> list[str] | None:
    """Name the forecast of each file: its name without the lead time; None unless each has a date and a lead time."""
    forecasts = []
    for name in names:
        leads, date = list(_LEAD.finditer(name)), _DATE.search(name)
        if len(leads) != 1 or date is None or date.end() > leads[0].start():
            return None
        forecasts.append(name[: leads[0].start()] + name[leads[0].end() :])
    return forecasts


def _find_zoned_stamps(names: Sequence[str], spelling: re.Pattern[str]) -> list[list[Timestamp]] | None:
    """Find the times of each name; None unless each has one. Numbers are zones where they can be summer's and winter's.

    Others are lead times, as in 202405010000+0600: of more than two values, or of one clock.
    """
    stamps = [find_stamps(name, spelling) for name in names]
    if not all(stamps):
        return None
    minutes = {stamp.minutes for row in stamps for stamp in row if re.search("[-+]", stamp.zone)}
    clocks = {row[0].clock for row in stamps}
    if minutes and (max(minutes) - min(minutes) > 60 or len(clocks) == 1 < len(minutes)):
        return [find_stamps(name, spelling, offsets=False) for name in names]
    return stamps


def _count_distinct(times: NDArray[Any]) -> float:
    """Share of distinct times: 1 where all differ, 0 where several files share one."""
    count = len(np.unique(times))
    return 0.0 if count == 1 < len(times) else count / len(times)


def _describe_stamps(names: Sequence[str], stamps: Sequence[Timestamp]) -> tuple[str, ...]:
    """Name the zones that were heeded, and what may be one but was not."""
    zones = list(dict.fromkeys(stamp.zone for stamp in stamps))
    local = [zone for zone, stamp in zip((s.zone for s in stamps), stamps, strict=True) if stamp.minutes]
    notes: tuple[str, ...] = ()
    if local:
        rest = "; names without a zone are taken as UTC" if "" in zones else ""
        notes = (f"times: {', '.join(dict.fromkeys(local))} turned into UTC{rest}",)
    pairs = list(zip(names, stamps, strict=True))
    unused = next(filter(None, (find_unused_zone(name, stamp) for name, stamp in pairs)), "")
    if unused:
        fix = "give --times with %z or %Z where it stands behind the clock"
        notes = (*notes, f"times: {unused} in the names may be a zone and is not heeded, times are taken as UTC; {fix}")
    left = next(filter(None, (find_rest_of_date(name, stamp) for name, stamp in pairs)), "")
    if left:
        notes = (*notes, f"times: {left} behind the date is not heeded; give --times with %H where it is a clock")
    return notes


def _parse_time(text: str, pattern: str) -> datetime | None:
    """Parse a time, in UTC; None for one that is none of the calendar."""
    if "%Z" in pattern:  # strptime knows the zone of this computer only
        name = next(name for name in sorted(ZONES, key=len, reverse=True) if name in text)
        text, pattern = text.replace(name, str(replace_zone(name)), 1), pattern.replace("%Z", "%z")
    try:
        moment = datetime.strptime(text, pattern)
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _follows_digit(name: str, match: re.Match[str]) -> int:
    """Number of sides on which a digit touches a match."""
    around = (name[match.start() - 1 : match.start()] if match.start() else "", name[match.end(1) : match.end(1) + 1])
    return sum(character.isdecimal() for character in around)


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a lookahead for texts that look like the pattern, at each character: the first that does may be no time."""
    pieces = re.split(r"%(.)", pattern)
    wrong = [letter for letter in pieces[1::2] if letter not in _DIRECTIVES]
    if wrong or len(pieces) < 3:
        got = f"%{wrong[0]}" if wrong else f"{pattern}, without a directive"
        expected = "directives of " + " ".join(f"%{letter}" for letter in _DIRECTIVES)
        raise UsageError("--times", got=got, expected=expected, fix="for example %Y%m%d%H%M")
    twice = [letter for letter in pieces[1::2] if letter != "%" and pieces[1::2].count(letter) > 1]
    if twice:
        fix = "leave out the part that has it again; the pattern may stand anywhere in a name"
        raise UsageError("--times", got=f"%{twice[0]} twice in {pattern}", expected="each directive once", fix=fix)
    parts = [_DIRECTIVES[piece] if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)]
    return re.compile(f"(?=({''.join(parts)}))")
