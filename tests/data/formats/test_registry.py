"""The registry of formats: a new one is a class and a line; each reader keeps to the contract."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from framecast.data import DataConfig, FileSource, formats
from framecast.data.formats import READERS, FileFormat, file_kind, make_reader
from framecast.data.formats.base import FileHeader, Reader, ReaderOptions
from framecast.errors import InputError

RADAR = Path(__file__).parents[2] / "fixtures" / "radar"
FRAMES = np.random.default_rng(0).integers(0, 9, (6, 4, 5)).astype(np.float32)


class TextGridReader:
    """Numbers with blanks between them, a row in each line."""

    name = "text grid"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        self.files = list(files)

    def read_header(self, path: Path) -> FileHeader:
        rows = path.read_text().splitlines()
        return FileHeader((1, len(rows), len(rows[0].split())), np.dtype(np.float32), units="mm/h")

    def read(self, path: Path, indices: Sequence[int]) -> np.ndarray:
        return np.loadtxt(path, np.float32)[None, None]


def test_a_new_format_is_a_class_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(formats, "READERS", (*READERS, FileFormat("text grids", (".asc",), TextGridReader)))
    for number, frame in enumerate(FRAMES):
        if number != 3:
            np.savetxt(tmp_path / f"rain_20240501_0{number}00.ASC", frame)
    source = FileSource(DataConfig(source=str(tmp_path)))
    assert (source.about, source.spec.units, source.spec.step_minutes) == ("text grid", "mm/h", 60)
    assert source.lengths == [3, 2]  # no window crosses the hour that is not there
    np.testing.assert_array_equal(source.read(1, 0, 2).frames[:, 0], FRAMES[4:])
    assert isinstance(TextGridReader([], ReaderOptions()), Reader)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("radar/fmi_geotiff", "GeoTIFF"),
        ("radar/fmi_pgm", "PGM"),
        ("radar/knmi_hdf5", "KNMI HDF5"),
        ("radar/mrms_grib2", "GRIB"),
        ("radar/odim", "ODIM HDF5"),
        ("era5_t2m.nc", "CF grid"),
        ("bigbuckbunny.mp4", "video"),
    ],
)
def test_files_find_the_reader_that_knows_them(path: str, name: str):
    root = RADAR.parent / path
    files = sorted(root.iterdir()) if root.is_dir() else [root]
    reader = make_reader(str(file_kind(files[0])), files, ReaderOptions())
    assert isinstance(reader, Reader)
    assert reader.name == name
    header = reader.read_header(files[0])
    frames = reader.read(files[0], [header.frames - 1])
    assert (frames.shape, frames.dtype) == ((1, *header.shape), header.dtype)


def test_grids_of_cf_in_hdf5_and_in_netcdf_are_one(tmp_path: Path):
    (tmp_path / "a.h5").write_bytes((RADAR.parent / "era5_t2m.nc").read_bytes())
    grid, netcdf = (FileSource(DataConfig(source=str(p))) for p in (tmp_path / "a.h5", RADAR.parent / "era5_t2m.nc"))
    assert grid.about == netcdf.about == "CF grid"
    np.testing.assert_array_equal(grid.read(0, 0, 2).frames, netcdf.read(0, 0, 2).frames)


def test_suffixes_count_in_any_case(tmp_path: Path):
    np.save(tmp_path / "a.npy", FRAMES)
    (tmp_path / "a.npy").rename(tmp_path / "DATA.NPY")
    np.testing.assert_array_equal(
        FileSource(DataConfig(source=str(tmp_path / "DATA.NPY"))).read(0, 2, 3).frames[0, 0], FRAMES[2]
    )
    np.savez(tmp_path / "a.npz", frames=FRAMES)
    (tmp_path / "a.npz").rename(tmp_path / "DATA.Npz")
    assert FileSource(DataConfig(source=str(tmp_path / "DATA.Npz"))).lengths == [6]


def test_a_file_that_nobody_knows():
    with pytest.raises(InputError, match=r"suffix \.py"):
        FileSource(DataConfig(source=__file__))
