"""What is unpacked is bounded by what was declared, asked for and allowed; what is packed well is no fault."""

import bz2
import gzip
import json
import lzma
import zlib
from pathlib import Path

import h5py
import numcodecs
import numpy as np
import pytest
import xarray
import zarr

from framecast.data import DataConfig, FileSource
from framecast.data.formats import hdf5
from framecast.data.formats.unpacking import check_packed
from framecast.errors import InputError

MIB = 1 << 20
SIZE = (2, 64, 64)


@pytest.fixture(autouse=True)
def _small_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be unpacked in any case is 1 MiB, so that bombs of 4 MiB are large."""
    monkeypatch.setattr("framecast.data.formats.unpacking.SMALL", MIB)
    monkeypatch.setattr("framecast.data.formats.hdf5.SMALL", 1 << 14)


def refused(path: Path, words: str, **said) -> None:
    with pytest.raises(InputError, match=words) as caught:
        FileSource(DataConfig(source=str(path), range=(0, 300), **said)).read(0, 0, 1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


PACKERS = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": numcodecs.Zstd().encode,
    "blosc": numcodecs.Blosc().encode,
    "lz4": numcodecs.LZ4().encode,
}


@pytest.mark.parametrize("codec", PACKERS)
def test_each_codec_is_stopped_at_the_size_declared(codec: str):
    noise = np.random.default_rng(0).bytes(MIB)
    for content in (noise, bytes(4 * MIB), noise[:10] * (MIB // 80)):
        packed = PACKERS[codec](content)
        check_packed([codec, "shuffle"], packed, len(content), "a")
    packed = PACKERS[codec](bytes(4 * MIB))
    with pytest.raises(InputError, match="a: got a piece that unpacks to"):
        check_packed([codec], packed, MIB, "a")
    with pytest.raises(InputError, match=f"a: got codecs zlib and {codec}, expected one of"):
        check_packed(["zlib", codec], zlib.compress(packed), MIB, "a")
    with pytest.raises(InputError, match="codec pickle, expected one of"):
        check_packed(["pickle"], packed, MIB, "a")


def test_members_and_frames_that_follow_one_another_count():
    packed = gzip.compress(bytes(3 * MIB)) * 3
    check_packed(["gzip"], packed, 9 * MIB, "a")
    with pytest.raises(InputError, match="more than"):
        check_packed(["gzip"], packed, 5 * MIB, "a")


ZARRS = {
    "gzip": ({"compressors": zarr.codecs.GzipCodec()}, 3, gzip.compress),
    "zstd": ({"compressors": zarr.codecs.ZstdCodec()}, 3, numcodecs.Zstd().encode),
    "blosc": ({"compressors": zarr.codecs.BloscCodec()}, 3, numcodecs.Blosc().encode),
    "zlib of version 2": ({"compressors": numcodecs.Zlib()}, 2, zlib.compress),
    "lz4 of version 2": ({"compressors": numcodecs.LZ4()}, 2, numcodecs.LZ4().encode),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("case", ZARRS)
def test_chunks_of_zarr(tmp_path: Path, case: str, named: bool):
    options, form, pack = ZARRS[case]
    options = dict(options)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=form)
    values = np.random.default_rng(0).integers(0, 9, SIZE).astype("u1")
    options |= {"dimension_names": ["time", "y", "x"]} if form == 3 and named else {}
    array = group.create_array("rain", shape=SIZE, dtype="u1", chunks=(1, 64, 64), **options)
    array[:] = values
    if named:
        for name, size in zip(("time", "y", "x"), SIZE, strict=True):
            names = {"dimension_names": [name]} if form == 3 else {}
            group.create_array(name, data=np.arange(float(size)), **names).attrs["_ARRAY_DIMENSIONS"] = [name]
        array.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
    said = {} if named else {"dims": "thw"}
    found = FileSource(DataConfig(source=str(tmp_path / "a.zarr"), **said))
    np.testing.assert_array_equal(found.read(0, 0, 2).frames[:, 0], values)
    chunk = next(path for path in (tmp_path / "a.zarr/rain").rglob("*0*") if path.is_file())
    chunk.write_bytes(pack(bytes(4 * MIB)))
    refused(tmp_path / "a.zarr", "a piece that unpacks to", missing=3, **said)


@pytest.mark.parametrize("place", ["start", "end"])
def test_chunks_of_shards(tmp_path: Path, place: str):
    path, values = tmp_path / "a.zarr", np.random.default_rng(0).integers(0, 9, (4, 64, 64)).astype("f4")
    shards = zarr.codecs.ShardingCodec(
        chunk_shape=(1, 32, 64), codecs=[zarr.codecs.BytesCodec(), zarr.codecs.GzipCodec()], index_location=place
    )
    array = zarr.create(store=path, shape=values.shape, chunks=(2, 64, 64), dtype="f4", codecs=[shards])
    array[:] = values
    found = FileSource(DataConfig(source=str(path)))
    np.testing.assert_array_equal(found.read(0, 0, 4).frames[:, 0], values)
    bomb, index = gzip.compress(bytes(4 * MIB)), np.full((4, 2), 2**64 - 1, "<u8")
    index[0] = (68 if place == "start" else 0), len(bomb)
    places = index.tobytes() + bytes(numcodecs.CRC32C().encode(index.tobytes())[:4])
    (path / "c/0/0/0").write_bytes(places + bomb if place == "start" else bomb + places)
    refused(path, "a piece that unpacks to")


def test_metadata_of_zarr(tmp_path: Path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=np.zeros(SIZE, "u1"))
    content = json.loads((path / "zarr.json").read_text())
    for depth, words in ((70, "more than 64 brackets"), (50_000, "more than 64 brackets")):
        deep = "[" * depth + "]" * depth
        (path / "zarr.json").write_text(json.dumps(content).replace('"attributes": {', f'"attributes": {{"a": {deep},'))
        refused(path, words)
    text = json.dumps({**content, "attributes": {"a": "[" * 100 + '"' * 7 + "\\"}})
    (path / "zarr.json").write_text(text)
    assert FileSource(DataConfig(source=str(path), range=(0, 9))).lengths == [2]
    (path / "zarr.json").write_text(" " * (17 * MIB) + text)
    refused(path, "bytes of metadata, expected at most")


def test_a_chunk_that_memory_does_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("framecast.data.formats.unpacking.free_bytes", lambda: 0)
    zarr.create_array(tmp_path / "a.zarr", shape=(100, 1000, 1000), chunks=(100, 1000, 1000), dtype="u1")
    refused(tmp_path / "a.zarr", "got 100000000 bytes unpacked at once, expected at most 1048576")
    found = FileSource(DataConfig(source=str(tmp_path / "a.zarr"), range=(0, 9), unpack_limit=10**8))
    assert found.lengths == [100]


def bomb_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        array = file.create_dataset("rain", (2, 300, 300), "u1", chunks=(1, 300, 300), compression="gzip", shuffle=True)
        array[1] = np.random.default_rng(0).integers(0, 9, (300, 300))
        array.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(4 * MIB)))
    return path


def test_chunks_of_hdf5(tmp_path: Path):
    refused(bomb_hdf5(tmp_path / "a.h5"), r"rain, chunk \(0, 0, 0\): got a piece that unpacks to more than")
    path = bomb_hdf5(tmp_path / "b.nc")
    with h5py.File(path, "a") as file:
        file.attrs["Conventions"] = "CF-1.8"
        for number, name in enumerate(("time", "y", "x")):
            file[name] = np.arange(float(file["rain"].shape[number]))
            file[name].make_scale(name)
            file["rain"].dims[number].attach_scale(file[name])
    refused(path, r"rain, chunk \(0, 0, 0\): got a piece that unpacks to more than")
    found = FileSource(DataConfig(source=str(path), range=(0, 9), frames=(1, 2)), last=1)
    assert found.read(0, 0, 1).frames.max() == 8


@pytest.mark.parametrize("packing", ["lzf", "szip"])
def test_other_filters_of_hdf5_are_stopped_at_the_size_of_the_chunk(tmp_path: Path, packing: str):
    """A chunk is taken from an array with larger ones."""
    values = np.random.default_rng(0).integers(0, 9, (2, 300, 300)).astype("u1")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("rain", data=values, chunks=(1, 300, 300), compression=packing)
        noise = np.random.default_rng(1).integers(0, 256, (1, 300, 300)).astype("u1")  # stored as it is
        file.create_dataset("noise", data=np.concatenate([values, noise]), chunks=(1, 300, 300), compression=packing)
        large = file.create_dataset("large", (1, 4096, 1024), "u1", chunks=(1, 4096, 1024), compression=packing)
        large[:] = 0
        bomb = large.id.read_direct_chunk((0, 0, 0))[1]
    for name, frames in (("rain", values), ("noise", np.concatenate([values, noise]))):
        found = FileSource(DataConfig(source=str(tmp_path / "a.h5"), variable=name))
        np.testing.assert_array_equal(found.read(0, 0, len(frames)).frames[:, 0], frames)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        array = file["rain"]
        array.id.write_direct_chunk((0, 0, 0), bomb)
    refused(tmp_path / "a.h5", r"rain, chunk \(0, 0, 0\): got a piece that unpacks to 4194304 bytes", variable="rain")


@pytest.mark.parametrize(
    ("packing", "place"), [({"scaleoffset": 0}, 2), ({"scaleoffset": 0}, 4), ({"compression": "lzf"}, 2)]
)
def test_what_filters_of_hdf5_claim_is_compared_with_the_chunk(tmp_path: Path, packing: dict, place: int):
    """The claim stands in the head of the array, as 32 bits: HDF5 takes as much memory as it says."""
    values = np.arange(2 * 321 * 301, dtype="i2").reshape(2, 321, 301) % 500
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        array = file.create_dataset("rain", data=values, chunks=(1, 321, 301), **packing)
        stated = np.array(array.id.get_create_plist().get_filter(0)[2], "<u4")
    np.testing.assert_array_equal(FileSource(DataConfig(source=str(path))).read(0, 0, 2).frames[:, 0], values)
    content, claimed = path.read_bytes(), stated.copy()
    claimed[place] = 2**31 - 1
    assert content.count(stated.tobytes()) == 1
    path.write_bytes(content.replace(stated.tobytes(), claimed.tobytes()))
    refused(path, r"rain: got a piece that unpacks to \d{10,} bytes")


def test_dry_data_and_flags_that_never_change_are_no_fault(tmp_path: Path):
    """They pack a thousand times."""
    dry = np.zeros((4, 1024, 1024), np.float32)
    dry[3, 100:110, 100:120] = 2.5
    encoding = {"zlib": True, "complevel": 4, "chunksizes": (1, 1024, 1024)}
    data = xarray.Dataset({"rain": (("time", "y", "x"), dry), "flag": (("time", "y", "x"), np.zeros(dry.shape, "u1"))})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"rain": encoding, "flag": encoding})
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("rain", data=dry, chunks=(1, 1024, 1024), compression="gzip", compression_opts=4)
    np.savez_compressed(tmp_path / "a.npz", frames=dry)
    for name in ("a.nc", "a.h5", "a.npz"):
        assert (tmp_path / name).stat().st_size < dry.nbytes / 400
        variable = None if name == "a.npz" else "rain"
        found = FileSource(DataConfig(source=str(tmp_path / name), variable=variable))
        assert (found.spec.low, found.spec.high) == (0.0, 2.5)


def test_every_array_that_a_library_opens_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The ten thousandth member is read as the first: none may lie in another file."""
    (tmp_path / "secret").write_bytes(bytes(range(100)))
    monkeypatch.setattr(hdf5, "MEMBERS", 5)
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["Conventions"] = "CF-1.8"
        for number in range(20):
            file[f"a{number:02}"] = np.zeros(3)
        for name, size in (("time", 1), ("y", 10), ("x", 10)):
            file[name] = np.arange(float(size))
            file[name].make_scale(name)
        rain = file.create_dataset("zrain", (1, 10, 10), np.uint8, external=[(str(tmp_path / "secret"), 0, 100)])
        for number, name in enumerate(("time", "y", "x")):
            rain.dims[number].attach_scale(file[name])
    refused(tmp_path / "a.nc", "zrain: got values in other files", variable="zrain")
