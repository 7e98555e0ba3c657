"""Pictures of several kinds, suffixes and companions: what is said of them, and what their values are."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framecast.data import DataConfig, FileSource
from framecast.data.missing_values import MissingValues
from framecast.data.sources.value_scan import ValueScan
from framecast.errors import InputError, UsageError
from framecast.recipe.parsing import parse_config


def opened(path: Path, **said: object) -> FileSource:
    return FileSource(parse_config(DataConfig, {"source": str(path), **said}, "test"))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_apng(path: Path, frames: np.ndarray) -> None:
    """(T, H, W) or (T, H, W, 3), by the letter of the specification: Pillow writes no colours of 16 bits."""
    height, width = frames.shape[1:3]
    depth, colour = 8 * frames.itemsize, 2 if frames.ndim == 4 else 0
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    parts, number = [head, chunk(b"acTL", struct.pack(">II", len(frames), 0))], 0
    for t, frame in enumerate(frames.astype(frames.dtype.newbyteorder(">"))):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 100, 1000, 0, 0)))
        number += 1
        packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in frame))
        if t:
            packed = struct.pack(">I", number) + packed
            number += 1
        parts.append(chunk(b"fdAT" if t else b"IDAT", packed))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


@pytest.mark.parametrize("suffix", ["apng", "png", "APNG"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_animated_png(tmp_path: Path, suffix: str, kind: type) -> None:
    frames = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (12, 6, 7), kind)
    write_apng(tmp_path / f"a.{suffix}", frames)
    source = opened(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(source.read(0, 0, 12).frames[:, 0], frames)


@pytest.mark.parametrize("suffix", ["apng", "png"])
def test_colours_of_16_bits_that_move_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = np.random.default_rng(0).integers(0, 65535, (12, 6, 7, 3), np.uint16)
    write_apng(tmp_path / f"a.{suffix}", frames)
    with pytest.raises(InputError, match="got an animation of 12 frames with 16 bits of colour, expected"):
        opened(tmp_path / f"a.{suffix}")


def test_grey_among_colours_and_jpeg_among_png_are_told(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (12, 16, 16, 3), np.uint8)
    for t in range(12):
        if t % 4 == 3:
            Image.fromarray(values[t, ..., 0]).save(tmp_path / f"{t:02}.png")
        elif t % 4 == 1:
            Image.fromarray(values[t]).save(tmp_path / f"{t:02}.jpg", quality=95)
        else:
            Image.fromarray(values[t]).save(tmp_path / f"{t:02}.png")
    said = " | ".join(opened(tmp_path).notes)
    assert "colour: grey; its level is taken for red, green and blue, as other pictures are coloured (03.png" in said
    assert "format: JPEG among others; its values are not those that were there before it was packed (01.jpg" in said
    assert "level is taken" not in " ".join(opened(tmp_path, colour="grey").notes)
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    assert "JPEG" not in " ".join(opened(tmp_path).notes)


def test_grids_with_the_suffix_of_pictures(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    data = xarray.Dataset({"t": (("time", "y", "x"), np.random.default_rng(0).random((9, 4, 4)))})
    for format_, suffix in (("NETCDF4", "h5"), ("NETCDF3_CLASSIC", "nc")):
        data.to_netcdf(tmp_path / "n.tif", format=format_)
        with pytest.raises(InputError, match=rf"n\.tif, which holds .*as suffix \.tif says; rename it to n\.{suffix}"):
            opened(tmp_path / "n.tif")


@pytest.mark.filterwarnings("ignore::Warning")  # of GDAL, that the mask is on no map
def test_a_mask_beside_a_picture_is_part_of_the_data(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    values = np.random.default_rng(0).integers(1, 255, (5, 6, 7), np.uint8)
    for t in range(5):
        Image.fromarray(values[t]).save(tmp_path / f"{t}.tif")
    prints = [opened(tmp_path).fingerprint()]
    for hidden in (0, 3):
        mask = np.full((6, 7), 255, np.uint8)
        mask[hidden] = 0
        options = {"driver": "GTiff", "height": 6, "width": 7, "count": 1, "dtype": "uint8"}
        for t in range(5):
            with rasterio.open(tmp_path / f"{t}.tif.msk", "w", **options) as file:
                file.write(mask, 1)
        source = opened(tmp_path)
        prints.append(source.fingerprint())
        assert np.isnan(source.read(0, 0, 1).frames[0, 0, hidden]).all()
    assert len(set(prints)) == 3


@pytest.mark.parametrize("kind", ["npy", "npz", "zarr", "h5", "png"])
def test_axis_is_for_files_whose_axes_have_names(tmp_path: Path, kind: str) -> None:
    path, frames = tmp_path / f"a.{kind}", np.random.default_rng(0).random((9, 4, 4)).astype(np.float32)
    if kind == "npy":
        np.save(path, frames)
    elif kind == "npz":
        np.savez(path, frames=frames)
    elif kind == "zarr":
        pytest.importorskip("zarr").save_array(path, frames)
    elif kind == "h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["frames"] = frames
    else:
        Image.fromarray((frames[0] * 255).astype(np.uint8)).save(path)
    with pytest.raises(UsageError, match=r"--axis: got z=0, expected .*; "):
        opened(path, axes={"z": "0"})


def test_marks_in_words() -> None:
    def said(marks: MissingValues, coded: int = 3) -> str:
        lost = np.zeros((1, 1))
        scan = ValueScan(0, 1, coded, 0, 100, "whole", [(0, 1)], lost, [0])
        return " ".join(scan.describe_missing(marks))

    assert said(MissingValues(low=1)) == "missing: 3 values (3 %) are below 1"
    assert said(MissingValues(codes=(-1,))) == "missing: 3 values (3 %) hold the code -1"
    assert (
        said(MissingValues((-1, 7), 0, 9))
        == "missing: 3 values (3 %) hold one of the codes -1, 7 or are outside 0 to 9"
    )
    assert said(MissingValues(high=5), 0) == "missing: no value is above 5"
    assert said(MissingValues((-1,), 0), 0) == "missing: no value holds the code -1 or is below 0"
