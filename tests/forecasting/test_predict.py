"""From a file to what follows it: times, lengths, what was said in training, pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray

import framecast.forecasting.predict
from framecast.cli import app
from framecast.data import DataConfig, FileSource
from framecast.errors import InputError, UsageError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.baselines import BASELINES
from framecast.forecasting.data_checks import check_step
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import MemoryLimits
from framecast.forecasting.predict import forecast_source
from framecast.forecasting.predictor import PastFrames
from framecast.models import ConvLSTM
from framecast.recipe.data_as_trained import open_as_trained
from framecast.recipe.recipe import Recipe
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=8, width=8, low=0, high=1, units="1")


def forecaster(**said: object) -> Forecaster:
    torch.manual_seed(0)
    return Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), SPEC, Range(low=0, high=1), 2, context=4, **said)


def archive(path: Path, frames: np.ndarray, **said: object) -> FileSource:
    np.savez(path, frames=frames, **said)
    return FileSource(DataConfig(source=str(path), range=(0, 1)))


@pytest.mark.parametrize("fill", ["low", "mean", "last"])
def test_frames_that_are_read_in_pieces_give_the_same(tmp_path: Path, fill: str, monkeypatch) -> None:
    frames = np.random.default_rng(0).random((2, 7, 8, 8)).astype(np.float32)
    frames[0, 3, :5] = frames[1, 6, 2:] = frames[0, :, 7, 7] = np.nan
    source, model = archive(tmp_path / "a.npz", frames, dims="nthw"), forecaster(fill=fill, mask_channel=fill == "last")
    whole = forecast_source(model, source, 3)
    asked = []
    read = source.read
    monkeypatch.setattr(source, "read", lambda n, start, stop: asked.append(stop - start) or read(n, start, stop))
    monkeypatch.setattr(framecast.forecasting.predict, "PIECE", 2 * framecast.forecasting.predict.READING * 64)
    pieces = forecast_source(model, source, 3)
    assert asked == [2, 2, 2, 2], "two frames at a time, of two sequences"
    np.testing.assert_array_equal(pieces.values, whole.values)
    np.testing.assert_array_equal(pieces.past_values, whole.past_values)
    assert np.isnan(whole.values[0, 0, :, 0, 7, 7]).all()
    assert torch.equal(whole.mask[0, 0], torch.from_numpy(np.isfinite(frames[0, -4:]).any(0)))


def test_times_go_on_from_the_last_frame(tmp_path: Path) -> None:
    months = np.arange("2018-11", "2020-01", dtype="datetime64[M]").astype("datetime64[ns]")
    values = np.random.default_rng(0).random((len(months), 8, 8))
    xarray.DataArray(values, coords={"time": months}, dims=("time", "y", "x"), name="a").to_dataset().to_netcdf(
        tmp_path / "months.nc", engine="h5netcdf"
    )
    source = FileSource(DataConfig(source=str(tmp_path / "months.nc"), range=(0, 1)))
    found = forecast_source(forecaster(), source, 2, context=12)
    assert found.context_times is not None
    assert found.times is not None
    assert found.spec.step_minutes is not None
    np.testing.assert_array_equal(found.context_times[0], months[-12:].astype("datetime64[ms]"))
    step = np.timedelta64(round(found.spec.step_minutes * 60_000), "ms")
    assert found.times[0, 0] == np.datetime64("2019-12-01") + step
    np.testing.assert_array_equal(found.times[0], np.array(["2020-01-01", "2020-02-01"], "datetime64[ms]"))
    np.testing.assert_array_equal(found.only(0).context_times, found.context_times)


def test_a_short_context_is_told(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    source = archive(tmp_path / "a.npz", frames, dims="thw")
    (note,) = forecast_source(forecaster(), source, 1).notes
    assert note.startswith("context: 3 frames are used, and the model was trained to see 4")
    assert not forecast_source(forecaster(), source, 1, context=2).notes


@pytest.mark.parametrize("name", ["persistence", "mean", "blank", "extrapolation"])
@pytest.mark.parametrize("batch_size", [2, 8])
def test_baselines_forecast_files_too(tmp_path: Path, name: str, batch_size: int) -> None:
    frames = np.random.default_rng(0).random((3, 12, 8, 8)).astype(np.float32)
    frames[0, -10:, 2:4] = np.nan
    start = np.array(["2020-01-01", "2020-01-02", "2020-01-05"], "M8[s]")
    source = archive(tmp_path / "a.npz", frames, dims="nthw", step_minutes=5.0, start_time=start)
    baseline, seen = BASELINES[name](source.spec), []
    found = forecast_source(baseline, source, 4, batch_size=batch_size, progress=seen.append)
    assert seen == ([2, 3] if batch_size == 2 else [3])
    valid = np.isfinite(frames[:, -10:, None])
    expected = baseline.predict(np.nan_to_num(frames[:, -10:, None]), 4, valid)
    unknown = ~valid.any(1)
    assert unknown.any()
    np.testing.assert_array_equal(found.values[:, 0], np.where(unknown[:, None], np.nan, expected))
    np.testing.assert_array_equal(found.mask, ~unknown)
    np.testing.assert_array_equal(found.past_values[:, :, 0], frames[:, -10:])
    assert (found.dims, found.spec.units, found.provenance.model.name) == ("nthw", source.spec.units, name)
    assert found.times is not None
    np.testing.assert_array_equal(found.times[:, 0], start + np.timedelta64(60, "m"))
    together = forecast_source(baseline, source, 4)
    assert found.provenance.as_dict() == together.provenance.as_dict()
    two = forecast_source(baseline, source, 4, context="10min")
    assert two.context.shape[1] == 2


def test_members_stay_members_over_batches(tmp_path: Path) -> None:
    class Pair:
        def forecast(self, past: PastFrames, horizon: int) -> Forecast:
            last = past.frames[:, None, -1:].expand(-1, 2, horizon, -1, -1, -1)
            return past.make_forecast(last * torch.tensor([1.0, 2.0])[:, None, None, None, None], ModelOrigin("pair"))

    frames = np.random.default_rng(0).random((3, 5, 8, 8)).astype(np.float32)
    source = archive(tmp_path / "a.npz", frames, dims="nthw")
    found = forecast_source(Pair(), source, 2, batch_size=2)
    assert found.context.shape[1] == 5, "all frames, where nobody says how many"
    np.testing.assert_array_equal(found.values[:, 1, 1, 0], 2 * frames[:, -1])
    with pytest.raises(UsageError, match="expected none, for a predictor that is no network"):
        forecast_source(Pair(), source, 2, room=MemoryLimits(tile=4))


def test_another_step_is_refused_unless_it_is_said() -> None:
    model, data = (SPEC.model_copy(update={"step_minutes": step}) for step in (5.0, 15.0))
    with pytest.raises(InputError, match=r"got frames 15 min apart, expected 5 min.*--step-minutes 15"):
        check_step(model, data, None)
    check_step(model, data, 15.0)
    check_step(model, model.model_copy(update={"step_minutes": 5.4}), None)
    check_step(model, model.model_copy(update={"step_minutes": None}), None)


def test_a_file_of_another_step_is_refused_by_the_command(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((30, 8, 8)).astype(np.float32)
    for name, step in (("a", 5.0), ("b", 60.0)):
        np.savez(tmp_path / f"{name}.npz", frames=frames, dims="thw", step_minutes=step)
    small = ["--steps", "1", "--context", "2", "--horizon", "2", "--set", "model.hidden=[3]", "--set", "patch=4"]
    said = ["train", "convlstm", "--data", str(tmp_path / "a.npz"), "--out", str(tmp_path / "run"), *small, "--quiet"]
    app([*said, "--device", "cpu"], standalone_mode=False)
    for command in (["predict", str(tmp_path / "run"), str(tmp_path / "b.npz"), "--out", str(tmp_path / "f.npy")],
                    ["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "b.npz")]):  # fmt: skip
        with pytest.raises(InputError, match="60 min apart"):
            app(command, standalone_mode=False)


def recipe(**data: object) -> Recipe:
    return Recipe.model_validate({"model": {"name": "convlstm"}, "data": data})


def test_a_file_of_the_training_is_read_as_then(tmp_path: Path) -> None:
    source = str(tmp_path / "a.npy")
    np.save(source, np.zeros((3, 4, 4)))
    said = recipe(source=source, dims="thw", missing=255, units="mm per 10 min", step_minutes=10, shrink=2)
    config, _ = open_as_trained(said, {"source": source})
    assert config.dims == "thw"
    assert config.missing == 255
    assert config.step_minutes == 10
    assert config.shrink == 2
    assert open_as_trained(said, {"source": source, "missing": 254.0})[0].missing == 254


def test_what_one_of_several_files_was_said_to_be(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.npy") for name in "ab"]
    for path in paths:
        np.save(path, np.zeros((3, 4, 4)))
    said = recipe(source=[{"path": paths[0]}, {"path": paths[1], "units": "mm per 5 min", "missing": 9}], missing=255)
    assert {open_as_trained(said, {"source": path})[0].missing for path in paths} == {255, 9}
    assert open_as_trained(said, {"source": paths[1]})[0].units == "mm per 5 min"


def test_units_and_code_of_the_training_fill_what_a_file_does_not_say(tmp_path: Path) -> None:
    silent, speaking = tmp_path / "b.npy", tmp_path / "c.npz"
    np.save(silent, np.zeros((3, 4, 4)))
    np.savez(speaking, frames=np.zeros((3, 4, 4)), units="mm/h", missing_code=7.0)
    said = recipe(source=str(tmp_path / "a.npy"), units="mm per 10 min", missing=255)
    config, _ = open_as_trained(said, {"source": str(silent)})
    assert (config.units, config.missing) == ("mm per 10 min", 255)
    config, _ = open_as_trained(said, {"source": str(speaking)})
    assert (config.units, config.missing) == (None, None)


def test_variables_in_another_order_are_refused() -> None:
    said = recipe(source="a.nc", variable="t2m,q")
    with pytest.raises(UsageError, match="the order of the training"):
        open_as_trained(said, {"source": "b.nc", "variable": "q,t2m"})
