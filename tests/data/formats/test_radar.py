"""Every radar format, on small cuts of real files (CREDITS), beside pysteps' readers."""

import gzip
import os
import shutil
import warnings
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

RADAR = Path(__file__).parents[2] / "fixtures" / "radar"
RAW = Path(__file__).parents[4] / "shared" / "data" / "raw"
"""The untouched files, where they lie beside the checkout."""


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def frames_of(found: FileSource) -> np.ndarray:
    return np.concatenate([found.read(0, at, at + 1).frames[:, 0] for at in range(found.lengths[0])])


def oracle(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pysteps.io import importers

        if path.suffix == ".gz":
            return importers.import_fmi_pgm(str(path), gzipped=True)[0]
        if path.suffix == ".h5":
            return 12 * importers.import_knmi_hdf5(str(path))[0]  # mm per 5 min
        return importers.import_mrms_grib(str(path), window_size=1)[0]


@pytest.mark.parametrize(
    "root",
    [RADAR, pytest.param(RAW, marks=[pytest.mark.slow, pytest.mark.skipif(not RAW.exists(), reason="no raw files")])],
)
@pytest.mark.parametrize("folder", ["fmi_pgm", "knmi_hdf5", "mrms_grib2"])
def test_equal_to_pysteps(root: Path, folder: str):
    found = frames_of(source(root / folder))
    files = sorted((root / folder).iterdir())
    assert len(found) == len(files)
    for frame, path in zip(found, files, strict=True):
        expected = oracle(path)
        np.testing.assert_array_equal(np.isnan(frame), np.isnan(expected))
        np.testing.assert_allclose(frame, expected, rtol=2e-7, atol=1e-6)
        assert 0 < np.isnan(frame).mean() < 1
        assert np.nanmax(frame) > np.nanmin(frame)


@pytest.mark.parametrize(
    ("folder", "units", "step", "first", "missing"),
    [
        ("fmi_pgm", "dBZ", 5, "2016-09-28T14:45", "code 255"),
        ("fmi_geotiff", "dBZ", 5, "2016-09-28T14:45", "nodata 255"),
        ("knmi_hdf5", "mm/h", 5, "2010-08-26T05:00", "65535"),
        ("mrms_grib2", "mm/h", 2, "2019-06-10T01:06", "-3"),
        ("odim", "mm/h", 15, "2024-11-26T01:00", "nodata -9.999e+06"),
    ],
)
def test_what_each_format_says(folder: str, units: str, step: float, first: str, missing: str):
    found = source(RADAR / folder, **({"variable": "RATE"} if folder == "odim" else {}))
    assert (found.spec.height, found.spec.width, found.spec.channels) == (96, 96, 1)
    assert (found.spec.units, found.spec.step_minutes) == (units, step)
    assert found.has_missing
    window = found.read(0, 0, 2)
    assert window.time == np.datetime64(first)
    times = found.frame_times(0)
    assert times is not None
    assert (np.diff(times) == np.timedelta64(int(step), "m")).all()
    assert missing in found.grid.missing
    assert found.grid.crs
    assert len(found.grid.y) == len(found.grid.x) == 96
    assert found.grid.y[0] > found.grid.y[-1]
    assert found.grid.x[0] < found.grid.x[-1]
    np.testing.assert_array_equal(window.valid, np.isfinite(window.frames))


def test_fmi_in_both_formats_lies_in_the_same_place():
    pyproj = pytest.importorskip("pyproj")
    pgm, tif = source(RADAR / "fmi_pgm").grid, source(RADAR / "fmi_geotiff").grid
    assert pgm.axis_units == tif.axis_units == "m"
    assert abs((tif.x[1] - tif.x[0]) - 250) < 0.1
    assert abs((pgm.x[1] - pgm.x[0]) - 999.67) < 0.1
    lon, lat = pyproj.Proj(tif.crs)(tif.x[0], tif.y[0], inverse=True)
    assert 20 < lon < 33
    assert 60 < lat < 72


@pytest.mark.skipif(not RAW.exists(), reason="no raw files")
def test_corners_of_the_national_grid_are_those_of_the_header():
    pyproj = pytest.importorskip("pyproj")
    grid = source(next(iter(sorted((RAW / "fmi_pgm").iterdir())))).grid
    half = (grid.x[1] - grid.x[0]) / 2
    project = pyproj.Proj(grid.crs)
    left, bottom = project(18.6, 57.93)
    right, top = project(34.903, 69.005)
    np.testing.assert_allclose([grid.x[0] - half, grid.y[-1] - half], [left, bottom], atol=60)
    np.testing.assert_allclose([grid.x[-1] + half, grid.y[0] + half], [right, top], atol=60)


def test_odim_corners_equal_the_files_own():
    pyproj = pytest.importorskip("pyproj")
    path = sorted((RADAR / "odim").iterdir())[0]
    grid = source(path).grid
    with h5py.File(path) as file:
        where = dict(file["where"].attrs)
    lon, lat = pyproj.Proj(grid.crs)(grid.x[-1] + 1000, grid.y[-1] - 1000, inverse=True)
    np.testing.assert_allclose([lon, lat], [where["LR_lon"], where["LR_lat"]], atol=1e-5)


def odim(
    path: Path, values: np.ndarray, *, at_dataset: bool, quantity: str = "DBZH", version: str = "2.0", **what
) -> Path:
    """A composite as old or new software writes it."""
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_(f"ODIM_H5/V{version.replace('.', '_')}")
        root = file.create_group("what")
        root.attrs.update({"object": np.bytes_("COMP"), "date": np.bytes_("20200102"), "time": np.bytes_("030405")})
        data = file.create_group("dataset1/data1")
        holder = file["dataset1"] if at_dataset else data
        said = {"quantity": np.bytes_(quantity), "gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0, **what}
        holder.create_group("what").attrs.update(said)
        data.create_dataset("data", data=values, compression="gzip")
    return path


@pytest.mark.parametrize("at_dataset", [True, False])
@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2", "2.3", "2.4"])
def test_odim_tells_nodata_from_undetect(tmp_path: Path, at_dataset: bool, version: str):
    codes = np.array([[0, 255, 64], [100, 0, 65]], np.uint8)  # undetect 64 would be 0 dBZ, 100 would be 10 mm/h
    path = odim(tmp_path / "a.h5", codes, at_dataset=at_dataset, version=version, undetect=64.0)
    np.testing.assert_array_equal(source(path).read(0, 0, 1).frames[0, 0], [[-32, np.nan, -32], [18, -32, 0.5]])
    path = odim(tmp_path / "b.h5", codes, at_dataset=at_dataset, quantity="RATE", gain=0.1, offset=0.0, undetect=100.0)
    np.testing.assert_allclose(source(path).read(0, 0, 1).frames[0, 0], [[0, np.nan, 6.4], [0, 0, 6.5]], rtol=1e-6)


def test_odim_the_nearer_attribute_counts(tmp_path: Path):
    path = odim(tmp_path / "a.h5", np.full((2, 2), 10, np.uint8), at_dataset=True)
    with h5py.File(path, "a") as file:
        file["dataset1/data1/data"][0, 0] = 20
        file["dataset1/data1"].create_group("what").attrs["gain"] = 2.0
    np.testing.assert_array_equal(source(path).read(0, 0, 1).frames[0, 0], [[8, -12], [-12, -12]])


def test_odim_rain_sums_become_rates(tmp_path: Path):
    edges = dict(
        zip(
            ("startdate", "starttime", "enddate", "endtime"),
            map(np.bytes_, ("20200102", "025500", "20200102", "030500")),
            strict=True,
        )
    )
    path = odim(
        tmp_path / "a.h5",
        np.array([[10, 255], [20, 0]], np.uint8),
        at_dataset=True,
        quantity="ACRR",
        gain=0.1,
        offset=0.0,
        **edges,
    )
    found = source(path)
    assert found.spec.units == "mm/h"
    np.testing.assert_allclose(found.read(0, 0, 1).frames[0, 0], [[6, np.nan], [12, 0]], rtol=1e-6)


def test_odim_quantities_are_named_or_left_out(tmp_path: Path):
    with pytest.raises(InputError, match=r"got (RATE|DBZH) \w+, expected (RATE|DBZH) \w+, as in"):
        source(RADAR / "odim")
    assert source(RADAR / "odim", variable="DBZH").lengths == [1]
    found = source(RADAR / "odim", variable="RATE")
    assert "left out: 1 files" in " ".join(found.notes)
    with pytest.raises(InputError, match="expected one of RATE"):
        source(RADAR / "odim", variable="ACRR")
    path = odim(tmp_path / "polar.h5", np.zeros((2, 2), np.uint8), at_dataset=True)
    with h5py.File(path, "a") as file:
        file["what"].attrs["object"] = np.bytes_("PVOL")
    with pytest.raises(InputError, match="composite"):
        source(path)


def pgm(path: Path, stamp: str, value: int = 100, missing: int = 255) -> Path:
    text = f"P5\n# obstime {stamp}\n# param CorrectedReflectivity\n3 2\n{missing}\n".encode()
    path.write_bytes(gzip.compress(text + bytes([value, value, missing, value, 0, value + len(path.name) % 2])))
    return path


def test_gaps_duplicates_and_disorder(tmp_path: Path):
    stamps = ["201601010000", "201601010005", "201601010010", "201601010030", "201601010035", "201601010005"]
    for number, stamp in enumerate(stamps):
        pgm(tmp_path / f"{9 - number}.pgm.gz", stamp, value=90 + number)
    found = source(tmp_path)
    assert found.lengths == [3, 2]
    assert found.latest == [1]
    line = found.timeline
    assert line is not None
    assert (line.duplicates, line.missing, len(line.gaps)) == (1, 3, 1)
    assert line.disorder > 0
    assert found.spec.step_minutes == 5
    assert found.read(1, 0, 1).time == np.datetime64("2016-01-01T00:30")
    assert "2016-01-01 00:10:00 (4 steps)" in " ".join(found.notes)
    with pytest.raises(InputError, match=r"frames 0\.\.2"):
        found.read(0, 0, 4)  # across the gap


def test_a_forecast_goes_on_from_the_last_frame(tmp_path: Path):
    from framecast.forecasting.forecaster import Forecaster
    from framecast.forecasting.predict import forecast_source
    from framecast.models import ConvLSTM
    from framecast.transforms.normalize import DBZ

    for stamp in ("201601010000", "201601010005", "201601010010", "201601010030", "201601010035"):
        pgm(tmp_path / f"{stamp}.pgm.gz", stamp)
    found = source(tmp_path)

    model = Forecaster(ConvLSTM(hidden=(2,), kernel_size=3), found.spec, DBZ(high=70), 1)
    result = forecast_source(model, found, 2)
    assert result.frames.shape == (1, 1, 2, 1, 2, 3)
    assert result.times is not None
    assert result.times[0, 0] == np.datetime64("2016-01-01T00:40")
    assert result.grid == found.grid


def test_times_by_pattern(tmp_path: Path):
    for minute in (0, 10, 20):
        pgm(tmp_path / f"x{minute:02}-03.02.2020.pgm.gz", "201601010000")
    found = source(tmp_path, times="%M-%d.%m.%Y")
    assert found.read(0, 0, 1).time == np.datetime64(datetime(2020, 2, 3))
    assert found.spec.step_minutes == 10
    with pytest.raises(InputError, match="no time in the name"):
        source(tmp_path, times="%Y%m%d")


def test_frames_are_kept_at_hand(tmp_path: Path, monkeypatch):
    shutil.copytree(RADAR / "fmi_pgm", tmp_path / "a")
    found = source(tmp_path / "a")
    first = found.read(0, 0, 3)
    for path in (tmp_path / "a").iterdir():
        os.truncate(path, 10)
    np.testing.assert_array_equal(found.read(0, 1, 3).frames, first.frames[1:])
    with pytest.raises(InputError):
        found.read(0, 1, 5)
