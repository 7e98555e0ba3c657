"""Crops, lengths in time, splits and normalizers through whole runs: train, resume, evaluate, predict."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.fixtures.commands import unchecked

from framecast.cli import app
from framecast.devices import Launch
from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.model_folder import describe, load
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.runs.folder import read_events
from framecast.training.start import resume, start

pytestmark = pytest.mark.filterwarnings("ignore")
CPU = Launch("cpu")
TINY = ["model.hidden=[2]", "model.kernel_size=3", "patch=5", "train.batch_size=2", "train.log_every=1"]
TINY += ["train.checkpoint_every=2", "validate.every=2", "validate.sequences=3"]


def framecast(*words: object) -> None:
    with unchecked():
        app([str(word) for word in words], standalone_mode=False)


@pytest.fixture
def rain(tmp_path) -> Path:
    """Rain rates on 30 x 45 pixels every 5 minutes, some outside coverage."""
    values = np.random.default_rng(0).gamma(0.4, 3, (40, 30, 45)).astype(np.float32)
    values[:, :4, :9] = np.nan
    path = tmp_path / "rain.npz"
    np.savez(
        path, frames=values[None], units="mm/h", step_minutes=5.0, start_time=np.array(["2020-05-01T12:00"], "M8[s]")
    )
    return path


def recipe(path: Path, *more: str) -> Recipe:
    said = [f"data.source={path}", "context=10min", "horizon=15min", "data.crop=[10, 15]", "data.crop_weight=wet"]
    said += ["data.split_by=time", "data.fractions=[0.5, 0.25, 0.25]", "data.gap=10min", "normalize=standard"]
    return read_recipe("convlstm", [*TINY, *said, *more])


def test_a_run_says_what_it_was_trained_on(rain, tmp_path):
    start(recipe(rain, "train.steps=2"), tmp_path / "run", CPU, quiet=True)
    resolved = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert (resolved["context"], resolved["horizon"]) == (2, 3)
    training = np.load(rain)["frames"][0, :18].astype(np.float64)
    observed = training[np.isfinite(training)]
    assert resolved["normalize"]["mean"] == [pytest.approx(observed.mean())]
    assert resolved["normalize"]["std"] == [pytest.approx(observed.std())]
    about = describe(tmp_path / "run" / "model")
    assert about["normalizer"] == resolved["normalize"]
    assert (about["spec"]["height"], about["spec"]["width"]) == (10, 15)
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    told = json.loads((tmp_path / "run" / "data.json").read_text())
    assert split["hash"] == told["split"]
    blocks = [
        (split["blocks"][name][0]["first"], split["blocks"][name][0]["last"]) for name in ("train", "val", "test")
    ]
    assert blocks == [(0, 17), (20, 28), (31, 39)]
    assert split["blocks"]["val"][0]["from"] == "2020-05-01T13:40:00.000"
    assert split["crop"] == [10, 15]


def test_resuming_brings_the_same_crops(rain, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    start(recipe(rain, "train.steps=4"), whole, CPU, quiet=True)
    # Stopped by a disk of patience: a run of the same recipe, of which the last checkpoint is taken away.
    start(recipe(rain, "train.steps=4"), parts, CPU, quiet=True)
    for file in parts.glob("checkpoints/*4*"):
        file.unlink()
    resume(parts, CPU, overrides=["train.workers=1"], quiet=True)
    assert (whole / "events.jsonl").read_bytes() == (parts / "events.jsonl").read_bytes()
    losses = [event["loss"] for event in read_events(whole / "events.jsonl", "train")]
    assert len(set(losses)) == 4
    for change in ("data.crop_weight=uniform", "data.gap=0", "data.crop=10", "normalize=range"):
        with pytest.raises(CheckpointError, match="changed since"):
            resume(parts, CPU, overrides=[change], quiet=True)


@pytest.mark.usefixtures("undrawn")
def test_evaluate_and_predict_in_time_and_in_range(rain, tmp_path, capsys):
    run = tmp_path / "run"
    start(recipe(rain, "train.steps=2", "data.range=[1.15, 4]"), run, CPU, quiet=True)
    framecast("evaluate", run, "--split", "test", "--device", "cpu", "--quiet", "--json")
    board = json.loads(capsys.readouterr().out)
    # 9 frames, windows of 5 every 3: 2; crops of 10 x 15 side by side: 3 x 3
    assert board["sequences"] == 18
    framecast("evaluate", run, "--split", "all", "--horizon", "30min", "--device", "cpu", "--quiet", "--json")
    board = json.loads(capsys.readouterr().out)
    assert (board["horizon"], board["sequences"]) == (6, 6 * 9)
    framecast("evaluate", run, "--split", "test", "--whole", "--device", "cpu", "--quiet", "--json")
    assert json.loads(capsys.readouterr().out)["sequences"] == 2
    out = [tmp_path / "free.npz", tmp_path / "cut.npz"]
    for path, more in zip(out, ([], ["--clip"]), strict=True):
        framecast("predict", run, rain, "--horizon", "30min", "--context", "20min", "--out", path, *more, "--quiet")
    free, cut = (np.load(path)["frames"] for path in out)
    assert free.shape == (1, 6, 30, 45)
    assert np.isnan(free[..., 0, 0]).all()
    assert np.nanmin(free) < 1.15, "else the test says nothing"
    np.testing.assert_array_equal(cut, free.clip(1.15, 4))
    with pytest.raises(UsageError, match="multiple of the step"):
        framecast("predict", run, rain, "--horizon", "32min", "--out", tmp_path / "never.npz")
    framecast("predict", run, rain, "--horizon", 1, "--frames", "0,4", "--out", tmp_path / "early.npz", "--quiet")
    assert np.load(tmp_path / "early.npz")["start_time"][0] == np.datetime64("2020-05-01T12:20:00")


def test_a_recipe_in_time_needs_data_that_know_their_step(tmp_path):
    said = read_recipe("convlstm", [*TINY, "context=50min", "data.moving_mnist.size=32"])
    with pytest.raises(UsageError, match="time step is unknown"):
        start(said, tmp_path / "run", CPU, quiet=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="90s, 50min, 2h, 1d"):
        read_recipe("convlstm", ["horizon=soon"])


def test_full_peepholes_validate_on_crops(rain, tmp_path):
    start(recipe(rain, "train.steps=2", "model.peephole=full"), tmp_path / "run", CPU, quiet=True)
    scores = read_events(tmp_path / "run" / "events.jsonl", "validation")
    assert all(math.isfinite(event["sse"]) for event in scores)
    assert load(tmp_path / "run").config.fixed_size


def test_inspect_proposes_crops_of_large_measurements(tmp_path, capsys):
    values = np.random.default_rng(0).gamma(0.4, 3, (40, 300, 260)).astype(np.float32)
    np.savez(tmp_path / "large.npz", frames=values[None], units="mm/h", step_minutes=5.0)
    framecast("inspect", tmp_path / "large.npz", "--no-picture", "--json", "--context", "25min", "--horizon", 2)
    told = json.loads(capsys.readouterr().out)
    assert told["windows"] == {"train": 20, "val": 1, "test": 1}
    assert "data.crop=" in told["command"]
    assert "data.crop_weight=wet" in told["command"]
    assert "hash " in told["windows_note"]
