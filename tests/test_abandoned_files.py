"""What killed processes left is removed by the next that writes there; what others still write is left alone."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from framecast import files
from framecast.runs.folder import RunFolder

WRITER = """
import sys
from pathlib import Path
from framecast import files

with files.staged(Path(sys.argv[1]), folder=sys.argv[2] == "folder") as temporary:
    (temporary / "half" if sys.argv[2] == "folder" else temporary).write_text("half")
    print("begun", flush=True)
    sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(files.WINDOWS, reason="folders cannot be locked there")


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


@contextmanager
def writing(path: Path, kind: str = "file") -> Iterator[subprocess.Popen]:
    """A process that has begun to write a file, and goes on until its input ends."""
    words = [sys.executable, "-c", WRITER, str(path), kind]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        yield process


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_that_writes_the_same_tidies_up(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.nc"
    with writing(path, kind) as killed:
        killed.send_signal(signal.SIGKILL)
    assert len(parts(tmp_path)) == 1
    with files.staged(tmp_path / "another") as temporary:
        temporary.touch()
    assert len(parts(tmp_path)) == 1, "another output is another's affair"
    with files.staged(path) as temporary:
        temporary.write_text("whole")
    assert parts(tmp_path) == []
    assert path.read_text() == "whole"


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    with writing(path) as living:
        files.write_text(path, "first")
        files.remove_abandoned(tmp_path)
        assert len(parts(tmp_path)) == 1
        living.stdin.close()
    assert living.returncode == 1, "the name was taken meanwhile"
    assert path.read_text() == "first"
    assert parts(tmp_path) == []


def test_what_another_thread_writes_is_left_alone(tmp_path: Path) -> None:
    failures = []

    def write_often() -> None:
        try:
            for number in range(50):
                files.write_text(tmp_path / "x", str(number) * 1000)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len((tmp_path / "x").read_text()) in (1000, 2000)
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_files_of_the_user_are_left_alone(tmp_path: Path) -> None:
    names = ["x.nc.part", ".x.nc.part", ".x.nc.old.part", ".x.nc.abcdefgh.parts", "x.nc.abcdefgh.part"]
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / ".x.nc.abcdefgh.part").symlink_to(tmp_path / "x.nc.part")
    (tmp_path / ".x.nc.12345678.part").write_text("a file")
    before = sorted(tmp_path.iterdir())
    files.remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_tidies_its_folders(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    for folder in (run.path, run.checkpoints, run.model):
        with writing(folder / "step-00000005.pt") as killed:
            killed.send_signal(signal.SIGKILL)
    assert len(parts(run.path)) == 3
    with run.lock():
        assert parts(run.path) == []


def test_where_folders_cannot_be_locked_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(tmp_path / "x") as killed:
        killed.send_signal(signal.SIGKILL)
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files, "flush", lambda _: None)
    files.write_text(tmp_path / "x", "whole")
    assert (tmp_path / "x").read_text() == "whole"
    assert len(parts(tmp_path)) == 1, "nobody can tell whether it is abandoned"


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127])
def test_names_as_long_as_they_can_be(tmp_path: Path, name: str) -> None:
    with files.staged(tmp_path / name) as temporary:
        temporary.write_text("whole")
    files.write_text(tmp_path / name, "other")
    assert os.listdir(tmp_path) == [name]
