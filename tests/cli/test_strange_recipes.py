"""Recipes, runs and races of strangers: no command imports what a file names, or writes out what it abbreviates."""

import shutil
import sys
import time
from pathlib import Path

import pytest
from tests.fixtures.commands import framecast
from tests.fixtures.tiny import tiny, trained

EVIL = "model: {name: 'evil_network:Net', hidden: [4]}\n"
BOMB = "x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
COMMANDS = {
    "train": ["train", "RUN/recipe.yaml", "--out", "RUN/new"],
    "resume": ["resume", "RUN"],
    "evaluate": ["evaluate", "RUN"],
    "predict": ["predict", "RUN", "FILE", "--out", "RUN/out.npy"],
    "report": ["report", "RUN"],
    "compare": ["compare", "RUN", "RUN"],
    "study": ["study", "RUN"],
    "race": ["race", "--models", "RUN/recipe.yaml,convlstm", "--budget", "1steps", "--out", "RUN/race"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("strange")
    path = trained(tiny(), root / "run")
    (root / "evil_network.py").write_text("raise SystemExit('code was run')")
    return path


def change(run: Path, path: Path, text: str) -> Path:
    """A copy of the run with a text in place of its network, or of the whole recipe."""
    shutil.copytree(run, path)
    recipe = (path / "recipe.yaml").read_text()
    start, end = recipe.index("model:"), recipe.index("patch:")
    (path / "recipe.yaml").write_text(recipe[:start] + text + recipe[end:])
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_imports_what_a_recipe_names(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(run.parent)
    path = change(run, tmp_path / "run", EVIL)
    words = [word.replace("RUN", str(path)) for word in COMMANDS[name]]
    error = framecast(*words, code=2, cwd=run.parent).stderr
    assert "--class evil_network:Net" in error
    error = framecast(*words, "--class", "os:path", code=2, cwd=run.parent).stderr
    assert "evil_network" in error or "derived from framecast.models.ModelConfig" in error
    assert "evil_network" not in sys.modules


@pytest.mark.parametrize("name", COMMANDS)
def test_aliases_of_aliases_are_refused_soon(name: str, run: Path, tmp_path: Path) -> None:
    path = change(run, tmp_path / "run", f"{BOMB}model: *x8\n")
    words = [word.replace("RUN", str(path)) for word in COMMANDS[name]]
    began = time.process_time()
    error = framecast(*words, code=2).stderr
    assert time.process_time() - began < 20
    assert "aliases written out" in error
    assert len(error) < 2000


@pytest.mark.slow
def test_a_class_that_the_command_names_is_trained_and_raced(tmp_path: Path) -> None:
    (tmp_path / "own_cells.py").write_text(
        "from typing import Literal\nfrom framecast.models import ConvLSTM\n"
        "class Net(ConvLSTM):\n    name: Literal['net'] = 'net'\n"
    )
    text = "model: {name: 'own_cells:Net', hidden: [2]}\npatch: 8\ncontext: 3\nhorizon: 2\ntrain: {batch_size: 2}\n"
    (tmp_path / "own.yaml").write_text(
        f"{text}validate: {{sequences: 2}}\ndata: {{moving_mnist: {{size: 32, digits: 1, validation: 2, test: 2}}}}\n"
    )
    own = ["--class", "own_cells:Net", "--quiet"]
    framecast("train", "own.yaml", *own, "--steps", 2, "--out", "run", cwd=tmp_path)
    framecast("resume", "run", *own, cwd=tmp_path)
    digits = "data.moving_mnist={size: 32, digits: 1, validation: 2, test: 2}"
    settings = ["model.hidden=[2]", "patch=8", "context=3", "horizon=2", digits]
    words = ["race", "--models", "own.yaml,convlstm", "--budget", "2steps"]
    words += [word for setting in settings for word in ("--set", setting)] + own
    framecast(*words, "--out", "race", cwd=tmp_path)
    del sys.modules["own_cells"]
