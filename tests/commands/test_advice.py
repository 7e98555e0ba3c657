"""Advice of inspect: windows enough, a base with its reason, a forecast without training; and that its lines run."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image
from tests.fixtures.commands import framecast

from framecast.commands.inspect import Inspection, inspect
from framecast.commands.window_plan import ENOUGH
from framecast.data import DataConfig, FileSource
from framecast.data.windows.splits import split_windows
from framecast.recipe.recipe import Recipe


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        frame = np.random.default_rng(number).integers(0, 255, (16, 24), dtype=np.uint8)
        Image.fromarray(frame).save(folder / f"p{number:03}.png")
    return folder


def look(path: Path, recipe: Recipe | None = None, **fields: object) -> Inspection:
    return inspect(DataConfig(source=str(path), **fields), {"source": str(path), **fields}, recipe)


def weather(path: Path, count: int, minutes: int = 60, units: str = "K") -> Path:
    time = np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(minutes, "m")
    values = np.random.default_rng(0).random((count, 8, 8), np.float32)
    xarray.Dataset({"t": (("time", "y", "x"), values, {"units": units})}, {"time": time}).to_netcdf(path)
    return path


@pytest.mark.parametrize("count", [18, 20, 25, 40, 60, 90, 400])
def test_the_proposal_leaves_windows_enough(count: int, tmp_path: Path) -> None:
    found = look(pictures(tmp_path / "p", count))
    offer = found.proposal
    assert offer is not None
    config = DataConfig(
        source=str(tmp_path / "p"), **({} if offer.fractions is None else {"fractions": offer.fractions})
    )
    windows = split_windows(FileSource(config), config, offer.context + offer.horizon).windows
    assert len(windows["train"]) == offer.windows >= ENOUGH
    assert len(windows["val"]) >= 1
    if count == 60:
        assert (offer.context, offer.horizon, offer.fractions) == (10, 10, [0.8, 0.2, 0.0])
    if count == 400:
        assert (offer.context, offer.horizon, offer.fractions) == (10, 10, None)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_too_few_frames_propose_no_training_but_a_forecast(count: int, tmp_path: Path) -> None:
    found = look(pictures(tmp_path / "p", count))
    assert (found.proposal, found.command) == (None, None)
    assert "none" in found.windows_note or "no training makes sense" in found.windows_note
    framecast(*shlex.split(found.forecast)[1:], cwd=tmp_path)
    with xarray.open_dataset(tmp_path / "FUTURE.nc") as future:
        assert future.sizes["lead_time"] == 10
        assert future.attrs["model"] == "persistence"


def test_each_kind_of_data_gets_its_base_with_a_reason(tmp_path: Path) -> None:
    hourly = look(weather(tmp_path / "t.nc", 200)).proposal
    assert hourly is not None
    assert (hourly.context, hourly.base) == (24, {"kind": "linear", "period": "24h"})
    assert "docs/temperature.md" in hourly.reason
    asked = look(tmp_path / "t.nc", Recipe.model_validate({"context": 10})).proposal
    assert asked is not None
    assert (asked.context, asked.base) == (10, "linear")
    rain = look(weather(tmp_path / "r.nc", 200, 5, "mm/h"))
    assert rain.proposal is not None
    assert rain.proposal.base == "extrapolation"
    assert rain.forecast.startswith("framecast predict extrapolation")
    assert look(tmp_path / "t.nc").forecast.startswith("framecast predict seasonal")
    assert look(weather(tmp_path / "s.nc", 200, 37)).forecast.startswith("framecast predict persistence")


def test_a_base_is_counted_in_the_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.commands.proposal._measure_speed", lambda: 1e9)
    path = weather(tmp_path / "r.nc", 60, 5, "mm/h")
    moved = look(path).proposal
    monkeypatch.setattr("framecast.commands.proposal.choose_base", lambda *_: ("none", ""))
    plain = look(path).proposal
    assert moved is not None
    assert plain is not None
    assert (moved.model, moved.hidden, moved.batch_size) == (plain.model, plain.hidden, plain.batch_size)
    assert moved.seconds_per_step > plain.seconds_per_step


@pytest.mark.parametrize("kind", ["weather", "rain", "pictures"])
def test_both_lines_run_as_they_are_printed(kind: str, tmp_path: Path) -> None:
    match kind:
        case "pictures":
            path, said = pictures(tmp_path / "my pictures", 20), []
        case "rain":
            path, said = weather(tmp_path / "a.nc", 40, 5, "mm/h"), ["--var", "t", "--frames", "0,36"]
        case _:
            path, said = weather(tmp_path / "a.nc", 120), ["--var", "t"]
    lines = framecast("inspect", path, *said, "--no-picture", cwd=tmp_path).stdout.splitlines()
    predict, train = (line for line in lines if line.startswith("framecast"))
    framecast(*shlex.split(predict)[1:], cwd=tmp_path)
    assert (tmp_path / "FUTURE.nc").exists()
    assert not any(word in train for word in ("--set context", "--set horizon", "train.batch_size"))
    small = ["--steps", 1, "--set", "validate.sequences=1", "--set", "model.hidden=[2]", "--batch-size", 1]
    done = framecast(*shlex.split(train)[1:], *small, "--device", "cpu", cwd=tmp_path)
    assert "few windows" not in done.stderr


def test_units_without_a_name_are_not_printed(tmp_path: Path) -> None:
    np.save(tmp_path / "n.npy", np.random.default_rng(0).random((60, 8, 8), np.float32))
    said = framecast("inspect", tmp_path / "n.npy", "--no-picture").stdout
    assert "units      not named" in said
    said += framecast("predict", "persistence", tmp_path / "n.npy", "--out", tmp_path / "y.nc").stdout
    assert not any(word in said for word in (" 1,", ", 1\n"))


def test_few_windows_and_strange_values_are_said(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((30, 8, 8), np.float32)
    np.savez(tmp_path / "a.npz", frames=values, dims="thw", units="K")
    small = ["--context", 4, "--horizon", 4, "--steps", 1, "--batch-size", 1, "--set", "model.hidden=[2]"]
    small += ["--set", "validate.sequences=1", "--device", "cpu"]
    done = framecast("train", "convlstm", "--data", tmp_path / "a.npz", *small, "--out", tmp_path / "run")
    assert "few windows: " in done.stderr
    np.savez(tmp_path / "b.npz", frames=1.5 * values, dims="thw", units="K")
    out = iter(range(9))

    def predict(name: str, *said: object) -> str:
        return framecast(
            "predict", tmp_path / "run", tmp_path / name, *said, "--out", tmp_path / f"{next(out)}.nc"
        ).stdout

    assert "what lies beyond is a guess" in predict("b.npz")
    assert "what lies beyond" not in predict("a.npz")
    assert "trained to see" not in predict("a.npz", "--context", 2)  # who asks for it knows
    assert "context: 2 frames are used, and the model was trained to see 4: the last" in predict(
        "a.npz", "--frames", "0,2"
    )
    assert "trained to see 4: as asked" in predict("a.npz", "--context", 6)
    assert "trained to see" not in predict("a.npz", "--context", 4)
