"""An evaluation says which of its frames the network was trained on."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.tiny import tiny, trained

from framecast.data import DataConfig
from framecast.evaluation.prepare import open_evaluation_data
from framecast.evaluation.suite import EvaluationOptions
from framecast.forecasting.model_folder import load
from framecast.recipe.recipe import recipe_of_run

START = np.datetime64("2020-03-01T00:00")


def stored(path: Path, begin: int, end: int) -> str:
    frames = np.random.default_rng(0).random((1, 100, 16, 16), np.float32)[:, begin:end]
    start = np.array([START + begin * np.timedelta64(10, "m")])
    np.savez(path, frames=frames, dims="nthw", step_minutes=10.0, start_time=start, units="K")
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on frames 0 to 79, validated on 80 to 89, tested on 90 to 99."""
    folder = tmp_path_factory.mktemp("seen")
    data = DataConfig(source=stored(folder / "a.npz", 0, 100), split_by="time")
    recipe = tiny(data=data, context=2, horizon=2, train={"steps": 1, "batch_size": 2})
    return trained(recipe, folder / "run")


def notes(run: Path, split: str | None = None, **data: object) -> tuple[str, tuple[str, ...]]:
    opened, _, name = open_evaluation_data(
        str(run), load(run), recipe_of_run(run), data, EvaluationOptions(split=split)
    )
    return name, opened.notes


def test_its_own_splits(run: Path) -> None:
    name, said = notes(run)
    assert name == "test"
    assert not any("seen in training" in note for note in said)
    name, said = notes(run, "train")
    assert said[0].startswith("seen in training: 80 of 80 frames of this evaluation are of the training")


@pytest.mark.parametrize("spelling", ["relative", "linked"])
def test_the_same_file_under_another_path_has_the_same_splits(run: Path, spelling: str, tmp_path: Path) -> None:
    path = run.parent / "a.npz"
    if spelling == "relative":
        other = os.path.relpath(path)
    else:
        (tmp_path / "b.npz").symlink_to(path)
        other = str(tmp_path / "b.npz")
    assert notes(run, source=other) == notes(run)


def test_a_copy_is_known_by_its_contents(run: Path, tmp_path: Path) -> None:
    shutil.copy(run.parent / "a.npz", tmp_path / "b.npz")
    name, said = notes(run, source=str(tmp_path / "b.npz"))
    assert name == "all"
    assert said[0].startswith("seen in training: 80 of 100 frames")


def test_a_part_is_known_by_its_times(run: Path, tmp_path: Path) -> None:
    _, said = notes(run, source=stored(tmp_path / "b.npz", 70, 100))
    assert said[0].startswith("seen in training: 10 of 30 frames of this evaluation have times of the training")
    _, said = notes(run, source=stored(tmp_path / "c.npz", 80, 100))
    assert not any("seen in training" in note for note in said)


def test_other_splits_of_a_part_of_the_own_file(run: Path) -> None:
    """Frames 0 to 59 are split anew: the test frames of that, 54 to 59, are of the training."""
    _, said = notes(run, frames=(0, 60))
    assert said[0].startswith("seen in training: 6 of 6 frames")


def test_a_copy_without_times_is_known_by_its_values(run: Path, tmp_path: Path) -> None:
    """Every other of frames 60 to 99, of which 60 to 79 are of the training; nothing but the values tells."""
    frames = np.random.default_rng(0).random((1, 100, 16, 16), np.float32)[:, 60::2]
    np.savez(tmp_path / "b.npz", frames=frames, dims="nthw", step_minutes=10.0, units="K")
    _, said = notes(run, source=str(tmp_path / "b.npz"))
    assert said[0].startswith(
        "seen in training: 10 frames of this evaluation, or more, are equal to frames of the train"
    )
    np.savez(tmp_path / "c.npz", frames=frames[:, 10:], dims="nthw", step_minutes=10.0, units="K")
    _, said = notes(run, source=str(tmp_path / "c.npz"))
    assert not any("seen in training" in note for note in said)
