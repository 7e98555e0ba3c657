"""Dates in the calendar of the data: as text, and steps of whole months between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.types import Grid


def to_calendar(times: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Convert times to dates in the calendar of the data.

    Args:
        times: datetime64 of any shape, UTC. In a calendar that numpy lacks (365 days, 360 days) only their distances are
            true, counted from `grid.time_origin`.
        grid: of the data; names the calendar.

    Returns:
        `times` themselves, or cftime dates of their shape in such a calendar.
    """
    if grid.time_origin is None:
        return times
    import cftime

    passed = times.astype("datetime64[ms]") - np.datetime64(grid.time_origin.replace(" ", "T"), "ms")
    dates = cftime.num2date(passed.astype(np.int64), f"milliseconds since {grid.time_origin}", grid.calendar)
    return np.asarray(dates, dtype=object)


def from_calendar(dates: Sequence[Any], calendar: str, origin: str) -> NDArray[Any]:
    """Convert cftime dates of a calendar that numpy lacks to times that keep their distances; inverse of `to_calendar`.

    Args:
        dates: in the calendar.
        calendar: CF's name of it.
        origin: date from which times are counted, as in `Grid.time_origin`.

    Returns:
        datetime64[ms], of one axis.
    """
    import cftime

    first = cftime.num2date(0, f"days since {origin}", calendar)
    passed = [round((date - first).total_seconds() * 1000) for date in dates]
    return np.datetime64(origin.replace(" ", "T"), "ms") + np.array(passed, "timedelta64[ms]")


YEAR = 12
"""Months."""
_DAY = np.timedelta64(86_400_000, "ms")
_PARTS = {2: (0, 15), 3: (0, 10, 20), 6: (0, 5, 10, 15, 20, 25)}
"""Days of a month, from 0, on which its halves, dekads and pentads begin; the last one takes what is left."""
_PART_NAMES = {2: "half-month", 3: "dekad", 6: "pentad"}
_MONTH_MINUTES = 365.2425 * 1440 / YEAR
"""Mean length of a month."""


class _Months(NamedTuple):
    """Times as months, or parts of months, and places in them."""

    numbers: NDArray[np.int64]
    """Months, or parts, since year 0."""
    offsets: NDArray[Any]
    """timedelta64[ms] since the beginning of the month or part."""
    lengths: NDArray[Any]
    """timedelta64[ms], lengths of the months or parts."""


def number_months(times: NDArray[Any], grid: Grid) -> NDArray[np.int64] | None:
    """Number the months of times that lie one or more whole months apart; None for other times.

    Such times have one place in all their months: the same day and clock, the last day, or the middle.

    Args:
        times: datetime64, distinct, ascending.
        grid: of the data; names the calendar.

    Returns:
        month of each time, counted from year 0; None for fewer than two times, too.
    """
    if len(times) < 2 or (np.diff(times) < 28 * _DAY).any():
        return None
    months = _split_months(times, grid)
    if (np.diff(months.numbers) < 1).any() or _find_place(months) is None:
        return None
    return months.numbers


def number_parts(times: NDArray[Any], grid: Grid) -> tuple[NDArray[np.int64], float] | None:
    """Number halves, dekads or pentads of months of times that lie one of them apart, and not a fixed time.

    Args:
        times: as in `number_months`.
        grid: of the data; names the calendar.

    Returns:
        number of each time, counted from year 0, and the mean length of a part in minutes, by which `count_steps` knows
        it; None for other times.
    """
    steps = np.diff(times.astype("datetime64[ms]"))
    if len(steps) < 3 or len(np.unique(steps)) == 1 or steps.min() < 2 * _DAY:
        return None
    for parts in _PARTS:
        found = _split_months(times, grid, parts)
        apart = np.diff(found.numbers)
        if (apart == 1).mean() > 0.5 and (apart > 0).all() and _find_place(found) is not None:
            return found.numbers, _MONTH_MINUTES / parts
    return None


def find_parts(step_minutes: float | None) -> tuple[int, int]:
    """Find in how many parts a step divides a month, and how many of these it is long: (3, 2) for two dekads.

    Returns:
        (1, 1) for a step of a fixed time.
    """
    for parts in _PARTS:
        long = (step_minutes or 0) * parts / _MONTH_MINUTES
        if round(long) > 0 and abs(long / round(long) - 1) < 1e-9:
            return parts, round(long)
    return 1, 1


def month_numbers(times: NDArray[Any], grid: Grid) -> NDArray[np.int64]:
    """Number the months of times from year 0, in the calendar of the data."""
    return _split_months(times, grid).numbers


def add_months(time: np.datetime64, months: int) -> np.datetime64:
    """Add whole months in the standard calendar; a day that the month does not have becomes its last."""
    return count_months(np.array([time]), np.array([months]), Grid(), of_start=True)[0]


def count_months(
    times: NDArray[Any], months: NDArray[np.integer[Any]], grid: Grid, *, of_start: bool = False, parts: int = 1
) -> NDArray[Any]:
    """Count whole months, or parts of months, on from the last of some times, in the calendar of the data.

    Args:
        times: (J,), datetime64, UTC, ascending; together they say which place in a month is meant.
        months: (K,), to add to the last of `times`.
        grid: of the data; names the calendar.
        of_start: whether the distance from the first of the month is kept, whatever place the times have.
        parts: in how many parts each month is divided; `months` are numbers of these.

    Returns:
        (K,), datetime64[ms], at the same place of their months: the day and clock, the last day, or the middle.
    """
    known = _split_months(times.astype("datetime64[ms]"), grid, parts)
    firsts, lengths = _find_firsts(known.numbers[-1] + months, grid, parts)
    offset, length = known.offsets[-1], known.lengths[-1]
    place = "start" if of_start else _find_place(known)
    match place:
        case "end":
            places = lengths - (length - offset)
        case "middle":
            places = lengths // 2 + (offset - length // 2)
        case _:
            # the 31st of a month of 30 days is its last, and the next may have 31 again
            days, clock = (offset if place is None else known.offsets.max()) // _DAY, offset % _DAY
            places = np.minimum(days, lengths // _DAY - 1) * _DAY + clock
    result: NDArray[Any] = firsts + places
    return result


def count_steps(
    times: NDArray[Any], counts: NDArray[np.integer[Any]], step_minutes: float, step_months: int | None, grid: Grid
) -> NDArray[Any]:
    """Count steps on from the last of some times.

    Args:
        times: (J,), datetime64, UTC, ascending; of months they say together which place in a month is meant.
        counts: (K,), steps.
        step_minutes: length of a step, minutes, where it is no number of months; that of `number_parts` means such parts.
        step_months: length of a step, calendar months; None for a fixed time.
        grid: of the data; names the calendar.

    Returns:
        (K,), datetime64[ms].
    """
    if step_months is not None:
        return count_months(times, counts * step_months, grid)
    parts, long = find_parts(step_minutes)
    if parts > 1:
        return count_months(times, counts * long, grid, parts=parts)
    # rounded time by time, so that a step that is no whole number of milliseconds does not drift
    passed = np.rint(counts * step_minutes * 60_000).astype("timedelta64[ms]")
    result: NDArray[Any] = times[-1].astype("datetime64[ms]") + passed
    return result


def _find_place(months: _Months) -> Literal["start", "end", "middle"] | None:
    """Find the place in the month that times share; None where they share none."""
    if len(np.unique(months.lengths - months.offsets)) == 1 and months.lengths[0] - months.offsets[0] <= _DAY:
        return "end"
    days, clocks = months.offsets // _DAY, months.offsets % _DAY
    # the 30th of each month is the last of February
    if len(np.unique(clocks)) == 1 and (days == np.minimum(days.max(), months.lengths // _DAY - 1)).all():
        return "start"
    # the middle is the 16th at 12:00, the 15th at 0:00, or, rounded to days, the 15th or 16th
    return "middle" if (np.abs(2 * months.offsets - months.lengths) <= 2 * _DAY).all() else None


def _split_months(times: NDArray[Any], grid: Grid, parts: int = 1) -> _Months:
    times = times.astype("datetime64[ms]")
    if grid.time_origin is None:
        numbers = times.astype("datetime64[M]").astype(np.int64) + 1970 * YEAR
    else:
        numbers = np.array([date.year * YEAR + date.month - 1 for date in to_calendar(times, grid)], np.int64)
    if parts > 1:
        days = (times - _find_firsts(numbers, grid)[0]) // _DAY
        numbers = numbers * parts + np.searchsorted(_PARTS[parts], days, "right") - 1
    firsts, lengths = _find_firsts(numbers, grid, parts)
    return _Months(numbers, times - firsts, lengths)


def _find_firsts(numbers: NDArray[np.integer[Any]], grid: Grid, parts: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find the times at which months, or parts of them, begin, by their number since year 0, and how long they are."""
    both = np.stack([numbers, numbers + 1])
    months = both // parts
    if grid.time_origin is None:
        firsts = (months - 1970 * YEAR).astype("datetime64[M]").astype("datetime64[ms]")
    else:
        import cftime

        dates = [
            cftime.datetime(number // YEAR, number % YEAR + 1, 1, calendar=grid.calendar)
            for number in months.ravel().tolist()
        ]
        firsts = from_calendar(dates, grid.calendar, grid.time_origin).reshape(both.shape)
    if parts > 1:
        firsts = firsts + np.array(_PARTS[parts])[both % parts] * _DAY
    return firsts[0], firsts[1] - firsts[0]


def format_times(times: NDArray[Any]) -> NDArray[Any]:
    """Format times as in 2016-09-28T15:05:00, with milliseconds where some are no whole second.

    Args:
        times: datetime64 or cftime dates, of any shape.

    Returns:
        strings of that shape.
    """
    if times.dtype.kind == "M":
        whole = bool((times.astype("datetime64[s]") == times)[~np.isnat(times)].all())
    else:
        whole = not any(time.microsecond for time in times.flat)
    return _format_iso(times, "seconds" if whole else "milliseconds")


def format_step(step_minutes: float, step_months: int | None = None) -> str:
    """Format the time between frames: 0.04 s, 5 min, 6 h, 1 dekad, 1 month, 1 year."""
    if step_months is not None:
        count, unit = (step_months // YEAR, "year") if step_months % YEAR == 0 else (step_months, "month")
        return f"{count} {unit}{'s' * (count > 1)}"
    parts, long = find_parts(step_minutes)
    if parts > 1:
        return f"{long} {_PART_NAMES[parts]}{'s' * (long > 1)}"
    if step_minutes < 1:
        return f"{60 * step_minutes:.6g} s"
    return f"{step_minutes:g} min" if step_minutes % 60 else f"{step_minutes / 60:g} h"


def caption(channel: str, last: Any, step_minutes: float | None, step_months: int | None = None) -> str:
    """Caption of a row of frames: the channel, and the time of frame 0, the last of the input.

    Args:
        channel: in words; empty where it is the only one.
        last: datetime64 or cftime date of frame 0, UTC; None where unknown.
        step_minutes: between frames, minutes; None where unknown.
        step_months: between frames, calendar months, where they lie whole months apart.
    """
    if last is None or step_minutes is None:
        return channel
    step = format_step(step_minutes, step_months)
    when = f"frame 0: {format_times(np.array([last]))[0].replace('T', ' ')} UTC, then every {step}"
    return f"{channel}; {when}" if channel else when


def _format_iso(times: NDArray[Any], detail: Literal["seconds", "milliseconds"]) -> NDArray[Any]:
    if times.dtype.kind == "M":
        return times.astype("datetime64[s]" if detail == "seconds" else "datetime64[ms]").astype(np.str_)
    return np.array([time.isoformat(timespec=detail) for time in times.flat], np.str_).reshape(times.shape)
