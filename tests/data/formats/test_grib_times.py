"""Times of GRIB messages: valid at the end of an interval, sums since a start and of steps told apart, months."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.grib import message

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

pygrib = pytest.importorskip("pygrib")
RAIN = {"parameter": (1, 8), "level": (1, 0)}
START = np.datetime64("2020-01-02T03", "ms")
SUM, MEAN, MAXIMUM = 1, 0, 2
HOURLY = np.array([1.0, 4, 2, 0, 3, 5, 1, 2, 0, 6, 1, 1])
"""Rain in each hour of the forecast."""


def field(value: float) -> np.ndarray:
    return np.full((3, 4), value) + np.arange(12).reshape(3, 4) / 10


def rain(first: int, last: int, **options) -> bytes:
    """Sum of the hours from `first` up to `last`."""
    values = sum(field(value) for value in HOURLY[first:last]) if last > first else np.zeros((3, 4))
    return message(values, statistic=SUM, hour=first, length=last - first, **RAIN, **options)


def source(path: Path, *messages: bytes, **options) -> FileSource:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(messages))
    return FileSource(DataConfig(source=str(path), **{"range": (0, 9), **options}))


def read(found: FileSource) -> np.ndarray:
    return found.read(0, 0, found.lengths[0]).frames[:, 0]


def steps(length: int, count: int) -> np.ndarray:
    """Sums of the hours, `length` at a time."""
    hours = np.stack([field(value) for value in HOURLY[: length * count]])
    return hours.reshape(count, length, 3, 4).sum(1)


def ends(length: int, count: int) -> list:
    return list(START + np.arange(1, count + 1) * np.timedelta64(length, "h"))


@pytest.mark.parametrize(
    "spans",
    [
        [(n, n + 3) for n in range(0, 12, 3)],
        [(0, n + 3) for n in range(0, 12, 3)],
        [(0, 0), *((0, n + 3) for n in range(0, 12, 3))],
        [(0, 3), (0, 6), (6, 9), (6, 12)],
        [(6, 12), (0, 6), (6, 9), (0, 3)],
    ],
    ids=["of steps", "since the start", "since the start, from nothing on", "since a reset", "in disorder"],
)
def test_sums_are_those_up_to_the_valid_time(tmp_path: Path, spans: list):
    found = source(tmp_path / "a.grib2", *(rain(*span) for span in spans))
    np.testing.assert_allclose(read(found), steps(3, 4), atol=1e-4)
    assert list(found.frame_times(0)) == ends(3, 4)
    assert found.spec.step_minutes == 180
    assert found.grid.cell_methods == ("time: sum",)
    assert "times: each frame is the sum over the 3h up to its time" in found.notes
    differ = len({start for start, end in spans if end > start}) < 4
    assert any("are differences of successive sums" in note for note in found.notes) == differ


def test_sums_of_two_lengths_are_not_mixed_but_chosen_by_name(tmp_path: Path):
    both = [rain(n, n + 3) for n in range(0, 12, 3)] + [rain(0, n + 3) for n in range(3, 12, 3)]
    with pytest.raises(InputError, match=r"sums over 3h, 6h, .* that end together, .* as in tp\[3h\], tp\[run\]"):
        source(tmp_path / "a.grib2", *both)
    for word in ("3h", "run"):
        found = source(tmp_path / "a.grib2", *both, variable=f"tp[{word}]")
        np.testing.assert_allclose(read(found), steps(3, 4), atol=1e-4)
    with pytest.raises(InputError, match=r"interval: got 2h, expected one of 3h, 6h"):
        source(tmp_path / "a.grib2", *both, variable="tp[2h]")


def test_steps_that_become_longer_are_not_mixed(tmp_path: Path):
    sums = [rain(0, end) for end in (1, 2, 3, 6, 9, 12)]
    with pytest.raises(InputError, match=r"sums over 1h, 3h in turn"):
        source(tmp_path / "a.grib2", *sums)
    found = source(tmp_path / "a.grib2", *sums, variable="tp[3h]")
    np.testing.assert_allclose(read(found), steps(3, 4), atol=1e-4)


def test_sums_since_the_start_in_a_file_for_each_lead_time(tmp_path: Path):
    for end in (3, 6, 9, 12):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / f"a/gfs.t03z.pgrb2.f{end:03}").write_bytes(rain(0, end))
    found = FileSource(DataConfig(source=str(tmp_path / "a"), range=(0, 9)))
    np.testing.assert_allclose(read(found), steps(3, 4), atol=1e-4)
    assert list(found.frame_times(0)) == ends(3, 4)


def test_means_since_the_start_are_weighted(tmp_path: Path):
    hours = np.stack([field(value) for value in HOURLY])
    means = [message(hours[:end].mean(0), statistic=MEAN, length=end, **RAIN) for end in (4, 8, 12)]
    found = source(tmp_path / "a.grib2", *means)
    np.testing.assert_allclose(read(found), hours.reshape(3, 4, 3, 4).mean(1), atol=0.3)  # packed with one decimal


def test_maxima_since_the_start_cannot_be_had_for_each_step(tmp_path: Path):
    maxima = [message(field(end), statistic=MAXIMUM, length=end, **RAIN) for end in (3, 6, 9)]
    with pytest.raises(InputError, match=r"maximums over 3h, 6h, 9h in turn"):
        source(tmp_path / "a.grib2", *maxima)


def test_members_have_sums_too(tmp_path: Path):
    sums = [rain(0, end, member=member) for end in (3, 6, 9, 12) for member in (1, 2)]
    found = source(tmp_path / "a.grib2", *sums, variable="tp[member 2]")
    np.testing.assert_allclose(read(found), steps(3, 4), atol=1e-4)


@pytest.mark.parametrize(("unit", "lead", "delay"), [(0, 15, 900), (13, 90, 90), (1, 7, 25_200), (10, 2, 21_600)])
def test_units_of_lead_times(tmp_path: Path, unit: int, lead: int, delay: int):
    packed = [message(field(n), hour=n * lead, unit=unit) for n in range(3)]
    found = source(tmp_path / "a.grib2", *packed)
    expected = START + np.arange(3) * np.timedelta64(delay, "s")
    assert list(found.frame_times(0)) == list(expected)
    oracle = [pygrib.fromstring(one) for one in packed]  # validityTime has no seconds
    clocks = [f"{m['validityDate']}{m['validityTime']:04}" for m in oracle]
    assert clocks == [str(t).replace("-", "").replace("T", "").replace(":", "")[:12] for t in expected]


def test_months_are_those_of_the_calendar(tmp_path: Path):
    found = source(
        tmp_path / "a.grib2", *(message(field(n), statistic=MEAN, hour=n, length=1, unit=3, **RAIN) for n in range(4))
    )
    months = ["2020-02-02T03", "2020-03-02T03", "2020-04-02T03", "2020-05-02T03"]
    assert list(found.frame_times(0)) == [np.datetime64(month, "ms") for month in months]
    assert (found.spec.step_months, found.lengths) == (1, [4])


def test_the_end_where_no_length_is_given(tmp_path: Path):
    given = [
        message(field(hour), statistic=SUM, hour=hour, end=datetime(2020, 1, 2, 4 + hour), **RAIN) for hour in (0, 1)
    ]
    assert list(source(tmp_path / "a.grib2", *given).frame_times(0)) == ends(1, 2)


def edition1(first: int, second: int, indicator: int, unit: int = 1) -> bytes:
    """A field of 2 x 2 points of one value, total precipitation, of a forecast from 2020-01-02 03:00."""
    section1 = bytes([0, 0, 28, 2, 7, 255, 255, 128, 61, 1, 0, 0, 20, 1, 2, 3, 0, unit, first, second, indicator])
    section1 += bytes([0, 0, 0, 21, 0, 0, 0])
    degrees = [(50_000).to_bytes(3, "big"), (5000).to_bytes(3, "big"), (49_000).to_bytes(3, "big")]
    section2 = bytes([0, 0, 32, 0, 255, 0, 0, 2, 0, 2, *degrees[0], *degrees[1], 128, *degrees[2]])
    section2 += (6000).to_bytes(3, "big") + (1000).to_bytes(2, "big") * 2 + bytes([0]) + bytes(4)
    section4 = bytes([0, 0, 15, 0, 0, 0, 0x41, 0x10, 0, 0, 8, 1, 2, 3, 4])  # reference 1, bytes 1 to 4 on top
    length = 8 + len(section1) + len(section2) + len(section4) + 4
    return b"GRIB" + length.to_bytes(3, "big") + b"\1" + section1 + section2 + section4 + b"7777"


@pytest.mark.parametrize(
    ("message_1", "seconds"),
    [
        (edition1(6, 0, 0), 21_600),
        (edition1(0, 0, 1), 0),
        (edition1(0, 6, 4), 21_600),
        (edition1(3, 6, 3), 21_600),
        (edition1(3, 6, 5), 21_600),
        (edition1(1, 44, 10), 300 * 3600),
        (edition1(45, 0, 0, unit=0), 2700),
        (edition1(2, 0, 0, unit=13), 1800),
        (edition1(30, 0, 0, unit=254), 30),
    ],
)
def test_edition_1(tmp_path: Path, message_1: bytes, seconds: int):
    """WMO's code tables 4 (units) and 5 (time range indicator), by hand."""
    found = source(tmp_path / "a.grib1", message_1)
    assert list(found.frame_times(0)) == [START + np.timedelta64(seconds, "s")]
    np.testing.assert_allclose(read(found)[0], [[2, 3], [4, 5]])
