"""Trainings that go on from a model: what they begin with, what they keep, and what they refuse."""

from pathlib import Path

import numpy as np
import pytest
import torch

from framecast.devices import Launch
from framecast.errors import FramecastError, InputError, UsageError
from framecast.forecasting.model_folder import load
from framecast.recipe.recipe import read_recipe
from framecast.runs.folder import read_events
from framecast.training.fine_tuning import read_fine_tuning
from framecast.training.start import resume, start

CPU = Launch("cpu")


def rain(folder: Path, name: str, units: str = "dBZ", step: int = 5) -> str:
    frames = np.random.default_rng(len(name)).random((30, 16, 16)).astype(np.float32) * 50
    np.savez(folder / f"{name}.npz", frames=frames, dims="thw", units=units, step_minutes=step)
    return str(folder / f"{name}.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two iterations, whose model forecasts against a fitted base."""
    path = tmp_path_factory.mktemp("tuned")
    values = {
        "data.source": rain(path, "old"),
        "model.hidden": [4],
        "base": "linear",
        "context": 3,
        "horizon": 2,
        "train": {"steps": 10, "batch_size": 2, "lr": 1e-2, "log_every": 1, "ema": 0.9},
        "validate": {"sequences": 2},
    }
    start(read_recipe("convlstm", [], values), path / "run", CPU, quiet=True)
    return path


def test_all_is_as_it_was_but_rate_and_steps(folder: Path) -> None:
    recipe = read_fine_tuning(str(folder / "run"), [], {"data.source": rain(folder, "new")})
    old = read_recipe(str(folder / "run" / "recipe.yaml"))
    assert (recipe.train.steps, recipe.train.lr, recipe.sampling.kind) == (2, pytest.approx(1e-3), "free")
    assert (recipe.model, recipe.patch, recipe.context, recipe.base) == (old.model, old.patch, 3, old.base)
    assert recipe.normalize == load(folder / "run").normalizer
    with pytest.raises(UsageError, match="--data"):
        read_fine_tuning(str(folder / "run"))


def test_it_begins_with_the_weights_and_frozen_ones_stay(folder: Path, tmp_path: Path) -> None:
    old = load(folder / "run").network.state_dict()
    values = {"data.source": rain(folder, "more"), "train.freeze": ["cells"], "train.log_every": 1}
    recipe = read_fine_tuning(str(folder / "run"), [], values)
    start(recipe, tmp_path / "tuned", CPU, quiet=True)
    new = load(tmp_path / "tuned").network.state_dict()
    changed = {name for name, value in new.items() if not torch.equal(value, old[name])}
    assert changed == {name for name in old if name.startswith("head.")}
    weights = read_recipe(str(tmp_path / "tuned" / "recipe.yaml")).from_
    assert weights is not None
    assert weights.sha256 == load(folder / "run").origin.sha256
    assert load(tmp_path / "tuned").spec.high == load(folder / "run").spec.high
    # what it went on from is not needed any more
    assert resume(tmp_path / "tuned", CPU, quiet=True).step == 2


def test_a_first_step_has_the_loss_of_the_model(folder: Path, tmp_path: Path) -> None:
    """The same data, and a rate so small that nothing changes: the loss stays where it ended."""
    source = str(folder / "old.npz")
    values = {"data.source": source, "train.lr": 1e-12, "train.steps": 1, "train.log_every": 1, "train.batch_size": 2}
    start(read_fine_tuning(str(folder / "run"), [], values), tmp_path / "again", CPU, quiet=True)
    assert load(tmp_path / "again").origin.step == "1"
    (event,) = read_events(tmp_path / "again" / "events.jsonl", "train")
    fresh = read_recipe(str(folder / "run" / "recipe.yaml"), [], {"train.steps": 1, "train.log_every": 1})
    start(fresh, tmp_path / "fresh", CPU, quiet=True)
    (first,) = read_events(tmp_path / "fresh" / "events.jsonl", "train")
    assert event["loss"] != first["loss"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model.hidden": [8]}, "model: got"),
        ({"patch": 2}, "patch: got 2, expected 4"),
        ({"train.freeze": ["cell"]}, "train.freeze: got 'cell'"),
        ({"train.freeze": ["cells", "head"]}, "some left to train"),
    ],
)
def test_another_network_is_refused(folder: Path, tmp_path: Path, values: dict, message: str) -> None:
    recipe = read_fine_tuning(str(folder / "run"), [], {"data.source": rain(folder, "other"), **values})
    with pytest.raises(FramecastError, match=message):
        start(recipe, tmp_path / "refused", CPU, quiet=True)
    assert not (tmp_path / "refused" / "recipe.yaml").exists()


@pytest.mark.parametrize(("units", "step"), [("K", 5), ("dBZ", 30)])
def test_other_units_and_steps_are_refused(folder: Path, tmp_path: Path, units: str, step: int) -> None:
    source = rain(folder, f"{units}{step}", units, step)
    with pytest.raises(InputError, match="as the model was trained"):
        start(read_fine_tuning(str(folder / "run"), [], {"data.source": source}), tmp_path / "run", CPU, quiet=True)
