"""GRIB messages that are built here: levels and members told apart, MRMS by NSSL's table, places on projected grids."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.grib import MRMS, message

from framecast.data import DataConfig, FileSource
from framecast.data.formats.grib.mrms import find_product
from framecast.errors import InputError

DATA = Path(__file__).parents[2] / "fixtures"

pytest.importorskip("pygrib")


def written(path: Path, *messages: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(messages))
    return path


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def frames_of(found: FileSource) -> np.ndarray:
    return found.read(0, 0, found.lengths[0]).frames[:, 0]


def field(base: float) -> np.ndarray:
    return base + np.arange(12.0).reshape(3, 4)


def test_levels_are_told_apart(tmp_path: Path):
    path = written(
        tmp_path / "a.grib2",
        *(message(field(hour + level), hour=hour, level=(100, 100 * level)) for hour in (0, 1) for level in (850, 500)),
    )
    with pytest.raises(InputError, match=r"got 2 fields, expected one of t\[850\], t\[500\]"):
        source(path)
    with pytest.raises(InputError, match=r"got t, which is t\[850\], t\[500\]"):
        source(path, variable="t")
    for level in (500, 850):
        found = source(path, variable=f"t[{level}]")
        np.testing.assert_array_equal(frames_of(found), [field(level), field(level + 1)])
        assert found.grid.variables == (f"t[{level}]",)
    with pytest.raises(InputError, match=r"one of t\[850\], t\[500\]"):
        source(path, variable="t[700]")


def test_members_are_told_apart(tmp_path: Path):
    path = written(tmp_path / "a.grib2", *(message(field(10 * n), member=n, hour=h) for h in (0, 1) for n in (1, 2)))
    with pytest.raises(InputError, match=r"got 2 fields, expected one of t\[member 1\], t\[member 2\]"):
        source(path)
    np.testing.assert_array_equal(frames_of(source(path, variable="t[member 2]")), [field(20), field(20)])


def test_levels_of_different_files_are_not_mixed(tmp_path: Path):
    for hour, level in ((0, 500), (1, 850), (2, 500)):
        written(tmp_path / "a" / f"{hour}.grib2", message(field(level), hour=hour, level=(100, 100 * level)))
    with pytest.raises(InputError, match=r"t of isobaricInhPa 850, expected t of isobaricInhPa 500, as in 0.grib2"):
        source(tmp_path / "a")
    found = source(tmp_path / "a", variable="t[500]", step_minutes=120)
    np.testing.assert_array_equal(frames_of(found), [field(500), field(500)])


@pytest.mark.parametrize(
    ("name", "number", "codes", "units", "read"),
    [
        ("MergedReflectivityQCComposite", (10, 0), (-999, -99), "dBZ", [np.nan, -32]),
        ("ReflectivityAtLowestAltitude", (3, 57), (-999, -99), "dBZ", [np.nan, -32]),
        ("SeamlessHSR", (8, 8), (-999, -99), "dBZ", [np.nan, -32]),
        ("VIL", (3, 41), (-3, -1), "kg m-2", [np.nan, 0]),
        ("EchoTop_18", (3, 44), (-3, -1), "km", [np.nan, 0]),
        ("MESH", (3, 28), (-3, -1), "mm", [np.nan, 0]),
        ("PrecipRate", (6, 1), (-3, -1), "mm/h", [np.nan, np.nan]),
        ("RadarQualityIndex", (8, 0), (-3, -1), "1", [np.nan, np.nan]),
    ],
)
@pytest.mark.parametrize("prefix", ["", "MRMS_"])
def test_mrms_by_its_table(tmp_path: Path, name: str, number: tuple, codes: tuple, units: str, read: list, prefix: str):
    values = field(20)
    values[0, :2] = codes
    path = tmp_path / f"{prefix}{name}_00.50_20200102-030000.grib2"
    found = source(written(path, message(values, discipline=MRMS, parameter=number, level=(102, 500))), range=(0, 70))
    assert (found.spec.units, found.grid.variables) == (units, (name,))
    frame = frames_of(found)[0]
    np.testing.assert_array_equal(frame[0, :2], read)
    np.testing.assert_array_equal(frame[1:], values[1:])
    assert f"{codes[0]}" in found.grid.missing


def test_mrms_names_are_read_whole(tmp_path: Path):
    """GaugeCorr_QPE_01H and _24H differ in the end of their names; a name of one's own says nothing of the product."""
    for number, name in enumerate(
        ("QPE_01H_00.00_20200102-030000.grib2", "QPE_01H.latest.grib2", "a.grib2", "b.grib2")
    ):
        packed = message(field(number), hour=number, discipline=MRMS, parameter=(6, 2), level=(102, 0))
        written(tmp_path / f"GaugeCorr_{name}" if number < 2 else tmp_path / name, packed)
    names = [source(path, range=(0, 70)).grid.variables for path in sorted(tmp_path.iterdir())]
    assert names == [("6-2",), ("GaugeCorr_QPE_01H",), ("6-2",), ("6-2",)]
    (tmp_path / "GaugeCorr_QPE_01H_00.00_20200102-030000.grib2").unlink()
    assert source(tmp_path, range=(0, 70)).lengths == [3]


def test_mrms_products_that_are_not_known_say_so(tmp_path: Path):
    assert find_product(77, 3) is None
    values = field(20)
    values[0, 0] = -99
    path = written(tmp_path / "New_00.00_20200102-030000.grib2", message(values, discipline=MRMS, parameter=(77, 3)))
    found = source(path, range=(0, 70))
    assert any("MRMS: product 77-3 is not in NSSL's table" in note for note in found.notes)
    assert frames_of(found)[0, 0, 0] == -99
    assert np.isnan(frames_of(source(path, range=(0, 70), missing=-99))[0, 0, 0])


@pytest.mark.parametrize("kind", ["lambert", "polar", "mercator", "equal area", "albers"])
def test_projected_grids_say_where_their_points_lie(tmp_path: Path, kind: str):
    pyproj = pytest.importorskip("pyproj")
    pygrib = pytest.importorskip("pygrib")
    packed = message(field(0), kind=kind)
    grid = source(written(tmp_path / "a.grib2", packed)).grid
    assert (len(grid.y), len(grid.x), grid.axis_units) == (3, 4, "m")
    lats, lons = pygrib.fromstring(packed).latlons()
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = pyproj.Proj(grid.crs)(x, y, inverse=True)
    if kind == "mercator":  # pygrib spreads these evenly between its corners, which are no part of this message
        lats, lons, lat, lon = lats[0, 0], lons[0, 0], lat[0, 0], lon[0, 0]
        assert grid.y[1] - grid.y[0] == pytest.approx(10_000)
    np.testing.assert_allclose(lat, lats, atol=1e-5)
    np.testing.assert_allclose(lon, lons, atol=1e-5)


@pytest.mark.parametrize("place", ["length", "end"])
def test_a_packed_picture_that_is_cut_off_is_refused(tmp_path: Path, place: str):
    """ecCodes would abort, and the process with it."""
    file = next(iter(sorted((DATA / "radar/mrms_grib2").iterdir())))
    content = bytearray(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
    at = content.index(b"IDAT") if place == "length" else content.index(b"IEND")
    content[at - 4 : at] = (1 << 20).to_bytes(4, "big")
    (tmp_path / "a.grib2").write_bytes(content)
    with pytest.raises(InputError, match="a packed picture that is cut off"):
        FileSource(DataConfig(source=str(tmp_path / "a.grib2")))


def test_a_packed_picture_of_other_pixels_is_refused(tmp_path: Path):
    """ecCodes would write beyond its memory."""
    file = next(iter(sorted((DATA / "radar/mrms_grib2").iterdir())))
    content = bytearray(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
    at = content.index(b"IHDR") + 4
    width = int.from_bytes(content[at : at + 4], "big")
    content[at : at + 4] = (width + 1).to_bytes(4, "big")
    (tmp_path / "a.grib2").write_bytes(content)
    with pytest.raises(InputError, match=f"a packed picture of {width + 1} x"):
        FileSource(DataConfig(source=str(tmp_path / "a.grib2")))
