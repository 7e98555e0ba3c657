"""Names of files: times with zones and fractions, counters with signs and decimals, natural order."""

import numpy as np
import pytest

from framecast.data.file_names import counters_from_names, natural_key, times_from_names, times_from_pattern
from framecast.data.timestamps import normalize_epoch, parse_stamp
from framecast.errors import InputError


def test_names():
    assert natural_key("b10") > natural_key("b9") > natural_key("a11")
    assert counters_from_names(["x1y007.png", "x2y007.png"]) is None
    assert counters_from_names(["a.png", "b.png"]) is None
    found = counters_from_names(["f_007.png", "f_010.png"])
    assert found is not None
    assert found.tolist() == [7, 10]
    for name in ("a_201609281445.pgm.gz", "2016-09-28_14-45-00.png", "x20160928T1445Z", "2016.09.28 14:45"):
        times = times_from_names([name])
        assert times is not None, name
        assert times.values[0] == np.datetime64("2016-09-28T14:45")
    assert times_from_names(["20160231"]) is None
    assert times_from_names(["photo_5", "20160101"]) is None
    assert times_from_names(["1234567890123456"]) is None


UTC = [  # a name, and the time in it, UTC, by hand
    ("radar_2024-05-01T01-00-00+0200.png", "2024-04-30T23:00"),
    ("radar_2024-05-01T01-00-00Z.png", "2024-05-01T01:00"),
    ("20240501T010000-0500.nc", "2024-05-01T06:00"),
    ("2024-05-01T01:00:00-03:30", "2024-05-01T04:30"),
    ("2024-05-01T01:00:00+05:45.tif", "2024-04-30T19:15"),
    ("20240501T0100+02.png", "2024-04-30T23:00"),
    ("20240501_0100+0200.png", "2024-04-30T23:00"),
    ("20240501_0100 +0200.png", "2024-04-30T23:00"),
    ("20240501_0100_CEST.png", "2024-04-30T23:00"),
    ("20240501_0100CEST.png", "2024-04-30T23:00"),
    ("2024-05-01 01.00 (MESZ).png", "2024-04-30T23:00"),
    ("20240501-0100-EDT.png", "2024-05-01T05:00"),
    ("20240501_0100_UTC.png", "2024-05-01T01:00"),
    ("20240501_0100z.png", "2024-05-01T01:00"),
    ("2024-05-01 02.30 PM.png", "2024-05-01T14:30"),
    ("2024-05-01 12.30.00am.png", "2024-05-01T00:30"),
    ("20240501_010000.25.png", "2024-05-01T01:00:00.250"),
    ("20240501010000125.png", "2024-05-01T01:00:00.125"),
    ("202405010100-0130.png", "2024-05-01T01:00"),  # an interval
    ("20240501_0100-0003.png", "2024-05-01T01:00"),  # a counter
    ("20240501_0100_FIN.png", "2024-05-01T01:00"),
    ("20240501_0100Zurich.png", "2024-05-01T01:00"),
    ("20240501T0100-05:00.png", "2024-05-01T06:00"),
    ("2024-05-01T01-00-05:00.png", "2024-05-01T06:00"),
    ("2024-05-01t01-00z.png", "2024-05-01T01:00"),
    ("20240501t010000-0500.png", "2024-05-01T06:00"),
    ("20240501_0100_UTC+0200.png", "2024-04-30T23:00"),
    ("20240501_0100 (UTC+02:00).png", "2024-04-30T23:00"),
    ("20240501_0100_GMT-5.png", "2024-05-01T06:00"),
    ("20240501_0100_utc.png", "2024-05-01T01:00"),
    ("20240501_0100_cest.png", "2024-04-30T23:00"),
    ("20240501_0100_CET_DST.png", "2024-04-30T23:00"),
    ("20240501T0100\N{MINUS SIGN}05:00.png", "2024-05-01T06:00"),
    ("2024-05-01T01:00:00.1234567+02:00", "2024-04-30T23:00:00.123"),
    ("gfs.20240501.t12z.nc", "2024-05-01T12:00"),
    ("20240501T01+0200.png", "2024-04-30T23:00"),
    ("20240501_13UTC.png", "2024-05-01T13:00"),
    ("20240501_0100-UTC-0001.png", "2024-05-01T01:00"),  # a counter
]


@pytest.mark.parametrize(("name", "time"), UTC)
def test_zones_halves_and_fractions(name: str, time: str) -> None:
    found = times_from_names([name])
    assert found is not None
    assert found.values[0] == np.datetime64(time)


def test_what_is_heeded_and_what_is_left_is_said() -> None:
    def notes(*names: str) -> str:
        found = times_from_names(names)
        assert found is not None
        return " ".join(found.notes)

    assert "CEST, CET turned into UTC" in notes("20241027_0200_CEST.png", "20241027_0200_CET.png")
    assert "without a zone are taken as UTC" in notes("20241027_0200_CEST.png", "20241027_0400.png")
    assert "CST in the names may be a zone and is not heeded" in notes("20240501_0100_CST.png")
    assert "CEST in the names may be a zone" in notes("CEST_20240501_0100.png")
    assert notes("20240501_0100_UTC.png", "20240501_0200_UTC.png") == ""
    for left in (
        "_LT",
        "LT",
        "_local",
        "_est",
        "_ist",
        "-0500",
        "-0130",
        "_UTC_DST",
        "_LST",
        "+1",
        "_UTC2",
        "_Europe-Berlin",
        "_MET",
        "Z+2",
        "[CEST",
    ):
        said = notes(f"20240501_0100{left}.png", f"20240501_0200{left}.png")
        assert (
            f"{left.lstrip('_').removeprefix('UTC_').lstrip('Z[')} in the names may be a zone and is not heeded" in said
        )
    for left in ("T2400", "_18", "_1260"):  # days, and clocks that there are none of, or that may be counters
        assert "behind the date is not heeded" in notes(f"20240501{left}.png", f"20240502{left}.png")
    assert notes("20240501_v2.png", "20240502_v2.png") == ""


def test_the_time_of_a_recording_is_not_that_of_its_frames() -> None:
    assert times_from_names([f"20240501_120000_{n:03}.png" for n in range(4)]) is None
    runs = [f"run2024050100_valid20240501{hour:02}00.nc" for hour in range(1, 5)]
    starts = [name.replace("2024050100_", "202405010000_") for name in runs]
    for names in (runs, starts):
        found = times_from_names(names)
        assert found is not None
        assert found.values.tolist() == [np.datetime64(f"2024-05-01T0{hour}:00", "ms").item() for hour in range(1, 5)]
    intervals = times_from_names([f"{2024050100 + n}00_{2024050101 + n}00.nc" for n in range(4)])
    assert intervals is not None
    assert intervals.values[0] == np.datetime64("2024-05-01T00:00")
    assert "names hold 2, number 1 is used" in " ".join(intervals.notes)
    assert times_from_names([f"202405010000+0{hour}00.grb" for hour in range(1, 5)]) is None  # lead times, not zones
    assert times_from_names(["202405010000+0600.grb", "202405010000+0700.grb"]) is None


def test_patterns_with_zones() -> None:
    for pattern, name in (
        ("%H%M_%d%m%Y%z", "0100_01052024+0200.png"),
        ("%H%M_%d%m%Y_%Z", "0100_01052024_CEST.png"),
        ("%I-%M%p_%d%m%Y_%Z", "01-00am_01052024_CEST.png"),
    ):
        assert times_from_pattern([name], pattern).values[0] == np.datetime64("2024-04-30T23:00")
    found = times_from_pattern(["x_20240501120030.png"], "%Y%m%d%H%M")
    assert "30 behind %Y%m%d%H%M is not heeded" in found.notes[0]
    assert "+0200 behind" in times_from_pattern(["x_202405011200+0200.png"], "%Y%m%d%H%M").notes[0]
    assert times_from_pattern(["x_202405011200Z.png"], "%Y%m%d%H%M").notes == ()
    for left in ("-0500", "_utc+2", "_cest", "_LT", "T2400", "UTC-5"):
        assert f"{left} behind" in times_from_pattern([f"x_202405011200{left}.png"], "%Y%m%d%H%M").notes[0]


def test_a_text_that_is_a_time_is_one_as_a_whole() -> None:
    for text in (
        "201609281445",
        " 2016-09-28T16:45:00+02:00 ",
        "20160928144500Z",
        "2016-09-28 16:45 CEST",
        "201609281645 UTC+02",
    ):
        assert parse_stamp(text, "a.pgm: obstime") == np.datetime64("2016-09-28T14:45")
    for text in (
        "201609281445 local",
        "x201609281445",
        "201602301445",
        "2016092814453",
        "",
        "201609281445 LT",
        "201609281445-0500",
    ):
        with pytest.raises(InputError, match=r"a\.pgm: obstime: got"):
            parse_stamp(text, "a.pgm: obstime")


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["t-5.png", "t-1.png", "t+0.png", "t+3.png"], [-5, -1, 0, 3]),
        (["t-1.png", "t0.png", "t1.png"], [-1, 0, 1]),
        (["f-1.png", "f-2.png", "f-10.png"], [1, 2, 10]),  # hyphens
        (["t=0.25s.png", "t=0.5s.png", "t=1.0s.png"], [25, 50, 100]),
        (["s1.8.png", "s1.9.png", "s1.10.png"], [8, 9, 10]),  # two levels, no decimals
        (["a_007.h5", "a_010.h5"], [7, 10]),
        (["a_1.pgm.gz", "a_12.pgm.gz"], [1, 12]),
        (["n100000000000000001.png", "n100000000000000002.png"], [0, 1]),
    ],
)
def test_counters(names: list[str], order: list[int]) -> None:
    found = counters_from_names(names)
    assert found is not None
    assert found.tolist() == order


@pytest.mark.parametrize(
    ("units", "epoch"),
    [  # read by hand: cftime leaves names of zones and halves of the day out without a word
        ("hours since 2024-01-01", "2024-01-01T00:00"),
        ("hours since 2024-1-1 0:0:0.5", "2024-01-01T00:00:00.500"),
        ("Hours  Since 2024-01-01T06:00:00Z", "2024-01-01T06:00"),
        ("hours since 2024-07-01 00:00:00 CEST", "2024-06-30T22:00"),
        ("hours since 2024-07-01 00:00 UTC", "2024-07-01T00:00"),
        ("hours since 2024-07-01 00:00 +02:00", "2024-06-30T22:00"),
        ("hours since 2024-07-01 00:00:00+2", "2024-06-30T22:00"),
        ("hours since 2024-07-01 00:00:00 -0330", "2024-07-01T03:30"),
        ("hours since 2024-07-01 2:30 PM", "2024-07-01T14:30"),
        ("hours since 2024-07-01 12", "2024-07-01T12:00"),
    ],
)
def test_units_of_times_are_read_whole(units: str, epoch: str) -> None:
    cftime = pytest.importorskip("cftime")
    moment = cftime.num2date(0, normalize_epoch(units), only_use_cftime_datetimes=False)
    assert np.datetime64(moment) == np.datetime64(epoch)


@pytest.mark.parametrize(
    "units",
    [
        "hours since 2024-01-01 00:00 Europe/Berlin",
        "hours since 2024-01-01 12h",
        "days since 1970/02/05",
        "hours",
        "day as %Y",
    ],
)
def test_units_that_are_not_understood(units: str) -> None:
    assert normalize_epoch(units) is None
