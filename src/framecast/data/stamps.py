"""Times and numbers in the names of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError, UsageError

_DATE = r"((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
_CLOCK = r"[-_.T ]?([01]\d|2[0-3])[-_.:h]?([0-5]\d)(?:[-_.:m]?([0-5]\d))?"
STAMPS = (re.compile(rf"(?<!\d){_DATE}{_CLOCK}(?!\d)"), re.compile(rf"(?<!\d){_DATE}(?!\d)"))
"""Year to minute or second, then year to day: 201609281445, 2016-09-28_14-45-00, 20160928T1445."""

_DIRECTIVES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "j": r"\d{3}",
    "f": r"\d{1,6}",
    "b": r"[A-Za-z]{3}",
    "%": "%",
}
Times = NDArray[Any]


def from_pattern(names: Sequence[str], pattern: str) -> Times:
    """Times in names by a pattern of strptime, which may stand anywhere in a name.

    Args:
        names: of files.
        pattern: for example %Y%m%d_%H%M; of Python's directives %Y %y %m %d %H %M %S %j %f %b.

    Returns:
        (names,), milliseconds, UTC.

    Raises:
        UsageError: a directive that is not known, or twice there.
        InputError: a name that does not match.
    """
    expression = _expression(pattern)
    found = []
    for name in names:
        moment = next((moment for match in expression.finditer(name) if (moment := _parsed(match[1], pattern))), None)
        if moment is None:
            raise InputError(name, got="no time in the name", expected=f"the pattern {pattern}", fix="change --times")
        found.append(np.datetime64(moment, "ms"))
    return np.array(found, "datetime64[ms]")


def from_names(names: Sequence[str], groups: Sequence[int] | None = None) -> Times | None:
    """Times in names by the usual spellings; None unless every name has one in the same spelling.

    A date without a clock is a time only where it differs within each group; where files share it, they are the frames
    of a day, and something else says their order.

    Args:
        names: of files.
        groups: how many of them belong together, in their order; None where all do.
    """
    for expression in STAMPS:
        found = [expression.search(name) for name in names]
        if not all(found):
            continue
        try:
            times = np.array([_moment(match.groups()) for match in found if match], "datetime64[ms]")
        except ValueError:  # the 31st of a month of 30 days
            return None
        parts = np.split(times, np.cumsum(groups or [len(names)])[:-1])
        timed = expression is STAMPS[0] or all(len(np.unique(part)) == len(part) for part in parts)
        return times if timed else None
    return None


def natural(name: str) -> list[tuple[int, int, str]]:
    """Key that sorts frame2 before frame10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d{1,18})", name) if part]


def numbers(names: Sequence[str]) -> NDArray[np.int64] | None:
    """The counter in names, where they differ in their last number only; None where they do not."""
    matches = [re.fullmatch(r"(.*?)(\d{1,18})(\D*)", name) for name in names]
    if not all(matches) or len({(m[1], m[3]) for m in matches if m}) != 1:
        return None
    return np.array([int(m[2]) for m in matches if m], np.int64)


def _moment(parts: Sequence[str | None]) -> np.datetime64:
    year, month, day, hour, minute, second = [*(int(part or 0) for part in parts), 0, 0, 0][:6]
    return np.datetime64(datetime(year, month, day, hour, minute, second), "ms")


def _parsed(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern)
    except ValueError:
        return None


def _expression(pattern: str) -> re.Pattern[str]:
    """Finds what looks like the pattern, from each character on: the first that does need not be a time."""
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
