"""Forecasts in one folder, or one file: each is a sequence of its own, never one that jumps from one to the next."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
from tests.fixtures.grib import message

from framecast.data import DataConfig, FileSource

FRAMES = np.random.default_rng(0).integers(0, 9, (3, 6, 3, 4)).astype(np.float32)
"""Three forecasts of six frames."""
SINCE = "hours since 2024-05-01 00:00:00"


def write(folder: Path, run: int, lead: int, said: str) -> None:
    """Write one frame of a forecast that starts every 6 hours, with its valid time, and the start where it is said."""
    folder.mkdir(exist_ok=True)
    with netCDF4.Dataset(folder / f"fc_20240501{6 * run:02}_f{lead:03}.nc", "w") as file:
        for name, size in (("time", 1), ("y", 3), ("x", 4)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"units": SINCE, "standard_name": "time"})
        time[:] = 6 * run + lead
        file.createVariable("t", "f4", ("time", "y", "x"))[:] = FRAMES[run, lead]
        if said == "start":
            start = file.createVariable("reference", "f8", ())
            start.setncatts({"units": SINCE, "standard_name": "forecast_reference_time"})
            start[...] = 6 * run


def source(path: Path, **options) -> FileSource:
    return FileSource(DataConfig(source=str(path), **{"range": (0, 9), **options}))


@pytest.mark.parametrize("said", ["start", "name"])
def test_forecasts_that_follow_one_another_are_not_one_sequence(tmp_path: Path, said: str):
    for run in range(3):
        for lead in range(6):
            write(tmp_path / "a", run, lead, said)
    found = source(tmp_path / "a")
    assert found.lengths == [6, 6, 6]
    assert "runs: 3 forecasts, each a sequence of its own" in found.notes
    for run in range(3):
        np.testing.assert_array_equal(found.read(run, 0, 6).frames[:, 0], FRAMES[run])
        assert found.frame_times(run)[0] == np.datetime64(f"2024-05-01T{6 * run:02}", "ms")
    assert found.groups == [0, 1, 2]


def test_analyses_are_one_sequence(tmp_path: Path):
    for run in range(3):
        write(tmp_path / "a", run, 0, "start")
    found = source(tmp_path / "a")
    assert (found.lengths, found.spec.step_minutes) == ([3], 360)
    assert not any("runs:" in note for note in found.notes)


def test_arrays_by_their_names(tmp_path: Path):
    for run in range(3):
        for lead in range(6):
            np.save(tmp_path / f"fc_20240501{6 * run:02}_f{lead:03}.npy", FRAMES[run, lead])
    found = source(tmp_path)
    assert found.lengths == [6, 6, 6]
    np.testing.assert_array_equal(found.read(1, 0, 6).frames[:, 0], FRAMES[1])


def test_numbered_scenes_without_a_date_are_no_forecasts(tmp_path: Path):
    for lead in range(6):
        np.save(tmp_path / f"a_f{lead:03}.npy", FRAMES[0, lead])
    assert source(tmp_path).lengths == [6]


RAIN = {"parameter": (1, 8), "level": (1, 0)}


def grib(folder: Path, *packed: bytes) -> FileSource:
    pytest.importorskip("pygrib")
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(packed):
        (folder / f"{number}.grib2").write_bytes(content)
    return source(folder)


def test_forecasts_in_grib(tmp_path: Path):
    """Some of their valid times are the same."""
    packed = [message(FRAMES[run, lead], hour=12 * lead, day=2 + run) for run in range(2) for lead in range(4)]
    found = grib(tmp_path / "a", *packed)
    assert found.lengths == [4, 4]
    np.testing.assert_allclose(found.read(1, 0, 4).frames[:, 0], FRAMES[1, :4], atol=0.1)


def test_sums_of_short_forecasts_that_follow_one_another_are_one_series(tmp_path: Path):
    packed = [
        message(FRAMES[run, lead], statistic=1, hour=12 * lead, length=12, day=2 + run, **RAIN)
        for run in (0, 1)
        for lead in (0, 1)
    ]
    found = grib(tmp_path / "a", *packed)
    assert found.lengths == [4]
    assert "runs: 2 forecasts, whose sums or means follow one another, are one series" in found.notes
