"""Folders that commands make: each once, whole, and begun again where a process was killed."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from framecast import json_files
from framecast.errors import UsageError
from framecast.runs.folder import RunFolder, reserve_folder, write_folder


@pytest.mark.parametrize(
    "left",
    [
        ["lock"],
        ["lock", "data.json"],
        ["lock", "data.json", "split.json", ".recipe.yaml.77.part"],
        [".data.json.9.part", "lock"],
    ],
)
def test_a_creation_that_was_killed_is_begun_again(tmp_path: Path, left: list[str]) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    for name in left:
        (folder.path / name).write_text("{}")
    folder.check_free()
    with folder.lock():
        folder.create("seed: 0\n", {"spec": 1}, {})
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"lock", "checkpoints", "data.json", "split.json", "recipe.yaml"}
    assert json_files.read_json(folder.data) == {"spec": 1}


@pytest.mark.parametrize("theirs", ["data.json", "notes.txt", "checkpoints/step-00000001.pt"])
def test_folders_of_the_user_are_not_taken(tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "run" / theirs
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    if theirs != "data.json":
        (tmp_path / "run" / "lock").touch()
    with pytest.raises(UsageError, match="a path that exists"):
        RunFolder(tmp_path / "run").check_free()
    assert path.read_text() == "mine"


def test_no_two_get_the_same_number(tmp_path: Path) -> None:
    def take(number: int) -> Path:
        if number % 2:
            return write_folder(lambda folder: (folder / "file").write_text(str(number)), None, tmp_path, "test")
        with reserve_folder(tmp_path, "test") as path:
            (path / "file").write_text(str(number))
        return path

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(24)))
    assert sorted(taken) == sorted(tmp_path / f"test-{n}" for n in range(1, 25))
    assert [int((path / "file").read_text()) for path in taken] == list(range(24))
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in taken}


def test_a_folder_that_was_not_filled_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise UsageError("no")

    for path in (None, tmp_path / "new"):
        with pytest.raises(UsageError, match="no"):
            write_folder(fail, path, tmp_path, "test")
    with pytest.raises(KeyError), reserve_folder(tmp_path, "run"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_json_notices_any_change_of_a_value(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    json_files.write_json(path, {"low": 0.1, "names": ("a", "é"), 3: float("nan")}, indent=2)
    good = path.read_bytes()
    assert json_files.read_json(path) == {"low": 0.1, "names": ["a", "é"], "3": None}
    for place in range(len(good)):
        for bit in range(8):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            try:
                read = json_files.read_json(path)
            except ValueError:
                continue
            read = {key: value for key, value in read.items() if value != json.loads(good)["digest"]}
            assert read == {"low": 0.1, "names": ["a", "é"], "3": None}
