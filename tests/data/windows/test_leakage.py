"""No two splits hold one moment, or one frame, of different files; all sets of frames are compared by hand here."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from framecast.data import DataConfig, DataSet, open_data
from framecast.data.config import SPLITS
from framecast.errors import InputError
from framecast.recipe.parsing import parse_config

STEP = np.timedelta64(60, "m")
FIELD = np.random.default_rng(5).normal(280, 9, (160, 6, 7)).astype(np.float32)


def netcdf(
    path: Path, begin: int, end: int, *, coordinates: bool = True, east: float = 0.0, other: bool = False
) -> str:
    time = np.datetime64("2020-03-01T00:00", "ns") + np.arange(begin, end) * STEP
    places = {"lat": np.arange(6.0), "lon": east + np.arange(7.0)} if coordinates else {}
    values = FIELD[begin:end] + np.float32(other)
    data = xarray.Dataset({"t": (("time", "lat", "lon"), values, {"units": "K"})}, {"time": time, **places})
    data.to_netcdf(path)
    return str(path)


def opened(source: object, **said: object) -> DataSet:
    return open_data(parse_config(DataConfig, {"source": source, **said}, "test"), context=2, horizon=2, seed=0)


def moments(dataset: DataSet, split: str) -> set[str]:
    windows = (dataset.window(split, 0, index) for index in range(dataset.count(split)))
    return {str(time) for window in windows for time in window.times}


def contents(dataset: DataSet, split: str) -> set[bytes]:
    windows = (dataset.window(split, 0, index) for index in range(dataset.count(split)))
    return {frame.tobytes() for window in windows for frame in window.frames}


def share_nothing(dataset: DataSet, of: object) -> bool:
    held = [of(dataset, split) for split in SPLITS]
    assert held[0]
    return not (held[0] & held[1] | held[0] & held[2] | held[1] & held[2])


@pytest.mark.parametrize("begins", [(0, 50), (50, 0), (0, 0)])
@pytest.mark.parametrize("other", [False, True], ids=["the same values", "another version of them"])
def test_files_of_one_grid_that_overlap_in_time(tmp_path: Path, begins: tuple[int, int], other: bool) -> None:
    one, two = (
        netcdf(tmp_path / f"{n}.nc", begin, begin + 100, other=other and n == 1) for n, begin in enumerate(begins)
    )
    dataset = opened([one, two])
    assert share_nothing(dataset, moments)
    told = any("left out, as other files hold them" in note for note in dataset.notes)
    assert told == (begins != (0, 0))  # files of the same times are cut at the same times


def test_files_that_follow_one_another_lose_nothing(tmp_path: Path) -> None:
    apart = opened([netcdf(tmp_path / "a.nc", 0, 60), netcdf(tmp_path / "b.nc", 60, 120)])
    assert sum(apart.count(split) for split in SPLITS) > 0
    assert not any("left out" in note for note in apart.notes)
    elsewhere = opened([netcdf(tmp_path / "c.nc", 0, 60), netcdf(tmp_path / "d.nc", 30, 90, east=40.0)])
    assert not any("left out" in note for note in elsewhere.notes)


def test_by_whole_files(tmp_path: Path) -> None:
    files = [netcdf(tmp_path / f"{n}.nc", 12 * n, 12 * n + 20) for n in range(11)]
    dataset = opened(files, split_by="file")
    assert share_nothing(dataset, moments)


def test_one_file_for_training_and_its_copy_for_tests_is_refused(tmp_path: Path) -> None:
    one = netcdf(tmp_path / "a.nc", 0, 60)
    shutil.copy(one, tmp_path / "b.nc")
    said = [{"path": one, "split": "train"}, {"path": str(tmp_path / "b.nc"), "split": "test"}]
    with pytest.raises(InputError, match=r"data.source: got files that hold the same moments .* no window for train"):
        opened(said)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("begins", [(0, 50), (50, 0)])
def test_arrays_without_times_are_known_by_their_values(tmp_path: Path, suffix: str, begins: tuple[int, int]) -> None:
    files = []
    for n, begin in enumerate(begins):
        part = FIELD[begin : begin + 100]
        files.append(str(tmp_path / f"{n}.{suffix}"))
        np.save(files[-1], part) if suffix == "npy" else np.savez_compressed(files[-1], frames=part.astype(float))
    dataset = opened(files, dims="thw")
    assert share_nothing(dataset, contents)
    assert any("left out, as other files hold them" in note for note in dataset.notes)
    np.save(tmp_path / "copy.npy", FIELD[begins[0] : begins[0] + 100])
    said = [{"path": files[0], "split": "train"}, {"path": str(tmp_path / "copy.npy"), "split": "val"}]
    with pytest.raises(InputError, match="no window for"):
        opened(said, dims="thw")


def test_many_arrays_are_known_by_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.data.windows.copies.VALUES", 1)
    for n in range(2):
        np.save(tmp_path / f"{n}.npy", FIELD)
    said = [{"path": str(tmp_path / f"{n}.npy"), "split": split} for n, split in enumerate(("train", "test"))]
    with pytest.raises(InputError, match="no window for"):
        opened(said, dims="thw")


def test_folders_of_pictures(tmp_path: Path) -> None:
    """Two folders of a folder, one of which goes on where the other is half through."""
    pictures = np.random.default_rng(0).integers(0, 255, (150, 6, 7), np.uint8)
    for folder, begin in (("a", 0), ("b", 50)):
        (tmp_path / "films" / folder).mkdir(parents=True)
        for t in range(100):
            Image.fromarray(pictures[begin + t]).save(tmp_path / "films" / folder / f"{t:03}.png")
    dataset = opened(str(tmp_path / "films"))
    assert share_nothing(dataset, contents)
    assert any("left out, as other files hold them" in note for note in dataset.notes)


def test_frames_of_one_value_are_no_copies(tmp_path: Path) -> None:
    for n in range(2):
        values = np.where(np.arange(60)[:, None, None] % 7 > 3, FIELD[60 * n : 60 * n + 60], 0)
        values[20:40] = 5  # and a picture that stands still
        values[20:40, 0] = 9
        np.save(tmp_path / f"{n}.npy", values)
    dataset = opened([str(tmp_path / f"{n}.npy") for n in range(2)], dims="thw")
    assert not any("left out" in note for note in dataset.notes)


def test_files_that_overlap_without_coordinates_are_told(tmp_path: Path) -> None:
    files = [netcdf(tmp_path / f"{n}.nc", 30 * n, 30 * n + 60, coordinates=False, other=n == 1) for n in range(2)]
    dataset = opened(files)
    assert any("files overlap in time, at different places as it seems" in note for note in dataset.notes)
    same = [netcdf(tmp_path / f"{n}.nc", 30 * n, 30 * n + 60, coordinates=False) for n in (2, 3)]
    dataset = opened(same)
    assert share_nothing(dataset, contents)
    assert not any("at different places" in note for note in dataset.notes)
