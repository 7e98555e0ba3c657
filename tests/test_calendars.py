"""Steps of whole months: found in times, counted on in each calendar; texts of times and steps."""

import numpy as np
import pytest

from framecast.calendars import (
    add_months,
    count_steps,
    format_step,
    format_times,
    from_calendar,
    number_months,
    number_parts,
    to_calendar,
)
from framecast.types import Grid

cftime = pytest.importorskip("cftime")
GREGORIAN = Grid()
YEAR = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def times(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[ms]")


FIRSTS = np.arange("2003-01", "2005-01", dtype="datetime64[M]").astype("datetime64[ms]")
LASTS = (FIRSTS.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
LENGTHS = (FIRSTS.astype("datetime64[M]") + 1).astype("datetime64[ms]") - FIRSTS


@pytest.mark.parametrize(
    "series", [FIRSTS, LASTS.astype("datetime64[ms]"), FIRSTS + LENGTHS // 2, FIRSTS + np.timedelta64(14 * 24 + 6, "h")]
)
def test_months_go_on_at_their_place(series: np.ndarray):
    assert number_months(series[:12], GREGORIAN).tolist() == list(range(2003 * 12, 2004 * 12))
    ahead = count_steps(series[:12], np.arange(1, 13), 43829.1, 1, GREGORIAN)
    assert list(ahead) == list(series[12:])


@pytest.mark.parametrize("day", [29, 30])
def test_a_day_that_february_lacks_is_its_last_there(day: int):
    series = FIRSTS + np.minimum(np.timedelta64(day - 1, "D"), LENGTHS - np.timedelta64(1, "D"))
    assert number_months(series[:14], GREGORIAN).tolist() == list(range(2003 * 12, 2003 * 12 + 14))
    assert list(count_steps(series[:14], np.arange(1, 11), 43829.1, 1, GREGORIAN)) == list(series[14:])


HALVES, DEKADS, PENTADS = (0, 15), (0, 10, 20), (0, 5, 10, 15, 20, 25)
MEAN = 365.2425 / 12 * 1440


@pytest.mark.parametrize("days", [HALVES, DEKADS, PENTADS])
@pytest.mark.parametrize("place", ["start", "end", "middle"])
def test_parts_of_months_go_on_at_their_place(days: tuple, place: str):
    starts = (FIRSTS[:, None] + np.array(days, "timedelta64[D]")).ravel()
    lengths = np.diff(np.append(starts, np.datetime64("2005-01-01", "ms")))
    series = starts + {"start": 0 * lengths, "end": lengths - np.timedelta64(1, "D"), "middle": lengths // 2}[place]
    numbers, step = number_parts(series, GREGORIAN)
    assert np.diff(numbers).tolist() == [1] * (len(series) - 1)
    assert step == pytest.approx(MEAN / len(days))
    half = len(series) // 2
    ahead = count_steps(series[:half], np.arange(1, half + 1), step, None, GREGORIAN)
    assert list(ahead) == list(series[half:])
    if place == "middle":
        return
    every = count_steps(series[:half], np.arange(1, half // 2 + 1), 2 * step, None, GREGORIAN)
    assert list(every) == list(series[half + 1 :: 2])


@pytest.mark.parametrize("step", [5, 8, 10, 15, 16, 30])
def test_fixed_steps_are_no_parts(step: int):
    series = np.datetime64("2003-01-01", "ms") + np.arange(24) * np.timedelta64(step, "D")
    assert number_parts(series, GREGORIAN) is None
    assert number_parts(np.delete(series, [3, 9]), GREGORIAN) is None


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_dekads_of_other_calendars(calendar: str):
    grid = Grid(calendar=calendar, time_origin="2003-01-01 00:00:00")
    dates = [cftime.datetime(2003, n // 3 + 1, 10 * (n % 3) + 1, calendar=calendar) for n in range(36)]
    series = from_calendar(dates, calendar, grid.time_origin)
    found = number_parts(series, grid)
    assert (found is None) == (calendar == "360_day"), "where they are 10 days each"
    step = 14400.0 if found is None else found[1]
    assert list(to_calendar(count_steps(series[:24], np.arange(1, 13), step, None, grid), grid)) == dates[24:]


def test_one_month_end_goes_on_as_month_ends():
    ahead = count_steps(times("2003-02-28"), np.arange(1, 4), 43829.1, 1, GREGORIAN)
    assert list(ahead) == list(times("2003-03-31", "2003-04-30", "2003-05-31"))


@pytest.mark.parametrize(
    "series",
    [
        FIRSTS[:1],
        np.datetime64("2003-01-01", "ms") + np.arange(12) * np.timedelta64(30, "D"),
        np.datetime64("2003-01-01", "ms") + np.arange(60) * np.timedelta64(1, "D"),
        times("2003-01-01", "2003-02-10", "2003-03-20"),
    ],
    ids=["one time", "30 days", "days", "no place"],
)
def test_other_steps_are_no_months(series: np.ndarray):
    assert number_months(series, GREGORIAN) is None


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "all_leap"])
def test_months_of_other_calendars(calendar: str):
    grid = Grid(calendar=calendar, time_origin="2003-01-01 00:00:00")
    dates = [cftime.datetime(2003 + n // 12, n % 12 + 1, 16, 12, calendar=calendar) for n in range(36)]
    series = from_calendar(dates, calendar, grid.time_origin)
    assert list(to_calendar(series, grid)) == dates
    assert len(number_months(series, grid)) == 36
    ahead = count_steps(series[:24], np.arange(1, 13), 43829.1, 1, grid)
    assert list(to_calendar(ahead, grid)) == dates[24:]


def test_months_are_added_to_any_day():
    assert add_months(np.datetime64("2020-01-31T06", "ms"), 1) == np.datetime64("2020-02-29T06", "ms")
    assert add_months(np.datetime64("2020-11-15", "ms"), 14) == np.datetime64("2022-01-15", "ms")


def test_milliseconds_are_shown_where_there_are_some():
    assert list(format_times(times("2003-01-01", "2003-01-02"))) == ["2003-01-01T00:00:00", "2003-01-02T00:00:00"]
    assert list(format_times(times("2003-01-01T00:00:01.5"))) == ["2003-01-01T00:00:01.500"]


@pytest.mark.parametrize(
    ("minutes", "months", "text"),
    [
        (0.04 / 60, None, "0.04 s"),
        (5.0, None, "5 min"),
        (90.0, None, "90 min"),
        (360.0, None, "6 h"),
        (14400.0, None, "240 h"),
        (365.2425 * 40, None, "1 dekad"),
        (365.2425 * 40, 1, "1 month"),
        (365.2425 * 80, None, "2 dekads"),
        (43829.1, 1, "1 month"),
        (43829.1, 24, "2 years"),
    ],
)
def test_steps_in_words(minutes: float, months: int | None, text: str):
    assert format_step(minutes, months) == text
