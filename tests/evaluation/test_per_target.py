"""Targets that mean different things are scored one by one, each in its own units."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.commands import framecast
from tests.fixtures.forecasts import forecast_of

from framecast.data import DataConfig, FileSource
from framecast.data.sources.multi_file_source import open_source
from framecast.data.units import target_spec
from framecast.errors import InputError
from framecast.evaluation.evaluate import to_unit_range
from framecast.metrics import CSI, ChannelMetric, Scores, select_metrics
from framecast.types import FrameSpec, Grid

SHARED = FrameSpec(channels=2, height=16, width=16, low=-10.0, high=300.0, ranges=((250.0, 300.0), (0.0, 20.0)))
GRID = Grid(variables=("t", "rain"), units=("K", "mm/h"))
NAMES = ("mse", "rmse_raw", "mae_raw", "ssim", "rapsd", "csi", "fss")
pytestmark = pytest.mark.filterwarnings("ignore")


def frames(seed: int) -> torch.Tensor:
    """(3, 4, 2, 16, 16), kelvin and mm/h, beyond both ranges here and there."""
    drawn = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, 4, 2, 16, 16)))
    raw = drawn * torch.tensor([12.0, 6.0])[:, None, None] + torch.tensor([275.0, 9.0])[:, None, None]
    return raw.float().double()  # as data are


def scored(made: list[Any], spec: FrameSpec, part: slice) -> dict[str, list[float]]:
    scores = Scores(made, 4)
    prediction, truth = (to_unit_range(frames(seed)[:, :, part], spec) for seed in (0, 1))
    valid = (torch.arange(16 * 16).reshape(16, 16) % 7 > 0).expand_as(truth)
    scores.update(prediction, truth, valid)
    return scores.by_lead()


@pytest.mark.parametrize("place", [0, 1])
def test_a_channel_scores_as_if_it_were_alone(place: int) -> None:
    own = target_spec(SHARED, GRID, place)
    said: dict[str, Any] = {"spec": own, "thresholds": (own.low + 0.4 * (own.high - own.low),), "scales": (4,)}
    expected = scored(select_metrics(NAMES, **said), own, slice(place, place + 1))
    among = [ChannelMetric(metric, place, own, SHARED) for metric in select_metrics(NAMES, **said)]
    found = scored(among, SHARED, slice(None))
    assert list(found) == [f"{own.names[0]}:{name}" for name in expected]
    for ours, theirs in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def weather(path: Path) -> Path:
    """A temperature that rises by 2 K in a frame, and rain that stays."""
    time = np.datetime64("2020-03-01T00:00", "ns") + np.arange(40) * np.timedelta64(60, "m")
    kelvin = 260 + 2 * np.arange(40.0)[:, None, None] + np.zeros((40, 8, 8))
    rain = np.broadcast_to(np.linspace(0, 4, 64).reshape(8, 8), (40, 8, 8))
    fields = {
        "t": (("time", "y", "x"), kelvin.astype(np.float32), {"units": "K"}),
        "rain": (("time", "y", "x"), rain.astype(np.float32), {"units": "mm/h"}),
        "wind": (("time", "y", "x"), rain.astype(np.float32), {"units": "m/s"}),
    }
    xarray.Dataset(fields, {"time": time}).to_netcdf(path, engine="h5netcdf")
    return path


def test_each_target_knows_its_range(tmp_path: Path) -> None:
    source = FileSource(DataConfig(source=str(weather(tmp_path / "a.nc")), variable="t,rain"))
    assert source.spec.ranges == ((260.0, 338.0), (0.0, 4.0))
    rain = target_spec(source.spec, source.grid, 1)
    assert (rain.names, rain.units, rain.low, rain.high) == (("rain",), "mm/h", 0.0, 4.0)
    chosen = FileSource(DataConfig(source=str(tmp_path / "a.nc"), variable="t,rain", targets=("rain",)))
    assert chosen.spec.ranges == ()
    assert target_spec(chosen.spec, chosen.grid, 0).high == 4.0


def evaluated(tmp_path: Path, *words: str) -> dict[str, Any]:
    args = ["evaluate", "persistence", "--data", weather(tmp_path / "a.nc"), "--var", "t,rain", *words]
    return json.loads(framecast(*args, "--context", 4, "--horizon", 2, "--out", tmp_path / "o", "--json").stdout)


def test_different_units_are_never_added_up(tmp_path: Path) -> None:
    said = evaluated(tmp_path)
    scores = said["scores"]["persistence"]
    np.testing.assert_allclose(scores["t:mae_raw"]["by_lead"], [2.0, 4.0], rtol=1e-5)
    assert scores["t:mae_raw"]["unit"] == "K"
    assert scores["t:mae_raw"]["pixels"] == [18 * 64] * 2
    np.testing.assert_allclose(scores["rain:mae_raw"]["by_lead"], [0.0, 0.0], atol=1e-6)
    assert scores["rain:csi@1"]["mean"] == 1.0
    assert "t:csi@1" not in scores
    assert said["scale"] == "Unit range: t, the 78 K from 260 to 338; rain, the 4 mm/h from 0 to 4"
    assert {path.name for path in (tmp_path / "o").glob("spectra*")} == {"spectra-1-t.png", "spectra-2-rain.png"}
    assert set(said["spectra"]) == {"t:rapsd", "rain:rapsd"}


def test_alike_ones_may_be_scored_alone_too(tmp_path: Path) -> None:
    together = evaluated(tmp_path, "--units", "1", "--metrics", "mae_raw")["scores"]["persistence"]
    (tmp_path / "o").rename(tmp_path / "p")
    apart = evaluated(tmp_path, "--units", "1", "--metrics", "mae_raw", "--by-channel")["scores"]["persistence"]
    means = [apart[f"{name}:mae_raw"]["mean"] for name in ("t", "rain")]
    assert together["mae_raw"]["mean"] == pytest.approx(np.mean(means), rel=1e-6)


def test_what_is_predicted_is_cut_to_each_channels_range() -> None:
    frames = np.full((1, 1, 2, 2, 2), 400, np.float32)
    result = forecast_of(frames, frames, SHARED, GRID).clipped()
    assert tuple(result.values[0, 0, 0, :, 0, 0]) == (300.0, 20.0)
    result = forecast_of(frames, frames, SHARED.model_copy(update={"ranges": ()}), GRID).clipped()
    assert tuple(result.values[0, 0, 0, :, 0, 0]) == (300.0, 300.0)


@given(
    low=st.integers(-200, 0),
    high=st.integers(20, 400),
    rain=st.integers(6, 100),
    value=st.sampled_from([0.1, 1.0, 5.0]),
)
def test_what_equals_a_threshold_is_an_event(low: int, high: int, rain: int, value: float) -> None:
    ranges = ((low / 8, high / 8), (0.0, rain / 4 + 5))
    shared = SHARED.model_copy(update={"low": ranges[0][0], "high": max(ranges[0][1], ranges[1][1]), "ranges": ranges})
    own = target_spec(shared, GRID, 1)
    raw = torch.full((1, 1, 2, 4, 4), float(np.float32(value)), dtype=torch.float64)
    frames = to_unit_range(raw, shared)
    scores = Scores([ChannelMetric(CSI(value, own.low, own.high), 1, own, shared)], 1)
    scores.update(frames, frames)
    assert scores.mean() == {f"rain:csi@{value:g}": 1.0}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--thresholds", "290"), {"t:csi@290"}),
        (("--thresholds", "290,2", "--metrics", "csi"), {"t:csi@290", "rain:csi@2"}),
        (("--metrics", "csi,mse"), {"rain:csi@0.1", "rain:csi@1"}),
    ],
)
def test_thresholds_are_of_the_channels_in_whose_range_they_lie(tmp_path: Path, words: tuple[str], found: set) -> None:
    assert {name for name in evaluated(tmp_path, *words)["scores"]["persistence"] if ":csi" in name} == found


@pytest.mark.parametrize("words", [("--thresholds", "290,500"), ("--metrics", "csi", "--var", "t,wind")])
def test_thresholds_that_fit_no_channel_are_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    args = ["evaluate", "persistence", "--data", weather(tmp_path / "a.nc"), "--var", "t,rain", *words]
    done = framecast(*args, "--context", 4, "--horizon", 2, "--out", tmp_path / "o", code=2)
    assert "expected values within the range of a channel: t 260 to 338 K" in done.stderr


def test_files_whose_channels_have_other_units_do_not_fit_together(tmp_path: Path) -> None:
    weather(tmp_path / "a.nc")
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        other = data.load().assign(t=(data["t"] - 273.15).assign_attrs(units="degC"))
    other.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    files = [{"path": str(tmp_path / name)} for name in ("a.nc", "b.nc")]
    with pytest.raises(InputError, match=r"units by channel \['degC', 'mm/h'\]"):
        open_source(DataConfig(source=files, variable="t,rain"))


def test_equal_names_are_told_apart() -> None:
    grid = Grid(variables=("r", "r"), units=("K", "mm/h"))
    assert [target_spec(SHARED, grid, place).names for place in (0, 1)] == [("r 1",), ("r 2",)]


@pytest.mark.usefixtures("undrawn")
def test_a_model_scores_other_data_on_its_own_ranges(tmp_path: Path) -> None:
    words = [
        "--var",
        "t,rain",
        "--set",
        "model.hidden=[2]",
        "--set",
        "context=2",
        "--set",
        "horizon=2",
        "--set",
        "patch=2",
    ]
    framecast(
        "train", "convlstm", "--data", weather(tmp_path / "a.nc"), *words, "--steps", 1, "--out", tmp_path / "run"
    )
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        calm = data.load().assign(rain=(data["rain"] / 2).assign_attrs(units="mm/h"))
    calm.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    said = framecast("evaluate", tmp_path / "run", "--data", tmp_path / "b.nc", "--var", "t,rain", "--json").stdout
    assert json.loads(said)["scale"].endswith("rain, the 4 mm/h from 0 to 4")
    assert "blank" not in json.loads(said)["scores"]
