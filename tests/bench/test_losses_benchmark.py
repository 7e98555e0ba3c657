"""benchmarks/losses.py: its recipes, its question, and all of it on a small file."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from benchmarks import losses

from framecast.errors import UsageError

ROOT = Path(__file__).parents[2]


def ask(out: Path, **changes) -> Namespace:
    return Namespace(**{"data": None, "steps": 5, "seeds": 1, "settings": [], "out": out, **changes})


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_is_one_of_a_recipe(name: str, tmp_path: Path) -> None:
    recipe = losses.make_recipe(ask(tmp_path), name, 3)
    assert (recipe.seed, recipe.train.steps, recipe.loss.context) == (3, 5, False)
    assert len(recipe.loss.terms) == len(losses.LOSSES[name].get("terms", []))


def test_the_loss_of_the_recipe_is_among_them() -> None:
    from framecast.recipe.recipe import read_recipe

    made = losses.make_recipe(ask(Path(), steps=None), "mse + 3 csi", 0)
    assert made == read_recipe(str(losses.RECIPE))


def test_a_folder_holds_the_answers_to_one_question(tmp_path: Path) -> None:
    losses.check_question(ask(tmp_path))
    losses.check_question(ask(tmp_path, seeds=2))
    for changes in ({"steps": 6}, {"settings": ["train.lr=1"]}, {"data": ["a.nc"]}):
        with pytest.raises(UsageError, match="another question, expected what its runs began with"):
            losses.check_question(ask(tmp_path, **changes))


def test_rows_are_means_over_seeds() -> None:
    runs = [
        {metric: {"mean": value if metric != "rapsd" else None} for metric, _ in losses.COLUMNS.values()}
        for value in (0.25, 0.75)
    ]
    assert losses.make_row("x", runs) == f"| x | 500.000 ± 353.553 |{' 0.500 ± 0.354 |' * 4}  |"


@pytest.mark.slow
def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    tiny = ["model.hidden=[4]", "data.crop=70", "patch=14", "validate.sequences=2", "train.batch_size=2"]
    words = [
        "--data",
        "tests/fixtures/fmi_140.npz",
        "--steps",
        "2",
        "--losses",
        "mse + facl",
        "--out",
        tmp_path / "out",
    ]
    words += [word for value in tiny for word in ("--set", value)]
    command, environment = [sys.executable, "benchmarks/losses.py", *words], {**os.environ, "PYTHONPATH": "src"}
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment) for _ in range(2)
    )
    assert first.stdout == second.stdout
    rows = [line.split(" | ")[0] for line in first.stdout.splitlines()]
    assert rows[2:] == ["| mse + facl", "| mse + facl matched", "| extrapolation", "| calibrated"]
