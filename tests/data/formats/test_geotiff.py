"""GeoTIFF: what is missing by GDAL's rules (RFC 15), as rasterio's masked arrays say it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SIZE = 24
GONE = np.zeros((SIZE, SIZE), bool)
GONE[18:] = True
FIELD = np.random.default_rng(0).integers(0, 200, (SIZE, SIZE))


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def write(
    path: Path, *bands: np.ndarray, mask: np.ndarray | None = None, beside: bool = False, geo: bool = True, **profile
):
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(1000, 0, 500_000, 0, -1000, 5_000_000)} if geo else {}
    profile = {"dtype": bands[0].dtype, "count": len(bands), "height": SIZE, "width": SIZE} | place | profile
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not beside), rasterio.open(path, "w", driver="GTiff", **profile) as file:
        for number, band in enumerate(bands, 1):
            file.write(band, number)
        if mask is not None:
            file.write_mask(mask)


def check(path: Path, *, bands: int = 1) -> FileSource:
    """Frames equal what rasterio reads, masked where its mask is, and without NaN."""
    found = source(path)
    with rasterio.open(path) as file:
        right = file.read(list(range(1, bands + 1)), masked=True)
    right = np.ma.masked_invalid(right.astype(np.float32)).filled(np.nan)
    np.testing.assert_array_equal(found.read(0, 0, 1).frames[0], right)
    assert found.spec.channels == bands
    assert np.isnan(right).mean() == 0.25
    return found


@pytest.mark.parametrize("geo", [True, False])
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16"])
def test_masks(tmp_path: Path, geo: bool, beside: bool, dtype: str):
    write(
        tmp_path / "a.tif", FIELD.astype(dtype), mask=~GONE, beside=beside, geo=geo, **({} if geo else {"nodata": None})
    )
    assert (tmp_path / "a.tif.msk").exists() == beside
    found = check(tmp_path / "a.tif")
    assert found.grid.missing == "mask"


def test_a_mask_precedes_nodata(tmp_path: Path):
    write(tmp_path / "a.tif", FIELD.astype(np.float32), mask=~GONE, nodata=float(FIELD[0, 0]))
    check(tmp_path / "a.tif")


@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_is_no_channel(tmp_path: Path, colours: int):
    bands = [np.roll(FIELD, k).astype(np.uint8) for k in range(colours)]
    photometric = "RGB" if colours == 3 else "MINISBLACK"
    write(tmp_path / "a.tif", *bands, np.where(GONE, 0, 255).astype(np.uint8), photometric=photometric, alpha="YES")
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.colorinterp[-1] == ColorInterp.alpha
    found = check(tmp_path / "a.tif", bands=colours)
    assert any("is alpha" in note for note in found.notes)
    alpha = source(tmp_path / "a.tif", variable=str(colours + 1))  # by name it is a channel as others are
    np.testing.assert_array_equal(alpha.read(0, 0, 1).frames[0, 0], np.where(GONE, 0, 255))


@pytest.mark.parametrize(
    ("nodata", "stored", "dtype"),
    [
        (-3.40282e38, np.finfo(np.float32).min, "float32"),
        (-3.4028234663852886e38, np.finfo(np.float32).min, "float32"),
        (3.40282e38, np.finfo(np.float32).max, "float32"),
        (np.nan, np.nan, "float32"),
        (-9999.9, np.float32(-9999.9), "float32"),
        (1e20, 1e20, "float64"),
        (-32768, -32768, "int16"),
        (255, 255, "uint8"),
    ],
)
def test_nodata(tmp_path: Path, nodata: float, stored: float, dtype: str):
    write(tmp_path / "a.tif", np.where(GONE, stored, FIELD).astype(dtype), nodata=nodata)
    found = check(tmp_path / "a.tif")
    assert found.spec.high < 200
    assert found.spec.low >= 0


def test_nodata_of_bands_with_scale_and_offset(tmp_path: Path):
    other = np.where(GONE, -99, FIELD + 1).astype(np.int16)
    write(tmp_path / "a.tif", np.where(GONE, -99, FIELD).astype(np.int16), other, nodata=-99)
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.scales, file.offsets = (0.5, 0.1), (-32, 0)
    frames = source(tmp_path / "a.tif").read(0, 0, 1).frames[0]
    np.testing.assert_allclose(frames[0], np.where(GONE, np.nan, FIELD * 0.5 - 32))
    np.testing.assert_allclose(frames[1], np.where(GONE, np.nan, (FIELD + 1) * 0.1), rtol=1e-6)


def test_nodata_of_a_tiff_that_lies_nowhere(tmp_path: Path):
    write(tmp_path / "a.tif", np.where(GONE, -9999, FIELD).astype(np.float32), nodata=-9999, geo=False)
    check(tmp_path / "a.tif")


def test_a_mask_of_another_size_is_refused(tmp_path: Path):
    write(tmp_path / "a.tif", FIELD.astype(np.float32), mask=~GONE, beside=True)
    write(tmp_path / "b.tif", FIELD[:9].astype(np.float32), height=9)
    (tmp_path / "b.tif").rename(tmp_path / "a.tif.msk")
    with pytest.raises(InputError, match=r"a\.tif\.msk: got a mask of \(9, 24\), expected \(24, 24\)"):
        source(tmp_path / "a.tif")


@pytest.mark.parametrize("crs", ["EPSG:2263", "+proj=utm +zone=32 +units=km"])
def test_feet_and_kilometres_are_placed_in_metres(tmp_path, crs: str) -> None:
    write(tmp_path / "a.tif", FIELD.astype("u1"), crs=crs, transform=rasterio.Affine(10, 0, 900, 0, -10, 6000))
    grid = source(tmp_path / "a.tif").grid
    unit = rasterio.CRS.from_user_input(crs).linear_units_factor[1]
    assert grid.axis_units == "m"
    assert (grid.x[0], grid.y[0]) == pytest.approx((905 * unit, 5995 * unit))


def test_turned_pixels_have_no_coordinates_and_no_reference_system(tmp_path) -> None:
    place = rasterio.Affine(1000, 200, 100_000, 200, -1000, 400_000)
    write(tmp_path / "a.tif", FIELD.astype("u1"), crs="EPSG:28992", transform=place)
    grid = source(tmp_path / "a.tif").grid
    assert grid.x == grid.y == ()
    assert grid.crs is None
