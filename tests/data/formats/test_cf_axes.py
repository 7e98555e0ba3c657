"""Axes of CF grids by attributes, by usual names and by coordinates of two axes; the times along them."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from framecast.data import DataConfig, FileSource
from framecast.data.formats.cf_axes import find_axes
from framecast.errors import InputError

FRAMES = np.random.default_rng(0).integers(0, 9, (6, 4, 5)).astype(np.float32)
LAT, LON = np.meshgrid(np.linspace(40, 45, 4), np.linspace(-70, -65, 5), indexing="ij")
HOURS = {"units": "hours since 2024-05-01", "standard_name": "time"}
NORTH, EAST = {"units": "degree_north"}, {"standard_name": "longitude"}


def grid(dims: tuple[str, ...], coordinates: dict | None = None, **attributes: str) -> xarray.Dataset:
    shape = FRAMES.shape[len(FRAMES.shape) - len(dims) :] if len(dims) < 4 else (1, *FRAMES.shape)
    return xarray.Dataset({"zeta": (dims, FRAMES.reshape(shape), attributes)}, coordinates)


def curvilinear(t: str, y: str, x: str, lat: str, lon: str) -> xarray.Dataset:
    return grid((t, y, x), {t: (t, np.arange(6.0), HOURS), lat: ((y, x), LAT, NORTH), lon: ((y, x), LON, EAST)})


GRIDS = {
    "ROMS": (curvilinear("ocean_time", "eta_rho", "xi_rho", "lat_rho", "lon_rho"), "ocean_time eta_rho xi_rho"),
    "POP": (curvilinear("time", "nlat", "nlon", "TLAT", "TLONG"), "time nlat nlon"),
    "a satellite": (curvilinear("time", "lines", "pixels", "lat", "lon"), "time lines pixels"),
    "rows known by name": (curvilinear("time", "y", "cells", "lat", "lon"), "time y cells"),
    "columns known by name, and first in the positions": (
        grid(
            ("time", "cells", "lon"),
            {"lat2": (("lon", "cells"), LAT.T, NORTH), "lon2": (("lon", "cells"), LON.T, EAST)},
        ),
        "time cells lon",
    ),
    "WRF": (
        grid(
            ("Time", "south_north", "west_east"),
            {
                "XTIME": ("Time", np.arange(6.0), {"units": "minutes since 2024-05-01"}),
                "XLAT": (("Time", "south_north", "west_east"), np.tile(LAT, (6, 1, 1)), NORTH),
                "XLONG": (("Time", "south_north", "west_east"), np.tile(LON, (6, 1, 1)), EAST),
            },
        ),
        "Time south_north west_east",
    ),
    "a rotated pole": (
        grid(
            ("time", "r1", "r2"),
            {
                "time": ("time", np.arange(6.0), HOURS),
                "r1": ("r1", np.arange(4.0), {"standard_name": "grid_latitude", "units": "degrees"}),
                "r2": ("r2", np.arange(5.0), {"standard_name": "grid_longitude", "units": "degrees"}),
                "lat": (("r1", "r2"), LAT, NORTH),
                "lon": (("r1", "r2"), LON, EAST),
            },
        ),
        "time r1 r2",
    ),
    "the attribute axis": (
        grid(
            ("a", "b", "c"),
            {
                "a": ("a", np.arange(6), {"axis": "T"}),
                **{
                    name: (name, np.arange(size), {"axis": axis}) for name, size, axis in (("b", 4, "Y"), ("c", 5, "X"))
                },
            },
        ),
        "a b c",
    ),
    "GOES": (
        grid(
            ("n", "a", "b"),
            {
                "n": ("n", np.arange(6.0), HOURS),
                **{
                    name: (name, np.arange(size), {"standard_name": f"projection_{axis}_angular_coordinate"})
                    for name, size, axis in (("a", 4, "y"), ("b", 5, "x"))
                },
            },
        ),
        "n a b",
    ),
    "THREDDS": (
        grid(
            ("a", "b", "c"),
            {
                name: (name, np.arange(size), {"_CoordinateAxisType": kind})
                for name, size, kind in (("a", 6, "Time"), ("b", 4, "GeoY"), ("c", 5, "GeoX"))
            },
        ),
        "a b c",
    ),
    "auxiliary coordinates": (
        grid(
            ("step", "a", "b"),
            {"valid": ("step", np.arange(6.0), HOURS), "lat": ("a", LAT[:, 0], NORTH), "lon": ("b", LON[0], EAST)},
        ),
        "step a b",
    ),
    "attributes in another case": (
        grid(
            ("time", "b", "c"),
            {"b": ("b", np.arange(4), {"axis": "y"}), "c": ("c", np.arange(5), {"units": "Degrees_East"})},
        ),
        "time b c",
    ),
    "names only": (grid(("time", "ny", "nx")), "time ny nx"),
    "cfgrib": (
        grid(
            ("step", "latitude", "longitude"), {"step": ("step", np.arange(6.0), {"standard_name": "forecast_period"})}
        ),
        "step latitude longitude",
    ),
}


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("listed", [True, False])
def test_time_rows_and_columns(tmp_path: Path, kind: str, listed: bool):
    """Whether the attribute `coordinates` names the coordinates or not: xarray makes variables of them then."""
    data, dims = GRIDS[kind]
    t, y, x = dims.split()
    view = data if listed else data.reset_coords([key for key in data.coords if key not in data.dims])
    assert find_axes(view).letters == {t: "t", y: "y", x: "x"}
    view.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    source = FileSource(DataConfig(source=str(tmp_path / "a.nc")))
    np.testing.assert_array_equal(source.read(0, 0, 6).frames[:, 0], FRAMES)
    assert (source.grid.y_name, source.grid.x_name) == (y, x)


def test_positions_of_curvilinear_grids_are_said_to_be_left_out(tmp_path: Path):
    GRIDS["ROMS"][0].to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    notes = FileSource(DataConfig(source=str(tmp_path / "a.nc"))).notes
    assert "grid: curvilinear; the positions of its pixels, lat_rho, lon_rho, are not taken over" in notes
    GRIDS["a rotated pole"][0].to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    assert not [note for note in FileSource(DataConfig(source=str(tmp_path / "b.nc"))).notes if "curvilinear" in note]


def test_positions_are_frames_where_they_are_asked_for(tmp_path: Path):
    data = GRIDS["ROMS"][0].reset_coords(["lat_rho", "lon_rho"])
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    source = FileSource(DataConfig(source=str(tmp_path / "a.nc"), variable="zeta,lat_rho"))
    np.testing.assert_array_equal(source.read(0, 3, 4).frames[0, 1], LAT.astype(np.float32))


def test_points_of_a_mesh_are_neither_rows_nor_columns():
    data = xarray.Dataset(
        {"rain": (("time", "cell"), FRAMES[:, 0])},
        {"lat": ("cell", LON[0], NORTH), "lon": ("cell", LON[0], EAST), "lat_bnds": (("cell", "nv"), LAT.T, NORTH)},
    )
    assert find_axes(data).letters == {"time": "t"}


def test_attributes_that_are_no_texts_are_left_alone():
    units = np.array([1, 2])
    data = grid(("time", "b", "x"), {"b": ("b", np.arange(4.0), {"units": units, "axis": "Y"})})
    data = data.drop_indexes("b")  # as files are opened
    data.attrs["coordinates"] = "elsewhere"
    assert find_axes(data).letters == {"time": "t", "b": "y", "x": "x"}
    assert data["b"].attrs["units"] is units
    assert data.attrs == {"coordinates": "elsewhere"}


def test_axes_that_nothing_names(tmp_path: Path):
    grid(("dim_0", "dim_1", "dim_2")).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=r"none on a grid; zeta \(dim_0, dim_1, dim_2\), expected axes of rows and"):
        FileSource(DataConfig(source=str(tmp_path / "a.nc")))


def forecast(runs: int) -> xarray.Dataset:
    """A forecast as cfgrib writes it: reference times, lead times, and the times for which frames are valid."""
    start, lead = 12.0 * np.arange(runs), np.arange(6.0)
    since = "hours since 2024-05-01"
    return xarray.Dataset(
        {"t2m": (("time", "step", "latitude", "longitude"), np.stack([FRAMES] * runs), {"units": "K"})},
        {
            "time": ("time", start, {"standard_name": "forecast_reference_time", "units": since}),
            "step": ("step", lead, {"standard_name": "forecast_period", "units": "hours"}),
            "valid_time": (("time", "step"), start[:, None] + lead, {"standard_name": "time", "units": since}),
        },
    )


@pytest.mark.parametrize("kind", ["a scalar time", "one time", "several steps of no length"])
def test_lead_times_are_frames_at_their_valid_times(tmp_path: Path, kind: str):
    data = forecast(1) if kind != "a scalar time" else forecast(1).isel(time=0)
    if kind == "several steps of no length":
        data = forecast(6).isel(step=[2])
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    source = FileSource(DataConfig(source=str(tmp_path / "a.nc")))
    assert (source.lengths, source.spec.channels) == ([6], 1)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf", decode_timedelta=True) as oracle:
        expected = oracle["valid_time"].values.ravel().astype("datetime64[ms]")
    assert [source.read(0, k, k + 1).time for k in range(6)] == list(expected)


def test_several_runs_are_sequences(tmp_path: Path):
    forecast(3).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    source = FileSource(DataConfig(source=str(tmp_path / "a.nc")))
    assert (source.lengths, source.spec.channels, source.spec.step_minutes) == ([6, 6, 6], 1, 60)
    assert "runs: 3 forecasts, each a sequence of its own" in source.notes
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf", decode_timedelta=True) as oracle:
        for run in range(3):
            expected = oracle["valid_time"].values[run].astype("datetime64[ms]")
            assert list(source.frame_times(run)) == list(expected)
            np.testing.assert_array_equal(source.read(run, 0, 6).frames[:, 0], oracle["t2m"].values[run])
            np.testing.assert_array_equal(source.read(run, 2, 4).frames[:, 0], oracle["t2m"].values[run, 2:4])


SINCE = "hours since 2024-05-01"
START = {"standard_name": "forecast_reference_time", "units": SINCE}
VALID = list(np.datetime64("2024-05-01T03", "ms") + np.arange(6) * np.timedelta64(1, "h"))


def write(path: Path, dims: tuple[str, ...], listed: str = "", **coordinates: tuple) -> FileSource:
    """Write a grid whose attribute `coordinates` lists only what is given, and open it."""
    data = grid(dims, coordinates).reset_coords([key for key in coordinates if key not in dims])
    if listed:
        data["zeta"].attrs["coordinates"] = listed
    data.to_netcdf(path, engine="h5netcdf")
    return FileSource(DataConfig(source=str(path)))


LEADS = {
    "hours": (np.arange(6.0), {"units": "hours"}),
    "minutes": (60 * np.arange(6), {"units": "minutes"}),
    "days": (np.arange(6) / 24, {"units": "days"}),
    "timedelta": (np.arange(6) * np.timedelta64(3600, "s"), {}),
}
STARTS = {
    "one start": {"start": ((), 3.0, START)},
    "one time": {"time": ((), 3.0, {"units": SINCE})},
    "a start for each lead time": {"start": ("lead", np.full(6, 3.0), START)},
    "a start in days": {"start": ((), 0.125, {**START, "units": "days since 2024-05-01"})},
}


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("start", STARTS)
def test_starts_and_lead_times_give_valid_times(tmp_path: Path, lead: str, start: str):
    values, units = LEADS[lead]
    leads = ("lead", values, {"standard_name": "forecast_period", **units})
    source = write(tmp_path / "a.nc", ("lead", "lat", "lon"), lead=leads, **STARTS[start])
    assert (source.lengths, source.spec.step_minutes) == ([6], 60)
    assert list(source.frame_times(0)) == VALID


def test_starts_and_lead_times_in_a_calendar_of_30_days(tmp_path: Path):
    start = {**START, "units": "days since 2024-02-29", "calendar": "360_day"}
    leads = ("lead", np.arange(6.0), {"standard_name": "forecast_period", "units": "days"})
    source = write(tmp_path / "a.nc", ("lead", "lat", "lon"), lead=leads, start=((), 0.0, start))
    assert (source.lengths, source.spec.step_minutes, source.grid.calendar) == ([6], 1440, "360_day")


@pytest.mark.parametrize("units", [None, "lunations"])
def test_starts_alone_do_not_date_lead_times(tmp_path: Path, units: str | None):
    attributes = {"standard_name": "forecast_period"} | ({"units": units} if units else {})
    leads, starts = ("lead", np.arange(6.0), attributes), ("lead", np.full(6, 3.0), START)
    source = write(tmp_path / "a.nc", ("lead", "lat", "lon"), lead=leads, start=starts)
    assert source.lengths == [6]
    assert source.frame_times(0) is None


def test_runs_with_one_lead_time_are_dated_by_it(tmp_path: Path):
    period = ((), 3.0, {"standard_name": "forecast_period", "units": "hours"})
    source = write(tmp_path / "a.nc", ("time", "lat", "lon"), time=("time", np.arange(6.0), START), step=period)
    assert list(source.frame_times(0)) == VALID


ABSOLUTE = ("time", 20240501 + np.arange(6.0) / 24, {"units": "day as %Y%m%d.%f", "standard_name": "time", "axis": "T"})
PLAIN, NUMBERED = ("time", np.arange(6.0)), ("record", np.arange(6.0))


@pytest.mark.parametrize("listed", ["", "made"])
@pytest.mark.parametrize(("dim", "own"), [("time", ABSOLUTE), ("time", PLAIN), ("record", None)])
def test_times_of_something_else_neither_date_nor_sort_frames(tmp_path: Path, dim: str, own: tuple | None, listed: str):
    made = (dim, np.array([9.0, 7, 8, 6, 5, 10]), {"units": SINCE} if dim == "time" else START)
    source = write(tmp_path / "a.nc", (dim, "lat", "lon"), listed, **{dim: own} if own else {}, made=made)
    np.testing.assert_array_equal(source.read(0, 0, 6).frames[:, 0], FRAMES)
    assert source.frame_times(0) is None


@pytest.mark.parametrize(
    ("key", "attributes", "listed"),
    [("dates", {"standard_name": "time"}, ""), ("valid_time", {}, ""), ("dates", {}, "dates")],
)
def test_times_along_the_axis_that_date_frames(tmp_path: Path, key: str, attributes: dict, listed: str):
    dates = ("record", 3 + np.arange(6.0), {"units": SINCE, **attributes})
    source = write(tmp_path / "a.nc", ("record", "lat", "lon"), listed, record=NUMBERED, **{key: dates})
    assert list(source.frame_times(0)) == VALID
