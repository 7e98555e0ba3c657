"""The command watch: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.fixtures.live import drop
from tests.fixtures.runs import command, run_forked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(4):
        drop(tmp_path / "in", number)
    return tmp_path / "in"


def watch(folder: Path, *more: str):
    words = command("watch", "extrapolation", str(folder), "--out", str(folder.parent / "out"), "--grey", "--once")
    return run_forked([*words, "--settle", "0", *more])


def test_one_look_in_words_then_nothing_new_then_json(folder: Path) -> None:
    first = watch(folder, "--horizon", "10min")
    assert first.returncode == 0, first.stderr
    assert "2024-05-01T12:15:00Z: forecast by extrapolation from 4 of 10 frames" in first.stdout
    assert sorted(path.name for path in (folder.parent / "out").glob("2024*")) == [
        "20240501T121500Z.nc",
        "20240501T121500Z.png",
    ]
    assert "forecast" not in watch(folder, "--horizon", "10min").stdout
    drop(folder, 4)
    third = watch(folder, "--horizon", "10min", "--json")
    assert json.loads(third.stdout)["valid_times"] == ["2024-05-01T12:25:00Z", "2024-05-01T12:30:00Z"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--write", "nc,giff"], "did you mean gif"),
        (["--keep", "2"], "--keep: got 2, expected a time"),
        (["--horizon", "7min"], "--horizon: got 7min, expected a multiple of the step, 5 min"),
        (["--storage", "anon"], "expected KEY=VALUE"),
        (["--calibrate", "matched"], "a baseline has no base"),
    ],
)
def test_options_that_cannot_be_used_are_told(folder: Path, options: list[str], words: str) -> None:
    refused = watch(folder, *options)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert not list((folder.parent / "out").glob("2024*"))
