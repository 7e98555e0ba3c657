"""Recipes of the package: by name from anywhere, never beside a file of that name unsaid, each described in a line."""

import os
from pathlib import Path

import pytest
import yaml
from tests.fixtures.commands import framecast

from framecast.errors import UsageError
from framecast.models import MODELS
from framecast.recipe.recipe import read_recipe
from framecast.recipe.recipe_content import is_fitted_base
from framecast.recipes import list_recipes
from framecast.trained import list_trained


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", list_recipes())
def test_a_name_is_read_from_any_folder(name: str) -> None:
    content = yaml.safe_load(list_recipes()[name].path.read_text())
    recipe = read_recipe(name, ["train.steps=100000"])
    assert recipe.model.name == content["model"]["name"]
    assert recipe.train.batch_size == content["train"]["batch_size"]
    assert recipe == read_recipe(str(list_recipes()[name].path), ["train.steps=100000"])


def test_one_name_is_one_thing() -> None:
    others = {*MODELS, *(model.name for model in list_trained())}
    assert not others & set(list_recipes())
    assert not any(map(is_fitted_base, list_recipes()))


@pytest.mark.parametrize("name", ["predrnn_moving_mnist", "predrnn", "linear"])
def test_a_name_that_is_also_a_file_is_refused(name: str) -> None:
    Path(name).write_text("model: convlstm\n")
    with pytest.raises(UsageError, match=rf"the name of a .* and of a file here, .* write \./{name} for the file"):
        read_recipe(name)
    assert read_recipe(f".{os.sep}{name}").model.name == "convlstm"


def test_a_folder_of_that_name_is_no_recipe() -> None:
    Path("predrnn_moving_mnist").mkdir()
    assert read_recipe("predrnn_moving_mnist").model.name == "predrnn"


def test_the_place_of_before_is_told() -> None:
    with pytest.raises(UsageError, match=r"no such file: .*the package has it: write mim_moving_mnist"):
        read_recipe("recipes/mim_moving_mnist.yaml")
    with pytest.raises(UsageError, match=r"did you mean mim_moving_mnist\?"):
        read_recipe("mim_moving_mnis")


def test_recipes_are_listed_and_shown() -> None:
    lines = framecast("models", "--recipes").stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(list_recipes())
    assert "PredRNN on Moving MNIST" in next(line for line in lines if line.startswith("predrnn_moving_mnist "))
    text = list_recipes()["convlstm_film"].path.read_text()
    assert framecast("models", "--recipes", "convlstm_film").stdout == text
    assert "did you mean convlstm_film?" in framecast("models", "--recipes", "convlstm_fil", code=2).stderr


@pytest.mark.parametrize("name", list_recipes())
def test_a_summary_is_a_line(name: str) -> None:
    summary = list_recipes()[name].summary
    assert 10 < len(summary) < 160
    assert "\n" not in summary
    assert not summary.endswith(".")
