"""Real radar that arrives out of order, truncated and with a frame missing: KNMI, then FMI, by the model `rain`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from framecast.forecasting.model_folder import load
from framecast.live.start import WatchOptions, open_watcher
from framecast.recipe.recipe import Recipe, recipe_of_run
from framecast.trained import find_model

FIXTURES = Path(__file__).parents[1] / "fixtures" / "radar"
RAW = Path(__file__).parents[3] / "shared" / "data" / "raw"


def watch(folder: Path, out: Path, model: str = "rain", **said):
    network = load(find_model(model)).eval() if model == "rain" else model
    recipe = recipe_of_run(find_model(model)) if model == "rain" else Recipe()
    values = {"formats": ("npy",), "settle": 0.0, "verify": False, **said}
    return open_watcher(network, model, recipe, WatchOptions(str(folder), out, 2, **values))


def values(out: Path) -> np.ndarray:
    return np.load(out / json.loads((out / "latest.json").read_text())["files"][0])


def disturbed_equals_undisturbed(files: list[Path], root: Path, absent: int, half: int) -> None:
    """Drop files in an order that is none, one of them half at first, one never."""
    names = [path for number, path in enumerate(files) if number != absent]
    (root / "a").mkdir()
    (root / "b").mkdir()
    for path in names:
        shutil.copy(path, root / "a")
    watch(root / "a", root / "plain").look()
    order = [*names[1::2], *names[::2]]
    watcher = watch(root / "b", root / "out")
    for number, path in enumerate(order):
        content = path.read_bytes()
        if path == files[half]:
            (root / "b" / path.name).write_bytes(content[: len(content) // 2])
            assert "unreadable" in "\n".join(watcher.look().lines)
        shutil.copy(path, root / "b")
        if number % 2 or number >= len(order) - 2:
            watcher.look()
        if number == len(order) // 2:
            watcher = watch(root / "b", root / "out")
    one, other = (json.loads((root / out / "latest.json").read_text()) for out in ("plain", "out"))
    same = ("reference_time", "predictor", "filled", "absent", "frames", "inputs", "valid_times")
    assert {key: one[key] for key in same} == {key: other[key] for key in same}
    assert len(one["filled"]) == 1
    np.testing.assert_array_equal(values(root / "plain"), values(root / "out"))


def test_small_fmi_files_end_in_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted((FIXTURES / "fmi_pgm").glob("*.pgm.gz"))
    original = WatchOptions.__init__
    monkeypatch.setattr(WatchOptions, "__init__", lambda self, *a, **said: original(self, *a, **{"context": 6, **said}))
    disturbed_equals_undisturbed(files, tmp_path, absent=2, half=3)


@pytest.mark.slow
@pytest.mark.skipif(not RAW.exists(), reason="no raw files in ../shared/data/raw")
@pytest.mark.parametrize("kind", ["knmi_hdf5", "fmi_pgm"])
def test_whole_composites_end_in_the_same_bits(tmp_path: Path, kind: str) -> None:
    files = sorted((RAW / kind).iterdir())[-11:]
    disturbed_equals_undisturbed(files, tmp_path, absent=4, half=6)


@pytest.mark.parametrize(("kind", "minutes"), [("knmi_hdf5", 5.0), ("mrms_grib2", 2.0), ("odim", 15.0)])
def test_every_radar_format_is_watched(tmp_path: Path, kind: str, minutes: float) -> None:
    if kind == "mrms_grib2":
        pytest.importorskip("pygrib")
    (tmp_path / "in").mkdir()
    for path in sorted((FIXTURES / kind).iterdir()):
        if "PABV" not in path.name:
            shutil.copy(path, tmp_path / "in")
    watch(tmp_path / "in", tmp_path / "out", "extrapolation").look()
    latest = json.loads((tmp_path / "out" / "latest.json").read_text())
    assert (latest["predictor"], latest["step_minutes"], len(latest["frames"])) == ("extrapolation", minutes, 3)
    assert np.isfinite(values(tmp_path / "out")).any()
