"""Channels of several units: each value that stands for another comes from its own channel's range."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray

from framecast.data import DataConfig, DataSet, evaluation_batches, open_data
from framecast.data.sources.multi_file_source import open_source
from framecast.data.windows.crops import make_crops
from framecast.errors import InputError, UsageError
from framecast.forecasting.baselines import BASELINES, Extrapolation
from framecast.forecasting.data_checks import check_values
from framecast.forecasting.forecaster import Forecaster
from framecast.metrics import select_metrics
from framecast.models import ConvLSTM
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe
from framecast.training.validation_metrics import select_validation_metrics
from framecast.types import FrameSpec

LOWS = (260.0, 0.0, 98_000.0)
HIGHS = (299.0, 19.5, 101_900.0)


@pytest.fixture
def weather(tmp_path: Path) -> str:
    """Kelvin, mm/h and pascal: 40 hours, in which each rises from the low end of its range; a corner is missing."""
    time = np.datetime64("2020-03-01T00:00", "ns") + np.arange(40) * np.timedelta64(60, "m")
    rise = np.broadcast_to(np.arange(40.0)[:, None, None], (40, 16, 16))
    fields = {
        name: (("time", "y", "x"), low + factor * rise, {"units": unit})
        for name, unit, low, factor in (("t", "K", 260, 1), ("rain", "mm/h", 0, 0.5), ("p", "Pa", 98_000, 100))
    }
    data = xarray.Dataset(fields, {"time": time}).astype("float32")
    for name in fields:
        data[name][:, :3, :3] = np.nan
    data.to_netcdf(tmp_path / "weather.nc")
    return str(tmp_path / "weather.nc")


def opened(path: str, **said: object) -> DataSet:
    config = parse_config(DataConfig, {"source": path, "variable": "t,rain,p", **said}, "test")
    return open_data(config, context=4, horizon=2, seed=0)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_fill_with_the_low_end_of_the_channel(weather: str, name: str) -> None:
    dataset = opened(weather)
    assert dataset.spec.target_ranges == tuple(zip(LOWS, HIGHS, strict=True))
    batch = next(iter(evaluation_batches(dataset, "test", 1)))
    context = 24 if name in ("diurnal", "seasonal") else 4
    frames = batch.frames[:, :4].repeat(1, 6, 1, 1, 1)[:, :context]
    valid = batch.valid[:, :4].repeat(1, 6, 1, 1, 1)[:, :context]
    ahead = BASELINES[name](dataset.spec).predict(frames, 2, valid)
    if name != "extrapolation":  # there the corner is reached from beyond the border
        assert ahead[0, 0, :, 0, 0].tolist() == pytest.approx(LOWS)
    low, high = (torch.tensor(ends)[:, None, None] for ends in (LOWS, HIGHS))
    assert ((ahead[0] >= low - 1e-3 * (high - low)) & (ahead[0] <= high + 1e-3 * (high - low))).all()


def test_batches_and_network_see_the_low_end_of_the_channel(weather: str) -> None:
    dataset = opened(weather)
    batch = next(iter(evaluation_batches(dataset, "test", 1)))
    assert batch.frames[0, 0, :, 0, 0].tolist() == list(LOWS)
    forecaster = Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), dataset.spec, dataset.normalizer(), 1)
    patches = forecaster.encode(batch.frames[:, :4], batch.valid[:, :4])
    assert patches[0, 0, :, 0, 0].tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_motion_is_of_all_channels_whatever_their_units() -> None:
    """What moves is small in its numbers; what stands still is large."""
    rows, columns = np.mgrid[:48, :48]
    blob = [np.exp(-((rows - 24) ** 2 + (columns - 12 - 3 * t) ** 2) / 30) for t in range(6)]
    still = 1e5 + np.exp(-((rows - 12) ** 2 + (columns - 36) ** 2) / 30)
    frames = np.stack([np.stack([moving, still]) for moving in blob])[None].astype(np.float64)
    spec = FrameSpec(channels=2, height=48, width=48, low=0, high=1e5 + 1, ranges=((0, 1), (1e5, 1e5 + 1)))
    ahead = Extrapolation(spec).predict(frames[:, :5], 1)
    assert ahead[0, 0, 0].sum(0).argmax() == pytest.approx(27, abs=1)


@pytest.mark.parametrize("choice", ["auto", "range", "log", "standard"])
def test_no_normalizer_scales_a_channel_by_another(weather: str, choice: str) -> None:
    dataset = opened(weather, fractions=(0.75, 0.25, 0))
    values = torch.tensor(np.array([LOWS, HIGHS]))[..., None, None]
    found = dataset.normalizer(choice).normalize(values)[..., 0, 0]
    assert torch.allclose(found, found[:, :1].expand_as(found), rtol=1e-4, atol=1e-4)


def test_wet_crops_are_those_of_rain(weather: str) -> None:
    config = parse_config(
        DataConfig, {"source": weather, "variable": "t,rain,p", "crop": 8, "crop_weight": "wet"}, "test"
    )
    source = open_source(config)
    crops = make_crops(source, source.spec, config, 0)
    assert crops is not None
    assert crops.thresholds == {1: 0.3}
    dry = config.model_copy(update={"variable": "t,p"})
    other = make_crops(open_source(dry), open_source(dry).spec, dry, 0)
    assert other is not None
    assert other.thresholds == {0: (LOWS[0] + HIGHS[0]) / 2, 1: (LOWS[2] + HIGHS[2]) / 2}


def test_validations_weigh_each_channel_by_its_range(weather: str) -> None:
    dataset = opened(weather)
    names = [metric.name for metric in select_validation_metrics(Recipe(), dataset)]
    assert "sse" in names
    with pytest.raises(UsageError, match="csi: got channels of several units"):
        select_metrics(["csi"], spec=dataset.spec, thresholds=[1.0])


def test_other_units_in_one_of_several_channels_are_noticed(weather: str) -> None:
    model = opened(weather).spec
    celsius = model.model_copy(update={"ranges": ((-13.0, 26.0), *model.ranges[1:])})
    with pytest.raises(
        InputError, match="channel 1: got values from -13 to 26, expected the model's scale, 260 to 299"
    ):
        check_values(model, celsius)
    colder = model.model_copy(update={"ranges": ((230.0, 240.0), *model.ranges[1:])})
    check_values(model, colder)
