"""Feeds one reader with inputs that reach new lines of it, for some seconds, from good files.

python -m tests.faults.fuzz.readers KIND FOLDER SECONDS

FOLDER is for seeds, what was kept of the inputs, and inputs that broke a promise. Without atheris inputs are
damaged at random instead (tests/fixtures/mutations.py). Prints one JSON object; exit 1 where a promise was broken.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RAW = Path(os.environ.get("FRAMECAST_RAW", "../shared/data/raw"))
"""Folder of whole radar files of the services, more seeds where it is there."""
MEMORY = 3000
"""MiB that a reader may take with all that it imports."""
SECONDS = 60
"""Seconds that one input may take."""
RAW_KINDS = {
    "pgm": "fmi_pgm",
    "knmi": "knmi_hdf5",
    "odim": "opera_odim_hdf5",
    "geotiff": "fmi_geotiff",
    "grib": "mrms_grib2",
}
LARGEST = 400_000
"""Bytes of a seed: with larger ones few inputs are tried."""


def list_seeds(kind: str, folder: Path) -> tuple[Path, str | None, list[bytes]]:
    """Make a good file of a kind; its path, the variable in it, and contents to begin from.

    Of a store of many files, a content is the number of a file, one byte, and what that file holds.
    """
    from tests.data.formats.test_damaged_files import good

    path, variable = good(kind, folder)
    if path.is_dir():
        members = list_members(path)
        return path, variable, [bytes([n]) + member.read_bytes() for n, member in enumerate(members)]
    more = RAW / RAW_KINDS.get(kind, "none")
    paths = [path, *(sorted(more.iterdir()) if more.is_dir() else [])]
    contents = [each.read_bytes() for each in paths]
    return path, variable, [content for content in contents if len(content) <= LARGEST] or [min(contents, key=len)]


def list_members(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file())


def place_input(good: Path, content: bytes, folder: Path) -> Path:
    """Write an input as the file of a reader; a file of a store among the others, which are good."""
    path = folder / good.name
    if not good.is_dir():
        path.write_bytes(content)
        return path
    shutil.copytree(good, path)
    members = list_members(path)
    if content:
        members[content[0] % len(members)].write_bytes(content[1:])
    return path


def run_guided(kind: str, folder: Path) -> None:
    """Fuzz in this process until libFuzzer ends it; options of libFuzzer follow in sys.argv."""
    import atheris

    with atheris.instrument_imports(include=["framecast.data", "h5netcdf", "cf_xarray"], enable_loader_override=False):
        from tests.fixtures.mutations import outcome
    import warnings

    warnings.simplefilter("ignore")
    good, variable, _ = list_seeds(kind, Path(tempfile.mkdtemp(dir=folder)))
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else folder))
    counts: dict[str, int] = {}

    def check(content: bytes) -> None:
        path = place_input(good, content, place)
        try:
            found = outcome(path, variable)
        finally:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        counts[found] = counts.get(found, 0) + 1
        if sum(counts.values()) % 100 == 0:
            (folder / "counts.json").write_text(json.dumps(counts))
        if found not in ("read", "refused"):
            (folder / "counts.json").write_text(json.dumps(counts))
            raise AssertionError(found)

    atheris.Setup([sys.argv[0], *sys.argv[4:]], check)
    atheris.Fuzz()


def fuzz(kind: str, folder: Path, seconds: int) -> dict[str, object]:
    """Fuzz a reader in a process of its own; what was tried and found."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = folder / "seeds"
    seeds.mkdir(exist_ok=True)
    good, variable, contents = list_seeds(kind, Path(tempfile.mkdtemp(dir=folder)))
    for content in contents:
        (seeds / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    if importlib.util.find_spec("atheris") is None:
        return fuzz_at_random(good, variable, seconds)
    limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY}", f"-timeout={SECONDS}", "-print_final_stats=1"]
    limits += [f"-max_len={2 * max(map(len, contents))}", f"-artifact_prefix={folder}/broke-", "-verbosity=1"]
    words = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.faults.fuzz.readers",
        kind,
        str(folder),
        "0",
        *limits,
        str(seeds),
    ]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=seconds + 600, check=False)
    said = done.stdout + done.stderr
    executed = re.findall(r"stat::number_of_executed_units:\s*(\d+)|#(\d+)\s", said)
    reached = re.findall(r"cov: (\d+)", said)
    counts = json.loads((folder / "counts.json").read_text()) if (folder / "counts.json").exists() else {}
    broke = sorted(path.name for path in folder.glob("broke-*"))
    return {
        "engine": "atheris",
        "inputs": max((int(number) for pair in executed for number in pair if number), default=0),
        "reached": int(reached[-1]) if reached else 0,
        "outcomes": counts,
        "broke": broke,
        "exit": done.returncode,
        "said": "" if done.returncode == 0 else said[-1500:],
    }


def fuzz_at_random(good: Path, variable: str | None, seconds: int) -> dict[str, object]:
    """Damage a good file at random, in parts of 200 inputs, until the time is over."""
    import time

    end, seed, counts, script = (
        time.monotonic() + seconds,
        int(np.random.default_rng().integers(2**31)),
        {},
        "mutations.py",
    )
    path = Path(__file__).parents[2] / "fixtures" / script
    while time.monotonic() < end:
        words = [
            sys.executable,
            "-W",
            "ignore",
            str(path),
            str(good),
            "200",
            str(seed),
            *([variable] if variable else []),
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=3600, check=False)
        if done.returncode:
            return {
                "engine": "random",
                "outcomes": counts,
                "broke": [f"seed {seed}"],
                "exit": done.returncode,
                "said": done.stderr[-1500:],
            }
        for name, count in json.loads(done.stdout.splitlines()[-1])["outcomes"].items():
            counts[name] = counts.get(name, 0) + count
        seed += 1
    broke = sorted(set(counts) - {"read", "refused"})
    return {
        "engine": "random",
        "inputs": sum(counts.values()),
        "outcomes": counts,
        "broke": broke,
        "exit": 0,
        "said": "",
    }


def main() -> None:
    kind, folder, seconds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if seconds == 0:
        run_guided(kind, folder)
        return
    found = fuzz(kind, folder, seconds)
    print(json.dumps({"kind": kind, "seconds": seconds, **found}))
    sys.exit(bool(found["broke"]) or found["exit"] not in (0,))


if __name__ == "__main__":
    main()
