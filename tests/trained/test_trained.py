"""Models that come with the package: whole, small, described, found by name where the user has nothing so named."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.commands import framecast as run

import framecast
from framecast.data.durations import in_frames
from framecast.errors import UsageError
from framecast.recipe.recipe import recipe_of_run
from framecast.trained import TrainedModel, find_model, is_trained, list_trained

MODELS = {model.name: model for model in list_trained()}
LIMIT = 8_000_000
"""Bytes of all models together."""


def test_the_two_are_there_and_small() -> None:
    assert set(MODELS) == {"digits", "rain"}
    files = [path for model in MODELS.values() for path in model.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LIMIT


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_each_is_whole_and_described(model: TrainedModel) -> None:
    forecaster = framecast.load(model.name)
    recipe = recipe_of_run(model.folder)
    assert (forecaster.config, forecaster.patch) == (recipe.model, recipe.patch)
    assert (forecaster.base_config.kind, forecaster.head) == (recipe.base.kind, recipe.head)
    step = forecaster.spec.step_minutes
    assert forecaster.context == in_frames(recipe.context_, step, "context")
    assert forecaster.spin_up == (recipe.spin_up_ and in_frames(recipe.spin_up_, step, "spin_up"))
    assert len(model.summary) < 300
    for heading in ("Good for", "Not good for", "Scores", "Training", "Data and licence"):
        assert f"\n## {heading}\n" in model.card
    recipe.data.map_paths(lambda path: path if not Path(path).is_absolute() else pytest.fail(path))


def test_rain_goes_on_moving(tmp_path: Path) -> None:
    """On frames that it never saw: nearer to the truth than extrapolation, raw and matched."""
    with np.load(MODELS["rain"].folder / "example.npz") as stored:
        frames = stored["frames"][:2, :, None].astype(np.float32) * stored["scale"] + stored["offset"]
    rain = np.clip(frames, 0, 70)
    model = framecast.load("rain")
    extrapolation = framecast.Extrapolation(model.spec).predict(rain[:, :10], 6)
    reference = np.square(extrapolation - rain[:, 10:16]).mean()
    for forecaster in (model, model.with_matching(True)):
        assert np.square(forecaster.predict(rain[:, :10], 6) - rain[:, 10:16]).mean() < reference


def test_a_folder_of_the_users_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_trained("rain")
    assert find_model("rain") == str(MODELS["rain"].folder)
    assert find_model("runs/rain") == "runs/rain"
    (tmp_path / "rain").mkdir()
    assert not is_trained("rain")
    assert find_model("rain") == "rain"


def test_commands_take_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = MODELS["rain"].folder / "example.npz"
    run("predict", "rain", example, "--horizon", 2, "--out", "f.npy", "--motion", "m.npy", "--calibrate", "matched")
    assert np.load("f.npy").shape == (4, 2, 140, 140)
    assert np.load("m.npy").shape[-3:] == (2, 140, 140)
    run(
        "evaluate", "rain", "--data", example, "--limit", 1, "--metrics", "mse", "--baselines", "persistence", "--quiet"
    )
    scores = json.loads((tmp_path / "runs" / "rain-all-1" / "scores.json").read_text())["scores"]
    assert list(scores) == ["rain", "rain matched", "persistence"]


def test_cards_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from framecast.cli import app

    shown = CliRunner().invoke(app, ["models", "--trained"]).output
    assert all(name in shown for name in MODELS)
    assert CliRunner().invoke(app, ["models", "rain", "--trained"]).output == MODELS["rain"].card
    assert set(json.loads(CliRunner().invoke(app, ["models", "--trained", "--json"]).output)) == set(MODELS)
    assert isinstance(CliRunner().invoke(app, ["models", "sun", "--trained"]).exception, UsageError | SystemExit)
