"""CF NetCDF and Zarr: known coordinates, what xarray makes of them, and what a CF checker says."""

import json
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.forecasts import DEGREES, METRES, ORIGIN, START, forecast, forecast_of

from framecast import writers
from framecast.data import DataConfig, FileSource
from framecast.forecast import Forecast
from framecast.types import Grid

pyproj = pytest.importorskip("pyproj")
DATA = Path(__file__).parents[1] / "fixtures"


def opened(path: Path) -> xarray.Dataset:
    with xarray.open_zarr(path) if path.suffix == ".zarr" else xarray.open_dataset(path, engine="h5netcdf") as data:
        return data.load()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_one_sequence(tmp_path: Path, suffix: str) -> None:
    made = forecast()
    said = writers.write(tmp_path / f"x{suffix}", made)
    assert said == "reflectivity (time 3, y 6, x 9), dBZ"
    data = opened(tmp_path / f"x{suffix}")
    rain = data["reflectivity"]
    assert rain.dims == ("time", "y", "x")
    assert rain.attrs["units"] == "dBZ"
    assert rain.attrs["standard_name"] == "equivalent_reflectivity_factor"
    np.testing.assert_array_equal(rain.values, made.values[0, 0, :, 0])
    np.testing.assert_array_equal(data["time"].values, START + np.arange(3) * np.timedelta64(5, "m"))
    assert data["forecast_reference_time"].values == START - np.timedelta64(5, "m")
    np.testing.assert_array_equal(data["lead_time"], [5, 10, 15])
    assert data["lead_time"].attrs["units"] == "minutes"
    np.testing.assert_array_equal(data["y"], METRES.y)
    np.testing.assert_array_equal(data["x"], METRES.x)
    assert data["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert pyproj.CRS.from_cf(data[rain.attrs["grid_mapping"]].attrs) == pyproj.CRS("EPSG:3067")
    assert {**data.attrs, **made.provenance.as_dict()} == data.attrs
    assert data.attrs["model_sha256"] == "ab" * 32
    assert data.attrs["Conventions"] == "CF-1.11"


def test_what_the_source_says_of_a_variable_is_carried_over(tmp_path: Path) -> None:
    grid = Grid(variables=("t2m",), long_names=("2 metre temperature",), standard_names=("air_temperature",))
    writers.write(tmp_path / "x.nc", forecast(grid=grid, units="K"))
    again = FileSource(DataConfig(source=str(tmp_path / "x.nc")))
    assert (again.grid.variables, again.grid.long_names) == (("t2m",), ("2 metre temperature",))
    assert again.grid.standard_names == ("air_temperature",)


def test_several_sequences_have_their_own_times(tmp_path: Path) -> None:
    made = forecast(sequences=2, grid=DEGREES, step=60.0)
    writers.write(tmp_path / "x.nc", made)
    data = opened(tmp_path / "x.nc")
    assert data["reflectivity"].dims == ("sequence", "lead_time", "lat", "lon")
    assert data["time"].dims == ("sequence", "lead_time")
    assert data["lead_time"].attrs["units"] == "hours"
    later = data["time"] - data["forecast_reference_time"]
    assert (later.values == data["lead_time"].values * np.timedelta64(1, "h")).all()
    np.testing.assert_array_equal(data["forecast_reference_time"], made.times[:, 0] - np.timedelta64(1, "h"))


@pytest.mark.parametrize(
    ("sequences", "dated", "dims"),
    [
        (1, True, ("realization", "time", "y", "x")),
        (1, False, ("realization", "lead_time", "y", "x")),
        (2, True, ("sequence", "realization", "lead_time", "y", "x")),
    ],
)
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_members_are_realizations(tmp_path: Path, suffix: str, sequences: int, dated: bool, dims: tuple) -> None:
    made = forecast(sequences=sequences, members=4, dated=dated)
    writers.write(tmp_path / f"x{suffix}", made)
    data = opened(tmp_path / f"x{suffix}")
    assert data["reflectivity"].dims == dims
    np.testing.assert_array_equal(data["reflectivity"].values.reshape(sequences, 4, 3, 6, 9), made.values[:, :, :, 0])
    assert data["realization"].values.tolist() == [0, 1, 2, 3]
    assert data["realization"].attrs["standard_name"] == "realization"


def test_frames_without_a_date_have_lead_times_only(tmp_path: Path) -> None:
    film = forecast(
        channels=3, units="grey level", step=0.04 / 60, dated=False, grid=Grid(variables=("red", "green", "blue"))
    )
    writers.write(tmp_path / "film.nc", film)
    data = opened(tmp_path / "film.nc")
    assert set(data.data_vars) == {"red", "green", "blue"}
    assert data["red"].dims == ("lead_time", "y", "x")
    assert "time" not in data.variables
    np.testing.assert_allclose(data["lead_time"], [0.04, 0.08, 0.12])
    assert (data["lead_time"].attrs["units"], data["red"].attrs["units"]) == ("seconds", "1")
    writers.write(tmp_path / "unknown.nc", replace(film, spec=film.spec.model_copy(update={"step_minutes": None})))
    data = opened(tmp_path / "unknown.nc")
    assert data["lead_time"].values.tolist() == [1, 2, 3]
    assert "standard_name" not in data["lead_time"].attrs


def test_a_depth_that_was_read_as_a_rate_is_called_one(tmp_path: Path) -> None:
    depth = METRES.model_copy(
        update={
            "variables": ("depth",),
            "units": ("mm per 5 min",),
            "standard_names": ("lwe_thickness_of_precipitation_amount",),
        }
    )
    writers.write(tmp_path / "x.nc", forecast(units="mm/h", grid=depth))
    data = opened(tmp_path / "x.nc")
    assert data["lwe_precipitation_rate"].attrs["standard_name"] == "lwe_precipitation_rate"
    assert data["lwe_precipitation_rate"].attrs["units"] == "mm/h"


@pytest.mark.parametrize("units", ["mm per 5 min", "mm/h", "mm"])
def test_rain_that_was_turned_into_reflectivity_is_called_so(tmp_path: Path, units: str) -> None:
    """`data.scale: dBZ`: of KNMI's depths, of ODIM's and MRMS' rates, of a file whose units are wrong."""
    rain = METRES.model_copy(
        update={
            "variables": ("rain",),
            "units": (units,),
            "standard_names": ("lwe_thickness_of_precipitation_amount",),
        }
    )
    writers.write(tmp_path / "x.nc", forecast(units="dBZ", grid=rain))
    data = opened(tmp_path / "x.nc")
    assert set(data.data_vars) == {"equivalent_reflectivity_factor", "crs"}
    said = data["equivalent_reflectivity_factor"].attrs
    assert (said["standard_name"], said["units"]) == ("equivalent_reflectivity_factor", "dBZ")
    silent = rain.model_copy(update={"variables": ("refl",), "units": ("1",)})
    writers.write(tmp_path / "y.nc", forecast(units="dBZ", grid=silent))
    assert opened(tmp_path / "y.nc")["refl"].attrs["standard_name"] == "equivalent_reflectivity_factor"


RAIN_AND_HEAT = {
    "variables": ("rain", "heat"),
    "units": ("mm per 5 min", "K"),
    "standard_names": ("rainfall_amount", ""),
}


def test_units_of_each_channel_are_those_of_its_values(tmp_path: Path) -> None:
    """A forecast holds each channel in framecast's units, whatever the file's were: 12 mm/h are 1 mm in 5 minutes."""
    made = forecast(channels=2, units="1", grid=METRES.model_copy(update=RAIN_AND_HEAT))
    made.values[:, 0, :, 0] = 12.0
    said = writers.write(tmp_path / "x.nc", made)
    assert said == "rainfall_rate, heat (time 3, y 6, x 9), mm/h, K"
    data = opened(tmp_path / "x.nc")
    assert set(data.data_vars) == {"rainfall_rate", "heat", "crs"}
    assert data["rainfall_rate"].attrs["units"] == "mm/h"
    assert (data["rainfall_rate"].values == 12).all()
    assert data["heat"].attrs["units"] == "K"
    np.testing.assert_array_equal(data["heat"].values, made.values[0, 0, :, 1])


def test_values_in_other_units_than_the_file_keep_their_meaning(tmp_path: Path) -> None:
    """From a file to a file: 1 mm in 5 minutes, beside a temperature, is 12 mm/h."""
    data = xarray.Dataset(
        {
            "rain": (("time", "y", "x"), np.ones((3, 4, 5), np.float32), {"units": "mm per 5 min"}),
            "heat": (("time", "y", "x"), 280 + np.random.default_rng(0).random((3, 4, 5), np.float32), {"units": "K"}),
        }
    )
    data.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    source = FileSource(DataConfig(source=str(tmp_path / "x.nc"), variable="rain,heat", range=(0, 300)))
    frames = source.read(0, 0, 3).frames[None]
    writers.write(tmp_path / "y.nc", forecast_of(frames, frames, source.spec, source.grid))
    found = opened(tmp_path / "y.nc")
    assert found["rainfall_rate"].attrs["units"] == "mm/h"
    assert (found["rainfall_rate"].values == 12).all()
    assert found["heat"].attrs["units"] == "K"
    np.testing.assert_array_equal(found["heat"].values, data["heat"].values)


def test_the_pixels_of_the_source_are_not_those_of_averaged_ones(tmp_path: Path) -> None:
    """rioxarray and GDAL put a GeoTransform into the grid mapping, and believe it before the coordinates."""
    mapping = {**pyproj.CRS("EPSG:3067").to_cf(), "GeoTransform": "300000.0 500.0 0.0 7001000.0 0.0 -500.0"}
    writers.write(tmp_path / "x.nc", forecast(grid=METRES.model_copy(update={"mapping": mapping})))
    said = opened(tmp_path / "x.nc")["crs"].attrs
    assert "GeoTransform" not in said
    assert said["grid_mapping_name"] == "transverse_mercator"


def test_degrees_that_a_file_calls_metres(tmp_path: Path) -> None:
    """ODIM on +proj=longlat."""
    grid = METRES.model_copy(update={"y": DEGREES.y[::-1], "x": DEGREES.x, "crs": "+proj=longlat +datum=WGS84"})
    writers.write(tmp_path / "x.nc", forecast(grid=grid))
    data = opened(tmp_path / "x.nc")
    said = [data[name].attrs for name in "yx"]
    assert [one["units"] for one in said] == ["degrees_north", "degrees_east"]
    assert [one["standard_name"] for one in said] == ["latitude", "longitude"]
    assert data["crs"].attrs["grid_mapping_name"] == "latitude_longitude"


def test_where_a_converted_model_comes_from_is_not_the_source_of_the_forecast(tmp_path: Path) -> None:
    made = forecast()
    origin = ORIGIN._replace(source="openstl", converted_from="a.pt")
    writers.write(tmp_path / "x.nc", replace(made, provenance=replace(made.provenance, model=origin)))
    said = opened(tmp_path / "x.nc").attrs
    assert said["source"] == f"framecast {version('framecast')}, convlstm"
    assert (said["model_source"], said["converted_from"]) == ("openstl", "a.pt")


def test_channels_keep_their_names_and_units(tmp_path: Path) -> None:
    wind = METRES.model_copy(
        update={
            "variables": ("u10", "2t", "u 10"),
            "units": ("m s-1", "K", "1"),
            "standard_names": ("eastward_wind", "", ""),
        }
    )
    made = forecast(channels=3, grid=wind, units="1")
    writers.write(tmp_path / "x.nc", made)
    data = opened(tmp_path / "x.nc")
    units = {name: data[name].attrs["units"] for name in data.data_vars if name != "crs"}
    assert units == {"u10": "m s-1", "forecast_2t": "K", "u_10": "1"}
    np.testing.assert_array_equal(data["forecast_2t"].values, made.values[0, 0, :, 1])


def test_what_is_written_can_be_forecast_again(tmp_path: Path) -> None:
    writers.write(tmp_path / "x.nc", forecast())
    source = FileSource(DataConfig(source=str(tmp_path / "x.nc")))
    assert (source.spec.units, source.spec.step_minutes, list(source.lengths)) == ("dBZ", 5.0, [3])
    assert source.read(0, 0, 1).time == START
    np.testing.assert_array_equal(source.read(0, 0, 3).frames, forecast().values[0, 0])
    assert source.grid.y == METRES.y


@pytest.mark.parametrize("calendar", ["360_day", "noleap"])
def test_other_calendars_are_carried_over(tmp_path: Path, calendar: str) -> None:
    """The last days of February and the first of March 2000, which these calendars and numpy count differently."""
    cftime = pytest.importorskip("cftime")
    first = cftime.datetime(2000, 2, 27, calendar=calendar)
    dates = [first + day * (cftime.datetime(2000, 1, 2) - cftime.datetime(2000, 1, 1)) for day in range(9)]
    numbers = cftime.date2num(dates, "days since 1990-01-01", calendar)
    values = np.random.default_rng(0).random((9, 6, 9), np.float32)
    data = xarray.Dataset({"rain": (("time", "y", "x"), values)})
    data["time"] = ("time", numbers, {"units": "days since 1990-01-01", "calendar": calendar})
    data.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    source = FileSource(DataConfig(source=str(tmp_path / "x.nc")))
    window = source.read(0, 0, 5)
    start = np.array([window.time + np.timedelta64(5, "D")])
    made = forecast_of(window.frames[None], values[None, 5:, None], source.spec, source.grid, start, source.dims)
    writers.write(tmp_path / "y.nc", made)
    with xarray.open_dataset(tmp_path / "y.nc", engine="h5netcdf", decode_times=False) as back:
        found = cftime.num2date(back["time"], back["time"].attrs["units"], back["time"].attrs["calendar"])
    assert list(found) == dates[5:]


@settings(max_examples=25)
@given(
    sequences=st.integers(1, 3),
    frames=st.integers(1, 4),
    channels=st.integers(1, 3),
    step=st.sampled_from([None, 1 / 1500, 0.5, 5.0, 7.5, 60.0, 1440.0]),
    dated=st.booleans(),
    suffix=st.sampled_from([".nc", ".zarr"]),
)
def test_values_and_times_come_back(sequences, frames, channels, step, dated, suffix) -> None:
    made = forecast(sequences, frames, channels, step=step, dated=dated and step is not None, units="K", grid=Grid())
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        writers.write(path, made)
        data = opened(path)
    assert len(data.data_vars) == channels
    for number, name in enumerate(sorted(data.data_vars)):
        np.testing.assert_array_equal(data[name].values.reshape(sequences, frames, 6, 9), made.values[:, 0, :, number])
    if made.times is not None:
        np.testing.assert_array_equal(data["time"].values.reshape(sequences, frames), made.times)


def test_nothing_is_held_twice(tmp_path: Path) -> None:
    values = np.zeros((1, 40, 1, 640, 640), np.float32)  # 62.5 MiB
    grid = Grid()
    spec = forecast(grid=grid).spec.model_copy(update={"height": 640, "width": 640})
    made = forecast_of(values[:, :1], values, spec, grid)
    writers.check([tmp_path / "x.nc", tmp_path / "x.zarr"])
    for suffix in (".nc", ".zarr", ".npy", ".tif"):
        writers.write(tmp_path / f"first{suffix}", forecast(grid=grid))  # what is imported does not count
        tracemalloc.start()
        writers.write(tmp_path / f"x{suffix}", made)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < values.nbytes / 3, suffix


def real(kind: str) -> Forecast:
    """The last frame of a real file, twice, as its own forecast."""
    paths = {
        "era5": DATA / "era5_t2m.nc",
        "film": DATA / "bigbuckbunny.mp4",
        "tiles": DATA / "fmi_140.npz",
        "odim": DATA / "radar" / "odim",
    }
    path = paths.get(kind, DATA / "radar" / kind)
    source = FileSource(DataConfig(source=str(path), variable={"odim": "RATE", "era5": "t2m"}.get(kind)))
    windows = [source.read(n, source.lengths[n] - 1, source.lengths[n]) for n in source.latest]
    frames = np.stack([np.repeat(window.frames, 2, 0) for window in windows])
    starts = None if windows[0].time is None else np.array([w.time + np.timedelta64(5, "m") for w in windows])
    return forecast_of(frames[:, :1], frames, source.spec, source.grid, starts, source.dims)


KINDS = ["fmi_pgm", "fmi_geotiff", "knmi_hdf5", "mrms_grib2", "odim", "era5", "film", "tiles"]


def test_a_cf_checker_finds_no_fault(tmp_path: Path) -> None:
    """Of the IOOS compliance checker, at its usual strictness; what it only recommends is named here."""
    checker = shutil.which("compliance-checker", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("compliance-checker is not installed")
    for kind in KINDS:
        writers.write(tmp_path / f"{kind}.nc", real(kind))
    writers.write(tmp_path / "members.nc", forecast(sequences=2, members=3))
    paths = [str(tmp_path / f"{kind}.nc") for kind in (*KINDS, "members")]
    words = [checker, "--test=cf:1.11", "-f", "json_new", "-o", str(tmp_path / "report.json"), *paths]
    done = subprocess.run(words, capture_output=True, text=True)
    reports = json.loads((tmp_path / "report.json").read_text())
    assert len(reports) == len(paths), done.stdout + done.stderr
    for path, report in reports.items():
        told = report["cf:1.11"]
        faults = [
            text for key in ("high_priorities", "medium_priorities") for part in told[key] for text in part["msgs"]
        ]
        others = [text for text in faults if "units_metadata" not in text]
        assert not others, (path, others)
