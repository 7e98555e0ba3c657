"""Grids of GRIB messages: scanning modes, bitmaps, kinds without rows; names and packing of files."""

import bz2
import gzip
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.grib import message

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

pytest.importorskip("pygrib")
VALUES = np.arange(12.0).reshape(3, 4)


def source(path: Path, content: bytes, **options) -> FileSource:
    path.write_bytes(content)
    return FileSource(DataConfig(source=str(path), **{"range": (0, 9), **options}))


def place(found: FileSource) -> dict[tuple[float, float], float]:
    """Value at each latitude and longitude."""
    frame = found.read(0, 0, 1).frames[0, 0]
    return {(y, x): float(frame[i, j]) for i, y in enumerate(found.grid.y) for j, x in enumerate(found.grid.x)}


@pytest.mark.parametrize("scan", [0, 64, 128, 192, 16, 32, 48, 144])
def test_scanning_modes(tmp_path: Path, scan: int):
    """Code table 3.4: 128 from east to west, 64 from south to north, 32 column by column, 16 every other one back."""
    flat = iter(VALUES.ravel())
    rows, columns = list(range(3)), list(range(4))
    expected = {}
    outer, inner = (columns, rows) if scan & 32 else (rows, columns)
    for number, first in enumerate(outer):
        for second in reversed(inner) if scan & 16 and number % 2 else inner:
            i, j = (second, first) if scan & 32 else (first, second)
            lat = 49 + 0.5 * i if scan & 64 else 50 - 0.5 * i
            lon = 6.5 - 0.5 * j if scan & 128 else 5 + 0.5 * j
            expected[lat, lon] = next(flat)
    found = source(tmp_path / "a.grib2", message(VALUES, scan=scan))
    assert place(found) == expected
    assert found.grid.x == (5, 5.5, 6, 6.5)


def test_a_bitmap_says_what_is_missing_and_9999_is_a_value(tmp_path: Path):
    values = VALUES + 9990
    hidden = np.zeros(VALUES.shape, np.bool_)
    hidden[0, 1] = hidden[2, 3] = True
    expected = np.where(hidden, np.nan, values)
    frame = source(tmp_path / "a.grib2", message(values, missing=hidden)).read(0, 0, 1).frames[0, 0]
    np.testing.assert_array_equal(frame, expected)
    assert not source(tmp_path / "b.grib2", message(values)).has_missing


def with_template(content: bytes, number: int) -> bytes:
    """The same message with another number of the grid's template."""
    at = 16 + 21  # behind sections 0 and 1
    assert content[at + 4] == 3
    return content[: at + 12] + struct.pack(">H", number) + content[at + 14 :]


@pytest.mark.parametrize(("number", "words"), [(50, "spherical harmonics"), (101, "points without rows and columns")])
def test_grids_without_rows_are_refused(tmp_path: Path, number: int, words: str):
    with pytest.raises(InputError, match=rf"{words} .*expected rows and columns; regrid it first"):
        source(tmp_path / "a.grib2", with_template(message(VALUES), number))


@pytest.mark.parametrize(
    "name",
    [
        "gfs.t00z.pgrb2.0p25.f003",
        "a.grb.gz",
        "a.grib1",
        "A.GRIB2",
        "a.grb2.bz2",
        "a.GB2",
        "a.grib2.xz",
        "f012.gz",
        "bare",
    ],
)
def test_names_of_files(tmp_path: Path, name: str):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(name.rpartition(".")[2], bytes)
    found = source(tmp_path / name, pack(message(VALUES)))
    assert found.about == "GRIB"
    np.testing.assert_array_equal(found.read(0, 0, 1).frames[0, 0], VALUES)


def test_a_folder_of_lead_times_and_what_lies_beside_them(tmp_path: Path):
    for hour in range(3):
        (tmp_path / f"gfs.t00z.pgrb2.0p25.f{hour:03}").write_bytes(message(VALUES + hour, hour=hour))
        (tmp_path / f"gfs.t00z.pgrb2.0p25.f{hour:03}.idx").write_text("1:0:d=2020010203:TMP:500 mb:anl:")
    found = FileSource(DataConfig(source=str(tmp_path), range=(0, 9)))
    assert (found.lengths, found.spec.step_minutes) == ([3], 60)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_that_are_cut_off(tmp_path: Path, pack):
    with pytest.raises(InputError):
        source(tmp_path / "a.grib2", pack(message(VALUES))[:-20])
