"""open_frames: the same values as the file's own library reads, coordinates and units; and nothing is read too early."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pyproj
import pytest
import rasterio
import xarray
from tests.fixtures.commands import unchecked

import framecast
from framecast.data.sources.file_series import FrameStack
from framecast.data.sources.file_source import FileSource
from framecast.errors import InputError, UsageError

DATA = Path(__file__).parents[1] / "fixtures"
ERA5 = DATA / "era5_t2m.nc"


@pytest.fixture
def reads(monkeypatch) -> list[tuple[int, int, int, object]]:
    """Every reading of a source: sequence, first frame, stop, area."""
    seen = []
    read = FileSource.read

    def watched(self, sequence, start, stop, area=None):
        seen.append((sequence, start, stop, area))
        return read(self, sequence, start, stop, area)

    monkeypatch.setattr(FileSource, "read", watched)
    return seen


@pytest.fixture
def loads(monkeypatch) -> list[object]:
    """Every access to the values of files, also that of a scan."""
    seen = []
    load = FrameStack.__getitem__
    monkeypatch.setattr(FrameStack, "__getitem__", lambda self, key: seen.append(key) or load(self, key))
    return seen


def test_netcdf_is_what_netcdf4_and_xarray_read() -> None:
    frames = framecast.open_frames(ERA5)
    assert frames.dims == ("time", "channel", "latitude", "longitude")
    assert (frames.name, frames.units, frames.dtype) == ("t2m", "K", np.float32)
    with netCDF4.Dataset(ERA5) as file:
        np.testing.assert_allclose(frames.values[:, 0], np.ma.filled(file["t2m"][:], np.nan), rtol=1e-6)
    with xarray.open_dataset(ERA5) as own:
        for name in ("time", "latitude", "longitude"):
            np.testing.assert_array_equal(frames[name], own[name])
        assert frames.attrs["standard_name"] == own.t2m.attrs.get("standard_name", frames.attrs["standard_name"])


def test_missing_pixels_are_nan_and_codes_are_units() -> None:
    frames = framecast.open_frames(DATA / "fmi_140.npz")
    with np.load(DATA / "fmi_140.npz") as file:
        codes, missing = file["frames"], file["missing_code"]
        values = np.where(codes == missing, np.nan, codes * file["scale"] + file["offset"])
        start, step = file["start_time"], int(file["step_minutes"])
    assert frames.dims == ("sequence", "frame", "channel", "y", "x")
    assert frames.units == "dBZ"
    np.testing.assert_allclose(frames.values[:, :, 0], values, rtol=1e-6)
    expected = start.astype("datetime64[ns]")[:, None] + np.arange(20) * np.timedelta64(step, "m")
    np.testing.assert_array_equal(frames.time.values, expected)


def test_rasters_lie_where_gdal_has_them() -> None:
    frames = framecast.open_frames(DATA / "radar" / "fmi_geotiff")
    path = sorted((DATA / "radar" / "fmi_geotiff").glob("*.tif"))[0]
    with rasterio.open(path) as file:
        x, y = file.xy(0, 0)
        np.testing.assert_allclose([float(frames.x[0]), float(frames.y[0])], [x, y], atol=1e-6)
        codes = file.read(1)  # their scale stands in a tag: Gain 0.5, Offset -32, Nodata 255
        expected = np.where(codes == 255, np.nan, 0.5 * codes - 32)
        assert pyproj.CRS.from_cf(frames.crs.attrs).equals(pyproj.CRS(file.crs.to_wkt()), ignore_axis_order=True)
    first = frames.isel(time=0, channel=0).values
    np.testing.assert_allclose(first, expected, rtol=1e-6)


def test_a_file_of_what_was_opened_is_opened_again(tmp_path: Path) -> None:
    frames = framecast.open_frames(DATA / "radar" / "odim", variable="RATE")
    frames.to_netcdf(tmp_path / "rate.nc")
    again = framecast.open_frames(tmp_path / "rate.nc")
    np.testing.assert_array_equal(again.values, frames.values)
    assert again.units == frames.units == "mm/h"
    assert pyproj.CRS.from_cf(again.crs.attrs) == pyproj.CRS.from_cf(frames.crs.attrs)
    with xarray.open_dataarray(tmp_path / "rate.nc") as plain:
        assert plain.crs.attrs["grid_mapping_name"] == frames.crs.attrs["grid_mapping_name"]


def test_nothing_is_read_before_it_is_needed(reads, loads) -> None:
    frames = framecast.open_frames(ERA5)
    part = frames.isel(time=slice(10, 14), latitude=slice(3, 9), longitude=[4, 6])
    assert (reads, loads) == ([], [])
    values = part.values
    assert loads
    assert [(start, stop) for _, start, stop, _ in reads] == [(10, 14)]
    assert tuple(reads[0][3]) == (3, 4, 6, 3)
    whole = framecast.open_frames(ERA5).values
    np.testing.assert_array_equal(values, whole[10:14, :, 3:9, [4, 6]])
    reads.clear()
    np.testing.assert_array_equal(part.values, values)
    assert reads == [], "values that were read are kept"


@pytest.mark.parametrize(
    "key",
    [
        {"time": 5},
        {"time": [90, 3, 4, 5]},
        {"time": slice(None, None, 7), "latitude": -1},
        {"time": slice(20, 2, -3), "longitude": slice(None, None, -2), "channel": 0},
        {"time": slice(3, 3)},
        {"latitude": [], "time": 0},
    ],
    ids=str,
)
def test_any_index_gives_what_numpy_gives(key) -> None:
    lazy = framecast.open_frames(ERA5)
    loaded = framecast.open_frames(ERA5).load()
    xarray.testing.assert_identical(lazy.isel(key).load(), loaded.isel(key))


def test_gaps_stay_in_one_axis_of_time(tmp_path: Path) -> None:
    with xarray.open_dataset(ERA5) as file:
        kept = [*range(10), *range(15, 30)]
        file.isel(time=kept).to_netcdf(tmp_path / "gap.nc")
        frames = framecast.open_frames(tmp_path / "gap.nc")
        assert frames.sizes["time"] == 25
        np.testing.assert_array_equal(frames.time, file.time[kept])
        np.testing.assert_allclose(frames[:, 0], file.t2m.isel(time=kept), rtol=1e-6)


def test_other_calendars_keep_their_dates(tmp_path: Path) -> None:
    dates = xarray.date_range("2000-02-28", periods=4, freq="D", calendar="360_day", use_cftime=True)
    values = np.arange(64.0).reshape(4, 4, 4)
    xarray.DataArray(values, {"time": dates}, ("time", "y", "x"), "rain").to_netcdf(tmp_path / "a.nc")
    frames = framecast.open_frames(tmp_path / "a.nc")
    assert [str(date)[:10] for date in frames.time.values] == ["2000-02-28", "2000-02-29", "2000-02-30", "2000-03-01"]


def test_sequences_are_stacked_chosen_or_refused(tmp_path: Path) -> None:
    for name, length in (("a", 4), ("b", 6)):
        (tmp_path / name).mkdir()
        for number in range(length):
            np.save(tmp_path / name / f"{number}.npy", np.full((8, 8), 10.0 * length + number))
    with pytest.raises(InputError, match=r"2 sequences of 4, 6 frames.*sequence=0 to 1"):
        framecast.open_frames(tmp_path)
    chosen = framecast.open_frames(tmp_path, sequence=1)
    np.testing.assert_array_equal(chosen.values[:, 0, 0, 0], 60 + np.arange(6))
    with pytest.raises(UsageError, match="0 to 1"):
        framecast.open_frames(tmp_path, sequence=2)
    shutil.rmtree(tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    stacked = framecast.open_frames(tmp_path)
    assert dict(stacked.sizes) == {"sequence": 2, "frame": 4, "channel": 1, "y": 8, "x": 8}
    np.testing.assert_array_equal(stacked.isel(sequence=1, frame=[3, 1], y=2, x=2).values[:, 0], [43, 41])


def test_films_and_several_channels() -> None:
    film = framecast.open_frames(DATA / "bigbuckbunny.mp4", shrink=8)
    assert dict(film.sizes) == {"time": 48, "channel": 3, "y": 8, "x": 14}
    assert film.channel.values.tolist() == ["red", "green", "blue"]
    assert "units" not in film.attrs
    grey = framecast.open_frames(DATA / "bigbuckbunny.mp4", shrink=8, grey=True)
    assert grey.sizes["channel"] == 1


def test_units_by_channel(tmp_path: Path) -> None:
    dims, values = ("time", "lat", "lon"), np.arange(48.0).reshape(3, 4, 4)
    variables = {"t": (dims, values, {"units": "K"}), "p": (dims, values, {"units": "Pa"})}
    axes = {"lat": np.arange(4.0), "lon": np.arange(4.0), "time": np.arange("2020-01-01", "2020-01-04", dtype="M8[D]")}
    xarray.Dataset(variables, {name: axes[name] for name in ("time", "lat", "lon")}).to_netcdf(tmp_path / "a.nc")
    frames = framecast.open_frames(tmp_path / "a.nc", var="t,p")
    assert frames.units.values.tolist() == ["K", "Pa"]
    np.testing.assert_array_equal(frames.sel(channel="p").values, values)


def test_hdf5_and_what_was_assumed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"] = np.arange(96, dtype=np.uint8).reshape(6, 4, 4)
        file["rain"].attrs.update({"scale_factor": 0.5, "_FillValue": 3, "units": "mm/h"})
    frames = framecast.open_frames(tmp_path / "a.h5")
    expected = 0.5 * np.arange(96.0).reshape(6, 4, 4)
    expected[0, 0, 3] = np.nan
    np.testing.assert_array_equal(frames.values[:, 0], expected)
    assert "dims: thw" in frames.comment
    assert "range" not in frames.comment


def test_chunks_of_dask_hold_the_same() -> None:
    pytest.importorskip("dask.array", reason="dask is not installed")
    frames = framecast.open_frames(ERA5)
    chunked = framecast.open_frames(ERA5).chunk({"time": 10})
    assert chunked.chunks[0] == (*(10,) * 9, 6)
    np.testing.assert_array_equal(
        chunked.max(("latitude", "longitude")).compute(), frames.max(("latitude", "longitude"))
    )
    last = framecast.Persistence(framecast.FrameSpec(channels=1, height=24, width=32, units="K"))
    xarray.testing.assert_equal(last.predict(chunked, 2), last.predict(frames, 2))
    with pytest.raises(InputError, match=r"frames\.compute\(\)"):
        last.predict(chunked.data, 2)


@pytest.mark.parametrize(
    ("path", "options", "error", "words"),
    [
        ("nothing.nc", {}, InputError, "no such file"),
        (3, {}, InputError, "got int, expected the path"),
        ("moving-mnist", {}, InputError, "framecast data moving-mnist"),
        (ERA5, {"varable": "t2m"}, UsageError, "did you mean variable"),
        (ERA5, {"shrnk": 2}, UsageError, "did you mean shrink"),
        (ERA5, {"range": (0, 1)}, UsageError, "'range'"),
        (ERA5, {"shrink": "two"}, UsageError, "shrink"),
    ],
)
def test_errors_name_the_fix(path, options, error, words: str) -> None:
    with unchecked(), pytest.raises(error, match=words):
        framecast.open_frames(path, **options)
