"""Checkpoints and model folders: whole or not there, hashed, and never run as code."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast import files, json_files
from framecast.errors import CheckpointError, RunInUse, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.models import ConvLSTM
from framecast.runs import checkpoint
from framecast.runs.folder import EventLog, RunFolder, next_free_folder, read_events
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=8, width=8, low=0.0, high=255.0, units="grey level", step_minutes=5.0)


def content(step: int) -> dict:
    return {"step": step, "weights": torch.arange(100.0) + step}


def test_newest_is_loaded_and_old_ones_go(tmp_path: Path) -> None:
    for step in range(1, 7):
        checkpoint.save(tmp_path, step, content(step), keep=3)
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == [f"step-0000000{n}.pt" for n in (4, 5, 6)]
    loaded = checkpoint.load_newest(tmp_path)
    assert loaded.content["step"] == 6
    assert not loaded.skipped
    assert checkpoint.load_newest(tmp_path / "none") is None


@settings(max_examples=60)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans(), manifest=st.booleans())
def test_any_damage_is_caught(tmp_path_factory, where: float, bit: int, cut: bool, manifest: bool) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2):
        checkpoint.save(folder, step, content(step), keep=3)
    path = folder / f"step-00000002.{'json' if manifest else 'pt'}"
    data = bytearray(path.read_bytes())
    place = int(where * len(data))
    if cut:
        path.write_bytes(data[:place])
    else:
        data[place] ^= 1 << bit
        path.write_bytes(data)
    try:
        loaded = checkpoint.load_newest(folder).content
    except CheckpointError:
        raise AssertionError("the checkpoint before was whole") from None
    assert torch.equal(loaded["weights"], content(loaded["step"])["weights"])
    assert manifest or loaded["step"] == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_save_that_dies_leaves_the_old_one(tmp_path: Path, monkeypatch, call: str) -> None:
    checkpoint.save(tmp_path, 1, content(1), keep=3)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 2, content(2), keep=3)
    monkeypatch.undo()
    assert checkpoint.load_newest(tmp_path).content["step"] == 1
    assert not list(tmp_path.glob("*.part")), "nothing half-written is left"


def test_lost_manifests_are_not_a_fresh_start(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, content(1), keep=3)
    (tmp_path / "step-00000001.json").unlink()
    assert checkpoint.load_newest(tmp_path) is None, "one file without a manifest is a save cut short"
    checkpoint.save(tmp_path, 2, content(2), keep=3)
    (tmp_path / "step-00000002.json").unlink()
    with pytest.raises(CheckpointError, match="manifest is missing"):
        checkpoint.load_newest(tmp_path)


def test_saving_a_model_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "weights-mine.safetensors").write_text("mine")
    with pytest.raises(UsageError, match="something else than a model"):
        save_forecaster(str(tmp_path), forecaster())
    assert (tmp_path / "weights-mine.safetensors").read_text() == "mine"
    save_forecaster(tmp_path / "model", forecaster())
    (tmp_path / "model" / "weights-mine.safetensors").write_text("mine")
    save_forecaster(tmp_path / "model", forecaster())
    assert (tmp_path / "model" / "weights-mine.safetensors").exists()
    assert len(list((tmp_path / "model").glob("weights-*"))) == 2


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    checkpoint.save(tmp_path, 1, {"trap": Trap()}, keep=3)
    with pytest.raises(CheckpointError, match="no valid checkpoint"):
        checkpoint.load_newest(tmp_path)
    assert not (tmp_path / "sprung").exists()


def forecaster() -> Forecaster:
    return Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), SPEC, Range(low=0.0, high=255.0), 4, fill="mean", context=7)


def test_models_round_trip_and_replace_as_a_whole(tmp_path: Path) -> None:
    first, second = forecaster(), forecaster()
    save_forecaster(tmp_path, first)
    save_forecaster(tmp_path, second, {"step": 5})
    assert len(list(tmp_path.glob("weights-*.safetensors"))) == 1
    loaded = load(tmp_path)
    x = torch.rand(1, 3, 1, 8, 8)
    assert torch.equal(loaded.predict(x, 2), second.predict(x, 2))
    assert (loaded.spec, loaded.fill, loaded.context, loaded.config) == (SPEC, "mean", 7, second.config)
    assert not loaded.training


def test_broken_models_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no model in it"):
        load(tmp_path)
    save_forecaster(tmp_path, forecaster())
    about = json_files.read_json(tmp_path / "model.json")
    weights = tmp_path / about["weights"]
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="sha256"):
        load(tmp_path)
    weights.write_bytes(whole)
    for change, message in (
        ({"weights": "../elsewhere"}, "no such file"),
        ({"model": {"name": "os:system"}}, "expected one of lstm"),
        ({"model": {**about["model"], "hidden": [5]}}, "do not fit"),
        ({"format": 99}, "unknown format"),
    ):
        json_files.write_json(tmp_path / "model.json", {**about, **change})
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged JSON"):
        load(tmp_path)


def test_atomic_files_and_new_paths(tmp_path: Path) -> None:
    digest = files.write_text(tmp_path / "deep" / "file", "text")
    assert digest == files.sha256(tmp_path / "deep" / "file")
    with pytest.raises(UsageError, match="exists"):
        files.check_new(tmp_path / "deep")
    assert files.check_new(tmp_path / "a" / "b" / "c") == tmp_path / "a" / "b" / "c"


def test_event_log_is_cut_to_its_checkpoint(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.write("train", step=1)
    length = log.sync().length
    log.write("train", step=2)
    log.close()
    again = EventLog(tmp_path / "events.jsonl", length)
    again.write("train", step=3)
    again.close()
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "tra')
    assert [event["step"] for event in read_events(tmp_path / "events.jsonl", "train")] == [1, 3]
    short = EventLog(tmp_path / "short.jsonl", 1000)
    short.write("train", step=9, loss=float("nan"))
    short.close()
    assert read_events(tmp_path / "short.jsonl", "train") == [{"event": "train", "step": 9, "loss": None}]


def test_locks_and_names(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.lock(), pytest.raises(RunInUse, match="in use"), RunFolder(tmp_path / "run").lock():
        pass
    with folder.lock():
        folder.create("model: predrnn\n", {}, {})
        with pytest.raises(UsageError, match="a run that exists"):
            folder.create("model: predrnn\n", {}, {})
    assert next_free_folder(tmp_path, "run") == tmp_path / "run-1"
    (tmp_path / "run-1").mkdir()
    assert next_free_folder(tmp_path, "run") == tmp_path / "run-2"
