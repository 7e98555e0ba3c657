"""Counts, ranges and texts of strangers: refused, or made harmless, where they enter."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text
from tests.fixtures.commands import framecast
from tests.fixtures.tiny import tiny, trained

import framecast as library
from framecast.cli import options
from framecast.data.durations import in_frames
from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.models import ConvLSTM
from framecast.recipe.recipe import read_recipe
from framecast.training.start import resume, start
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec, Grid

HUGE = 10**20
TRAIN = ("steps", "batch_size", "accumulate", "workers", "log_every", "keep", "checkpoint_every")
DATA = ("shrink", "stride", "crop", "unpack_limit", "moving_mnist.size", "moving_mnist.length", "moving_mnist.test")
COUNTS = ("patch", "validate.every", "validate.sequences", "validate.patience")
COUNTS += (*(f"train.{key}" for key in TRAIN), *(f"data.{key}" for key in DATA), "context", "horizon")
HOSTILE = "mm\x1b[2J\x07\u202e\n"
SPECS: dict[str, dict[str, Any]] = {
    "low above high": {"low": 3.0, "high": 2.0},
    "no range": {"low": 1.0, "high": 1.0},
    "a range that is none": {"ranges": ((0, 1), (2, 2)), "channels": 2},
    "another number of ranges": {"ranges": ((0, 1),), "channels": 2},
    "another number of names": {"names": ("a",), "channels": 2},
    "no target": {"past": ({"name": "a", "low": 0, "high": 1},)},
    "values that no frame has": {"high": 1e39},
    "no number": {"low": float("nan")},
    "no step": {"step_minutes": 0},
    "a step back": {"step_minutes": -5.0},
    "months": {"step_months": HUGE},
    "channels": {"channels": HUGE},
    "a covariate's range": {"covariates": ({"name": "a", "low": 1, "high": 0},)},
}


@pytest.mark.parametrize("key", COUNTS)
def test_counts_are_bounded(key: str) -> None:
    for value in (HUGE, "1.0e+20"):
        with pytest.raises(UsageError, match=rf"^convlstm: {key}: .*got '?1") as caught:
            read_recipe("convlstm", [f"{key}={value}"])
        assert "constrained" not in str(caught.value)


def test_counts_in_lists_and_texts_are_bounded() -> None:
    for text in ("data.every=[100000000000000000000]", f"horizon='{'9' * 5000}'", "context='99999999999'"):
        with pytest.raises(UsageError):
            read_recipe("convlstm", [text])
    for text in ("9" * 5000, "9" * 15, "999999999y"):
        with pytest.raises(UsageError, match="horizon: got"):
            in_frames(text, 1e-6, "horizon")


@pytest.mark.parametrize("name", SPECS)
def test_specs_that_hold_no_frames(name: str) -> None:
    with pytest.raises(ValidationError):
        FrameSpec(**{"channels": 1, "height": 8, "width": 8, **SPECS[name]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, spec = tmp_path_factory.mktemp("models") / "good", FrameSpec(channels=2, height=8, width=8, units="mm/h")
    save_forecaster(folder, library.Forecaster(ConvLSTM(hidden=(2,), kernel_size=3), spec, Range(low=0, high=1), 2))
    return folder


def change(model: Path, path: Path, **fields: Any) -> Path:
    shutil.copytree(model, path)
    description = json.loads((model / "model.json").read_text())
    del description["digest"]
    spec = fields.pop("spec", {})
    description.update(fields)
    description["spec"].update(spec)
    (path / "model.json").write_text(json.dumps(description))
    return path


@pytest.mark.parametrize(
    "fields",
    [
        {"spec": {"low": 1.0, "high": 1.0}},
        {"spec": {"ranges": [[0, 1]]}},
        {"spec": {"step_minutes": 0}},
        {"patch": HUGE},
        {"context": HUGE},
        {"weights": "w" * 10**5},
        {"base": {"kind": "linear", "leads": HUGE}},
        {"base": {"kind": "seasonal", "period": HUGE}},
        {"normalizer": {"kind": "range", "low": 0, "high": 1e300}},
    ],
)
def test_descriptions_of_strangers(model: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"model\.json"):
        load(change(model, tmp_path / "m", **fields))


def test_texts_of_a_description_are_escaped_and_short(model: Path, tmp_path: Path) -> None:
    about = {"step": HOSTILE, "source": "s" * 10**5}
    found = load(change(model, tmp_path / "m", spec={"units": HOSTILE, "names": [HOSTILE, "n" * 10**5]}, about=about))
    texts = (found.spec.units, *found.spec.names, found.origin.step, found.origin.source)
    assert all(text.isprintable() and len(text) <= 1000 for text in texts)
    assert found.spec.units == r"mm\x1b[2J\x07\u202e\n"
    again = FrameSpec.model_validate(found.spec.model_dump())
    assert again == found.spec
    channel = Channel(name="n\x1b" * 10**5, low=0, high=1)
    assert Channel(name=channel.name, low=0, high=1) == channel
    grid = Grid(variables=(HOSTILE,), units=(HOSTILE,), long_names=(HOSTILE * 10**4,), y_name=HOSTILE, crs="A[\n]")
    assert all(text.isprintable() for text in (*grid.variables, *grid.units, *grid.long_names, grid.y_name))
    assert grid.crs == "A[\n]"
    pickle.loads(pickle.dumps(grid))


def test_texts_of_files_reach_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "rain\x1b[2J"
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["Conventions"] = "CF-1.8"
        file[name] = np.random.default_rng(0).random((8, 16, 16)).astype("f4")
        file[name].attrs["units"] = HOSTILE
        file[name].attrs["cell_methods"] = f"time: {HOSTILE}"
        for number, axis in enumerate(("time", "y", "x")):
            file[axis] = np.arange(float(file[name].shape[number]))
            file[axis].make_scale(axis)
            file[name].dims[number].attach_scale(file[axis])
        file["time"].attrs["units"] = "hours since 2020-01-01 \x1b[31m"
    code = 0
    try:
        done = framecast("inspect", tmp_path / "a.nc", code=0)
    except AssertionError:
        done = framecast("inspect", tmp_path / "a.nc", code=3)
        code = 3
    said = done.stdout + done.stderr
    assert "\\x1b" in said
    assert all(letter.isprintable() or letter == "\n" for letter in said), (code, said)
    out = tmp_path / "f.nc"
    done = framecast("predict", "persistence", tmp_path / "a.nc", "--horizon", 2, "--out", out)
    assert all(letter.isprintable() or letter == "\n" for letter in done.stdout + done.stderr)


def test_consoles_and_lines_escape(capsys: pytest.CaptureFixture[str]) -> None:
    console = options.make_console()
    table = Table(HOSTILE)
    table.add_row(Text(HOSTILE, style="bold"))
    console.print(HOSTILE, style="dim")
    console.print(table)
    options.print_lines(HOSTILE, "plain")
    said = capsys.readouterr().out
    assert said.count(r"mm\x1b[2J") == 4
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert "plain\n" in said


def test_batches_and_networks_beyond_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny()
    monkeypatch.setattr("framecast.data.windows.loader.free_bytes", lambda: 2**10)
    monkeypatch.setattr("framecast.data.windows.loader.SMALL_BATCH", 2**8)
    with pytest.raises(UsageError, match=r"batch: got .* expected at most the 1.02 kB of memory"):
        start(recipe, tmp_path / "run", quiet=True)
    monkeypatch.undo()
    monkeypatch.setattr("framecast.training.room.free_bytes", lambda device: 2**10)
    with pytest.raises(UsageError, match=r"model: got .* for its weights"):
        start(recipe, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_a_checkpoint_is_compared_before_its_network_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tiny(), tmp_path / "run")
    path = run / "recipe.yaml"
    text = path.read_text()
    assert "hidden:\n  - 4\n" in text
    path.write_text(text.replace("hidden:\n  - 4\n", "hidden:\n  - 5\n"))
    monkeypatch.setattr("framecast.recipe.recipe.check_unchanged", lambda path, digest: None)  # what a stranger forges

    def build(*arguments: object) -> None:
        raise AssertionError("was built")

    monkeypatch.setattr("framecast.training.start._make_trainer", build)
    with pytest.raises(CheckpointError, match="parameters that do not fit"):
        resume(run, quiet=True)
