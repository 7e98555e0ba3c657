"""Axes of CF grids beyond time, rows and columns: levels by their values, members and versions by the user's word."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.fixtures.commands import framecast

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError
from framecast.recipe.recipe import Recipe

VALUES = np.random.default_rng(0).integers(0, 9, (6, 3, 4, 5)).astype(np.float32)
HOURS = ("time", np.arange(6.0), {"units": "hours since 2024-05-01", "standard_name": "time"})


def written(path: Path, dim: str, values: list | None, attributes: dict | None = None) -> Path:
    coordinates = {"time": HOURS} | ({} if values is None else {dim: (dim, values, attributes or {})})
    xarray.Dataset({"t": (("time", dim, "lat", "lon"), VALUES, {"units": "K"})}, coordinates).to_netcdf(
        path, engine="h5netcdf"
    )
    return path


def source(path: Path, **options) -> FileSource:
    return FileSource(DataConfig(source=str(path), range=(0, 9), **options))


@pytest.mark.parametrize(
    ("dim", "values", "attributes", "names"),
    [
        ("level", [850, 500, 250], {"units": "hPa"}, ["850", "500", "250"]),
        ("heights", [2.0, 10.5, 100.0], {"axis": "Z"}, ["2", "10.5", "100"]),
        ("depths", [5.0, 1.0, 2.0], {"positive": "down"}, ["5", "1", "2"]),
        ("band", ["red", "green", "blue"], {}, ["red", "green", "blue"]),
        ("lev", None, {}, ["0", "1", "2"]),
    ],
)
def test_levels_are_channels_named_by_their_values(
    tmp_path: Path, dim: str, values: list | None, attributes: dict, names: list
):
    path = written(tmp_path / "a.nc", dim, values, attributes)
    found = source(path)
    assert found.grid.variables == tuple(f"t[{name}]" for name in names)
    np.testing.assert_array_equal(found.read(0, 0, 6).frames, VALUES)
    one = source(path, variable=f"t[{names[1]}]")
    assert one.grid.variables == (f"t[{names[1]}]",)
    np.testing.assert_array_equal(one.read(0, 1, 3).frames[:, 0], VALUES[1:3, 1])
    two = source(path, variable=f"t[{names[2]}],t[{names[0]}]")
    np.testing.assert_array_equal(two.read(0, 0, 6).frames, VALUES[:, [2, 0]])
    assert source(path, targets=(f"t[{names[2]}]",)).spec.names == (f"t[{names[2]}]",)
    assert source(path, targets=("t[1]",)).spec.names in {("t[1]",), (f"t[{names[1]}]",)}, "as they were named before"


def test_a_level_that_is_not_there(tmp_path: Path):
    path = written(tmp_path / "a.nc", "level", [850, 500, 250])
    with pytest.raises(InputError, match=r"axis level: got 700, expected .*one of 850, 500, 250"):
        source(path, variable="t[700]")


@pytest.mark.parametrize(
    ("dim", "values", "attributes"),
    [
        ("number", [0, 1, 2], {}),
        ("m", [0, 1, 2], {"standard_name": "realization"}),
        ("expver", [1, 5, 7], {}),
        ("quantile", [0.1, 0.5, 0.9], {}),
        ("dim_7", None, {}),
    ],
)
def test_what_is_no_level_is_asked_for(tmp_path: Path, dim: str, values: list | None, attributes: dict):
    path = written(tmp_path / "a.nc", dim, values, attributes)
    entries = ["0", "1", "2"] if values is None else [f"{value:g}" for value in values]
    with pytest.raises(InputError, match=rf"--axis {dim}={entries[0]}, or say what it is, as in --axis {dim}=channels"):
        source(path)
    for number, entry in enumerate(entries):
        found = source(path, axes={dim: entry})
        np.testing.assert_array_equal(found.read(0, 0, 6).frames[:, 0], VALUES[:, number])
        assert len(found.frame_times(0)) == 6
    found = source(path, axes={dim: "channels"})
    assert found.grid.variables == tuple(f"t[{entry}]" for entry in entries)


def test_one_run_of_several(tmp_path: Path):
    starts = (
        "time",
        [0.0, 12.0, 24.0],
        {"units": "hours since 2024-05-01", "standard_name": "forecast_reference_time"},
    )
    steps = ("step", np.arange(6.0), {"units": "hours", "standard_name": "forecast_period"})
    xarray.Dataset(
        {"t": (("step", "time", "lat", "lon"), VALUES, {"units": "K"})}, {"time": starts, "step": steps}
    ).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    every = source(tmp_path / "a.nc")
    assert every.lengths == [6, 6, 6]
    for run in range(3):
        np.testing.assert_array_equal(every.read(run, 1, 5).frames[:, 0], VALUES[1:5, run])
    found = source(tmp_path / "a.nc", axes={"time": "2024-05-01T12"})
    np.testing.assert_array_equal(found.read(0, 0, 6).frames[:, 0], VALUES[:, 1])
    assert found.frame_times(0)[0] == np.datetime64("2024-05-01T12", "ms")
    assert found.spec.step_minutes == 60


def test_an_axis_that_is_time_or_rows_by_the_user_s_word(tmp_path: Path):
    xarray.Dataset({"t": (("a", "b", "c"), VALUES[:, 0])}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = source(tmp_path / "a.nc", axes={"a": "time", "b": "rows", "c": "columns"})
    np.testing.assert_array_equal(found.read(0, 0, 6).frames[:, 0], VALUES[:, 0])
    with pytest.raises(InputError, match=r"axis: got d, expected one of a \(6\), b \(4\), c \(5\)"):
        source(tmp_path / "a.nc", axes={"d": "time"})


def test_inspect_passes_axes_on(tmp_path: Path):
    path = written(tmp_path / "a.nc", "number", [0, 1, 2])
    result = json.loads(framecast("inspect", path, "--no-picture", "--json", "--axis", "number=2").stdout)
    assert result["spec"]["channels"] == 1
    assert "--axis number=2" in result["forecast"]


def test_recipes_without_axes_keep_their_digest():
    assert "axes" not in Recipe().identity()["data"]
    assert Recipe(data=DataConfig(source="a.nc", axes={"number": 2})).identity()["data"]["axes"] == {"number": "2"}
