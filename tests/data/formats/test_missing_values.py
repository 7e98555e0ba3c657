"""What is missing, in every spelling: as netCDF4 masks it, and by hand where zarr and HDF5 are read."""

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
import zarr

from framecast.data import DataConfig, FileSource

SHAPE = (3, 6, 8)


def read(path: Path, **said) -> np.ndarray:
    found = FileSource(DataConfig(source=str(path), **{"range": (-1e3, 1e3), **said}))
    return found.read(0, 0, found.lengths[0]).frames[:, 0]


def notes(path: Path, **said) -> str:
    return " | ".join(FileSource(DataConfig(source=str(path), **{"range": (-1e3, 1e3), **said})).notes)


def write(
    path: Path, dtype: str, stored: np.ndarray, *, fill: object = None, form: str = "NETCDF4", **attributes
) -> None:
    with netCDF4.Dataset(path, "w", format=form) as file:
        for name, size, units in (("time", 3, "hours since 2024-05-01"), ("y", 6, "m"), ("x", 8, "m")):
            file.createDimension(name, size)
            axis = file.createVariable(name, "f8", (name,))
            axis.units = units
            axis[:] = np.arange(size)
        variable = file.createVariable("rain", dtype, ("time", "y", "x"), fill_value=fill)
        variable.set_auto_maskandscale(False)
        variable.setncatts({"units": "K", **attributes})
        variable[:] = stored


def codes(dtype: str, *values: float) -> np.ndarray:
    """Values of every size from 0 to 99, and a few of each of these."""
    stored = np.random.default_rng(0).integers(0, 100, SHAPE).astype(dtype)
    for number, value in enumerate(values):
        stored[:, number, :3] = value
    return stored


CASES: dict[str, tuple[str, np.ndarray, dict]] = {
    "fill": ("i2", codes("i2", -1), {"fill": -1}),
    "fill of floats": ("f4", codes("f4", -9999), {"fill": -9999.0}),
    "NaN": ("f4", codes("f4", np.nan, 7), {"fill": np.nan}),
    "missing_value": ("i2", codes("i2", -5), {"missing_value": np.int16(-5)}),
    "several": ("i2", codes("i2", -5, -6, -7), {"missing_value": np.array([-5, -6], "i2"), "fill": -7}),
    "several of floats": ("f8", codes("f8", 1e20, -2), {"missing_value": np.array([1e20, -2.0])}),
    "range": ("i2", codes("i2", -40, 950), {"valid_range": np.array([3, 90], "i2"), "scale_factor": np.float32(0.1)}),
    "least": ("i2", codes("i2", -40), {"valid_min": np.int16(3)}),
    "greatest": ("f4", codes("f4", 500), {"valid_max": np.float32(90.5)}),
    "range and fill": ("f4", codes("f4", -999, 777), {"fill": -999.0, "valid_range": np.array([0, 100], "f4")}),
    "both ends": ("i4", codes("i4", 101, -1), {"valid_min": np.int32(0), "valid_max": np.int32(100)}),
    "never written, i2": ("i2", codes("i2", -32767), {}),
    "never written, i4": ("i4", codes("i4", -2147483647), {}),
    "never written, i8": ("i8", codes("i8", -9223372036854775806), {}),
    "never written, f4": ("f4", codes("f4", netCDF4.default_fillvals["f4"]), {}),
    "never written, f8": ("f8", codes("f8", netCDF4.default_fillvals["f8"]), {}),
    "never written, packed": ("u2", codes("u2", 65535), {"scale_factor": 0.5, "add_offset": -3.0}),
    "another fill": ("i2", codes("i2", -32767, -1), {"fill": -1}),
    "no sign": ("i1", codes("i1", -1, -56), {"_Unsigned": "true", "fill": -1, "scale_factor": np.float32(0.5)}),
    "range without a sign": (
        "i1",
        codes("i1", -56),
        {"_Unsigned": "true", "valid_range": np.array([0, -100], "i1"), "fill": -1},
    ),
    "large fill": ("u8", codes("u8", 2**64 - 1), {"fill": np.uint64(2**64 - 1)}),
    "code of another type": ("f4", codes("f4", -9999), {"missing_value": np.int32(-9999)}),
    "negative scale": ("i2", codes("i2", 95), {"scale_factor": -0.5, "valid_max": np.int16(90)}),
}


@pytest.mark.parametrize("case", CASES)
def test_netcdf4_masks_the_same(tmp_path: Path, case: str):
    dtype, stored, attributes = CASES[case]
    forms = ["NETCDF4"] if dtype in ("u2", "i8", "u8") else ["NETCDF4", "NETCDF3_CLASSIC"]
    for form in forms:
        write(tmp_path / f"{form}.nc", dtype, stored, form=form, **attributes)
        with netCDF4.Dataset(tmp_path / f"{form}.nc") as file:
            expected = file["rain"][:]
        assert np.ma.is_masked(expected)
        got = read(tmp_path / f"{form}.nc")
        np.testing.assert_array_equal(np.isnan(got), np.ma.getmaskarray(expected))
        np.testing.assert_allclose(got[~np.isnan(got)], expected.compressed().astype(np.float32), rtol=1e-6)


def test_any_byte_is_a_value(tmp_path: Path):
    """NetCDF Users Guide: bytes have no number of their own for what was never written."""
    write(tmp_path / "a.nc", "u1", codes("u1", 255))
    assert not np.isnan(read(tmp_path / "a.nc")).any()


def test_a_range_of_floats_on_packed_integers_is_of_unpacked_values(tmp_path: Path):
    """NetCDF Users Guide, appendix A: it has the type of the scale, which is wider than that of the values."""
    packed = {"scale_factor": np.float32(0.1), "add_offset": np.float32(5)}
    write(tmp_path / "a.nc", "i2", codes("i2", 700, -60), valid_range=np.array([0, 70], "f4"), **packed)
    got = read(tmp_path / "a.nc")
    stored = codes("i2", 700, -60)
    np.testing.assert_array_equal(np.isnan(got), (stored > 650) | (stored < -50))


def test_codes_of_doubles_hold_floats(tmp_path: Path):
    write(tmp_path / "a.nc", "f4", codes("f4", -9999.9), missing_value=-9999.9)
    assert np.isnan(read(tmp_path / "a.nc")[:, 0, :3]).all()


def test_attributes_that_cannot_be_used_are_told(tmp_path: Path):
    write(tmp_path / "a.nc", "f4", codes("f4", -9999), missing_value="-9999", valid_range="see the manual")
    assert np.isnan(read(tmp_path / "a.nc")).sum() == 9
    assert "valid_range" in notes(tmp_path / "a.nc")
    assert "it is not used" in notes(tmp_path / "a.nc")


def make_zarr(path: Path, form: int, stored: np.ndarray, *, fill: object = None, first: int = 0, **attributes) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=form)
    axes = {
        "time": (first + np.arange(3), "hours since 2024-05-01"),
        "y": (np.arange(6.0), "m"),
        "x": (np.arange(8.0), "m"),
    }
    for name, (values, units) in {**axes, "rain": (stored, "mm h-1")}.items():
        dims = [name] if name in axes else list(axes)
        options = {"fill_value": fill} if name == "rain" and fill is not None else {}
        options |= {"dimension_names": dims} if form == 3 else {}
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=values.shape, **options)
        array[:] = values
        array.attrs.update({"units": units, **(attributes if name == "rain" else {})})
        if form == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = dims
    return path


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("dtype", ["f4", "i2", "u1"])
def test_the_fill_value_of_zarr_is_a_value(tmp_path: Path, form: int, dtype: str):
    """Zarr's specification: it is what chunks that were never written read as."""
    path = make_zarr(tmp_path / "a.zarr", form, codes(dtype, 0))
    np.testing.assert_array_equal(read(path), codes(dtype, 0))
    times = FileSource(DataConfig(source=str(path))).frame_times(0)
    assert str(times[0]) == "2024-05-01T00:00:00.000"
    assert ("fill value 0" in notes(path)) == (form == 2)


@pytest.mark.parametrize("form", [2, 3])
def test_attributes_of_zarr_mark_what_is_missing(tmp_path: Path, form: int):
    for number, said in enumerate(
        ({"_FillValue": 0}, {"missing_value": [0, -1]}, {"valid_min": 1}, {"valid_range": [1, 900]})
    ):
        stored = codes("i2", 0)
        path = make_zarr(tmp_path / f"{number}.zarr", form, stored, **said)
        np.testing.assert_array_equal(np.isnan(read(path)), stored == 0)


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("fill", [0, -9])
def test_stores_of_xarray_mean_their_fill_value(tmp_path: Path, form: int, fill: int):
    stored = codes("i2", fill)
    axes = {
        "time": np.datetime64("2024-05-01", "ns") + np.arange(3) * np.timedelta64(1, "h"),
        "y": range(6),
        "x": range(8),
    }
    data = xarray.Dataset(
        {"rain": (("time", "y", "x"), np.where(stored == fill, np.nan, stored), {"units": "mm/h"})}, axes
    )
    data.to_zarr(
        tmp_path / "a.zarr",
        zarr_format=form,
        consolidated=False,
        encoding={"rain": {"dtype": "i2", "_FillValue": fill}},
    )
    got = read(tmp_path / "a.zarr")
    np.testing.assert_array_equal(np.isnan(got), stored == fill)
    assert str(FileSource(DataConfig(source=str(tmp_path / "a.zarr"))).frame_times(0)[0]) == "2024-05-01T00:00:00.000"


def test_a_fill_value_without_a_mark_is_told(tmp_path: Path):
    path = make_zarr(tmp_path / "a.zarr", 3, codes("f4", -9999), fill=-9999)
    assert "say --missing -9999" in notes(path)
    assert "9 are unusual for mm/h" in notes(path)
    assert np.isnan(read(path, missing=-9999)).sum() == 9


@pytest.mark.parametrize(
    ("said", "bad"),
    [
        ({"missing_value": -1}, [-1]),
        ({"missing_value": [-1, -2]}, [-1, -2]),
        ({"_FillValue": -1, "missing_value": -2}, [-1, -2]),
        ({"valid_min": 0}, [-1, -2]),
        ({"valid_range": [-1, 98], "scale_factor": 0.5}, [-2, 99]),
    ],
)
@pytest.mark.parametrize("kind", ["h5", "zarr", "npz"])
def test_plain_arrays(tmp_path: Path, kind: str, said: dict, bad: list[int]):
    stored, path = codes("i2", -1, -2), tmp_path / f"a.{kind}"
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("rain", data=stored, chunks=SHAPE, fillvalue=7).attrs.update(said)
    elif kind == "zarr":
        zarr.create_array(path, data=stored, fill_value=7).attrs.update(said)
    else:
        np.savez(path, frames=stored, **said)
    got = read(path, dims="thw")
    np.testing.assert_array_equal(np.isnan(got), np.isin(stored, bad))
    np.testing.assert_allclose(got[~np.isnan(got)], stored[~np.isin(stored, bad)] * said.get("scale_factor", 1))


FOREIGN = ("nodata", "NODATA_value", "FillValue", "fill_value", "missing", "CodeMissingValue", "No_Data")


@pytest.mark.parametrize("key", FOREIGN)
@pytest.mark.parametrize("kind", ["h5", "zarr", "npz"])
def test_other_spellings_of_plain_arrays(tmp_path: Path, kind: str, key: str):
    """Beside gain and offset, as radars have them; GPM writes its code as a text."""
    stored, path = codes("i2", 255, 254), tmp_path / f"a.{kind}"
    said = {key: "255" if key == "CodeMissingValue" else 255, "gain": 0.5, "offset": -32.0, "undetect": 254}
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("rain", data=stored).attrs.update(said)
    elif kind == "zarr":
        zarr.create_array(path, data=stored).attrs.update(said)
    else:
        np.savez(path, rain=stored, **said)
    np.testing.assert_allclose(read(path, dims="thw"), np.where(stored == 255, np.nan, 0.5 * stored - 32))
    told = notes(path, dims="thw")
    for words in (f"missing: {key} 255", "values: gain 0.5 is taken as the scale", "missing: undetect 254 is a value"):
        assert words in told


def test_a_code_that_is_no_number_is_told(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("rain", data=codes("i2", -1)).attrs["nodata"] = "none"
    assert "missing: nodata 'none' is no number, and is not used" in notes(tmp_path / "a.h5")


def test_other_spellings_in_netcdf_are_told(tmp_path: Path):
    write(tmp_path / "a.nc", "f4", codes("f4", -999), FillValue=np.float32(-999))
    assert "attribute: FillValue -999.0 is none of CF's, and is not used" in notes(tmp_path / "a.nc")
    assert not np.isnan(read(tmp_path / "a.nc")).any()


def test_fill_values_of_plain_arrays(tmp_path: Path):
    """In version 2 they mean what is missing, as xarray and GDAL have it; elsewhere they are told."""
    stored = codes("f4", -9999)
    for form in (2, 3):
        zarr.create_array(tmp_path / f"{form}.zarr", data=stored, fill_value=-9999, zarr_format=form)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("rain", data=stored, fillvalue=-9999)
    np.testing.assert_array_equal(np.isnan(read(tmp_path / "2.zarr", dims="thw")), stored == -9999)
    assert "missing: -9999.0, the fill value" in notes(tmp_path / "2.zarr", dims="thw")
    for name in ("3.zarr", "a.h5"):
        assert not np.isnan(read(tmp_path / name, dims="thw")).any()
        assert "say --missing -9999" in notes(tmp_path / name, dims="thw")


@pytest.mark.parametrize("form", [2, 3])
def test_a_fill_value_of_0_says_nothing(tmp_path: Path, form: int):
    zarr.create_array(tmp_path / "a.zarr", data=codes("u1", 0), fill_value=0, zarr_format=form)
    assert "missing:" not in notes(tmp_path / "a.zarr", dims="thw")


@pytest.mark.parametrize("code", [-9, -9.0, "-9", "NaN", "Infinity"])
@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_codes_of_zarr_in_any_spelling(tmp_path: Path, dtype: str, code: float | str):
    """xarray knows base64 alone, and calls others damaged."""
    value = float(code) if dtype == "f4" else -9
    path = make_zarr(tmp_path / "a.zarr", 3, codes(dtype, value), _FillValue=code)
    expected = 9 if np.isfinite(float(code)) or dtype == "f4" else 0
    assert np.isnan(read(path)).sum() == expected


def test_chunks_that_were_never_written_are_told(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("rain", SHAPE, "f4", chunks=(1, 6, 8), fillvalue=-5)
        array[:2] = codes("f4")[:2]
    assert "chunks: 2 of 3 are stored; the others read as -5.0" in notes(tmp_path / "a.h5")
    np.testing.assert_array_equal(read(tmp_path / "a.h5")[2], -5)


@pytest.mark.parametrize(
    ("units", "value", "told"), [("dBZ", 3276.7, 9), ("K", 1e20, 9), ("1", 9.97e36, 9), ("1", 3276.7, 0), ("K", 310, 0)]
)
def test_unusual_values_are_told_once_with_their_number(tmp_path: Path, units: str, value: float, told: int):
    np.savez(tmp_path / "a.npz", frames=codes("f4", value), units=units)
    said = [note for note in notes(tmp_path / "a.npz").split(" | ") if "unusual" in note]
    assert len(said) == bool(told)
    assert not told or f"values: {told} are unusual for {units}" in said[0]
