"""Frames that are stored in another way are read as the same values, which are those that another library reads."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from framecast.data import DataConfig, FileSource

COUNT, ROWS, COLUMNS = 5, 14, 18
SHORT, LONG = 12, 400
TIMES = np.datetime64("2024-05-01", "ns") + np.arange(COUNT) * np.timedelta64(5, "m")


def make_frames(seed: int = 0) -> np.ndarray:
    """Frames that any packing below holds to the bit: quarters from -8 to 55.75, some of them missing."""
    draw = np.random.default_rng(seed)
    frames = (draw.integers(-32, 224, (COUNT, ROWS, COLUMNS)) / 4).astype(np.float32)
    frames[draw.random(frames.shape) < 0.05] = np.nan
    return frames


def read(path: Path, **said: object) -> np.ndarray:
    source = FileSource(DataConfig.model_validate({"source": str(path), "range": (-20, 70), **said}))
    return np.asarray(source.read(0, 0, source.lengths[0]).frames)[:, 0]


def make_dataset(frames: np.ndarray, *, flip_rows: bool, flip_columns: bool) -> xarray.Dataset:
    """The frames with coordinates; an axis that is flipped has its coordinate flipped, too."""
    y, x = 1000.0 * np.arange(ROWS)[::-1], 1000.0 * np.arange(COLUMNS)
    data = xarray.Dataset(
        {"rain": (("time", "y", "x"), frames, {"units": "dBZ"})},
        {"time": TIMES, "y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"})},
    )
    data = data.isel(y=slice(None, None, -1)) if flip_rows else data
    return data.isel(x=slice(None, None, -1)) if flip_columns else data


packings = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["f4", "f8", "i2", "u2", "u1"]),
        "chunks": st.tuples(st.integers(1, COUNT), st.integers(1, ROWS), st.integers(1, COLUMNS)),
        "level": st.integers(0, 9),
        "shuffle": st.booleans(),
        "flip_rows": st.booleans(),
        "flip_columns": st.booleans(),
        "seed": st.integers(0, 3),
    }
)


def encode(kind: dict) -> dict[str, object]:
    """Encoding of the values: as they are, or as whole numbers with a scale and an offset."""
    packed = {"dtype": kind["dtype"]}
    if kind["dtype"].startswith("f"):
        return {**packed, "_FillValue": np.array(-9999.0, kind["dtype"])}
    lowest = {"i2": -32768, "u2": 65535, "u1": 255}[kind["dtype"]]
    return {**packed, "scale_factor": 0.25, "add_offset": -8.0, "_FillValue": np.array(lowest, kind["dtype"])}


def check_netcdf(folder: Path, kind: dict) -> None:
    netCDF4 = pytest.importorskip("netCDF4")
    frames, path = make_frames(kind["seed"]), folder / "a.nc"
    path.unlink(missing_ok=True)
    data = make_dataset(frames, flip_rows=kind["flip_rows"], flip_columns=kind["flip_columns"])
    more = {
        "chunksizes": kind["chunks"],
        "zlib": kind["level"] > 0,
        "complevel": kind["level"],
        "shuffle": kind["shuffle"],
    }
    data.to_netcdf(path, engine="h5netcdf", encoding={"rain": {**encode(kind), **more}})
    found = read(path)
    with netCDF4.Dataset(path) as file:
        oracle = np.ma.filled(file["rain"][:].astype(np.float32), np.nan)
        y, x = file["y"][:], file["x"][:]
    np.testing.assert_array_equal(
        np.sort(np.abs(oracle[~np.isnan(oracle)])), np.sort(np.abs(frames[~np.isnan(frames)]))
    )
    same = oracle[:, np.argsort(-y)][:, :, np.argsort(x)]  # from north to south, west to east
    np.testing.assert_array_equal(same, frames)
    np.testing.assert_array_equal(orient(found, kind), frames)


def orient(found: np.ndarray, kind: dict) -> np.ndarray:
    """Frames as they are read, in the order of rows and columns of the file, from north to south and west to east."""
    found = found[:, ::-1] if kind["flip_rows"] else found
    return found[:, :, ::-1] if kind["flip_columns"] else found


def check_zarr(folder: Path, kind: dict) -> None:
    frames, path = make_frames(kind["seed"]), folder / "a.zarr"
    shutil.rmtree(path, ignore_errors=True)
    data = make_dataset(frames, flip_rows=kind["flip_rows"], flip_columns=kind["flip_columns"])
    encoding = {**encode(kind), "chunks": kind["chunks"]}
    if kind["level"] == 0:
        encoding["compressors"] = None
    elif kind["shuffle"]:
        encoding["compressors"] = zarr.codecs.GzipCodec(level=kind["level"])
    data.to_zarr(path, zarr_format=3, encoding={"rain": encoding})
    stored = zarr.open_array(path / "rain", mode="r")[:]
    oracle = stored.astype(np.float32)
    if "scale_factor" in encoding:
        oracle = oracle * np.float32(0.25) - np.float32(8)
    missing = stored == encoding["_FillValue"]
    found = read(path)
    np.testing.assert_array_equal(found, np.where(missing, np.nan, oracle))
    np.testing.assert_array_equal(orient(found, kind), frames)


@pytest.mark.parametrize("check", [check_netcdf, check_zarr])
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_chunks_packing_and_flipped_axes_change_no_value(
    tmp_path_factory: pytest.TempPathFactory, check, count: int
) -> None:
    folder = tmp_path_factory.mktemp("same")

    @settings(max_examples=count, deadline=None, derandomize=count == SHORT)
    @given(packings)
    def run(kind: dict) -> None:
        check(folder, kind)

    run()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("compress", [None, "deflate", "lzw", "zstd"])
@pytest.mark.parametrize("tiled", [False, True])
def test_geotiff_is_read_as_rasterio_reads_it_masked(tmp_path: Path, dtype: str, compress: str, tiled: bool) -> None:
    rasterio = pytest.importorskip("rasterio")
    values = np.random.default_rng(1).integers(0, 100, (40, 36)).astype(dtype)
    profile = {"width": 36, "height": 40, "count": 1, "dtype": dtype, "nodata": 7}
    profile |= {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {}
    with rasterio.open(tmp_path / "a.tif", "w", compress=compress, **profile) as file:
        file.write(values[None])
        file.scales, file.offsets = (0.5,), (-3.0,)
    with rasterio.open(tmp_path / "a.tif") as file:
        oracle = file.read(1, masked=True).astype(np.float64) * file.scales[0] + file.offsets[0]
    found = read(tmp_path / "a.tif", range=(-10, 100))
    np.testing.assert_array_equal(found[0], np.ma.filled(oracle, np.nan).astype(np.float32))
    assert np.isnan(found).any()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures_are_read_as_opencv_reads_them(tmp_path: Path, suffix: str, mode: str) -> None:
    cv2 = pytest.importorskip("cv2")
    shape = (24, 30) if mode == "L" else (24, 30, 3)
    picture = Image.fromarray(np.random.default_rng(2).integers(0, 256, shape, np.uint8))
    picture.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    oracle = cv2.imread(str(tmp_path / f"a.{suffix}"), cv2.IMREAD_UNCHANGED if mode == "L" else cv2.IMREAD_COLOR)
    source = FileSource(DataConfig(source=str(tmp_path / f"a.{suffix}"), range=(0, 255)))
    found = np.asarray(source.read(0, 0, 1).frames)[0]
    if mode == "L" and oracle.ndim == 2 and len(found) == 1:
        np.testing.assert_array_equal(found[0], oracle)
    else:
        np.testing.assert_array_equal(found, np.broadcast_to(oracle[..., ::-1].transpose(2, 0, 1), found.shape))
