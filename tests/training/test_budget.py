"""Trainings of a given time: how many iterations, how wide, and what of the user's stays."""

from pathlib import Path

import pytest
from tests.fixtures.commands import framecast

from framecast.models import MODELS
from framecast.models.cost import count_cost
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.training import budget as module
from framecast.training.budget import fit_to_budget, make_small, read_budget


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """An iteration takes a millisecond for each hidden channel of the bottom layer."""
    monkeypatch.setattr(module, "measure_pace", lambda recipe, place, seconds: 1e-3 * recipe.model.hidden[0])


@pytest.mark.usefixtures("pace")
@pytest.mark.parametrize(
    ("time", "width", "steps"), [("60s", 32, 1875), ("200s", 32, 6250), ("300s", 48, 6250), ("10min", 64, 9375)]
)
def test_a_longer_time_goes_into_width_once_there_are_enough_iterations(time: str, width: int, steps: int) -> None:
    fitted = fit_to_budget(read_recipe("predrnn"), read_budget(time), "cpu", frozenset(), is_name=True)
    assert (fitted.model.hidden, fitted.train.steps) == ((width, width), steps)  # type: ignore[attr-defined]
    assert fitted.train.muon is not None
    assert fitted.model.layer_norm == "channel_affine"  # type: ignore[attr-defined]
    assert [(stage.until, stage.context, stage.horizon) for stage in fitted.train.growth] == [
        (0.48, 3, 3),
        (0.75, 5, 5),
    ]
    assert fitted.validate_.every <= -(-steps // 4)


@pytest.mark.usefixtures("pace")
def test_what_the_user_set_stays() -> None:
    overrides = ["train.lr=1e-3", "model.hidden=[8]", "model.layer_norm=null"]
    given = frozenset(["train.lr", "model.hidden", "model.layer_norm"])
    fitted = fit_to_budget(read_recipe("predrnn", overrides), read_budget("8s"), "cpu", given, is_name=True)
    assert (fitted.train.lr, fitted.train.muon, fitted.train.clip) == (1e-3, None, 1.0)
    assert (fitted.model.hidden, fitted.train.steps) == ((8,), 1000)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("pace")
def test_of_a_recipe_only_the_iterations_are_fitted() -> None:
    recipe = Recipe()
    fitted = fit_to_budget(recipe, read_budget("640s"), "cpu", frozenset(), is_name=False)
    assert fitted.train.steps == 10_000
    assert fitted.train.model_copy(update={"steps": recipe.train.steps}) == recipe.train


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_a_small_form(name: str) -> None:
    """Small enough for minutes of a CPU, and trained as its norm allows."""
    recipe = make_small(read_recipe(name), frozenset())
    cost = count_cost(recipe.model, 1, 64, 64, patch=recipe.patch, frames=20)
    assert cost.parameters < 6e6
    assert cost.multiply_adds < 6e9
    assert (recipe.train.muon is not None) == (getattr(recipe.model, "layer_norm", None) == "channel_affine")


def test_it_trains_for_about_the_time(tmp_path: Path) -> None:
    tiny = ["--set", "model.hidden=[2]", "--set", "patch=16", "--set", "validate.sequences=1"]
    framecast("train", "convlstm", "--budget", "4steps", *tiny, "--out", tmp_path / "run", "--quiet")
    recipe = read_recipe(str(tmp_path / "run" / "recipe.yaml"))
    assert recipe.train.steps == 4
    assert len(recipe.train.growth) == 2
