"""The examples and the recipes run as they stand."""

import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.fixtures.commands import framecast, unchecked

from framecast.recipes import PackagedRecipe, list_recipes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Runs a script of examples/ as `python` does, within this process; gives what it prints."""

    def run(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
        monkeypatch.syspath_prepend(str(ROOT / "examples"))  # as `python` does with a script's folder
        with unchecked(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_forecast_and_stream(run_example, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert "(1, 25, 1, 64, 64) float32" in run_example("01_forecast.py", out, "2")
    assert "five frames ahead of frame 9: (1, 5, 1, 64, 64)" in run_example("02_stream.py", out)


def test_own_cell(run_example, tmp_path: Path) -> None:
    printed = run_example("03_own_cell.py", str(tmp_path / "run"), "2")
    assert "step=2" in printed
    assert "name='my_network'" in printed


def test_an_ensemble_is_blended_in_pysteps(run_example, tmp_path: Path) -> None:
    printed = run_example("04_pysteps.py", str(tmp_path))
    assert "(2, 12, 140, 140) members" in printed
    blended = np.load(tmp_path / "blended.npy")
    assert np.isfinite(blended).all()
    assert (blended > 0).mean() > 0.05, "there is rain"


NARROW = ["model.hidden=[4, 4]", "model.kernel_size=3", "patch=8"]
DIRECT = ["model.hidden=2", "model.translator_hidden=4", "model.blocks=2", "patch=8"]
SWIN = ["model.hidden=4", "model.window=2", "patch=4"]
SMALL = {
    "lstm": ["model.hidden=[8, 8]", "patch=8"],
    "predrnn_pp": ["model.hidden=[6, 4, 4]", *NARROW[1:]],
    "convgru": ["model.levels=2", "patch=2"],
    "swinlstm_b": [*SWIN, "model.depths=[2]", "model.heads=[2]"],
    "swinlstm_d": [*SWIN, "model.depths_down=[1]", "model.depths_up=[1]", "model.heads=[2]"],
    "phydnet": ["model.hidden=[4]", "patch=8"],
    "predrnn_v3": [*NARROW, "model.heads=2"],
    "e3d_lstm": [*NARROW, "model.tau=2"],
    "simvp": DIRECT,
    "tau": DIRECT,
}
"""Narrow networks; others are `NARROW`."""
FILES = {
    "radar": ["data.source=tests/fixtures/fmi_140.npz", "data.crop=70", "patch=14"],
    "t2m": ["data.source=tests/fixtures/era5_t2m.nc", "context=6h", "horizon=6h"],
    "film": ["data.source=tests/fixtures/bigbuckbunny.mp4", "data.shrink=1", "context=4", "horizon=4"],
}
"""Small data in the place of those that are not ours to ship; others make their own."""


SLOW = {
    "action_predrnn",
    "motionrnn",
    "mau",
    "swinlstm_b",
    "phydnet",
    "predrnn_v3",
    "e3d_lstm",
    "simvp",
    "convgru_rain",
    "lstm",
    "memory_flow",
    "mim",
    "predrnn_pp",
}
"""Networks whose kind another recipe tries, too, as one of ConvLSTM, PredRNN, ConvGRU, SwinLSTM-D and TAU."""


def list_parameters() -> list[Any]:
    marks = {name: [pytest.mark.slow] if name.startswith(tuple(SLOW)) else [] for name in list_recipes()}
    return [pytest.param(recipe, id=name, marks=marks[name]) for name, recipe in list_recipes().items()]


@pytest.mark.parametrize("recipe", list_parameters())
def test_recipes_train(recipe: PackagedRecipe, tmp_path: Path) -> None:
    """Some steps of each, narrow and on few sequences of small data; everything else as it stands."""
    model = yaml.safe_load(recipe.text)["model"]["name"]
    small = [
        *SMALL.get(model, NARROW),
        *(word for name, words in FILES.items() if name in recipe.name for word in words),
        *(["patch=2"] if model == "convgru" else []),  # a level has four times the channels of the one before
        "train.steps=4",
        "train.batch_size=2",
        "train.log_every=1",
        "validate.every=4",
        "validate.sequences=2",
    ]
    words = [word for value in small for word in ("--set", value)]
    out = tmp_path / "run"
    framecast("train", recipe.name, *words, "--quiet", "--device", "cpu", "--out", out, cwd=ROOT)
    assert (out / "events.jsonl").read_text().count('"train"') == 4
    assert (out / "model" / "model.json").exists()
    assert (out / "loss.png").exists()
