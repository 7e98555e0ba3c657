"""TIFF pictures: upright by their tag and with 0 as black, whatever their depth and their packing."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from framecast.data import DataConfig, FileSource
from framecast.data.formats.pictures.orientation import turn_upright

VALUES = np.random.default_rng(0).integers(0, 100, (3, 12, 16))


def frames(path: Path) -> np.ndarray:
    found = FileSource(DataConfig(source=str(path), range=(0, 100)))
    return found.read(0, 0, found.lengths[0]).frames[:, 0]


@pytest.mark.parametrize("packed", [None, "zlib", "tiles"])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i1", "f4"])
@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_pictures_on_their_side(tmp_path: Path, orientation: int, kind: str, packed: str | None):
    layout = {"tile": (16, 16)} if packed == "tiles" else {"compression": packed}
    tag = (274, "H", 1, orientation, False)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in VALUES.astype(kind):
            file.write(page, photometric="minisblack", metadata=None, extratags=[tag], **layout)
    np.testing.assert_array_equal(frames(tmp_path / "a.tif"), turn_upright(VALUES, orientation))


@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_0_is_black_where_the_file_has_it_as_white(tmp_path: Path, kind: str, packed: str | None):
    top = np.iinfo(kind).max
    stored = (top - VALUES).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", metadata=None, compression=packed)
    np.testing.assert_array_equal(frames(tmp_path / "a.tif"), VALUES)


@pytest.mark.parametrize("kind", ["i1", "f4"])
def test_a_scale_without_an_end_is_told(tmp_path: Path, kind: str):
    tifffile.imwrite(tmp_path / "a.tif", VALUES.astype(kind), photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(frames(tmp_path / "a.tif"), VALUES)
    notes = FileSource(DataConfig(source=str(tmp_path / "a.tif"), range=(0, 100))).notes
    assert any("0 is white" in note for note in notes)


def test_a_tiff_of_data_is_as_gdal_has_it(tmp_path: Path):
    tags = [(274, "H", 1, 6, True), (42113, "s", 0, "7", True)]
    tifffile.imwrite(tmp_path / "a.tif", VALUES[0].astype("f4"), metadata=None, extratags=tags)
    found = FileSource(DataConfig(source=str(tmp_path / "a.tif"), range=(0, 100)))
    np.testing.assert_array_equal(found.read(0, 0, 1).frames[0, 0], np.where(VALUES[0] == 7, np.nan, VALUES[0]))
    assert any("rows and columns are as stored" in note for note in found.notes)
