"""Frames of one time: copies are left out, frames of other values are never left out without a word."""

import itertools
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from PIL import Image

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

FRAMES = np.random.default_rng(0).integers(1, 255, (24, 8, 9), np.uint8)


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def pictures(folder: Path, names: list[str], frames: np.ndarray = FRAMES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in zip(names, frames, strict=False):
        Image.fromarray(frame).save(folder / name)
    return folder


def test_copies_are_left_out(tmp_path: Path) -> None:
    names = [f"20240501_1{n:02}0.png" for n in range(6)]
    pictures(tmp_path, names)
    pictures(tmp_path, [f"copy_of_{name}" for name in names])
    found = source(tmp_path)
    assert found.lengths == [6]
    assert found.timeline is not None
    assert found.timeline.duplicates == 6
    assert "other values" not in " ".join(found.notes)


def test_two_cameras_are_not_one_sequence(tmp_path: Path) -> None:
    pictures(tmp_path, [f"{camera}_20240501_1{n:02}0.png" for n in range(6) for camera in "ab"])
    words = "frames of one time with other values: 6 of 6, as a_20240501_1000.png and b_20240501_1000.png"
    with pytest.raises(InputError, match=words):
        source(tmp_path)


def test_one_frame_that_was_sent_again_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, [f"20240501_1{n:02}0.png" for n in range(6)])
    pictures(tmp_path, ["corrected_20240501_1020.png"], FRAMES[9:])
    found = source(tmp_path)
    assert found.lengths == [6]
    note = next(note for note in found.notes if "other values" in note)
    assert "1 of 1 have other values; 20240501_1020.png is used, corrected_20240501_1020.png is not" in note


def test_counters_that_are_equal_are_compared_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"as f01\.png and f1\.png"):
        source(pictures(tmp_path, ["f1.png", "f01.png", "f2.png", "f02.png"]))


def cube(path: Path, hours: list[int], frames: np.ndarray) -> None:
    with netCDF4.Dataset(path, "w") as data:
        for name, size in (("time", None), ("y", 8), ("x", 9)):
            data.createDimension(name, size)
        time = data.createVariable("time", "f8", ("time",))
        time.units = "hours since 2024-05-01"
        time[:] = hours
        data.createVariable("rain", "f4", ("time", "y", "x"))[:] = frames


def test_axes_of_time_and_files_that_overlap(tmp_path: Path) -> None:
    cube(tmp_path / "twice.nc", [0, 1, 1, 2, 3, 4], FRAMES[:6])
    note = " ".join(source(tmp_path / "twice.nc").notes)
    assert "twice.nc frame 2 is used, twice.nc frame 3 is not" in note
    (tmp_path / "same").mkdir()
    cube(tmp_path / "same" / "a.nc", [0, 1, 2, 3], FRAMES[:4])
    cube(tmp_path / "same" / "b.nc", [2, 3, 4, 5], FRAMES[2:6])
    found = source(tmp_path / "same")
    assert found.lengths == [6]
    assert "other values" not in " ".join(found.notes)
    (tmp_path / "runs").mkdir()
    for name, first in (("a.nc", 0), ("b.nc", 4)):
        cube(tmp_path / "runs" / name, [0, 1, 2, 3], FRAMES[first : first + 4])
    with pytest.raises(InputError, match=r"4 of 4, as a\.nc frame 1 and b\.nc frame 1"):
        source(tmp_path / "runs")


def test_missing_pixels_of_copies_are_equal(tmp_path: Path) -> None:
    frames = FRAMES[:6].astype(np.float32)
    frames[:, 0] = np.nan
    cube(tmp_path / "a.nc", [0, 1, 1, 2, 2, 3], frames[[0, 1, 1, 2, 2, 3]])
    assert "other values" not in " ".join(source(tmp_path / "a.nc").notes)


def test_a_sample_of_many_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.data.sources.file_series.COMPARED", 3)
    pictures(tmp_path, [f"{camera}_20240501_1{n:02}0.png" for n in range(5) for camera in "ab"])
    with pytest.raises(InputError, match="3 of 3 that were compared"):
        source(tmp_path)


@pytest.mark.parametrize("place", ["one file", "two files", "a file for each frame"])
def test_one_rule_wherever_frames_lie(tmp_path: Path, place: str) -> None:
    """Equal ones are left out, a few others are named, many are refused."""
    for number, (copies, equal) in enumerate([(6, True), (2, False), (5, False)]):
        hours = [*range(12), *range(copies)]
        frames = FRAMES[[*range(12), *(range(copies) if equal else range(12, 12 + copies))]]
        folder = tmp_path / str(number)
        folder.mkdir()
        cuts = {"one file": [0, len(hours)], "two files": [0, 12, len(hours)]}.get(place, [*range(len(hours) + 1)])
        for first, last in itertools.pairwise(cuts):
            cube(folder / f"{first:02}.nc", hours[first:last], frames[first:last])
        path = folder / "00.nc" if place == "one file" else folder
        if copies == 5:
            with pytest.raises(InputError, match=r"frames of one time with other values: 5 of 5"):
                source(path)
            continue
        text = " ".join(source(path).notes)
        assert f"{copies} frames of a time that was there already are left out" in text
        assert ("of these duplicates 2 of 2 have other values" in text) == (not equal)
