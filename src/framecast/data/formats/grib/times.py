"""Times of GRIB messages: the instant, or the interval, for which a field is valid.

Sources: WMO Manual on Codes I.2: edition 1, section 1, code tables 4 and 5; edition 2, templates 4.n, code tables 4.4,
4.10 and 4.11. ecCodes' keys startStep and endStep count a month as 30 days, and pygrib's validDate is the start of sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framecast.calendars import add_months
from framecast.data.formats.intervals import INSTANT, MEAN, SUM, Interval

_KINDS = {"accum": SUM, "avg": MEAN, "max": "maximum", "min": "minimum", "diff": "difference"}
"""Kinds by ecCodes' stepType."""
_SECONDS = {0: 60, 1: 3600, 2: 86_400, 10: 10_800, 11: 21_600, 12: 43_200}
"""Seconds of a unit of time by its code, in both editions."""
_SECONDS_1, _SECONDS_2 = _SECONDS | {13: 900, 14: 1800, 254: 1}, _SECONDS | {13: 1}
_MONTHS = {3: 1, 4: 12, 5: 120, 6: 360, 7: 1200}
"""Months of a unit of time by its code, in both editions."""
_SUCCESSIVE = 1
"""Type of time increment: of forecasts of the same lead time, from successive starts."""


def read_interval(message: Any, unit: int) -> Interval:
    """Read the time for which a field is valid.

    Args:
        message: as decoded by ecCodes.
        unit: code of the unit of its times, in edition 1.

    Returns:
        the interval; the instant that ecCodes takes for valid, where the message says it in a way that is not known.
    """
    kind = str(message["stepType"])
    kind = INSTANT if kind == INSTANT else _KINDS.get(kind, kind)
    reference = read_reference_time(message)
    ends = _read_1(message, unit, reference) if message["editionNumber"] == 1 else _read_2(message, reference)
    if ends is None:
        valid = _make_time(
            int(message["validityDate"]), int(message["validityTime"]) // 100, int(message["validityTime"]) % 100
        )
        return Interval(valid, valid, INSTANT)
    return Interval(ends[1], ends[1], kind) if kind == INSTANT else Interval(*ends, kind)


def read_reference_time(message: Any) -> np.datetime64:
    """Read the start of the forecast, or the time of the analysis, milliseconds, UTC."""
    clock = [int(message[key]) if message.has_key(key) else 0 for key in ("hour", "minute", "second")]
    return _make_time(int(message["dataDate"]), *clock)


def _make_time(date: int, hour: int, minute: int, second: int = 0) -> np.datetime64:
    text = f"{date:08}"
    return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}T{hour:02}:{minute:02}:{second:02}", "ms")


def _read_1(message: Any, unit: int, reference: np.datetime64) -> tuple[np.datetime64, np.datetime64] | None:
    """Read start and end in edition 1, by the time range indicator."""
    first, second = int(message["P1"]), int(message["P2"])
    match int(message["timeRangeIndicator"]):
        case 0:
            lead = (first, first)
        case 1:  # an analysis
            lead = (0, 0)
        case 2 | 3 | 4 | 5:
            lead = (first, second)
        case 6:
            lead = (-first, -second)
        case 7:
            lead = (-first, second)
        case 10:  # one number of two bytes
            lead = (256 * first + second,) * 2
        case _:
            return None
    ends = [_add(reference, number, unit, _SECONDS_1) for number in lead]
    return None if ends[0] is None or ends[1] is None else (min(ends[0], ends[1]), max(ends[0], ends[1]))


def _read_2(message: Any, reference: np.datetime64) -> tuple[np.datetime64, np.datetime64] | None:
    """Read start and end in edition 2: lead time, and the length of the range of time or its end."""
    start = _add(reference, int(message["forecastTime"]), int(message["indicatorOfUnitForForecastTime"]), _SECONDS_2)
    if start is None or not message.has_key("lengthOfTimeRange"):
        return None if start is None else (start, start)
    end = None
    if message["numberOfTimeRange"] == 1 and message["typeOfTimeIncrement"] != _SUCCESSIVE:
        length = int(message["lengthOfTimeRange"])
        end = _add(start, length, int(message["indicatorOfUnitForTimeRange"]), _SECONDS_2) if length else None
    end = _read_end(message) if end is None else end
    return None if end is None else (start, max(start, end))


def _read_end(message: Any) -> np.datetime64 | None:
    keys = [f"{part}OfEndOfOverallTimeInterval" for part in ("year", "month", "day", "hour", "minute", "second")]
    year, month, day, hour, minute, second = (int(message[key]) for key in keys)
    try:
        return np.datetime64(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", "ms")
    except ValueError:  # left at zeros or at missing by who wrote it
        return None


def _add(time: np.datetime64, number: int, unit: int, seconds: dict[int, int]) -> np.datetime64 | None:
    """Add so many units of time; None for a unit that is not known."""
    if unit in _MONTHS:
        return add_months(time, number * _MONTHS[unit])
    return time + np.timedelta64(number * seconds[unit] * 1000, "ms") if unit in seconds else None
