"""From every radar file through a forecast to CF NetCDF and back: places, units, times and missing pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.fixtures.commands import unchecked

from framecast.cli import app
from framecast.data import DataConfig, FileSource

pyproj = pytest.importorskip("pyproj")
pytestmark = pytest.mark.filterwarnings("ignore")

CUT = Path(__file__).parents[1] / "fixtures"
RAW = Path(__file__).parents[3] / "shared" / "data" / "raw"
"""The untouched files, where they lie beside the checkout."""
TINY = [
    *("--set", "model.hidden=[2]", "--set", "model.kernel_size=3", "--set", "patch=8", "--set", "train.batch_size=1"),
    *("--set", "context=1", "--set", "horizon=1", "--set", "data.fractions=[1,0,0]", "--steps", "2", "--quiet"),
]
UNITS = {"opera_odim_hdf5": "mm/h", "odim": "mm/h", "knmi_hdf5": "mm/h", "mrms_grib2": "mm/h", "era5_t2m.nc": "K"}
"""Others are in dBZ."""
STEP = {"opera_odim_hdf5": 15, "odim": 15, "mrms_grib2": 2, "era5_t2m.nc": 60}
"""Others are 5 minutes apart."""


def framecast(*words: object) -> None:
    with unchecked():
        app([str(word) for word in words], standalone_mode=False)


def options(root: Path) -> list[str]:
    return {"odim": ["--var", "RATE"], "opera_odim_hdf5": ["--var", "RATE"], "era5_t2m.nc": ["--var", "t2m"]}.get(
        root.name, []
    )


def round_trip(
    run: Path, path: Path, said: list[str], out: Path, capsys: pytest.CaptureFixture, shrink: int = 1
) -> str:
    """Look, forecast two frames, and compare what was written with what was read; the units."""
    capsys.readouterr()
    framecast("inspect", path, *said, "--shrink", shrink, "--no-picture", "--json")
    assert json.loads(capsys.readouterr().out)["frames"] >= 1
    words = ["--shrink", shrink, "--context", 1, "--horizon", 2, "--out", out, "--device", "cpu", "--quiet"]
    framecast("predict", run, path, *said, *words)
    source = FileSource(DataConfig(source=str(path), variable=said[1] if said else None, shrink=shrink))
    window = source.read(source.latest[-1], source.lengths[-1] - 1, source.lengths[-1])
    with xarray.open_dataset(out, engine="h5netcdf") as data:
        (name,) = (key for key in data.data_vars if key != "crs")
        found = data[name].load()
        grid = source.grid
        assert found.dims == ("time", grid.y_name, grid.x_name)
        metres = 1000 if grid.axis_units == "km" else 1
        np.testing.assert_allclose(found[grid.y_name], metres * np.array(grid.y), rtol=1e-15)
        np.testing.assert_allclose(found[grid.x_name], metres * np.array(grid.x), rtol=1e-15)
        step = np.timedelta64(STEP.get(path.name, STEP.get(path.parent.name, 5)), "m")
        assert found["forecast_reference_time"].values == window.time
        np.testing.assert_array_equal(found["time"].values, window.time + step * np.arange(1, 3))
        lead = found["lead_time"]
        np.testing.assert_array_equal(lead.values * np.timedelta64(1, lead.attrs["units"][0]), step * np.arange(1, 3))
        np.testing.assert_array_equal(np.isnan(found.values), np.isnan(window.frames).repeat(2, 0)[:, 0])
        assert np.isnan(found.encoding["_FillValue"])
        same_place(pyproj.CRS.from_cf(data[found.attrs["grid_mapping"]].attrs), grid, found)
        return str(found.attrs["units"])


def same_place(written: pyproj.CRS, grid: object, found: xarray.DataArray) -> None:
    """A corner is on the same spot of the earth by the CRS that was written and the one that was read, both in metres."""
    corner = [float(found[name][0]) for name in (grid.x_name, grid.y_name)]
    places = []
    for crs in (written, pyproj.CRS.from_user_input(grid.crs)):
        degrees = crs.geodetic_crs
        places.append(pyproj.Transformer.from_crs(crs, degrees, always_xy=True).transform(*corner))
    np.testing.assert_allclose(places[0], places[1], rtol=0, atol=1e-6)
    assert -180 <= places[0][0] <= 180
    assert 15 < places[0][1] < 80


@pytest.mark.parametrize("name", ["fmi_pgm", "fmi_geotiff", "knmi_hdf5", "mrms_grib2", "odim", "era5_t2m.nc"])
def test_every_format(tmp_path: Path, capsys, name: str) -> None:
    """The folder, and one file of it, which has no step of its own: it is taken to be the model's."""
    root = CUT / name if name == "era5_t2m.nc" else CUT / "radar" / name
    framecast("train", "convlstm", "--data", root, *options(root), *TINY, "--device", "cpu", "--out", tmp_path / "run")
    units = round_trip(tmp_path / "run", root, options(root), tmp_path / "folder.nc", capsys)
    assert units == UNITS.get(name, "dBZ")
    if root.is_dir():
        one = sorted(root.iterdir())[0]
        assert round_trip(tmp_path / "run", one, options(root), tmp_path / "one.nc", capsys) == units


@pytest.mark.slow
@pytest.mark.skipif(not RAW.exists(), reason="no raw files in ../shared/data/raw")
@pytest.mark.parametrize("name", ["fmi_pgm", "fmi_geotiff", "knmi_hdf5", "mrms_grib2", "opera_odim_hdf5"])
def test_every_raw_file_and_folder(tmp_path: Path, capsys, name: str) -> None:
    root, shrink = RAW / name, 8
    words = [*options(root), "--shrink", shrink, *TINY, "--device", "cpu", "--out", tmp_path / "run"]
    framecast("train", "convlstm", "--data", root, *words)
    for number, path in enumerate([root, *sorted(root.iterdir())]):
        said, run = options(root), tmp_path / "run"
        if "PABV21" in path.name:  # the only file of its quantity: a model of other reflectivity, of another step
            said, run = ["--var", "DBZH", "--step-minutes", "15"], tmp_path / "dbz"
            other = RAW / "fmi_geotiff"
            framecast("train", "convlstm", "--data", other, "--shrink", 16, *TINY, "--device", "cpu", "--out", run)
        units = round_trip(run, path, said, tmp_path / f"{number}.nc", capsys, shrink)
        assert units == ("dBZ" if "DBZH" in said else UNITS.get(name, "dBZ"))
