"""What belongs together, in which order, and how far apart: times, names, folders, calendars."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from framecast.data import DataConfig, FileSource
from framecast.data.file_names import times_from_names, times_from_pattern
from framecast.data.sources import file_series as many
from framecast.data.times import order_frames
from framecast.errors import InputError, UsageError

FRAMES = np.random.default_rng(0).integers(0, 255, (6, 12, 16), np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore")


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def frames_of(found: FileSource, sequence: int = 0) -> np.ndarray:
    return found.read(sequence, 0, found.lengths[sequence]).frames[:, 0]


def pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in zip(names, FRAMES, strict=False):
        Image.fromarray(frame).save(folder / name)
    return folder


@pytest.mark.parametrize("name", ["2024-05-01_{:03}.png", "cam_20240501_frame{:04}.png"])
def test_frames_of_one_day_are_told_by_their_counter(tmp_path: Path, name: str):
    folder = pictures(tmp_path / "a", [name.format(number) for number in (1, 2, 3, 5, 6, 10)])
    found = source(folder)
    assert found.lengths == [3, 2, 1]
    assert found.frame_times(0) is None
    np.testing.assert_array_equal(np.concatenate([frames_of(found, n) for n in range(3)]), FRAMES)


def test_a_date_is_a_time_where_it_differs(tmp_path: Path):
    days = [f"2024-05-{day:02}.png" for day in range(1, 7)]
    assert source(pictures(tmp_path / "a", days)).spec.step_minutes == 24 * 60
    for camera in ("one", "two"):
        pictures(tmp_path / "b" / camera, days)
    found = source(tmp_path / "b")
    assert (found.lengths, found.spec.step_minutes) == ([6, 6], 24 * 60)
    assert times_from_names(["20240501", "20240501"]) is None
    assert times_from_names(["20240501", "20240501"], [1, 1]) is not None


def test_patterns_of_times():
    for pattern in ("%Y_%Y%m%d", "%H%M%S_%S"):
        with pytest.raises(UsageError, match=r"twice in .*, expected each directive once"):
            times_from_pattern(["2024_20240501"], pattern)
    moment = np.datetime64("2024-05-01")
    assert times_from_pattern(["site12345678_20240501.png"], "%Y%m%d").values[0] == moment  # 12345678 has no month 56
    assert times_from_pattern(["99920240501"], "%Y%m%d").values[0] == moment


def animation(path: Path, frames: np.ndarray, milliseconds: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = [Image.fromarray(frame) for frame in frames]
    said = {"duration": milliseconds} if path.suffix == ".gif" else {}
    pages[0].save(path, save_all=True, append_images=pages[1:], **said)


@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_each_animation_is_a_sequence(tmp_path: Path, suffix: str):
    for number, name in enumerate(("a", "b")):
        animation(tmp_path / "all" / f"{name}.{suffix}", FRAMES[number : number + 3])
    found = source(tmp_path / "all")
    assert (found.lengths, found.groups, list(found.latest)) == ([3, 3], [0, 1], [0, 1])
    np.testing.assert_array_equal(frames_of(found, 1), FRAMES[1:4])
    assert "sequences: each file is one" in " ".join(found.notes)


def cube(path: Path, *, times: np.ndarray | None = None, count: int = 4, **attributes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = xarray.Dataset({"rain": (("time", "y", "x"), FRAMES[:count].astype(np.float32), {"units": "mm/h"})})
    if times is not None:
        data["time"] = ("time", times, attributes)
    data.to_netcdf(path, engine="h5netcdf")


def test_each_grid_without_times_is_a_sequence(tmp_path: Path):
    for name in ("a", "b"):
        cube(tmp_path / "all" / f"{name}.nc")
    assert source(tmp_path / "all").lengths == [4, 4]
    for name, first in (("a", 0), ("b", 4)):
        cube(tmp_path / "timed" / f"{name}.nc", times=first + np.arange(4), units="hours since 2020-01-01")
    assert source(tmp_path / "timed").lengths == [8]


def test_zones_in_the_units_of_times_count(tmp_path: Path):
    cube(tmp_path / "a.nc", times=np.arange(4), units="hours since 2024-07-01 00:00 CEST")
    assert source(tmp_path / "a.nc").read(0, 0, 1).time == np.datetime64("2024-06-30T22:00")
    cube(tmp_path / "b.nc", times=np.arange(4), units="hours since 2024-07-01 12h")
    found = source(tmp_path / "b.nc")
    assert found.frame_times(0) is None
    assert "time is in 'hours since 2024-07-01 12h', which is not understood" in " ".join(found.notes)


def test_folders_of_different_steps_are_refused(tmp_path: Path):
    for name, step in (("a", 5), ("b", 10)):
        pictures(tmp_path / "all" / name, [f"20240501_00{minute:02}.png" for minute in range(0, 6 * step, step)])
    with pytest.raises(InputError, match=r"frames 5 to 10 min apart in different folders.*--step-minutes"):
        source(tmp_path / "all")
    assert source(tmp_path / "all", step_minutes=5).lengths == [6, 1, 1, 1, 1, 1, 1]


def test_a_short_folder_has_no_say_in_the_step():
    minutes = np.array([0, 5, 10, 15, 100, 110]).astype("timedelta64[m]") + np.datetime64("2020-01-01", "ms")
    line = order_frames([4, 2], minutes, None, None)
    assert line.step_minutes == 5
    assert line.runs == [(0, 4), (4, 1), (5, 1)]  # what is 10 minutes apart lacks a frame between


def test_films_of_different_rates_are_refused(tmp_path: Path):
    for name, milliseconds in (("a", 100), ("b", 40)):
        animation(tmp_path / "all" / f"{name}.gif", FRAMES, milliseconds)
    with pytest.raises(InputError, match=r"frames 0.04 to 0.1 s apart, expected one step"):
        source(tmp_path / "all")
    assert source(tmp_path / "all", step_minutes=1).lengths == [6, 6]


def test_one_time_for_many_frames_is_none(tmp_path: Path):
    values = FRAMES.astype(np.float32)
    data = xarray.Dataset({"rain": (("t", "y", "x"), values)})
    data["time"] = ((), 3.0, {"units": "hours since 2020-01-01"})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = source(tmp_path / "a.nc")
    np.testing.assert_array_equal(frames_of(found), values)
    assert found.frame_times(0) is None
    assert any("time has 1 for 6 frames" in note for note in found.notes)
    data["valid_time"] = ("t", np.arange(6.0), {"units": "hours since 2020-01-01"})
    data.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    assert source(tmp_path / "b.nc").spec.step_minutes == 60


def test_files_of_another_calendar_are_counted_from_one_day(tmp_path: Path):
    for number in range(3):  # four days each, across 28 February of a year that is a leap year elsewhere
        days = 56.0 + 4 * number + np.arange(4)
        cube(tmp_path / "all" / f"{number}.nc", times=days, units="days since 2020-01-01", calendar="noleap")
    found = source(tmp_path / "all")
    assert found.lengths == [12]
    assert found.grid.time_origin == "2020-02-01 00:00:00"
    with pytest.raises(InputError, match=r"calendar noleap, expected the standard calendar; leave day out"):
        source(tmp_path / "all", calendar=("day",))
    assert len(source(tmp_path / "all", calendar=("hour",)).spec.covariates) == 2
    cube(tmp_path / "all" / "3.nc", times=68.0 + np.arange(4), units="days since 2020-01-01", calendar="standard")
    with pytest.raises(InputError, match="calendar standard, expected noleap"):
        source(tmp_path / "all")


def test_long_chunks_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(many, "TOGETHER", 3 * 12 * 16)
    data = xarray.Dataset({"rain": (("time", "y", "x"), FRAMES.astype(np.float32))})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"rain": {"chunksizes": (6, 4, 4)}})
    sizes = []
    read = many.FrameStack.__getitem__

    def watched(self, key):
        values = read(self, key)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(many.FrameStack, "__getitem__", watched)
    monkeypatch.setattr("framecast.data.sources.value_scan.BLOCK", 1)
    monkeypatch.setattr("framecast.data.sources.file_source.SERIES", {"whole": 1 << 30, "samples": None, "block": 1})
    found = source(tmp_path / "a.nc")
    assert max(sizes) == 3 * 12 * 16
    assert any(note.startswith("chunks: 6 frames are packed together") for note in found.notes)


@pytest.mark.parametrize(("engine", "suffix"), [("h5netcdf", "nc"), ("scipy", "cdf")])
def test_dry_packed_grids_are_no_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, suffix: str):
    """As large as it is once unpacked, in floats, a dry day in bytes is hundreds of times smaller in its file."""
    monkeypatch.setattr("framecast.data.formats.unpacking.SMALL", 12 * 16 * 60)  # one chunk of all frames in 2 bytes
    monkeypatch.setattr("framecast.data.formats.unpacking.free_bytes", lambda: 4 * 2 * 12 * 16 * 60)
    data = xarray.Dataset({"rain": (("time", "y", "x"), np.repeat(FRAMES, 10, 0).astype(np.float32))})
    packed = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    data.to_netcdf(tmp_path / f"a.{suffix}", engine=engine, encoding={"rain": packed})
    assert source(tmp_path / f"a.{suffix}").lengths == [60]
