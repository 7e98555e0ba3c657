"""Watchers killed at random moments: no half file has a final name, nothing announced is lost, the next one is right."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.live import drop
from tests.fixtures.runs import ForkedCommand, command, run_forked


def watch_command(root: Path, *more: str) -> list[str]:
    words = ["watch", "extrapolation", str(root / "in"), "--out", str(root / "out"), "--horizon", "4"]
    options = ["--settle", "0", "--poll", "0.01", "--write", "npy,strip", "--step-minutes", "5", "--grey"]
    return command(*words, *options, *more)


def check_output(out: Path, announced: str) -> str:
    """Whole files only, and an announcement that is no older than the one before; its reference time."""
    for path in out.glob("*.npy"):
        assert np.load(path).shape == (4, 1, 24, 24), path
    for path in out.glob("*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), path
    if not (out / "latest.json").exists():
        assert not announced
        return ""
    latest = json.loads((out / "latest.json").read_text())
    assert latest["reference_time"] >= announced
    assert all((out / name).is_file() for name in latest["files"])
    return latest["reference_time"]


def kill_often(root: Path, kills: int) -> None:
    draw, announced, number = random.Random(time.time_ns()), "", 0
    (root / "in").mkdir(parents=True)
    for _ in range(kills):
        ledger = root / "out" / ".watch" / "published.json"
        before = ledger.read_bytes() if ledger.exists() else b""
        watcher = ForkedCommand(watch_command(root))
        if draw.random() < 0.5:  # half of the kills come when it is known to be at work
            drop(root / "in", number)
            number += 1
            end = time.monotonic() + 60
            while time.monotonic() < end and (not ledger.exists() or ledger.read_bytes() == before):
                time.sleep(0.005)
        until = time.monotonic() + draw.uniform(0.0, 0.5)
        while time.monotonic() < until:
            drop(root / "in", number)
            number += 1
            time.sleep(0.05)
        watcher.send_signal(signal.SIGKILL)
        _, said = watcher.communicate(60)
        assert watcher.returncode == -signal.SIGKILL, said
        announced = check_output(root / "out", announced)
    finished = run_forked(watch_command(root, "--once"))
    assert finished.returncode == 0, finished.stderr
    check_output(root / "out", announced)
    other = root / "undisturbed"
    (other / "in").mkdir(parents=True)
    for path in (root / "in").iterdir():
        if not path.name.startswith("."):
            (other / "in" / path.name).write_bytes(path.read_bytes())
    finished = run_forked(watch_command(other, "--once"))
    assert finished.returncode == 0, finished.stderr
    values = [
        np.load(out / json.loads((out / "latest.json").read_text())["files"][0])
        for out in (root / "out", other / "out")
    ]
    np.testing.assert_array_equal(*values)
    left = [path.name for path in (root / "out").iterdir() if path.name.startswith(".") and path.name != ".watch"]
    assert not left, "what killed ones left half written is removed"


def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    kill_often(tmp_path, 20)


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    kill_often(tmp_path, 50)
