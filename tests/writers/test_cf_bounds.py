"""Bounds of the times of sums and means: a reader gets the intervals of the source back."""

from pathlib import Path

import cftime
import netCDF4
import numpy as np
import pytest
import xarray
from tests.fixtures.forecasts import METRES, forecast

from framecast import writers
from framecast.data import DataConfig, FileSource
from framecast.data.formats.intervals import find_interval, make_bounds
from framecast.forecasting.baselines import Persistence
from framecast.forecasting.predict import forecast_source
from framecast.forecasting.predictor import Predictor

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")


def write_source(path: Path, starts: np.ndarray, ends: np.ndarray, stamps: np.ndarray, method: str, **names) -> Path:
    field = np.random.default_rng(0).random((len(stamps), 5, 6)).astype("f4")
    attributes = {"units": "kg m-2", "cell_methods": method}
    bounds = np.stack([starts, ends], 1).astype("M8[ns]")
    data = xarray.Dataset(
        {"rain": (("time", "y", "x"), field, attributes), "edges": (("time", "nv"), bounds)},
        {"time": ("time", stamps.astype("M8[ns]"), {"bounds": "edges"})},
    )
    data.to_netcdf(path, engine="h5netcdf", encoding={"time": {"units": "hours since 2000-01-01"}})
    return path


def predict(path: Path, out: Path, horizon: int = 3) -> xarray.Dataset:
    source = FileSource(DataConfig(source=str(path)))
    predictor: Predictor = Persistence(source.spec)
    writers.write(out, forecast_source(predictor, source, horizon))
    with xarray.open_dataset(out, engine="h5netcdf") as data:
        return data.load()


MONTHS = np.arange("2003-01", "2004-01", dtype="M8[M]")
CASES = {
    "sums over 6 h": (np.datetime64("2020-01-01") + np.arange(8) * 6 * HOUR, 6 * HOUR, 1.0, "time: sum", "sum"),
    "means, time in the middle": (np.datetime64("2020-01-01") + np.arange(8) * DAY, DAY, 0.5, "time: mean", "mean"),
    "means, time at the start": (np.datetime64("2020-01-01") + np.arange(8) * DAY, DAY, 0.0, "time: mean", "mean"),
    "maxima of the last of 3 h": (
        np.datetime64("2020-01-01T02") + np.arange(8) * 3 * HOUR,
        HOUR,
        1.0,
        "area: mean time: maximum (interval: 10 min)",
        "maximum",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_intervals_go_on(tmp_path: Path, name: str) -> None:
    starts, length, place, method, word = CASES[name]
    starts = starts.astype("M8[m]")
    stamps = starts + (place * length.astype("m8[m]").astype(int)).astype("m8[m]")
    path = write_source(tmp_path / "a.nc", starts, starts + length, stamps, method)
    data = predict(path, tmp_path / "b.nc")
    step = starts[1] - starts[0]
    ahead = starts[-1] + np.arange(1, 4) * step
    expected = np.stack([ahead, ahead + length], 1).astype("M8[ns]")
    np.testing.assert_array_equal(data[data["time"].attrs["bounds"]], expected)
    assert data["rain"].attrs["cell_methods"] == f"time: {word}"
    assert set(data.data_vars) == {"rain", "time_bnds"}
    found, before = (FileSource(DataConfig(source=str(file))) for file in (tmp_path / "b.nc", path))
    assert found.grid.interval == before.grid.interval
    assert found.spec.units == before.spec.units


@pytest.mark.parametrize("place", ["start", "end", "15th"])
def test_months_have_their_lengths(tmp_path: Path, place: str) -> None:
    starts, ends = MONTHS.astype("M8[D]"), (MONTHS + 1).astype("M8[D]")
    stamps = {"start": starts, "end": ends, "15th": starts + 14 * DAY}[place]
    path = write_source(tmp_path / "a.nc", starts, ends, stamps, "time: mean")
    data = predict(path, tmp_path / "b.nc", horizon=4)
    edges = np.arange("2004-01", "2004-06", dtype="M8[M]").astype("M8[ns]")
    np.testing.assert_array_equal(data["time_bnds"], np.stack([edges[:-1], edges[1:]], 1))


def test_what_a_checker_of_cf_asks_of_bounds(tmp_path: Path) -> None:
    """CF 7.1: no attribute but those of the times; the same type; an axis of size 2, the last; named by the times."""
    starts = np.datetime64("2020-01-01", "m") + np.arange(8) * HOUR
    predict(write_source(tmp_path / "a.nc", starts, starts + HOUR, starts + HOUR, "time: sum"), tmp_path / "b.nc")
    with netCDF4.Dataset(tmp_path / "b.nc") as data:
        bounds, times = data["time_bnds"], data["time"]
        assert times.bounds == "time_bnds"
        assert bounds.ncattrs() == []
        assert bounds.dimensions == ("time", "bnds")
        assert bounds.dtype == times.dtype
        dates = cftime.num2pydate(bounds[:], times.units, times.calendar)
        np.testing.assert_array_equal(dates[:, 1], cftime.num2pydate(times[:], times.units, times.calendar))
        assert "time_bnds" not in data["rain"].ncattrs()
        assert "time_bnds" not in getattr(data["rain"], "coordinates", "")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_several_sequences_and_rates(tmp_path: Path, suffix: str) -> None:
    """A depth of rain in 5 minutes becomes a rate: the mean over them."""
    grid = METRES.model_copy(
        update={
            "units": ("mm/5min",),
            "standard_names": ("",),
            "cell_methods": ("time: sum",),
            "interval": ("5min", "end"),
        }
    )
    made = forecast(2, units="mm/h", grid=grid)
    writers.write(tmp_path / f"x{suffix}", made)
    path = tmp_path / f"x{suffix}"
    with xarray.open_zarr(path) if suffix == ".zarr" else xarray.open_dataset(path, engine="h5netcdf") as data:
        assert data["time_bnds"].dims == ("sequence", "lead_time", "bnds")
        np.testing.assert_array_equal(data["time_bnds"][..., 1], data["time"])
        assert set((data["time_bnds"][..., 1] - data["time_bnds"][..., 0]).values.ravel()) == {np.timedelta64(5, "m")}
        (rate,) = (name for name in data.data_vars if name not in ("crs", "time_bnds"))
        assert data[rate].attrs["cell_methods"] == "time: mean"


def test_instants_and_reflectivity_have_no_bounds(tmp_path: Path) -> None:
    for number, update in enumerate(
        (
            {"cell_methods": ("time: point",), "interval": ("5min", "end")},
            {"cell_methods": ("time: sum",)},
            {"cell_methods": ("time: sum",), "interval": ("5min", "end"), "units": ("mm/5min",)},
        )
    ):
        writers.write(tmp_path / f"{number}.nc", forecast(grid=METRES.model_copy(update=update)))
        with xarray.open_dataset(tmp_path / f"{number}.nc", engine="h5netcdf") as data:
            assert "time_bnds" not in data.variables
            assert "bounds" not in data["time"].attrs


def test_intervals_that_are_unlike_each_other_are_none() -> None:
    times = np.datetime64("2020-01-01", "ms") + np.arange(3) * HOUR
    assert find_interval(times, times - HOUR, times) == ("1h", "end")
    assert find_interval(times, times, times) is None
    assert find_interval(times, times - HOUR, times + HOUR * np.arange(3)) is None
    assert find_interval(times, times - 2 * HOUR, times + HOUR) is None, "neither end nor middle"
    assert make_bounds(times, "1500ms", "middle")[0].tolist() == [
        (times[0] - np.timedelta64(750, "ms")).item(),
        (times[0] + np.timedelta64(750, "ms")).item(),
    ]
