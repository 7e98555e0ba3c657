"""Every command that writes, on a full disk: one line, exit code 5, nothing under the final name; and then it goes on."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.commands import framecast
from tests.fixtures.full_disk import mount_small_disk, no_file_larger_than, run_in_fork

from framecast import writers
from framecast.cli.failures import describe_failure
from framecast.errors import DiskFull, UsageError, naming_full_disk

PLACE = ["--device", "cpu", "--quiet"]
TINY = ["--set", "patch=8", "--set", "train.batch_size=2", "--set", "data.moving_mnist={size: 32}"]
TINY += ["--set", "validate.sequences=2", "--set", "train.checkpoint_every=1"]
TRAIN = ["train", "convlstm", "--data", "moving-mnist", "--steps", "3", "--set", "model.hidden=[2]", *TINY, *PLACE]
RACE = ["race", "--models", "convlstm,predrnn", "--budget", "1steps", "--data", "moving-mnist", *TINY, *PLACE]
BENCH = ["bench", "--quick", "--models", "convlstm", "--tasks", "inference", "--what", "time", "--forms", "direct"]
PREDICT = ["predict", "persistence", "x.npy", "--dims", "thw", "--horizon", "3"]
COMMANDS = {
    "evaluate": ["evaluate", "run", "--limit", "1", "--out", "OUT"],
    "report": ["report", "run", "--limit", "1", "--out", "OUT.html"],
    "report --pictures": ["report", "run", "--limit", "1", "--out", "OUT.html", "--pictures", "OUT"],
    "study": ["study", "run", "--limit", "1", "--what", "memory", "--out", "OUT"],
    "compare": ["compare", "run", "other", "--limit", "1", "--out", "OUT"],
    "inspect": ["inspect", "x.npy", "--dims", "thw", "--picture", "OUT.png"],
    "data .npy": ["data", "moving-mnist", "--count", "2", "--out", "OUT.npy"],
    "data .npz": ["data", "moving-mnist", "--count", "2", "--out", "OUT.npz"],
    "data .zarr": ["data", "moving-mnist", "--count", "2", "--out", "OUT.zarr"],
    "bench": [*BENCH, "--quiet", "--out", "OUT.json"],
    "race": [*RACE, "--out", "OUT"],
    "predict --strip": [*PREDICT[:-1], "1", "--out", "copy.npy", "--strip", "OUT.png"],
}
LIMITS = {
    "bench": 300,
    "race": 40,
    "report": 50_000,
    "report --pictures": 300,
    "data .zarr": 1000,
    "compare": 1000,
    "predict --strip": 16_600,
}
"""Bytes of the largest file, where it is not 4000."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs and an array."""
    folder = tmp_path_factory.mktemp("made")
    framecast(*TRAIN, "--out", folder / "run")
    shutil.copytree(folder / "run", folder / "other")
    np.save(folder / "x.npy", np.random.default_rng(0).integers(0, 255, (12, 64, 64), np.uint8))
    return folder


def check_one_line(errors: str, path: Path) -> None:
    told = [line for line in errors.splitlines() if line.startswith(("error:", "Traceback", "  File", "Exception"))]
    assert len(told) == 1, errors
    assert str(path) in told[0], "what could not be written has a name"
    assert "expected room for what is written; free some space" in told[0]


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[pytest.mark.slow] if name == "bench" else []) for name in COMMANDS]
)
def test_one_line_and_nothing_under_the_name(command: str, made: Path, tmp_path: Path) -> None:
    words = [word.replace("OUT", str(tmp_path / "out")) for word in COMMANDS[command]]

    def fill_disk() -> None:
        with no_file_larger_than(LIMITS.get(command, 4000)):
            check_one_line(framecast(*words, code=5, cwd=made).stderr, tmp_path / "out")

    run_in_fork(fill_disk)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", list(writers.FORMATS))
def test_a_small_disk(suffix: str, made: Path, tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "disk", 4096) as disk:  # one page
        out = disk / f"x{suffix}"
        run_in_fork(lambda: check_one_line(framecast(*PREDICT, "--out", out, code=5, cwd=made).stderr, out))
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("free", [14, 100, 300])
def test_a_training_goes_on_once_there_is_space(free: int, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "disk" / "run"
    with mount_small_disk(tmp_path / "disk", free * 1024) as disk:
        run_in_fork(lambda: check_one_line(framecast(*TRAIN, "--out", out, code=5).stderr, out))
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        framecast("resume", out, *PLACE)
        assert not list(disk.rglob("*.part"))
        assert (out / "events.jsonl").read_bytes() == (made / "run" / "events.jsonl").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("words", [["models"], ["models", "--json"], ["--version"], ["inspect", "--help"]])
def test_standard_output_on_a_full_disk(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "framecast", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_the_words_of_libraries_that_keep_no_number() -> None:
    for error in (
        OSError("Can't synchronously write data (errno = 28, error message = 'No space left on device')"),
        RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"),
    ):
        assert describe_failure(error).code == 5
    wrapped = UsageError("x", got="something")
    wrapped.__cause__ = OSError(122, "Disk quota exceeded", "x/lock")
    assert describe_failure(wrapped) == (describe_failure(wrapped.__cause__).text, 5)
    assert describe_failure(wrapped).text.startswith("x/lock: got Disk quota exceeded")
    assert describe_failure(UsageError("no space left on.nc", got="a path that exists")).code == 2
    assert describe_failure(RuntimeError("a bug")) is None


def test_what_helps_after_a_full_disk_is_a_resumption_only_in_a_training() -> None:
    quota = OSError(122, "Disk quota exceeded")
    plain = DiskFull("a.nc", quota)
    assert str(plain).endswith("free some space, then run the command again")
    inside = naming_full_disk("r", "framecast resume r"), naming_full_disk("a.nc")
    with (
        pytest.raises(DiskFull, match=r"^a\.nc: got Disk quota .*, then framecast resume r$") as caught,
        inside[0],
        inside[1],
    ):
        raise quota
    assert caught.value.errno == 122
    outer = naming_full_disk("b", "framecast resume b")
    with pytest.raises(DiskFull, match=r"^b: got Disk quota .*, then framecast resume b$"), outer:
        raise quota


def test_other_failures_of_the_system() -> None:
    missing = describe_failure(FileNotFoundError(2, "No such file or directory", "x.nc"))
    assert missing == (
        "x.nc: got No such file or directory; look at its name, and whether it may be read or written",
        2,
    )
    assert describe_failure(MemoryError()) == (
        "out of memory; use a smaller --batch-size, or --set train.accumulate=2",
        6,
    )
    assert describe_failure(RuntimeError("CUDA out of memory. Tried\n2 GiB")).text.startswith("out of memory: CUDA out")
