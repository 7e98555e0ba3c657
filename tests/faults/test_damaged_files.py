"""Any damage to any file of a run or a model is refused by name, mended and said, or changes nothing."""

import json
import random
import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.fixtures.commands import unchecked
from tests.fixtures.tiny import tiny, trained

import framecast
from framecast import json_files
from framecast.devices import Launch
from framecast.errors import CheckpointError, FramecastError, InputError, UsageError
from framecast.forecasting.model_folder import describe
from framecast.recipe.recipe import TrainConfig, read_recipe, recipe_of_run
from framecast.runs.folder import reserve_folder, write_folder
from framecast.runs.record import read_record

FLIPS, MANY_FLIPS = 25, 1000
"""Damages to each file."""
NO_NUMBERS = {"timing.jsonl", "lock", "loss.png", "report.html"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train = TrainConfig(steps=6, batch_size=2, lr=1e-3, log_every=1, checkpoint_every=2)
    run = trained(tiny(train=train), tmp_path_factory.mktemp("whole") / "run")
    shutil.rmtree(run / "tensorboard", ignore_errors=True)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def resume(run: Path) -> None:
    with unchecked():
        framecast.resume(run, Launch("cpu"), quiet=True)


def content(run: Path) -> dict[str, bytes]:
    paths = (path for path in run.rglob("*") if path.is_file() and path.name not in NO_NUMBERS)
    return {str(path.relative_to(run)): path.read_bytes() for path in paths if "tensorboard" not in path.parts}


def numbers(run: Path) -> tuple:
    """What commands read of a run."""
    model = framecast.load(run)
    state = {key: value.tolist() for key, value in model.network.state_dict().items()}
    record = read_record(run)
    events = record.training, record.validations
    return state, describe(run / "model"), recipe_of_run(run).identity(), record.data, events


def damage(path: Path, draw: random.Random) -> None:
    """One bit is another, or the end is lost."""
    data = bytearray(path.read_bytes())
    place = draw.randrange(len(data))
    if draw.random() < 0.2:
        data = data[:place]
    else:
        data[place] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


NAMES = ["recipe.yaml", "data.json", "split.json", "events.jsonl", "model/model.json", "model/weights"]


@pytest.mark.parametrize("flips", [FLIPS, pytest.param(MANY_FLIPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_readers_refuse_damage_by_name_or_read_the_same(whole: Path, run: Path, name: str, flips: int) -> None:
    draw, expected = random.Random(name), numbers(whole)
    path = next(path for path in sorted(run.rglob("*")) if str(path.relative_to(run)).startswith(name))
    good, refused = path.read_bytes(), 0
    for _ in range(flips):
        damage(path, draw)
        try:
            assert numbers(run) == expected
        except FramecastError as error:
            refused += 1
            told, code = str(error), error.exit_code
            assert path.name in told
            assert (code, "\n" in told) in [(2, False), (3, False), (4, False)]
        path.write_bytes(good)
    assert refused or name == "split.json", "nothing reads the split, which is drawn again from the data"


@pytest.mark.parametrize("name", [*NAMES, "checkpoints/step-00000006.json", "checkpoints/step-00000006.pt"])
def test_resume_refuses_damage_by_name_or_ends_in_the_same_bits(whole: Path, run: Path, name: str) -> None:
    draw, expected = random.Random(name), content(whole)
    path = next(path for path in sorted(run.rglob("*")) if str(path.relative_to(run)).startswith(name))
    for _ in range(4):
        damage(path, draw)
        try:
            resume(run)
        except FramecastError as error:
            told = str(error)
            assert path.name in told
        else:
            after = content(run)
            if name.startswith("checkpoints"):  # what was saved again is the same, but for the order of its bytes
                after |= {key: value for key, value in expected.items() if key.startswith(name[:-4])}
            if name == "recipe.yaml":  # what was changed decides no number
                after["recipe.yaml"] = expected["recipe.yaml"]
            if name != "model/weights":  # the best weights are in no other file
                assert after == expected
            numbers(run)
        shutil.rmtree(run)
        shutil.copytree(whole, run)


DAMAGES = {
    "flipped": lambda path: path.write_bytes(path.read_bytes().replace(b"255", b"251", 1)),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", ["model/model.json", "data.json"])
def test_what_can_be_made_again_is(whole: Path, run: Path, kind: str, name: str, capsys) -> None:
    DAMAGES[kind](run / name)
    resume(run)
    assert content(run) == content(whole)
    assert "again" in (said := capsys.readouterr().err), said
    assert Path(name).name in said or "no model in it" in said


def test_lost_weights_give_way_to_those_of_the_checkpoint(whole: Path, run: Path, capsys) -> None:
    for path in (run / "model").glob("weights-*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        framecast.load(run)
    resume(run)
    assert "take the place of the best ones" in capsys.readouterr().err
    assert describe(run / "model")["about"]["step"] == 6
    framecast.load(run)


def test_files_of_the_user_in_model_stay(whole: Path, run: Path) -> None:
    (run / "model" / "notes.txt").write_text("mine")
    (run / "model" / "model.json").unlink()
    resume(run)
    assert (run / "model" / "notes.txt").read_text() == "mine"
    framecast.load(run)


@pytest.mark.parametrize("old", [False, True], ids=["now", "0.1.0"])
def test_a_log_that_is_shorter_or_lost_is_no_history(run: Path, old: bool) -> None:
    if old:  # manifests of version 0.1.0 say nothing of the log
        for path in (run / "checkpoints").glob("*.json"):
            fields = {key: value for key, value in json_files.read_json(path).items() if key != "events"}
            path.write_text(json.dumps(fields))
    (run / "events.jsonl").unlink()
    with pytest.raises(CheckpointError, match=r"events\.jsonl"):
        resume(run)


def test_a_log_damaged_at_its_end_goes_back_to_an_earlier_checkpoint(whole: Path, run: Path, capsys) -> None:
    log = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(log[:-20])
    resume(run)
    assert "skipped checkpoint step-00000006.pt: events.jsonl has" in capsys.readouterr().err
    assert content(run) == content(whole)


def test_hints_about_a_damaged_log_name_what_helps(run: Path) -> None:
    """With one checkpoint there is none to go back to, and the checkpoint is not at fault."""
    newest = sorted((run / "checkpoints").glob("*.json"))[-1]
    log = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(log[:-20])
    with pytest.raises(CheckpointError, match=r"events\.jsonl: got .*, or go on from .*: framecast resume"):
        read_record(run)
    for path in (run / "checkpoints").iterdir():
        if path.stem != newest.stem:
            path.unlink()
    for act in (read_record, resume):
        with pytest.raises(CheckpointError) as caught:
            act(run)
        told = str(caught.value)
        assert told.startswith(f"{run / 'events.jsonl'}: got ")
        assert "resume" not in told
        assert "restore it from a copy, or begin again with: framecast train " in told
    again = shlex.split(re.search("with: framecast (.*?);", told)[1])
    assert read_recipe(again[1]).train.steps == 6
    framecast.load(run)
    newest.with_suffix(".pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no valid checkpoint: got step-"):
        resume(run)


def test_an_edited_recipe_is_refused_and_the_way_on_is_named(run: Path) -> None:
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("lr: 0.001", "lr: 0.002"))
    for act in (resume, read_record, recipe_of_run):
        with pytest.raises(
            CheckpointError, match=r"recipe\.yaml: the recipe has changed since.*framecast train .* --out NEW"
        ):
            act(run)
    (run / "recipe.yaml").write_text("# by hand\n" + text.replace("workers: 0", "workers: 1"))
    assert recipe_of_run(run).train.workers == 1, "what decides no number may be edited"


def test_data_that_changed_before_the_first_checkpoint_are_refused(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    json_files.write_json(run / "data.json", {**json_files.read_json(run / "data.json"), "fingerprint": "0" * 16})
    with pytest.raises(CheckpointError, match=r"data\.json: the data has changed since"):
        resume(run)


@pytest.mark.parametrize(
    ("key", "value"), [("patch", 0), ("fill", "now"), ("context", 0), ("mask_channel", "no"), ("patcg", 8)]
)
def test_fields_that_describe_no_model_are_refused(run: Path, key: str, value: object) -> None:
    """As in a model.json of version 0.1.0, which has no digest."""
    path = run / "model" / "model.json"
    path.write_text(json.dumps({**json_files.read_json(path), key: value}))
    with pytest.raises(CheckpointError, match=rf"a description that does not hold \({key}"):
        framecast.load(run)


def test_a_data_record_without_its_fields_is_refused(run: Path) -> None:
    (run / "data.json").write_text(json.dumps({"spec": {}}))
    with pytest.raises(InputError, match=r"data\.json: got a description that does not hold"):
        read_record(run)


KINDS = ["recipe.yaml", "data.json", "split.json", "events.jsonl", "timing.jsonl", "lock", "loss.png", "model"]


@pytest.mark.parametrize("name", [*KINDS, "model/model.json", "checkpoints"])
def test_a_folder_in_the_place_of_a_file_is_named(whole: Path, run: Path, name: str) -> None:
    path = run / name
    if is_folder := path.is_dir():
        shutil.rmtree(path)
        path.write_text("mine")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    said = f"{path}: got {'a file, expected a folder' if is_folder else 'a folder, expected a file'}; move it away"
    for act in (resume, read_record):
        with pytest.raises(UsageError, match=re.escape(said)):
            act(run)
    if name.startswith("model"):
        with pytest.raises(CheckpointError, match=re.escape(said)):
            framecast.load(run)
    if name == "recipe.yaml":
        with pytest.raises(UsageError, match=re.escape(said)):
            recipe_of_run(run)


def test_a_file_in_the_place_of_the_parent_of_numbered_folders(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(UsageError, match="runs: got a file, expected a folder"):
        write_folder(lambda path: None, None, tmp_path / "runs", "test")
    with pytest.raises(UsageError, match="runs: got a file, expected a folder"), reserve_folder(tmp_path / "runs", "x"):
        pass
