"""Channels of several units, each turned by its own factor; covariates of the future read as in training."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from tests.fixtures.forecasts import forecast_of

from framecast.cf.names import list_cf_variables
from framecast.data import DataConfig, FileSource, FutureCovariates
from framecast.data.sources.channels import resolve_units
from framecast.errors import InputError

START = np.datetime64("2020-03-01T00:00", "ns")
pytestmark = pytest.mark.filterwarnings("ignore")


def source(path: Path, **said: Any) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def mixed(path: Path, frames: int = 8, first: int = 0) -> Path:
    """A depth of rain, a rate, a temperature and another depth; values tell their field and time."""
    names = {"depth": "mm per 5 min", "rate": "mm/h", "t": "K", "ahead": "mm per 10 min"}
    values = np.arange(first, first + frames, dtype=np.float32)[:, None, None] + np.arange(12.0).reshape(3, 4)
    fields = {
        name: (("time", "y", "x"), (1 + number) * values.astype(np.float32), {"units": units})
        for number, (name, units) in enumerate(names.items())
    }
    time = START + (first + np.arange(frames)) * np.timedelta64(5, "m")
    xarray.Dataset(fields, {"time": time}).to_netcdf(path, engine="h5netcdf")
    return path


def test_each_channel_has_its_own_factor(tmp_path: Path):
    found = source(mixed(tmp_path / "a.nc"), variable="depth,rate,t")
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        depth, rate, kelvin = (data[name].values for name in ("depth", "rate", "t"))
    frames = found.read(0, 0, 8).frames
    np.testing.assert_allclose(frames, np.stack([12 * depth, rate, kelvin], 1), rtol=1e-6)
    assert found.spec.units == "1"
    assert (found.spec.low, found.spec.high) == (0, 12 * depth.max())
    forecast = forecast_of(frames[None], frames[None], found.spec, found.grid)
    assert [channel.units for channel in list_cf_variables(forecast.spec, forecast.grid)] == ["mm/h", "mm/h", "K"]
    notes = " ".join(found.notes)
    assert "units: mm per 5 min turned into mm/h, values times 12" in notes
    assert "units: mm/h, K by channel" in notes


def test_targets_of_one_quantity_have_its_units(tmp_path: Path):
    found = source(mixed(tmp_path / "a.nc"), variable="depth,rate,t", targets=("depth", "rate"))
    assert found.spec.units == "mm/h"
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        expected = [12 * data["depth"].values, data["rate"].values, data["t"].values]
    np.testing.assert_allclose(found.read(0, 0, 8).frames, np.stack(expected, 1), rtol=1e-6)


def test_given_units_are_those_of_the_targets(tmp_path: Path):
    said: dict[str, Any] = {"variable": "rate,t,ahead", "targets": ("rate",), "covariates": ("ahead",)}
    found = source(mixed(tmp_path / "a.nc"), units="mm per 5 min", **said)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        expected = [12 * data["rate"].values, data["t"].values, 6 * data["ahead"].values]
    np.testing.assert_allclose(found.read(0, 0, 8).frames, np.stack(expected, 1), rtol=1e-6)
    assert found.grid.units == ("mm per 5 min",)
    assert resolve_units("mm per 5 min", None, (), None, 2).factors == (12, 12)
    array = np.random.default_rng(0).random((5, 2, 3, 4), np.float32)
    np.save(tmp_path / "a.npy", array)
    plain = source(tmp_path / "a.npy", dims="tchw", units="mm per 5 min", covariates=(1,))
    np.testing.assert_allclose(plain.read(0, 0, 5).frames, array * np.array([12, 1], np.float32)[:, None, None])


def test_covariates_of_the_future_are_read_as_in_training(tmp_path: Path):
    """The units that are given are those of the targets; the file's own are each covariate's."""
    said: dict[str, Any] = {"variable": "rate,t,ahead", "targets": ("rate",), "covariates": ("t", "ahead")}
    config = DataConfig(source=str(mixed(tmp_path / "a.nc", 4)), units="mm per 5 min", **said)
    past = FileSource(config)
    whole = FileSource(config.model_copy(update={"source": str(mixed(tmp_path / "c.nc", 8))}))
    file = config.model_copy(update={"source": str(mixed(tmp_path / "b.nc", 4, 4))})
    ahead = FutureCovariates(past.spec, [past.read(0, 1, 4)], 3, file)
    beside = ahead.of(0, START + np.arange(20, 35, 5).astype("timedelta64[m]"))
    np.testing.assert_allclose(beside, whole.read(0, 1, 7).frames[:, 1:], rtol=1e-6)


def stations(path: Path, count: int, frames: int, base: float, start: np.datetime64) -> Path:
    """Sequences of the same times, two channels; the second tells sequence and time."""
    values = np.random.default_rng(0).random((count, frames, 2, 3, 4), np.float32)
    values[:, :, 1] = base + (100 * np.arange(count)[:, None] + np.arange(frames))[:, :, None, None]
    said = {"step_minutes": np.array(5.0), "dims": np.array("ntchw"), "start_time": np.repeat(start, count)}
    np.savez(path, frames=values, **said)
    return path


def test_sequences_of_the_same_times_have_covariates_of_their_own(tmp_path: Path):
    start = START.astype("datetime64[s]")
    config = DataConfig(source=str(stations(tmp_path / "a.npz", 3, 4, 0, start)), covariates=("1",))
    past = FileSource(config)
    later = start + np.timedelta64(20, "m")
    contexts = [past.read(n, 1, 4) for n in range(3)]

    def file(count: int) -> DataConfig:
        given = np.load(stations(tmp_path / f"{count}.npz", count, 4, 4, later))
        alone = {**given, "frames": given["frames"][:, :, 1:]}
        np.savez(tmp_path / f"only{count}.npz", **alone)
        return config.model_copy(update={"source": str(tmp_path / f"only{count}.npz")})

    ahead = FutureCovariates(past.spec, contexts, 3, file(3))
    times = later + np.arange(0, 15, 5).astype("timedelta64[m]")
    for number in range(3):
        beside = ahead.of(number, times)[:, 0, 0, 0]
        np.testing.assert_array_equal(beside, 100 * number + np.array([1, 2, 3, 4, 5, 6]))
    one = FutureCovariates(past.spec, contexts, 3, file(1))
    np.testing.assert_array_equal(one.of(2, times)[3:, 0, 0, 0], [4, 5, 6])  # one for all, if there is but one
    with pytest.raises(InputError, match="2 sequences of the same times, expected 3, as are forecast"):
        FutureCovariates(past.spec, contexts, 3, file(2)).of(0, times)


def test_bands_of_several_units(tmp_path: Path):
    rasterio = pytest.importorskip("rasterio")
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    shape = {"width": 4, "height": 3, "count": 2, "dtype": "float32"}
    place = {"crs": "EPSG:3067", "transform": rasterio.transform.from_origin(0, 0, 1000, 1000)}
    with rasterio.open(tmp_path / "20200101_0000.tif", "w", driver="GTiff", **shape, **place) as file:
        file.write(values)
        file.units = ("mm per 5 min", "dBZ")
    found = source(tmp_path / "20200101_0000.tif")
    np.testing.assert_allclose(found.read(0, 0, 1).frames[0], values * np.array([12, 1])[:, None, None])
    assert (found.spec.units, found.grid.standard_names) == ("1", ("", "equivalent_reflectivity_factor"))


def test_channels_of_a_plain_array_can_be_chosen(tmp_path: Path):
    array = np.random.default_rng(0).random((5, 3, 4, 6), np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"] = array
    found = source(tmp_path / "a.h5", dims="tchw", targets=(2,), covariates=(0,))
    np.testing.assert_array_equal(found.read(0, 0, 5).frames, array[:, [2, 1, 0]])
    assert found.grid.variables == ()
