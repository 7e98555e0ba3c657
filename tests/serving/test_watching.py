"""The loop beside the service: real radar out of order, one file truncated, one missing; the map shows the newest."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray
from tests.fixtures.runs import command, run_forked
from tests.fixtures.served import RealServer

FIXTURES = Path(__file__).parents[1] / "fixtures" / "radar"
RAW = Path(__file__).parents[3] / "shared" / "data" / "raw"


def values(out: Path) -> np.ndarray:
    latest = json.loads((out / "latest.json").read_text())
    with xarray.open_dataset(out / latest["files"][0]) as file:
        return next(data.values for data in file.data_vars.values() if "time" in data.dims and data.ndim > 2)


def drop_and_watch(files: list[Path], root: Path, absent: int, half: int, *words: str) -> None:
    names = [path for number, path in enumerate(files) if number != absent]
    place = root / "in"
    place.mkdir()
    options = [*words, "--settle", "0", "--write", "nc", "--max-age", "9000d", "--no-verify"]
    real = RealServer("rain", "--watch", str(place), "--out", str(root / "out"), "--poll", "0.1", *options)
    order = [*names[1::2], *names[::2]]
    for path in order:
        content = path.read_bytes()
        if path == files[half]:
            (place / path.name).write_bytes(content[: len(content) // 2])
            time.sleep(0.5)
        (place / ".part").write_bytes(content)
        (place / ".part").replace(place / path.name)
    seen, end = 0, time.monotonic() + 300
    while seen < len(names) and time.monotonic() < end:
        answer = httpx.get(f"{real.url}/latest", timeout=60)
        seen = len(answer.json()["frames"]) if answer.status_code == 200 else 0
        time.sleep(0.2)
    assert seen == len(names), real.said()
    about = httpx.get(f"{real.url}/map.json").json()
    code, errors = real.stop(signal.SIGTERM)
    assert code == 143, errors
    shutil.rmtree(root / "plain", ignore_errors=True)
    watched = [word for word in options if word not in ("--max-age", "9000d")]
    done = run_forked(command("watch", "rain", str(place), "--out", str(root / "plain"), "--once", *watched))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(values(root / "plain"), values(root / "out"))
    plain = json.loads((root / "plain" / "latest.json").read_text())
    assert about["reference_time"] == plain["reference_time"]
    assert [one["kind"] for one in about["frames"]].count("past") == len(names)


def test_small_fmi_files_are_shown_and_end_in_the_bits_of_an_undisturbed_watch(tmp_path: Path) -> None:
    files = sorted((FIXTURES / "fmi_pgm").glob("*.pgm.gz"))
    drop_and_watch(files, tmp_path, 2, 3, "--context", "6", "--horizon", "2")


@pytest.mark.slow
@pytest.mark.skipif(not RAW.exists(), reason="no raw files in ../shared/data/raw")
@pytest.mark.parametrize("kind", ["knmi_hdf5", "fmi_pgm"])
def test_whole_composites_are_shown(tmp_path: Path, kind: str) -> None:
    drop_and_watch(sorted((RAW / kind).iterdir())[-10:], tmp_path, 4, 6)


def test_a_killed_service_goes_on_where_it_was(tmp_path: Path) -> None:
    files, place = sorted((FIXTURES / "fmi_pgm").glob("*.pgm.gz")), tmp_path / "in"
    place.mkdir()
    for path in files[:5]:
        shutil.copy(path, place)
    words = ["extrapolation", "--watch", str(place), "--out", str(tmp_path / "out"), "--settle", "0", "--poll", "0.1"]
    words += ["--max-age", "9000d", "--horizon", "2", "--write", "nc"]
    first = RealServer(*words)
    first.wait()
    first.stop(signal.SIGKILL)
    second = RealServer(*words)
    second.wait(seconds=60)
    before = httpx.get(f"{second.url}/latest").json()["reference_time"]
    shutil.copy(files[5], place)
    end = time.monotonic() + 60
    while (now := httpx.get(f"{second.url}/latest").json()["reference_time"]) == before and time.monotonic() < end:
        time.sleep(0.1)
    assert (before, now) == ("2016-09-28T15:05:00Z", "2016-09-28T15:10:00Z")
    second.stop(signal.SIGKILL)
