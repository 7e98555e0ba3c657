"""A run killed at any operation on its files, from its first folder to its first checkpoint, goes on to the same bits."""

import errno
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.fixtures.commands import unchecked
from tests.fixtures.runs import SERVER
from tests.fixtures.tiny import tiny

import framecast
from framecast.devices import Launch
from framecast.recipe.recipe import Recipe, TrainConfig, ValidateConfig

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate")
"""Audit events of Python that touch files."""
FIRST_MODEL = 26
"""Operations after which the first model is there."""


def recipe() -> Recipe:
    train = TrainConfig(steps=2, batch_size=2, lr=1e-3, log_every=1, checkpoint_every=1)
    return tiny(train=train, validate=ValidateConfig(every=1, sequences=2))


def go_on(run: Path) -> None:
    """What a user does: train again where there is no run yet, else resume."""
    with unchecked():
        if (run / "recipe.yaml").exists():
            framecast.resume(run, Launch("cpu"), quiet=True)
        else:
            framecast.start(recipe(), run, Launch("cpu"), quiet=True)


def changes(event: str, arguments: tuple, run: Path) -> bool:
    """Whether an event of Python's audit is a change of the run's files, those of TensorBoard left out."""
    if event not in EVENTS or (event == "open" and str(arguments[1])[0] not in "wax"):
        return False
    path = arguments[0]
    return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(run))


def start_and_die(run: Path, number: int) -> None:
    """Train in this process, until it has touched files of the run so many times."""
    done = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal done
        if changes(event, arguments, run):
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    go_on(run)


def kill_at(run: Path, number: int) -> bool:
    """Whether a training was killed at an operation; False where it ended before."""
    process = SERVER.Process(target=start_and_die, args=(run, number))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def outcome(run: Path) -> dict[str, bytes]:
    names = ("events.jsonl", "recipe.yaml", "data.json", "split.json")
    files = [run / name for name in names] + sorted((run / "model").iterdir())
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    run = tmp_path_factory.mktemp("whole") / "run"
    go_on(run)
    return outcome(run)


def check(run: Path, expected: dict[str, bytes]) -> None:
    go_on(run)
    assert outcome(run) == expected
    assert not [path for path in run.rglob("*") if path.name.endswith(".part")], "what was half written is removed"


@pytest.mark.parametrize("number", range(2, FIRST_MODEL, 4))
def test_a_run_killed_while_it_begins_goes_on(tmp_path: Path, uninterrupted: dict, number: int) -> None:
    assert kill_at(tmp_path / "run", number)
    check(tmp_path / "run", uninterrupted)


@pytest.mark.slow
def test_a_run_killed_at_every_operation_goes_on(tmp_path: Path, uninterrupted: dict) -> None:
    number = 1
    while kill_at(tmp_path / f"run{number}", number):
        check(tmp_path / f"run{number}", uninterrupted)
        number += 1
    assert number > FIRST_MODEL


def fill_disk(run: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Train until a file is to be flushed to a full disk, the one of this number; whether there was one."""
    flush, done = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal done
        done += 1
        if done == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        try:
            go_on(run)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return done >= number


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [1, 5, 9, 11])
def test_a_full_disk_stops_no_run_for_good(
    tmp_path: Path, uninterrupted: dict, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert fill_disk(tmp_path / "run", number, monkeypatch)
    check(tmp_path / "run", uninterrupted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_is_full_at_any_file_stops_no_run_for_good(
    tmp_path: Path, uninterrupted: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 1
    while fill_disk(tmp_path / f"run{number}", number, monkeypatch):
        check(tmp_path / f"run{number}", uninterrupted)
        number += 1
    assert number > 10
