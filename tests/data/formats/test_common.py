"""Pictures, videos, HDF5, NetCDF and Zarr, and how files become sequences."""

import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from PIL import Image

from framecast.data import DataConfig, FileSource, open_data
from framecast.errors import InputError, UsageError

DATA = Path(__file__).parents[2] / "fixtures"
FRAMES = np.random.default_rng(0).integers(0, 255, (5, 12, 16), np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 255, (5, 12, 16, 3), np.uint8)


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def frames_of(found: FileSource, sequence: int = 0) -> np.ndarray:
    return found.read(sequence, 0, found.lengths[sequence]).frames


def pictures(folder: Path, frames: np.ndarray, name: str = "frame{}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name.format(number))
    return folder


@pytest.mark.parametrize("suffix", ["png", "tif", "gif"])
def test_lossless_pictures(tmp_path: Path, suffix: str):
    found = source(pictures(tmp_path / "a", FRAMES, "frame{}." + suffix))
    np.testing.assert_array_equal(frames_of(found)[:, 0], FRAMES)
    assert (found.spec.units, found.spec.low, found.spec.high) == ("grey level", 0, 255)
    assert not found.has_missing


def test_jpeg_is_near(tmp_path: Path):
    smooth = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8), (2, 12, 16)).copy()
    found = source(pictures(tmp_path / "a", smooth, "{}.jpeg"))
    assert np.abs(frames_of(found)[:, 0] - smooth).max() < 8


def test_colours_and_grey(tmp_path: Path):
    folder = pictures(tmp_path / "a", COLOURS)
    found = source(folder)
    np.testing.assert_array_equal(frames_of(found), COLOURS.transpose(0, 3, 1, 2))
    assert found.grid.variables == ("red", "green", "blue")
    grey = frames_of(source(folder, colour="grey"))
    np.testing.assert_allclose(grey[:, 0], COLOURS @ [0.299, 0.587, 0.114], atol=1)
    Image.fromarray(FRAMES[0]).save(folder / "frame5.png")
    assert source(folder).spec.channels == 3  # one grey picture among coloured ones


def test_palettes_alpha_and_16_bits(tmp_path: Path):
    Image.fromarray(COLOURS[0]).convert("P").save(tmp_path / "p.png")
    assert source(tmp_path / "p.png").spec.channels == 3
    rgba = np.dstack([COLOURS[0], np.zeros((12, 16), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.png"))[0], COLOURS[0].transpose(2, 0, 1))
    deep = (FRAMES[0].astype(np.uint16) << 7) + 3
    Image.fromarray(deep).save(tmp_path / "d.png")
    np.testing.assert_array_equal(frames_of(source(tmp_path / "d.png"))[0, 0], deep)


def test_deep_pictures_are_grey_as_they_are(tmp_path: Path):
    deep = (FRAMES.astype(np.uint16) << 7) + 3
    folder = pictures(tmp_path / "a", deep)
    np.testing.assert_array_equal(frames_of(source(folder, colour="grey"))[:, 0], deep)
    floats = pictures(tmp_path / "b", 1000 * FRAMES.astype(np.float32), "{}.tif")
    np.testing.assert_array_equal(frames_of(source(floats, colour="grey"))[:, 0], 1000 * FRAMES.astype(np.float32))
    with pytest.raises(InputError, match="rgb of grey pictures of more than 8 bits, expected auto or grey"):
        source(folder, colour="rgb")


def test_missing_code_and_shrinking(tmp_path: Path):
    frame = np.full((1, 4, 6), 100, np.uint8)
    frame[0, :2, :2] = [[255, 255], [255, 20]]
    frame[0, :2, 2:4] = [[255, 10], [20, 255]]
    found = source(pictures(tmp_path / "a", np.repeat(frame, 2, 0)), missing=255, shrink=2, range=(0, 200))
    np.testing.assert_array_equal(frames_of(found)[0, 0], [[np.nan, 15, 100], [100, 100, 100]])
    assert (found.spec.height, found.spec.width) == (2, 3)
    np.testing.assert_array_equal(found.read(0, 0, 1).valid[0, 0, 0], [False, True, True])


def test_what_shrinking_leaves_out_is_said(tmp_path: Path):
    found = source(pictures(tmp_path / "a", np.random.default_rng(0).integers(0, 255, (2, 7, 6), np.uint8)), shrink=3)
    assert (found.spec.height, found.spec.width) == (2, 2)
    assert [note for note in found.notes if "shrink" in note] == ["shrink: the last 1 of 7 rows are left out"]


def test_animations_and_stacks_of_pages(tmp_path: Path):
    pages = [Image.fromarray(frame) for frame in COLOURS]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.tif")), COLOURS.transpose(0, 3, 1, 2))
    flat = [Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)) for i in range(4)]
    flat[0].save(tmp_path / "a.gif", save_all=True, append_images=flat[1:], duration=120)
    found = source(tmp_path / "a.gif")
    assert found.lengths == [4]
    assert found.spec.step_minutes == pytest.approx(0.002)
    np.testing.assert_array_equal(frames_of(found)[:, :, 0, 0], np.repeat([[0], [40], [80], [120]], 3, 1))


def test_order_gaps_and_folders(tmp_path: Path):
    folder = pictures(tmp_path / "a", np.stack([FRAMES[i % 5] for i in range(12)]))
    np.testing.assert_array_equal(frames_of(source(folder))[10, 0], FRAMES[0])  # frame10 after frame9
    (folder / "frame4.png").unlink()
    (folder / "legend.txt").write_text("left alone")
    found = source(folder)
    assert found.lengths == [4, 7]
    assert "after frame 4 (2 steps)" in " ".join(found.notes)
    stamped = pictures(tmp_path / "b", FRAMES, "radar_2020010100{}5.png")
    found = source(stamped)
    assert found.spec.step_minutes == 10
    assert found.read(0, 2, 3).time == np.datetime64("2020-01-01T00:25")
    pictures(tmp_path / "many" / "one", FRAMES)
    pictures(tmp_path / "many" / "two", FRAMES[:3])
    found = source(tmp_path / "many")
    assert found.lengths == [5, 3]
    assert list(found.latest) == [0, 1]
    assert found.dims == "ntchw"


def test_video():
    pytest.importorskip("av")
    found = source(DATA / "bigbuckbunny.mp4")
    assert found.lengths == [48]
    assert (found.spec.channels, found.spec.height, found.spec.width) == (3, 64, 112)
    assert found.spec.step_minutes == pytest.approx(1 / 25 / 60)
    whole = frames_of(source(DATA / "bigbuckbunny.mp4"))
    for start in (31, 5, 47, 12):  # seeking gives what reading from the start gives
        fresh = source(DATA / "bigbuckbunny.mp4")
        np.testing.assert_array_equal(fresh.read(0, start, start + 1).frames[0], whole[start])
    assert np.abs(np.diff(whole, axis=0)).mean() > 0.1
    assert source(DATA / "bigbuckbunny.mp4", colour="grey").spec.channels == 1
    assert source(DATA / "bigbuckbunny.mp4", shrink=4).spec.height == 16


def cube(path: Path, names: tuple[str, ...] = ("rain",), **coordinates) -> xarray.Dataset:
    time = np.datetime64("2020-01-01", "ns") + np.arange(5) * np.timedelta64(10, "m")
    axes = {"time": time, "lat": np.linspace(60, 55, 12), "lon": np.linspace(5, 12, 16), **coordinates}
    values = {name: (("time", "lat", "lon"), FRAMES.astype(np.float32) + i) for i, name in enumerate(names)}
    data = xarray.Dataset(values, axes)
    data["lat"].attrs["units"] = "degrees_north"
    data["lon"].attrs["units"] = "degrees_east"
    for name in names:
        data[name].attrs["units"] = "mm h-1"
        data[name][0, 0, 0] = np.nan
    if path.suffix == ".zarr":
        data.to_zarr(path)
    else:
        data.to_netcdf(path, engine="scipy" if path.suffix == ".cdf" else "h5netcdf")
    return data


@pytest.mark.parametrize("suffix", ["nc", "zarr", "cdf"])
@pytest.mark.filterwarnings("ignore")
def test_cf_grids(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    data = cube(path)
    found = source(path)
    np.testing.assert_array_equal(frames_of(found)[:, 0], data["rain"].values)
    assert found.spec.units == "mm/h"
    assert found.spec.step_minutes == 10
    assert found.read(0, 1, 2).time == np.datetime64("2020-01-01T00:10")
    assert found.has_missing
    assert found.grid.y[:2] == pytest.approx((60, 60 - 5 / 11))
    assert (found.grid.y_name, found.grid.x_name, found.grid.axis_units) == ("lat", "lon", "degrees")
    assert pickle.loads(pickle.dumps(found)).read(0, 1, 2).frames.shape == (1, 1, 12, 16)


@pytest.mark.filterwarnings("ignore")
def test_variables_become_channels(tmp_path: Path):
    path = tmp_path / "a.nc"
    cube(path, ("u", "v"))
    with pytest.raises(InputError, match="expected one of u, v; name one with --var"):
        source(path)
    found = source(path, variable="v,u")
    np.testing.assert_array_equal(frames_of(found)[1, 0], FRAMES[1] + 1.0)
    np.testing.assert_array_equal(frames_of(found)[1, 1], FRAMES[1])
    assert found.grid.variables == ("v", "u")


@pytest.mark.filterwarnings("ignore")
def test_gaps_and_disorder_inside_a_file(tmp_path: Path):
    minutes = np.array([0, 10, 40, 50, 10])
    cube(tmp_path / "a.nc", time=np.datetime64("2020-01-01", "ns") + minutes * np.timedelta64(1, "m"))
    found = source(tmp_path / "a.nc")
    assert found.lengths == [2, 2]
    np.testing.assert_array_equal(frames_of(found, 1)[:, 0], FRAMES[2:4].astype(np.float32))
    cube(
        tmp_path / "b.nc",
        time=np.datetime64("2020-01-01", "ns") + np.array([30, 20, 10, 0, 40]) * np.timedelta64(1, "m"),
    )
    np.testing.assert_array_equal(frames_of(source(tmp_path / "b.nc"))[1:3, 0], FRAMES[[2, 1]].astype(np.float32))


def test_packed_values_and_names_of_axes():
    found = source(DATA / "era5_t2m.nc")
    with xarray.open_dataset(DATA / "era5_t2m.nc", engine="h5netcdf") as data:
        np.testing.assert_allclose(frames_of(found)[:, 0], data["t2m"].values, rtol=1e-6)
    assert (found.spec.units, found.spec.step_minutes, found.lengths) == ("K", 60, [96])
    assert found.grid.standard_names == ("air_temperature",)
    assert found.grid.crs == "EPSG:4326"


@pytest.mark.filterwarnings("ignore")
def test_other_calendars_keep_their_distances(tmp_path: Path):
    data = cube(tmp_path / "a.nc").drop_vars("time")
    data["time"] = ("time", np.arange(57.0, 62.0), {"units": "days since 2020-01-01", "calendar": "360_day"})
    data.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    found = source(tmp_path / "b.nc")
    assert found.lengths == [5]  # 30 February is a day like any other
    assert found.grid.calendar == "360_day"
    assert found.spec.step_minutes == 24 * 60


def test_hdf5(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["deep/rain"] = FRAMES
        file["deep/rain"].attrs.update({"units": "dBZ", "scale_factor": 0.5, "add_offset": -32.0, "_FillValue": 255})
    found = source(tmp_path / "a.h5")
    np.testing.assert_array_equal(frames_of(found)[:, 0], FRAMES * 0.5 - 32)
    assert found.grid.variables == ("rain",)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["other"] = FRAMES[None]
    with pytest.raises(InputError, match="one of deep/rain, other"):
        source(tmp_path / "a.h5")
    assert source(tmp_path / "a.h5", variable="other", dims="nthw").lengths == [5]


@pytest.mark.parametrize(
    ("module", "path", "extra"),
    [
        ("av", "bigbuckbunny.mp4", "video"),
        ("rasterio", "radar/fmi_geotiff", "geo"),
        ("pygrib", "radar/mrms_grib2", "grib"),
    ],
)
def test_a_missing_library_is_one_line(monkeypatch, module: str, path: str, extra: str):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install 'framecast\[{extra}\]'") as caught:
        source(DATA / path)
    assert "\n" not in str(caught.value)


def test_import_loads_no_reader():
    lazy = {"xarray", "cf_xarray", "av", "rasterio", "h5py", "matplotlib", "pygrib", "pyproj"}
    code = f"import sys, framecast\nframecast.Recipe, framecast.open_data\nprint(sorted({lazy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")
def test_a_store_larger_than_the_memory_given(tmp_path: Path):
    """128 MiB of frames are read within far less; the peak is measured by the allocations of a fresh process."""
    import zarr

    path = tmp_path / "large.zarr"
    frames, side = 512, 256
    axes = {"time": np.datetime64("2020-01-01", "ns") + np.arange(frames) * np.timedelta64(10, "m")}
    data = xarray.Dataset(
        {"rain": (("time", "y", "x"), np.zeros((1, side, side), np.float32).repeat(2, 0))}, {"time": axes["time"][:2]}
    )
    data.to_zarr(path, encoding={"rain": {"chunks": (8, side, side)}})
    group = zarr.open_group(path, use_consolidated=False)
    group["time"].resize((frames,))
    group["time"][:] = np.arange(frames) * 10
    group["time"].attrs["units"] = "minutes since 2020-01-01"
    group["rain"].resize((frames, side, side))
    for at in range(0, frames, 8):
        group["rain"][at : at + 8] = np.random.default_rng(at).random((8, side, side), np.float32)
    zarr.consolidate_metadata(path)
    code = (
        "import sys, tracemalloc\n"
        "from framecast.data import DataConfig, open_data, training_batches\n"
        "import xarray, zarr\n"
        "tracemalloc.start()\n"
        "data = open_data(DataConfig(source=sys.argv[1]), context=4, horizon=4, seed=0)\n"
        "batches = training_batches(data, seed=0, batch_size=1)\n"
        "for _ in range(6): next(batches)\n"
        "print(tracemalloc.get_traced_memory()[1] >> 20)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 48, "MiB"


def test_workers_read_what_one_process_reads(tmp_path: Path):
    from framecast.data import training_batches

    data = open_data(DataConfig(source=str(DATA / "era5_t2m.nc")), context=3, horizon=3, seed=0)
    one, two = (training_batches(data, seed=0, batch_size=2, workers=workers) for workers in (0, 1))
    for _ in range(3):
        assert next(one)[0].frames.equal(next(two)[0].frames)


def test_options_that_have_no_say_are_told(tmp_path: Path):
    np.save(tmp_path / "a.npy", FRAMES)
    np.savez(tmp_path / "a.npz", frames=FRAMES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rain"] = FRAMES
    for suffix in ("npy", "npz", "h5"):
        notes = " ".join(source(tmp_path / f"a.{suffix}", dims="thw", times="%Y%m%d", colour="grey").notes)
        assert "times: %Y%m%d has no say" in notes
        assert "colour: grey has no say" in notes
    assert "no say" not in " ".join(source(pictures(tmp_path / "b", FRAMES), colour="grey").notes)
