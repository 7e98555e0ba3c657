"""framecast study: folders, arrays, notes, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from tests.fixtures.commands import unchecked
from typer.testing import CliRunner

from framecast.analysis.gradients import GradientReach
from framecast.cli import app
from framecast.commands.study import _name_runs, study_runs
from framecast.commands.study_kinds import STUDIES, StudyOptions
from framecast.data import DataConfig, open_data
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import save_forecaster
from framecast.models import MIM, ConvLSTM, ModelConfig, PredRNN
from framecast.recipe.recipe import Recipe
from framecast.runs.folder import RunFolder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, str]:
    """Run folders with weights that nothing trained, on 12x12 frames."""
    parent = tmp_path_factory.mktemp("study")
    np.save(parent / "noise.npy", np.random.default_rng(0).random((8, 9, 12, 12), dtype=np.float32))
    models: dict[str, ModelConfig] = {
        "convlstm": ConvLSTM(hidden=(2,), kernel_size=3),
        "predrnn": PredRNN(hidden=(2, 2), kernel_size=3),
    }
    return {name: _made(parent, name, model) for name, model in models.items()}


def _made(parent: Path, name: str, model: ModelConfig, horizon: int = 5, *, save: bool = True) -> str:
    data = DataConfig(source=str(parent / "noise.npy"), dims="nthw", range=(0.0, 1.0))
    folder = RunFolder(parent / name)
    if save:
        recipe = Recipe(model=model, patch=2, context=4, horizon=horizon, data=data)
        folder.create(recipe.yaml(), {}, {})
    dataset = open_data(data, context=4, horizon=5, seed=0)
    torch.manual_seed(0)
    save_forecaster(folder.model, Forecaster(model, dataset.spec, dataset.normalizer(), 2, context=4))
    return str(folder.path)


def said(*words: object, code: int = 0) -> str:
    if code == 0:
        with unchecked():
            done = CliRunner().invoke(app, ["study", *map(str, words)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout
    with pytest.raises(UsageError) as caught:
        CliRunner().invoke(app, ["study", *map(str, words)], catch_exceptions=False)
    assert caught.value.exit_code == code
    return str(caught.value)


def test_everything_that_suits_is_written_and_nothing_is_overwritten(runs: dict[str, str]) -> None:
    run = Path(runs["convlstm"])
    words = ("--split", "train", "--limit", 2, "--device", "cpu", "--json")
    first = json.loads(said(run, *words))
    assert set(first["folders"]) == set(STUDIES) - {"decoupling", "attention", "motion", "moments"}
    assert any("does not have two memories" in note for note in first["notes"])
    before = {path: path.read_bytes() for path in (run / "study").rglob("*") if path.is_file()}
    assert {"saturation.png", "gradients.png", "schedules.png", "memory.gif", "differences.png", "spectra.png"} <= {
        path.name for path in before
    }
    second = json.loads(said(run, *words, "--what", "gradients,saturation"))
    assert second["folders"] == {what: str(run / "study" / f"{what}-2") for what in ("gradients", "saturation")}
    assert all(path.read_bytes() == content for path, content in before.items())
    assert second["summaries"]["saturation"] == first["summaries"]["saturation"]
    with np.load(run / "study" / "gradients-2" / "convlstm.npz") as file:
        again = GradientReach(**file)
    assert again.symbol.tolist() == ["x", "h", "c"]
    assert again.norm.shape == (3, 2, 8)


def test_several_runs_on_one_plot(runs: dict[str, str], tmp_path: Path) -> None:
    words = (
        "--what",
        "gradients,decoupling",
        "--tsne-steps",
        1,
        "--limit",
        2,
        "--device",
        "cpu",
        "--out",
        tmp_path / "out",
    )
    text = said(runs["convlstm"], runs["predrnn"], *words)
    assert "left out of convlstm: decoupling" in " ".join(text.split())
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    gradients = {f"gradients-1/{name}" for name in ("convlstm.npz", "predrnn.npz", "gradients.png")}
    assert written == gradients | {"study-1.html"} | {
        f"decoupling-1/{name}" for name in ("predrnn.npz", "decoupling.png", "tsne-0.png")
    }


def test_refusals(runs: dict[str, str], tmp_path: Path) -> None:
    run = runs["convlstm"]
    assert "did you mean saturation?" in said(run, "--what", "saturations", code=2)
    assert "does not have two memories" in said(run, "--what", "decoupling", code=2)
    assert "LOW,HIGH" in said(run, "--saturated", "0.1", code=2)
    assert "sequence: got 99" in said(run, "--what", "memory", "--sequence", 99, "--device", "cpu", code=2)
    assert not (Path(run) / "study" / "decoupling-1").exists()


def test_a_model_without_a_run_has_no_schedules(runs: dict[str, str], tmp_path: Path) -> None:
    data = {"source": str(Path(runs["convlstm"]).parent / "noise.npy"), "dims": "nthw", "range": (0.0, 1.0)}
    plan = StudyOptions(["schedules"], horizon=5)
    with pytest.raises(UsageError, match="a model's folder, expected a run"):
        study_runs([f"{runs['convlstm']}/model"], data, plan, out=tmp_path, device="cpu", quiet=True)


def test_runs_of_different_lengths_are_refused_and_different_data_noted(runs: dict[str, str], tmp_path: Path) -> None:
    other = np.random.default_rng(1).random((8, 9, 12, 12), dtype=np.float32)
    np.save(tmp_path / "noise.npy", other)
    twin = _made(tmp_path, "convlstm", ConvLSTM(hidden=(2,), kernel_size=3))
    plan = StudyOptions(["schedules"])
    outcome = study_runs([runs["convlstm"], twin], {}, plan, out=tmp_path / "out", device="cpu", quiet=True)
    assert any("different data" in note for note in outcome.notes)
    assert list(outcome.summaries["schedules"]) == ["convlstm", "convlstm-2"]
    shorter = _made(tmp_path, "shorter", ConvLSTM(hidden=(2,), kernel_size=3), horizon=4)
    with pytest.raises(UsageError, match="the same for all"):
        study_runs([runs["convlstm"], shorter], {}, plan, out=tmp_path / "out", device="cpu", quiet=True)


def test_names_that_occur_again_are_told_apart() -> None:
    assert _name_runs(["a/x", "b/x", "c/x-2"]) == ["x", "x-2", "x-2-2"]


def test_frames_of_another_size(runs: dict[str, str], tmp_path: Path) -> None:
    """A network that takes any size is studied beside the others; one of a fixed size says that it is."""
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).random((8, 9, 16, 16), dtype=np.float32))
    larger = _made(tmp_path, "larger", ConvLSTM(hidden=(2,), kernel_size=3))
    plan = StudyOptions(["frequency"], split="train", sequences=2)
    outcome = study_runs([runs["convlstm"], larger], {}, plan, out=tmp_path / "out", device="cpu", quiet=True)
    pictures = {path.name for path in outcome.folders["frequency"].glob("*.png")}
    assert pictures == {"convlstm-spectra.png", "larger-spectra.png", "frequency.png"}
    fixed = _made(Path(runs["convlstm"]).parent, "mim", MIM(hidden=(2, 2), kernel_size=3))
    data = {"source": str(tmp_path / "noise.npy"), "dims": "nthw", "range": (0.0, 1.0)}
    with pytest.raises(InputError, match="16x16"):
        study_runs([fixed], data, plan._replace(what=["saturation"]), out=tmp_path / "out", device="cpu", quiet=True)


class Mine(ConvLSTM):
    """A network of one's own."""

    name: Literal["mine"] = "mine"  # type: ignore[assignment]


def test_a_network_of_ones_own_beside_framecasts(runs: dict[str, str], tmp_path: Path) -> None:
    own = str(
        RunFolder(_made(Path(runs["convlstm"]).parent, "own", Mine(hidden=(2,), kernel_size=3), save=False)).model
    )
    data = {"source": str(Path(runs["convlstm"]).parent / "noise.npy"), "dims": "nthw", "range": (0.0, 1.0)}
    plan = StudyOptions(["saturation"], horizon=5, sequences=1)
    outcome = study_runs([own, runs["predrnn"]], data, plan, out=tmp_path, device="cpu", model=Mine, quiet=True)
    assert list(outcome.summaries["saturation"]) == ["model", "predrnn"]
