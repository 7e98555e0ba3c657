"""What we write lies where it was: GDAL, and so QGIS, opens it, and the corner is where PROJ puts it by hand."""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.warp
import xarray
from tests.fixtures.forecasts import forecast
from tests.writers.test_cf import DATA, real

from framecast import writers
from framecast.data import DataConfig, FileSource
from framecast.errors import UsageError
from framecast.types import Grid

pyproj = pytest.importorskip("pyproj")
pytestmark = pytest.mark.filterwarnings("ignore")
HEIGHT, WIDTH = 6, 9
KNMI = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378140 +b=6356750 +x_0=0 +y_0=0"
HRRR = {
    "grid_mapping_name": "lambert_conformal_conic", "standard_parallel": [38.5, 38.5], "earth_radius": 6371229.0,
    "longitude_of_central_meridian": -97.5, "latitude_of_projection_origin": 38.5,
}  # fmt: skip
LCC = "+proj=lcc +lat_1=38.5 +lat_2=38.5 +lat_0=38.5 +lon_0=-97.5 +R=6371229"
GOES = {
    "grid_mapping_name": "geostationary", "perspective_point_height": 35786023.0, "sweep_angle_axis": "x",
    "longitude_of_projection_origin": -75.0, "latitude_of_projection_origin": 0.0,
    "semi_major_axis": 6378137.0, "semi_minor_axis": 6356752.31414,
}  # fmt: skip
GEOS = "+proj=geos +h=35786023 +lon_0=-75 +sweep=x +a=6378137 +b=6356752.31414"
METEOSAT = "+proj=geos +h=35785831 +lon_0=0 +ellps=WGS84 +sweep=y"
OPERA = "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +ellps=WGS84"
UTM_KM = {
    "grid_mapping_name": "transverse_mercator", "scale_factor_at_central_meridian": 0.9996,
    "longitude_of_central_meridian": 9.0, "latitude_of_projection_origin": 0.0, "false_easting": 500.0,
    "false_northing": 0.0, "semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563,
}  # fmt: skip
FOOT = 1200 / 3937
CASES = {
    # name: (CRS, CF mapping, units of the axes, centre of the first pixel and step in them, CRS by hand, corner in it)
    "KNMI": (KNMI, {}, "km", (0.5, 1, -3650.5, -1), KNMI, (0, -3650e3)),
    "FMI": ("EPSG:3067", {}, "m", (300500, 1000, 7000500, -1000), "EPSG:3067", (300e3, 7001e3)),
    "rows from the south": ("EPSG:3067", {}, "m", (300500, 1000, 6995500, 1000), "EPSG:3067", (300e3, 7001e3)),
    "UTM": ("EPSG:32632", {}, "km", (500.5, 1, 6000.5, -1), "EPSG:32632", (500e3, 6001e3)),
    "UTM by CF": (None, UTM_KM, "km", (500.5, 1, 6000.5, -1), "EPSG:32632", (500e3, 6001e3)),
    "MRMS": ("EPSG:4326", {}, "degrees", (-129.995, 0.01, 54.995, -0.01), "EPSG:4326", (-130, 55)),
    "OPERA": (OPERA, {}, "m", (1000, 2000, -1000, -2000), OPERA, (0, 0)),
    "OPERA in km": (f"{OPERA} +units=km", {}, "m", (1000, 2000, -1000, -2000), OPERA, (0, 0)),
    "LAEA": ("EPSG:3035", {}, "km", (4321, 2, 3210, -2), "EPSG:3035", (4320e3, 3211e3)),
    "Lambert": (LCC, {}, "m", (-2697500, 3000, -1572300, -3000), LCC, (-2699e3, -1570.8e3)),
    "Lambert by CF": (None, HRRR, "km", (-2697.5, 3, -1572.3, -3), LCC, (-2699e3, -1570.8e3)),
    "scan angles": (None, GOES, "rad", (-0.04998, 4e-5, 0.07998, -4e-5), GEOS, (-0.05 * 35786023, 0.08 * 35786023)),
    "Meteosat": (METEOSAT, {}, "m", (-1998500, 3000, 2998500, -3000), METEOSAT, (-2e6, 3e6)),
    "Mercator": ("+proj=merc +lat_ts=20 +R=6371229", {}, "m", (1e6, 2e3, 2e6, -2e3),
                 "+proj=merc +lat_ts=20 +R=6371229", (999e3, 2001e3)),
    "tiles of the web": ("EPSG:3857", {}, "m", (1e6, 2e3, 2e6, -2e3), "EPSG:3857", (999e3, 2001e3)),
    "the Netherlands": ("EPSG:28992", {}, "m", (1e5, 2e3, 5e5, -2e3), "EPSG:28992", (99e3, 501e3)),
    "Albers": ("EPSG:5070", {}, "m", (1e5, 2e3, 2e6, -2e3), "EPSG:5070", (99e3, 2001e3)),
    "feet": ("EPSG:2263", {}, "m", (3e5, 1e3, 6e4, -1e3), "EPSG:2263", (299500 / FOOT, 60500 / FOOT)),
    "Antarctica": ("EPSG:3031", {}, "km", (1e3, 2, 2e3, -2), "EPSG:3031", (999e3, 2001e3)),
}  # fmt: skip


def grid(crs: str | None, mapping: dict, units: str, axes: tuple[float, float, float, float]) -> Grid:
    x, across, y, down = axes
    return Grid(
        variables=("r",), units=("dBZ",), crs=crs, mapping=mapping, axis_units=units,
        y=tuple(y + down * row for row in range(HEIGHT)), x=tuple(x + across * column for column in range(WIDTH)),
    )  # fmt: skip


def opened(path: Path) -> str:
    return f"netcdf:{path}:r" if path.suffix == ".nc" else str(next(path.iterdir()))


def corner(path: str) -> tuple[float, float]:
    """Longitude and latitude of the upper left corner, by GDAL."""
    with rasterio.open(path) as file:
        assert file.crs is not None
        (lon,), (lat,) = rasterio.warp.transform(file.crs, "EPSG:4326", [file.transform.c], [file.transform.f])
        return lon, lat


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", [".nc", ".tif"])
def test_the_corner_is_where_it_was(tmp_path: Path, name: str, suffix: str) -> None:
    *said, crs, (x, y) = CASES[name]
    made = forecast(grid=grid(*said))
    path = tmp_path / f"x{suffix}"
    writers.check_grid([path], made.grid)
    writers.write(path, made)
    expected = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    assert corner(opened(path)) == pytest.approx(expected, abs=1e-6)
    with rasterio.open(opened(path)) as file:
        frame = made.values[0, 0, 0, 0]
        np.testing.assert_array_equal(file.read(1), frame[::-1] if made.grid.is_south_up else frame)


@pytest.mark.parametrize("name", CASES)
def test_what_is_read_again_lies_there_too(tmp_path: Path, name: str) -> None:
    writers.write(tmp_path / "x.nc", forecast(grid=grid(*CASES[name][:4])))
    again = FileSource(DataConfig(source=str(tmp_path / "x.nc")))
    writers.write(tmp_path / "y.nc", forecast(grid=again.grid))
    assert corner(opened(tmp_path / "y.nc")) == pytest.approx(corner(opened(tmp_path / "x.nc")), abs=1e-9)


def test_a_rotated_pole(tmp_path: Path) -> None:
    """Of the ellipsoid only the sphere counts: the formula of COSMO and CORDEX."""
    pole_lat, pole_lon = 39.25, -162.0
    mapping = {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": pole_lat,
        "grid_north_pole_longitude": pole_lon,
    }
    made = grid(None, mapping, "degrees", (-9.945, 0.11, -20.055, -0.11))
    writers.write(tmp_path / "x.nc", forecast(grid=made))
    lon, lat, tilt = (math.radians(angle) for angle in (-10.0, -20.0, pole_lat))
    sine = math.sin(tilt) * math.sin(lat) + math.cos(tilt) * math.cos(lat) * math.cos(lon)
    east = math.cos(lat) * math.sin(lon)
    north = math.sin(tilt) * math.cos(lat) * math.cos(lon) - math.cos(tilt) * math.sin(lat)
    expected = pole_lon + 180 + math.degrees(math.atan2(east, north)), math.degrees(math.asin(sine))
    assert corner(opened(tmp_path / "x.nc")) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UsageError, match=r"GeoTIFF: got the CRS .*ole.*, expected one with a code.*write \.nc"):
        writers.check_grid([tmp_path / "x.tif"], made)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_units_of_the_axes_are_those_of_the_crs(tmp_path: Path, suffix: str) -> None:
    writers.write(tmp_path / f"x{suffix}", forecast(grid=grid(*CASES["KNMI"][:4])))
    with xarray.open_dataset(tmp_path / f"x{suffix}", engine="zarr" if suffix == ".zarr" else "h5netcdf") as data:
        assert [data[axis].attrs["units"] for axis in "yx"] == ["m", "m"]
        assert data["x"].values.tolist() == [500 + 1000 * n for n in range(WIDTH)]


def test_coordinates_that_are_none_of_the_crs_stay(tmp_path: Path) -> None:
    odd = grid("EPSG:3067", {}, "hPa", (1, 1, 6, -1))
    writers.write(tmp_path / "x.nc", forecast(grid=odd))
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as data:
        assert (data["x"].attrs["units"], data["x"].values[0]) == ("hPa", 1)
    with pytest.raises(UsageError, match="coordinates in hPa"):
        writers.check_grid([tmp_path / "x.tif"], odd)


@pytest.mark.parametrize("kind", ["knmi_hdf5", "fmi_geotiff", "fmi_pgm", "mrms_grib2", "odim", "era5"])
@pytest.mark.parametrize("suffix", [".nc", ".tif"])
def test_real_files(tmp_path: Path, kind: str, suffix: str) -> None:
    made = real(kind)
    writers.write(tmp_path / f"x{suffix}", made)
    path = opened(tmp_path / f"x{suffix}")
    if suffix == ".nc":
        with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as data:
            path = path[: -len("r")] + next(key for key in data.data_vars if key != "crs")
    assert corner(path) == pytest.approx(CORNERS[kind](), abs=2e-5)


def by_gdal(path: str) -> tuple[float, float]:
    with rasterio.open(path) as file:
        crs = file.crs or "EPSG:4326"
        (lon,), (lat,) = rasterio.warp.transform(crs, "EPSG:4326", [file.transform.c], [file.transform.f])
        return lon, lat


def from_plane(crs: str, x: float, y: float) -> tuple[float, float]:
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)


def of_knmi() -> tuple[float, float]:
    """Offsets in pixels of 1 km on the plane of the file's PROJ text."""
    with h5py.File(next((DATA / "radar" / "knmi_hdf5").iterdir())) as file:
        column, row = (file["geographic"].attrs[f"geo_{side}_offset"][0] for side in ("column", "row"))
    return from_plane("+proj=stere +lat_0=90 +lat_ts=60 +a=6378137 +b=6356752", 1000 * column, -1000 * row)


def of_odim() -> tuple[float, float]:
    with h5py.File(next((DATA / "radar" / "odim").glob("*PAAH22*"))) as file:
        return file["where"].attrs["UL_lon"], file["where"].attrs["UL_lat"]


def of_fmi() -> tuple[float, float]:
    """96 rows of the header's size above the header's lower left corner."""
    plane = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=25 +R=6371288"
    x, y = pyproj.Proj(plane)(18.6, 57.93)
    return from_plane(plane, x, y + 96 * 999.62859)


RADAR = DATA / "radar"
CORNERS = {
    "knmi_hdf5": of_knmi,
    "fmi_geotiff": lambda: by_gdal(str(next((RADAR / "fmi_geotiff").iterdir()))),
    "fmi_pgm": of_fmi,
    "mrms_grib2": lambda: by_gdal(str(next((RADAR / "mrms_grib2").iterdir()))),
    "odim": of_odim,
    "era5": lambda: by_gdal(f"netcdf:{DATA / 'era5_t2m.nc'}:t2m"),
}
