"""Times of CF grids: months and years since, milliseconds, calendars, and the intervals that bounds give."""

from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray

from framecast.calendars import to_calendar
from framecast.data import DataConfig, FileSource
from framecast.errors import InputError
from framecast.forecast import count_times

VALUES = np.random.default_rng(0).integers(0, 9, (24, 4, 5)).astype(np.float32)


def source(path: Path, times: np.ndarray, units: str, values: np.ndarray = VALUES, **options) -> FileSource:
    attributes = {"units": units, **{key: options.pop(key) for key in ("calendar", "bounds") if key in options}}
    data = {"rain": (("time", "y", "x"), values[: len(times)], {"units": "mm", **options.pop("field", {})})}
    if "edges" in options:
        data["edges"] = (("time", "nv"), options.pop("edges"))
    dataset = xarray.Dataset(data, {"time": ("time", times, attributes)})
    dataset.to_netcdf(path, engine=options.pop("engine", "h5netcdf"))
    return FileSource(DataConfig(source=str(path), **{"range": (0, 9), **options}))


def texts(found: FileSource) -> list[str]:
    return [str(date)[:10] for date in to_calendar(found.frame_times(0), found.grid)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_months_since(tmp_path: Path, dtype: str):
    found = source(tmp_path / "a.nc", np.arange(24).astype(dtype), "months since 1999-12-01")
    expected = np.arange("1999-12", "2001-12", dtype="datetime64[M]").astype("datetime64[ms]")
    assert list(found.frame_times(0)) == list(expected)
    assert (found.lengths, found.spec.step_months) == ([24], 1)


def test_half_months_are_the_middle(tmp_path: Path):
    found = source(tmp_path / "a.nc", np.arange(3) + 0.5, "months since 2001-01-01")
    assert list(found.frame_times(0)) == list(
        np.array(["2001-01-16T12", "2001-02-15", "2001-03-16T12"], "datetime64[ms]")
    )
    assert found.spec.step_months == 1


def test_months_of_30_days_as_cftime_has_them(tmp_path: Path):
    found = source(tmp_path / "a.nc", np.arange(24.0), "months since 2001-01-01", calendar="360")
    expected = cftime.num2date(np.arange(24.0), "months since 2001-01-01", "360_day")
    assert list(to_calendar(found.frame_times(0), found.grid)) == list(expected)


def test_years_since(tmp_path: Path):
    found = source(tmp_path / "a.nc", np.arange(4.0), "years since 1960-01-01")
    assert texts(found) == ["1960-01-01", "1961-01-01", "1962-01-01", "1963-01-01"]
    assert (found.lengths, found.spec.step_months) == ([4], 12)


@pytest.mark.parametrize("units", ["months since 1960-01-31", "fortnights since 1960-01-01", "day as %Y%m%d.%f"])
def test_times_that_are_not_understood_are_left_out_and_said(tmp_path: Path, units: str):
    found = source(tmp_path / "a.nc", np.arange(4.0) + 0.3, units, step_minutes=1440.0)
    assert found.frame_times(0) is None
    assert (found.lengths, found.spec.step_minutes) == ([4], 1440)
    assert any("is not understood" in note and "--step-minutes" in note for note in found.notes)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "julian"])
def test_months_as_days_since(tmp_path: Path, calendar: str):
    dates = [cftime.datetime(2003 + n // 12, n % 12 + 1, 1, calendar=calendar) for n in range(24)]
    days = cftime.date2num(dates, "days since 2000-01-01", calendar)
    found = source(tmp_path / "a.nc", days, "days since 2000-01-01", calendar=calendar)
    assert (found.lengths, found.spec.step_months) == ([24], 1)
    assert texts(found) == [str(date)[:10] for date in dates]


def test_dekads_are_parts_of_months(tmp_path: Path):
    dates = [cftime.datetime(2003, n // 3 + 1, 10 * (n % 3) + 1) for n in range(24)]
    found = source(tmp_path / "a.nc", cftime.date2num(dates, "days since 2000-01-01"), "days since 2000-01-01")
    assert found.lengths == [24]
    ahead = count_times(found.frame_times(0)[None], 3, found.spec, found.grid)[0]
    assert [str(time)[:10] for time in ahead] == ["2003-09-01", "2003-09-11", "2003-09-21"]


def test_a_month_that_is_missing_is_a_gap(tmp_path: Path):
    found = source(tmp_path / "a.nc", np.delete(np.arange(12.0), 5), "months since 2001-01-01")
    assert (found.lengths, found.timeline.missing, found.spec.step_months) == ([5, 6], 1, 1)


@pytest.mark.parametrize(
    ("times", "units"),
    [
        (np.arange(24) * 0.04, "seconds since 2020-01-01 12:00:00"),
        (np.arange(24) * 40, "milliseconds since 2020-01-01 12:00:00"),
        (np.arange(24) * 0.04 / 3600, "hours since 2020-01-01 12:00:00"),
    ],
)
@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_frames_40_ms_apart_stay_so(tmp_path: Path, times: np.ndarray, units: str, calendar: str):
    found = source(tmp_path / "a.nc", times, units, calendar=calendar)
    assert set(np.diff(found.frame_times(0)).astype(int).tolist()) == {40}
    assert found.spec.step_minutes == pytest.approx(0.04 / 60)


DAYS = np.arange(6.0)
EDGES = np.stack([DAYS, DAYS + 1], 1)


@pytest.mark.parametrize("stamp", [0.0, 0.5, 1.0])
def test_a_sum_is_valid_at_the_end_of_its_bounds(tmp_path: Path, stamp: float):
    found = source(
        tmp_path / "a.nc",
        DAYS + stamp,
        "days since 2020-01-01",
        bounds="edges",
        edges=EDGES,
        field={"cell_methods": "time: sum"},
    )
    assert list(found.frame_times(0)) == [np.datetime64(f"2020-01-0{day}", "ms") for day in range(2, 8)]
    assert "times: the end of the interval of each sum, by the bounds of time" in found.notes


@pytest.mark.parametrize(("stamp", "word"), [(0.0, "start"), (0.5, "middle"), (1.0, "end")])
def test_the_time_of_a_mean_is_that_of_the_file_and_said(tmp_path: Path, stamp: float, word: str):
    said = {"bounds": "edges", "edges": EDGES, "field": {"cell_methods": "area: mean time: mean"}}
    found = source(tmp_path / "a.nc", DAYS + stamp, "days since 2020-01-01", **said)
    assert found.frame_times(0)[0] == np.datetime64("2020-01-01", "ms") + np.timedelta64(int(24 * stamp), "h")
    assert f"times: time, the {word} of the intervals of which frames are the mean" in found.notes


def test_sums_since_one_start_are_differenced(tmp_path: Path):
    total = VALUES[:6].cumsum(0)
    edges = np.stack([np.zeros(6), DAYS + 1], 1)
    said = {"bounds": "edges", "edges": edges, "field": {"cell_methods": "time: sum"}, "values": total}
    found = source(tmp_path / "a.nc", DAYS + 1, "days since 2020-01-01", **said)
    np.testing.assert_array_equal(found.read(0, 0, 6).frames[:, 0], VALUES[:6])
    np.testing.assert_array_equal(found.read(0, 3, 5).frames[:, 0], VALUES[3:5])
    assert "times: 5 of 6 frames are differences of successive sums since an earlier start" in found.notes


def test_sums_of_several_lengths_are_refused(tmp_path: Path):
    edges = np.stack([np.zeros(6), np.array([1.0, 2, 3, 4, 6, 8])], 1)
    said = {"bounds": "edges", "edges": edges, "field": {"cell_methods": "time: sum"}}
    with pytest.raises(InputError, match="sums over 24h, 48h in turn"):
        source(tmp_path / "a.nc", DAYS + 1, "days since 2020-01-01", **said)


def test_sums_without_bounds_are_said(tmp_path: Path):
    found = source(tmp_path / "a.nc", DAYS, "days since 2020-01-01", field={"cell_methods": "time: sum"})
    assert any("has no bounds, so when each sum begins is not known" in note for note in found.notes)


@pytest.mark.parametrize(
    ("units", "got"), [(None, "no units"), ("1", "no units"), ("hours", "units 'hours' without a")]
)
def test_a_time_without_a_date_is_named(tmp_path: Path, units: str | None, got: str):
    for dim in ("time", "record"):
        time = (dim, np.arange(6.0), {"standard_name": "time"} | ({} if units is None else {"units": units}))
        xarray.Dataset({"rain": ((dim, "y", "x"), VALUES[:6])}, {"time": time}).to_netcdf(
            tmp_path / f"{dim}.nc", engine="h5netcdf"
        )
        found = FileSource(DataConfig(source=str(tmp_path / f"{dim}.nc"), range=(0, 9)))
        assert any(f"times: time has {got}" in note and "--step-minutes" in note for note in found.notes)
        assert (found.lengths, found.frame_times(0)) == ([6], None)
