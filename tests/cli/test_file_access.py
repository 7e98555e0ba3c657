"""Commands open the files of a folder once, scan them once, and a forecast reads the frames that it goes on from only."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.commands import framecast

from framecast.data.formats.pictures.images import ImageReader
from framecast.data.sources import file_source
from framecast.data.sources import open as opening

FRAMES = 24
TINY = ["--context", 3, "--horizon", 2, "--set", "model.hidden=[2]", "--set", "patch=4", "--steps", 1, "--quiet"]


def folder(path: Path, high: int, **frames: int) -> Path:
    """Pictures of 16 bits of 16 x 16 pixels, 5 minutes apart; frames named f3=0, say, hold that value only."""
    path.mkdir()
    for number in range(FRAMES):
        values = np.random.default_rng(number).integers(1, high, (16, 16), np.uint16)
        values[:] = frames.get(f"f{number}", values)
        Image.fromarray(values).save(path / f"20200101_{number * 5 // 60:02}{number * 5 % 60:02}.png")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("access")
    data = folder(root / "trained", 1000)
    framecast("train", "convlstm", "--data", data, "--units", "K", "--missing", 0, "--out", root / "run", *TINY)
    return root / "run"


@pytest.fixture
def access(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often a folder was opened and scanned, and each file's header and frames were read."""
    counts: Counter[str] = Counter()

    def count(owner: object, name: str, key: Callable[..., str]) -> None:
        function = getattr(owner, name)

        def counted(*words: object, **options: object) -> object:
            counts[key(*words)] += 1
            return function(*words, **options)

        monkeypatch.setattr(owner, name, counted)

    count(opening, "open_series", lambda *_: "opened")
    count(file_source, "scan_values", lambda *_: "scanned")
    count(file_source, "scan_latest_values", lambda *_: "scanned")
    count(ImageReader, "read_header", lambda _, path: f"header of {path}")
    count(ImageReader, "read", lambda _, path, indices: f"frame of {path.name}")
    return counts


def once(counts: Counter[str], folders: int = 1) -> bool:
    """Whether everything was opened and scanned once, in each of some folders."""
    headers = [number for key, number in counts.items() if key.startswith("header")]
    return headers == [1] * FRAMES * folders and counts["opened"] == counts["scanned"] == folders


def read(counts: Counter[str]) -> list[str]:
    return sorted(key.removeprefix("frame of ") for key in counts if key.startswith("frame"))


def test_training(tmp_path: Path, access: Counter[str]) -> None:
    framecast("train", "convlstm", "--data", folder(tmp_path / "a", 1000), "--out", tmp_path / "run", *TINY)
    assert once(access)


def test_a_resumed_training(tmp_path: Path, access: Counter[str]) -> None:
    framecast("train", "convlstm", "--data", folder(tmp_path / "a", 1000), "--out", tmp_path / "run", *TINY)
    access.clear()
    framecast("resume", tmp_path / "run", "--quiet")
    assert once(access)


def test_a_comparison_of_runs_on_the_same_data(run: Path, tmp_path: Path, access: Counter[str]) -> None:
    words = ["--data", run.parent / "trained", "--units", "K", "--missing", 0, "--seed", 1]
    framecast("train", "convlstm", *words, "--out", tmp_path / "other", *TINY)
    access.clear()
    framecast("compare", run, tmp_path / "other", "--limit", 2, "--out", tmp_path / "page", "--quiet")
    assert once(access)


def test_evaluation_on_other_data(run: Path, tmp_path: Path, access: Counter[str]) -> None:
    other = folder(tmp_path / "a", 500)
    framecast("evaluate", run, "--data", other, "--limit", 2, "--out", tmp_path / "scores", "--baselines", "mean")
    assert once(access)


def test_and_beside_a_baseline_that_is_fitted_to_its_own(run: Path, tmp_path: Path, access: Counter[str]) -> None:
    framecast("evaluate", run, "--data", folder(tmp_path / "a", 500), "--limit", 2, "--out", tmp_path / "scores")
    assert once(access, folders=2)


def test_inspection(tmp_path: Path, access: Counter[str]) -> None:
    framecast("inspect", folder(tmp_path / "a", 1000), "--picture", tmp_path / "a.png")
    assert once(access)


def test_a_forecast_reads_the_frames_that_it_goes_on_from(run: Path, tmp_path: Path, access: Counter[str]) -> None:
    framecast("predict", run, folder(tmp_path / "a", 1000), "--out", tmp_path / "a.npy")
    assert once(access)
    assert read(access) == ["20200101_0145.png", "20200101_0150.png", "20200101_0155.png"]


def test_and_those_before_where_some_are_missing(run: Path, tmp_path: Path, access: Counter[str]) -> None:
    framecast("predict", run, folder(tmp_path / "a", 1000, f23=0, f22=0), "--out", tmp_path / "a.npy")
    assert once(access)
    assert read(access)[0] >= "20200101_0130.png"
    framecast("predict", run, folder(tmp_path / "b", 1000), "--frames", "0,22", "--out", tmp_path / "b.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_calm_frames_are_no_fault_where_the_whole_is_on_the_scale(run: Path, tmp_path: Path) -> None:
    calm = {f"f{number}": 7 for number in range(20, FRAMES)}
    framecast("predict", run, folder(tmp_path / "a", 1000, **calm), "--out", tmp_path / "a.npy")
    assert (tmp_path / "a.npy").is_file()


def test_another_scale_is_refused(run: Path, tmp_path: Path) -> None:
    error = framecast("predict", run, folder(tmp_path / "a", 60_000), "--out", tmp_path / "a.npy", code=3).stderr
    assert "expected the model's scale" in error


@pytest.mark.parametrize(
    ("words", "frames"),
    [
        (["--range", "0,1000"], 10),
        (["--units", "dBZ"], 10),
        (["--range", "0,1000", "--context", 3], 3),
        ([], FRAMES),
        (["--units", "K"], FRAMES),
    ],
)
def test_a_baseline_reads_all_frames_only_for_a_range_that_is_not_known(
    words: list[object], frames: int, tmp_path: Path, access: Counter[str]
) -> None:
    data = folder(tmp_path / "a", 1000)
    framecast("predict", "mean", data, "--horizon", 2, "--out", tmp_path / "a.npy", *words)
    assert once(access)
    assert len(read(access)) == frames


def test_the_day_before_takes_a_day(tmp_path: Path, access: Counter[str]) -> None:
    data, words = folder(tmp_path / "a", 1000), ["--range", "0,1000", "--step-minutes", 120]
    for number, path in enumerate(sorted(data.iterdir())):
        path.rename(data / f"{number:02}.png")
    framecast("predict", "diurnal", data, "--horizon", 2, "--out", tmp_path / "a.npy", *words)
    assert len(read(access)) == 12
