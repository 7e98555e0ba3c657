"""Whatever a file holds: no crash, only our own input error in one line, memory bounded. See mutations.py."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from PIL import Image

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

DATA = Path(__file__).parents[2] / "fixtures"
SHORT, LONG = 40, 10_000
GROWTH = 1024
"""MiB that reading damaged files may take beyond a good one: sizes up to damage.SMALL are believed."""
FRAMES = np.random.default_rng(0).integers(0, 255, (4, 24, 32), np.uint8)


def plain_pgm(folder: Path) -> Path:
    (folder / "a.pgm").write_bytes(b"P5\n# a comment\n32 24\n255\n" + FRAMES[0].tobytes())
    return folder / "a.pgm"


def masked_tif(folder: Path) -> Path:
    import rasterio

    profile = {"width": 32, "height": 24, "count": 1, "dtype": "uint8", "nodata": 0}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(folder / "a.tif", "w", **profile) as file:
        file.write(FRAMES[:1])
        file.write_mask(FRAMES[0] > 9)
    return folder / "a.tif"


def good(kind: str, folder: Path) -> tuple[Path, str | None]:
    """A small file of a kind, and the variable in it."""
    existing = {
        "mp4": "bigbuckbunny.mp4",
        "netcdf4": "era5_t2m.nc",
        "pgm": next(iter(sorted((DATA / "radar/fmi_pgm").iterdir()))),
        "knmi": next(iter(sorted((DATA / "radar/knmi_hdf5").iterdir()))),
        "odim": next(iter(sorted((DATA / "radar/odim").iterdir()))),
        "geotiff": next(iter(sorted((DATA / "radar/fmi_geotiff").iterdir()))),
        "grib": next(iter(sorted((DATA / "radar/mrms_grib2").iterdir()))),
    }
    if kind in existing:
        return DATA / existing[kind], None
    if kind in ("png", "jpg", "gif", "tif", "webp"):
        pages = [Image.fromarray(frame) for frame in FRAMES]
        several = {"save_all": True, "append_images": pages[1:]} if kind in ("gif", "tif", "webp") else {}
        pages[0].save(folder / f"a.{kind}", **several)
        return folder / f"a.{kind}", None
    if kind in ("masked tif", "plain pgm"):
        return (masked_tif if kind == "masked tif" else plain_pgm)(folder), None
    if kind == "npy":
        np.save(folder / "a.npy", FRAMES)
        return folder / "a.npy", None
    if kind == "npz":
        np.savez_compressed(folder / "a.npz", frames=FRAMES, units=np.array("mm/h"), start_time=np.zeros(1, "M8[s]"))
        return folder / "a.npz", None
    if kind == "hdf5":
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("rain", data=FRAMES, chunks=(1, 24, 32), compression="gzip")
        return folder / "a.h5", "rain"
    if kind == "avi":
        import av

        with av.open(str(folder / "a.avi"), "w") as container:
            stream = container.add_stream("mjpeg", rate=10)
            stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
            for frame in FRAMES:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
            container.mux(stream.encode())
        return folder / "a.avi", None
    axes = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(10, "m"),
        "y": range(24),
        "x": range(32),
    }
    data = xarray.Dataset({"rain": (("time", "y", "x"), FRAMES.astype(np.float32))}, axes)
    if kind == "zarr":
        data.to_zarr(folder / "a.zarr")
        return folder / "a.zarr", None
    data.to_netcdf(folder / "a.cdf", engine="scipy")
    return folder / "a.cdf", None


KINDS = ["png", "jpg", "gif", "tif", "mp4", "avi", "plain pgm", "pgm", "hdf5", "knmi", "odim", "netcdf4", "netcdf3"]
KINDS += ["zarr", "geotiff", "masked tif", "webp", "grib", "npy", "npz"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_mutations(tmp_path: Path, kind: str, count: int):
    path, variable = good(kind, tmp_path)
    words = [sys.executable, "-W", "ignore", str(DATA / "mutations.py"), str(path), str(count), "1"]
    done = subprocess.run(words + ([variable] if variable else []), capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["outcomes"]) <= {"refused", "read"}, found
    assert found["outcomes"].get("refused", 0) > 0
    assert found["grown"] < GROWTH, f"MiB, {found}"


def refused(path: Path, words: str, **said) -> None:
    with pytest.raises(InputError, match=words) as caught:
        FileSource(DataConfig(source=str(path), range=(0, 300), **said)).read(0, 0, 1)
    assert "\n" not in str(caught.value)


def test_headers_that_claim_too_much(tmp_path: Path):
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = (10**6).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    refused(tmp_path / "a.png", "a.png: got")
    (tmp_path / "a.pgm").write_bytes(b"P5 1000000 1000000 255\n")
    refused(tmp_path / "a.pgm", "a frame of 1000000 x 1000000 values")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("rain", (10**4, 10**4, 10**4), np.uint8, chunks=(1, 100, 100), compression="gzip")
    refused(tmp_path / "a.h5", "without a value, expected values; none was written")
    odim = sorted((DATA / "radar/odim").iterdir())[0]
    shutil.copy(odim, tmp_path / "o.h5")
    with h5py.File(tmp_path / "o.h5", "a") as file:
        del file["dataset1/data1/data"]
        file.create_dataset("dataset1/data1/data", (10**6, 10**6), np.float64, chunks=(1000, 1000), compression="gzip")
    refused(tmp_path / "o.h5", "without a value")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import gzip

    monkeypatch.setattr("framecast.data.formats.guards.free_bytes", lambda: 0)
    monkeypatch.setattr("framecast.data.formats.unpacking.free_bytes", lambda: 0)
    Image.fromarray(np.zeros((9000, 9000), np.uint8)).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 200_000
    refused(tmp_path / "a.png", "looks like a bomb")
    (tmp_path / "a.pgm.gz").write_bytes(gzip.compress(b"P5 20000 5000 255\n" + bytes(10**8)))
    refused(tmp_path / "a.pgm.gz", "looks like a bomb")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "rain", data=np.zeros((2, 9000, 9000), np.uint8), chunks=(1, 9000, 9000), compression="gzip"
        )
    refused(tmp_path / "a.h5", "81000000 bytes unpacked at once, expected at most 67108864")


def test_hdf5_that_reads_other_files(tmp_path: Path):
    (tmp_path / "secret").write_bytes(bytes(range(100)))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("rain", (1, 10, 10), np.uint8, external=[(str(tmp_path / "secret"), 0, 100)])
    refused(tmp_path / "external.h5", "values in other files", variable="rain")
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["rain"] = h5py.ExternalLink(str(tmp_path / "external.h5"), "rain")
        file["soft"] = h5py.SoftLink("/rain")
    refused(tmp_path / "link.h5", "a link to another place", variable="rain")
    refused(tmp_path / "link.h5", "a link to another place", variable="soft")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((1, 10, 10), np.uint8)
        layout[...] = h5py.VirtualSource(str(tmp_path / "external.h5"), "rain", (1, 10, 10))
        file.create_virtual_dataset("rain", layout)
    refused(tmp_path / "virtual.h5", "values in other files", variable="rain")


def test_folders_that_do_not_fit_together(tmp_path: Path):
    folder = tmp_path / "sizes"
    folder.mkdir()
    for number, size in enumerate([(24, 32), (24, 32), (24, 33)]):
        Image.fromarray(np.zeros(size, np.uint8)).save(folder / f"{number}.png")
    refused(folder, "2.png: got frames 1x24x33, expected 1x24x32, as in 0.png")
    shutil.copy(DATA / "era5_t2m.nc", folder)
    refused(folder, "NetCDF and pictures in one folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "a folder without frames")
    (tmp_path / "what.xyz").write_text("?")
    refused(tmp_path / "what.xyz", "suffix .xyz")
    (tmp_path / "text.png").write_text("no picture at all")
    refused(tmp_path / "text.png", "cannot identify")
    np.save(tmp_path / "empty" / "a.npy", FRAMES[:, :, :3])
    refused(tmp_path / "empty", "one picture in colours")


def test_truncated_files(tmp_path: Path):
    for folder in sorted((DATA / "radar").iterdir()):
        path = sorted(folder.iterdir())[0]
        for share in (0, 0.01, 0.3, 0.9):
            cut = tmp_path / path.name
            cut.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
            refused(cut, "got")
