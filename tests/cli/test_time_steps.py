"""Steps of months and of milliseconds from a file to a forecast in each format."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.fixtures.commands import framecast

from framecast.data import DataConfig, FileSource, open_data
from framecast.errors import UsageError

VALUES = np.random.default_rng(0).integers(0, 9, (24, 8, 8)).astype(np.float32)
AHEAD = np.arange("2004-01", "2005-01", dtype="datetime64[M]").astype("datetime64[ns]")


def monthly(path: Path, calendar: str = "standard") -> Path:
    dates = xarray.date_range("2002-01-01", periods=24, freq="MS", calendar=calendar, use_cftime=True)
    data = xarray.Dataset({"rain": (("time", "y", "x"), VALUES, {"units": "mm"})}, {"time": ("time", dates)})
    data["time"].encoding["units"] = "days since 2000-01-01"
    data.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize("horizon", ["12", "12mon", "1y"])
def test_a_year_of_months(tmp_path: Path, horizon: str):
    out = ["--out", tmp_path / "f.nc", "--out", tmp_path / "f.npz", "--out", tmp_path / "f.png"]
    framecast("predict", "persistence", monthly(tmp_path / "a.nc"), "--horizon", horizon, *out)
    with xarray.open_dataset(tmp_path / "f.nc", decode_timedelta=False) as written:
        np.testing.assert_array_equal(written["time"].values, AHEAD)
        assert written["lead_time"].attrs["units"] == "days"
        days = (AHEAD - np.datetime64("2003-12-01", "ns")) / np.timedelta64(1, "D")
        np.testing.assert_array_equal(written["lead_time"].values, days)
    names = sorted(path.stem for path in (tmp_path / "f.png").iterdir())
    assert names == [f"2004{month:02}01T000000" for month in range(1, 13)]
    for again in (
        FileSource(DataConfig(source=str(tmp_path / "f.npz"))),
        FileSource(DataConfig(source=str(tmp_path / "f.nc"))),
    ):
        assert again.spec.step_months == 1
        np.testing.assert_array_equal(again.frame_times(0), AHEAD)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_months_of_other_calendars(tmp_path: Path, calendar: str):
    framecast(
        "predict", "persistence", monthly(tmp_path / "a.nc", calendar), "--horizon", "12", "--out", tmp_path / "f.nc"
    )
    with xarray.open_dataset(tmp_path / "f.nc", decode_timedelta=False) as written:
        dates = [(date.year, date.month, date.day, date.hour) for date in written["time"].values]
    assert dates == [(2004, month, 1, 0) for month in range(1, 13)]


def test_days_are_no_months(tmp_path: Path):
    words = ["predict", "persistence", monthly(tmp_path / "a.nc"), "--horizon", "30d", "--out", tmp_path / "f.nc"]
    said = framecast(*words, code=2)
    assert "expected months or years as in 6mon, 1y: the step is 1 month" in said.stderr


def test_inspect_says_months(tmp_path: Path):
    said = framecast("inspect", monthly(tmp_path / "a.nc"), "--no-picture", "--context", "3mon", "--horizon", "1mon")
    assert "1 month; 2002-01-01T00:00:00 to 2003-12-01T00:00:00 UTC" in said.stdout
    result = json.loads(
        framecast("inspect", tmp_path / "a.nc", "--no-picture", "--json", "--context", "3", "--horizon", "1").stdout
    )
    assert (result["gaps"], result["spec"]["step_months"]) == ([], 1)


def test_frames_40_ms_apart(tmp_path: Path):
    start = np.array(["2020-01-01T12:00:00.500"], "datetime64[ms]")
    np.savez(
        tmp_path / "a.npz",
        frames=VALUES[None],
        dims="nthw",
        step_minutes=0.04 / 60,
        start_time=start,
    )
    source = FileSource(DataConfig(source=str(tmp_path / "a.npz")))
    np.testing.assert_array_equal(source.frame_times(0), start + 40 * np.arange(24))
    out = ["--out", tmp_path / "f.nc", "--out", tmp_path / "f.npz", "--out", tmp_path / "f.png"]
    framecast("predict", "persistence", tmp_path / "a.npz", "--horizon", "4", *out)
    expected = start + 40 * np.arange(24, 28)
    with xarray.open_dataset(tmp_path / "f.nc", decode_timedelta=False) as written:
        rounded = written["time"].values + np.timedelta64(500, "us")
        np.testing.assert_array_equal(rounded.astype("datetime64[ms]"), expected)
    for name in ("f.nc", "f.npz"):
        again = FileSource(DataConfig(source=str(tmp_path / name)))
        np.testing.assert_array_equal(again.frame_times(0), expected)
    assert sorted(path.name for path in (tmp_path / "f.png").iterdir())[0] == "20200101T120001.460.png"


def test_gaps_of_splits_in_months(tmp_path: Path):
    config = DataConfig(source=str(monthly(tmp_path / "a.nc")), gap="2mon", fractions=(0.5, 0.25, 0.25))
    data = open_data(config, context=2, horizon=1, seed=0)
    assert data.count("train") > 0
    ends = {
        name: [data.window(name, 0, index).times[[0, -1]].astype("datetime64[M]") for index in range(data.count(name))]
        for name in ("train", "test")
    }
    apart = min(abs(a[0] - b[1]) for a in ends["test"] for b in ends["train"])
    assert apart > np.timedelta64(2, "M")
    with pytest.raises(UsageError, match="a time of fixed length"):
        open_data(config.model_copy(update={"step_minutes": 43200.0}), context=2, horizon=1, seed=0)
