"""The examples and the recipes run as they stand."""

import runpy
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from tests.fixtures.commands import framecast, unchecked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Runs a script of examples/ as `python` does, within this process; gives what it prints."""

    def run(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
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
    assert "name='convgru'" in printed


SMALL = {"lstm": "[8, 8]", "predrnn_pp": "[6, 4, 4]"}
FILES = {
    "radar": ["data.source=tests/fixtures/fmi_140.npz", "data.crop=70", "patch=14"],
    "t2m": ["data.source=tests/fixtures/era5_t2m.nc", "context=6h", "horizon=6h"],
    "film": ["data.source=tests/fixtures/bigbuckbunny.mp4", "data.shrink=1", "context=4", "horizon=4"],
}
"""Small data in the place of those that are not ours to ship; others make their own."""


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("recipes/*.yaml")), ids=lambda path: path.stem)
def test_recipes_train(recipe: Path, tmp_path: Path) -> None:
    """Some steps of each, narrow and on few sequences of small data; everything else as it stands."""
    model = yaml.safe_load(recipe.read_text())["model"]["name"]
    small = [
        f"model.hidden={SMALL.get(model, '[4, 4]')}",
        *([] if model == "lstm" else ["model.kernel_size=3"]),
        "patch=8",
        *(word for name, words in FILES.items() if name in recipe.stem for word in words),
        "train.steps=4",
        "train.batch_size=2",
        "train.log_every=1",
        "validate.every=4",
        "validate.sequences=2",
    ]
    words = [word for value in small for word in ("--set", value)]
    out = tmp_path / "run"
    framecast("train", recipe, *words, "--quiet", "--device", "cpu", "--out", out, cwd=ROOT)
    assert (out / "events.jsonl").read_text().count('"train"') == 4
    assert (out / "model" / "model.json").exists()
    assert (out / "loss.png").exists()
