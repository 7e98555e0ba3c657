"""predict of every kind of frames: the same numbers in each, in the kind and with the axes that were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import torch
import xarray

import framecast
from framecast import writers
from framecast.data import DataConfig, FileSource
from framecast.errors import InputError, UsageError
from framecast.forecasting.predict import forecast_source
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

DATA = Path(__file__).parents[1] / "fixtures"
ERA5 = DATA / "era5_t2m.nc"
K = 3


def network(channels: int = 1, **fields: object) -> framecast.Forecaster:
    """A network with fresh weights, of the units and the step of the frames of ERA5."""
    torch.manual_seed(0)
    said = {"height": 24, "width": 32, "units": "K", "low": 270.0, "high": 290.0, "step_minutes": 60.0}
    spec = FrameSpec(channels=channels, **{**said, **fields})
    return framecast.Forecaster(
        ConvLSTM(hidden=(3,), kernel_size=3), spec, Range(low=spec.low, high=spec.high), 2, context=5
    ).eval()


@pytest.fixture(scope="module")
def temperature() -> xarray.DataArray:
    return framecast.open_frames(ERA5).load()


def test_each_kind_gives_the_same_numbers(temperature: xarray.DataArray) -> None:
    model, array = network(), temperature.values[None, -5:]
    expected = model.predict(array, K)
    assert expected.shape == (1, K, 1, 24, 32)
    np.testing.assert_array_equal(model.predict(array[0], K), expected[0])
    np.testing.assert_array_equal(model.predict(array[0, :, 0], K), expected[0, :, 0])
    tensor = model.predict(torch.from_numpy(array[0, :, 0].copy()), K)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected[0, :, 0])
    for frames in (temperature, temperature.isel(channel=0), temperature.transpose("longitude", ..., "time")):
        ahead = model.predict(frames, K)
        assert ahead.dims == frames.dims
        np.testing.assert_array_equal(
            ahead.transpose("time", "latitude", "longitude", ...).values.squeeze(), expected.squeeze()
        )
    np.testing.assert_allclose(model.predict(ERA5, K).values, expected[0], rtol=1e-6)
    np.testing.assert_allclose(model.predict(str(ERA5), "3h").values, expected[0], rtol=1e-6)


def test_a_dataarray_keeps_its_place_and_gets_times(temperature: xarray.DataArray) -> None:
    ahead = network().predict(temperature, K)
    last = temperature.time.values[-1]
    np.testing.assert_array_equal(ahead.time.values, last + np.arange(1, K + 1) * np.timedelta64(1, "h"))
    np.testing.assert_array_equal(ahead.lead_time.values, np.arange(1, K + 1) * np.timedelta64(1, "h"))
    assert ahead.forecast_reference_time.values == last
    assert (ahead.units, ahead.name) == ("K", "t2m")
    for name in ("latitude", "longitude", "channel"):
        np.testing.assert_array_equal(ahead[name], temperature[name])
    assert pyproj.CRS.from_cf(ahead.crs.attrs) == pyproj.CRS.from_cf(temperature.crs.attrs)


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_a_forecast_is_opened_again_after_to_netcdf(temperature: xarray.DataArray, tmp_path: Path, engine) -> None:
    ahead = network().predict(temperature, K)
    ahead.to_netcdf(tmp_path / "a.nc", engine=engine)
    with xarray.open_dataarray(tmp_path / "a.nc") as again:
        xarray.testing.assert_allclose(again.load(), ahead)
        assert again.attrs["units"] == "K"
        assert again.crs.attrs == ahead.crs.attrs
    opened = framecast.open_frames(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened.values, ahead.values)
    np.testing.assert_array_equal(opened.time, ahead.time)


def test_a_file_gives_what_the_command_line_writes(temperature: xarray.DataArray, tmp_path: Path) -> None:
    model = network()
    written = forecast_source(model, FileSource(DataConfig(source=str(ERA5))), K)
    writers.write(tmp_path / "a.nc", written)
    ahead = model.predict(ERA5, K)
    with xarray.open_dataset(tmp_path / "a.nc", decode_timedelta=True) as expected:
        np.testing.assert_array_equal(ahead.isel(channel=0).values, expected.t2m.values)
        for name in ("time", "lead_time", "forecast_reference_time", "latitude", "longitude"):
            np.testing.assert_array_equal(ahead[name].values, expected[name].values)
        assert ahead.crs.attrs["grid_mapping_name"] == expected.crs.attrs["grid_mapping_name"]


def test_only_what_is_needed_of_a_dataarray_is_read(monkeypatch) -> None:
    read, seen = FileSource.read, []
    monkeypatch.setattr(
        FileSource,
        "read",
        lambda self, n, start, stop, area=None: seen.append((start, stop)) or read(self, n, start, stop, area),
    )
    network().predict(framecast.open_frames(ERA5), K)
    assert seen == [(91, 96)]


def test_missing_pixels_of_a_dataarray_are_nan(temperature: xarray.DataArray) -> None:
    frames = temperature.isel(time=slice(-5, None)).copy()
    frames[:, 0, 3, 4] = np.nan
    frames[1, 0, 10, :] = np.nan
    model, values = network(), frames.values[None]
    seen = np.isfinite(values)
    expected = model.predict(np.where(seen, values, 0), K, seen)[0]
    ahead = model.predict(frames, K).values
    unknown = np.zeros(ahead.shape, bool)
    unknown[:, 0, 3, 4] = True
    np.testing.assert_array_equal(np.isnan(ahead), unknown)
    np.testing.assert_array_equal(ahead[~unknown], expected[~unknown])
    with pytest.raises(InputError, match=r"valid: got a mask.*frames\.where"):
        model.predict(frames, K, seen[0])


def test_frames_after_the_last_gap_are_used(temperature: xarray.DataArray) -> None:
    frames = temperature.isel(time=[*range(80), *range(93, 96)])
    ahead = network().predict(frames, K)
    np.testing.assert_array_equal(ahead.values, network().predict(temperature[-3:].values, K))
    assert "a gap lies 3 frames before the end" in ahead.comment


def test_sequences_have_their_own_times() -> None:
    frames = framecast.open_frames(DATA / "fmi_140.npz")
    spec = FrameSpec(channels=1, height=140, width=140, units="dBZ", high=70.0, step_minutes=5.0)
    ahead = framecast.Persistence(spec).predict(frames, K)
    assert ahead.dims == ("sequence", "frame", "channel", "y", "x")
    last = frames.time.values[:, -1]
    np.testing.assert_array_equal(ahead.time.values, last[:, None] + np.arange(1, K + 1) * np.timedelta64(5, "m"))
    np.testing.assert_array_equal(ahead.forecast_reference_time.values, last)
    assert ahead.lead_time.dims == ("frame",)
    known = np.isfinite(frames.values).any(1)
    shown = np.where(np.isfinite(frames.values[:, -1]), frames.values[:, -1], 0)
    np.testing.assert_array_equal(ahead.values[:, 1], np.where(known, shown, np.nan))


def test_without_times_lead_times_are_counted() -> None:
    rain = xarray.DataArray(np.ones((6, 8, 8)), name="rain")
    spec = FrameSpec(channels=1, height=8, width=8)
    ahead = framecast.Persistence(spec).predict(rain, K)
    assert ahead.dims == ("lead_time", "dim_1", "dim_2")
    assert ahead.lead_time.values.tolist() == [1, 2, 3]
    assert "time" not in ahead.coords
    stepped = framecast.Persistence(spec.model_copy(update={"step_minutes": 5.0})).predict(rain, "15min")
    assert stepped.lead_time.values[-1] == np.timedelta64(15, "m")


def test_months_and_other_calendars() -> None:
    spec = FrameSpec(channels=1, height=8, width=8)
    months = np.arange("2020-01", "2020-07", dtype="M8[M]").astype("M8[ns]")
    frames = xarray.DataArray(np.ones((6, 8, 8)), {"time": months}, ("time", "y", "x"))
    ahead = framecast.Persistence(spec).predict(frames, 8)
    np.testing.assert_array_equal(ahead.time, np.arange("2020-07", "2021-03", dtype="M8[M]").astype("M8[ns]"))
    dates = xarray.date_range("2000-02-28", periods=2, freq="D", calendar="360_day", use_cftime=True)
    frames = xarray.DataArray(np.ones((2, 8, 8)), {"time": dates}, ("time", "y", "x"))
    ahead = framecast.Persistence(spec).predict(frames, 2)
    assert [str(date)[:10] for date in ahead.time.values] == ["2000-02-30", "2000-03-01"]
    assert str(ahead.forecast_reference_time.item())[:10] == "2000-02-29"


def test_channels_are_found_by_their_names(tmp_path: Path) -> None:
    spec = FrameSpec(channels=2, height=8, width=8, names=("u", "v"), low=-10, high=10)
    values = np.arange(3 * 2 * 64, dtype=np.float32).reshape(3, 2, 8, 8) / 100
    frames = xarray.DataArray(values, {"channel": ["v", "u"]}, ("time", "channel", "y", "x"))
    ahead = framecast.Persistence(spec).predict(frames, 1)
    assert ahead.channel.values.tolist() == ["u", "v"]
    np.testing.assert_array_equal(ahead.values[0], values[-1, ::-1])


def test_units_are_converted() -> None:
    spec = FrameSpec(channels=1, height=8, width=8, units="mm/h", high=50.0)
    depth = xarray.DataArray(np.full((3, 8, 8), 0.5), dims=("time", "y", "x"), attrs={"units": "mm per 5 min"})
    ahead = framecast.Persistence(spec).predict(depth, 1)
    assert (ahead.units, float(ahead[0, 0, 0])) == ("mm/h", 6.0)


def test_calendar_covariates_are_computed_from_the_times(tmp_path: Path) -> None:
    spec = network().spec
    hour = [framecast.types.Channel(name=f"hour_{wave}", low=-1, high=1, calendar=True) for wave in ("sin", "cos")]
    torch.manual_seed(0)
    model = framecast.Forecaster(
        ConvLSTM(hidden=(3,), kernel_size=3),
        spec.model_copy(update={"covariates": tuple(hour)}),
        Range(low=270, high=290),
        2,
        context=5,
    ).eval()
    frames = framecast.open_frames(ERA5)
    source = FileSource(DataConfig(source=str(ERA5), calendar=("hour",)))
    np.testing.assert_allclose(
        model.predict(frames, K).values, forecast_source(model, source, K).values[0, 0], rtol=1e-6
    )
    with pytest.raises(InputError, match="hour_sin"):
        model.predict(frames.drop_vars("time"), K)


def test_a_step_that_the_model_was_not_made_for_is_refused(temperature: xarray.DataArray) -> None:
    with pytest.raises(InputError, match=r"frames 120 min apart, expected 60 min.*drop_vars\('time'\)"):
        network().predict(temperature[::2], K)
    assert network().predict(temperature[::2].drop_vars("time"), K).sizes["lead_time"] == K


def labelled(*dims: str, shape: tuple[int, ...] = (), **attributes: str) -> xarray.DataArray:
    return xarray.DataArray(np.full(shape or (6, 8, 8)[: len(dims)], 280.0), dims=dims, attrs=attributes)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([[1.0]], r"got list, expected an array.*numpy\.asarray"),
        (labelled("time", "y", "x").to_dataset(name="t2m"), r"got Dataset.*dataset\['t2m'\]"),
        (np.zeros((5, 2, 24, 32)), r"shape \(5, 2, 24, 32\), expected.*C = 1.*frames\[None\]"),
        (labelled("y", "x", shape=(8, 8)), "none of time among them"),
        (labelled("number", "time", "y", "x", shape=(2, 6, 8, 8)), r"frames\.isel\(number=0\)"),
        (labelled("time", "step", "y", "x", shape=(2, 6, 8, 8)), r"frames\.rename"),
        (labelled("run", "time", "y", "x", shape=(2, 6, 8, 8)), r"frames\.rename"),
        (labelled("time", "channel", "y", "x", shape=(6, 2, 8, 8)), "2 channels, expected 1"),
        (labelled("time", "y", "x", units="degC"), r"units degC, expected K.*attrs\['units'\]"),
        (labelled("time", "y", "x") * 100, "values from 28000 to 28000, expected the model's scale, 270 to 290 K"),
        ("nothing.nc", "no such file"),
        ("moving-mnist", "a file or a folder"),
    ],
    ids=range(12),
)
def test_a_wrong_kind_is_an_error_with_the_fix(frames, words: str) -> None:
    with pytest.raises(InputError, match=words):
        network().predict(frames, K)


def test_more_channels_need_their_axis() -> None:
    with pytest.raises(InputError, match=r"expected \(B, T, C, H, W\) or \(T, C, H, W\) with C = 2"):
        network(channels=2).predict(np.full((5, 24, 32), 280.0), K)


def test_times_out_of_order_are_refused(temperature: xarray.DataArray) -> None:
    with pytest.raises(InputError, match="sortby"):
        network().predict(temperature[::-1], K)
    undecoded = temperature.assign_coords(time=("time", np.arange(96), {"units": "hours since 2019-03-01"}))
    with pytest.raises(InputError, match="decode_cf"):
        network().predict(undecoded, K)


def test_a_horizon_is_a_number_or_a_time(temperature: xarray.DataArray) -> None:
    for frames in (temperature, temperature.values, ERA5):
        with pytest.raises(UsageError, match="horizon"):
            network().predict(frames, "2")
        with pytest.raises(UsageError, match="horizon"):
            network().predict(frames, 0)
        with pytest.raises(UsageError, match="a multiple of the step"):
            network().predict(frames, "90min")


def test_options_of_a_network_beside_a_path_are_refused() -> None:
    with pytest.raises(InputError, match=r"members.*open_frames"):
        network().predict(ERA5, K, members=2)
    with pytest.raises(InputError, match="covariates"):
        network().predict(ERA5, K, covariates=np.zeros(3))
