"""Hours of frames in minutes, by clocks of its own: the memory of a watcher does not grow, nor does what it remembers."""

from __future__ import annotations

import gc
import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.live import Bench, drop, name_of, time_of
from tests.fixtures.runs import command, start

from framecast.memory_usage import held_bytes


def soak(root: Path, hours: float) -> tuple[int, int]:
    """Watch a rolling archive of two hours; return bytes of growth after the first hour, and bytes of the state."""
    bench = Bench(root)
    watcher = bench.watcher(verify=True, keep="1h", formats=("npy", "strip"))
    held = 0
    for number in range(round(hours * 12)):
        drop(bench.folder, number)
        if number >= 24:
            (bench.folder / name_of(number - 24)).unlink()
        bench.now = float(time_of(number).astype("datetime64[s]").astype(int)) + 60
        for _ in range(3):  # looks between two frames
            bench.ticks += 5
            watcher.look()
        if number == 12:
            gc.collect()
            held = held_bytes()
    gc.collect()
    state = sum(path.stat().st_size for path in (bench.out / ".watch").glob("*.json"))
    return held_bytes() - held, state


def test_memory_and_state_stay(tmp_path: Path) -> None:
    grown, state = soak(tmp_path, 4)
    assert grown < 20e6, f"{grown / 1e6:.1f} MB"
    assert state < 200_000
    assert len(list((tmp_path / "out").glob("*.npy"))) == 13


@pytest.mark.slow
def test_days_of_frames_leave_memory_and_state_as_they_were(tmp_path: Path) -> None:
    grown, state = soak(tmp_path, 120)
    assert grown < 20e6, f"{grown / 1e6:.1f} MB"
    assert state < 500_000


SPEED = 60
"""Seconds of the frames' times in a second."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of another process is read from /proc")
def test_two_hours_at_sixty_times_the_speed_leave_memory_as_it_was(tmp_path: Path) -> None:
    """A watcher in a process of its own; its memory counts from the first forecast of a whole context on."""
    (tmp_path / "in").mkdir()
    words = [
        "watch",
        "extrapolation",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--horizon",
        "12",
        "--grey",
    ]
    options = ["--settle", "0", "--poll", "0.5", "--write", "npy,strip", "--step-minutes", "5", "--keep", "1h"]
    watcher = start(command(*words, *options))
    held: list[float] = []
    try:
        for number in range(24):
            begun = time.monotonic()
            blob = np.random.default_rng(number).integers(0, 200, (32, 32)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
            drop(tmp_path / "in", number, blob)
            while time.monotonic() < begun + 300 / SPEED:
                time.sleep(0.2)
            assert watcher.poll() is None, watcher.stderr.read() if watcher.stderr else ""
            pages = int(Path(f"/proc/{watcher.pid}/statm").read_text().split()[1])
            held.append(pages * 4096 / 1e6)
    finally:
        watcher.send_signal(signal.SIGINT)
        watcher.communicate(60)
    latest = json.loads((tmp_path / "out" / "latest.json").read_text())
    assert latest["reference_time"].startswith(str(time_of(23))[:13])
    grown = held[-1] - held[12]
    assert grown < 20, f"{grown:.1f} MB: {held}"
    print(f"{held[12]:.0f} MB after an hour, {held[-1]:.0f} after two")
