"""Whatever a stranger's file holds: an InputError in words, or a source that can be read."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from framecast.data import DataConfig, DataSet, FileSource, MovingMNISTConfig, open_data
from framecast.data.sources.open import open_stored
from framecast.errors import InputError, UsageError

GOOD = np.random.default_rng(0).integers(0, 200, (6, 4, 5), np.uint8)


def npy(array: np.ndarray, **save) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **save)
    return file.getvalue()


def header(text: str, values: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    body = text.encode() + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body + values


def npz(compress: bool = False, **arrays: np.ndarray | bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return file.getvalue()


def described(descr: str = "'|u1'", fortran: str = "False", shape: str = "(6, 4, 5)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


NAN = np.full((6, 4, 5), np.nan, np.float32)
CLIPS = np.array([[[0, 2]], [[2, 2]]])

FILES: dict[str, tuple[str, bytes, dict, str]] = {
    # what it is: (file name, contents, configuration, words of the error)
    "4 axes": ("a.npy", npy(np.zeros((2, 6, 4, 5))), {}, "nthw, tnhw, tchw"),
    "4 axes, colours last": ("a.npy", npy(np.zeros((6, 4, 5, 3))), {}, "example thwc"),
    "5 axes": ("a.npy", npy(np.zeros((2, 6, 3, 4, 5))), {}, "ntchw, tnchw"),
    "2 axes": ("a.npy", npy(np.zeros((6, 4))), {}, "3 to 5 axes"),
    "no axes": ("a.npy", npy(np.zeros(())), {}, "3 to 5 axes"),
    "6 axes": ("a.npy", npy(np.zeros((1,) * 6)), {}, "3 to 5 axes"),
    "dims of other length": ("a.npy", npy(GOOD), {"dims": "nthw"}, "3 letters"),
    "frames that look like colours": ("a.npz", npz(frames=np.zeros((6, 4, 5, 3))), {}, "several ways"),
    "own layout of 2 axes": ("a.npz", npz(frames=np.zeros((4, 5))), {}, "3 to 5 axes"),
    "variable of npy": ("a.npy", npy(GOOD), {"variable": "x"}, "a .npy holds one array"),
    "empty file": ("a.npy", b"", {}, "no .npy header"),
    "text": ("a.npy", b"hello, this is not an array", {}, "no .npy header"),
    "cut in header": ("a.npy", npy(GOOD)[:40], {}, "inside the header"),
    "cut in values": ("a.npy", npy(GOOD)[:-1], {}, "cut short"),
    "too long": ("a.npy", npy(GOOD) + b"x", {}, "cut short or damaged"),
    "version 3": ("a.npy", header(described(), GOOD.tobytes(), b"\x03\x00"), {}, "no .npy header"),
    "size 0": ("a.npy", npy(np.zeros((0, 4, 5), np.uint8)), {}, "0 bytes"),
    "giant": ("a.npy", header(described(shape="(99999999, 99999, 99999)")), {}, "bytes of values"),
    "overflow": ("a.npy", header(described(shape="(9223372036854775808, 4, 5)")), {}, "damaged"),
    "negative size": ("a.npy", header(described(shape="(-6, -4, 5)"), GOOD.tobytes()), {}, "damaged"),
    "bool as size": ("a.npy", header(described(shape="(True, 4, 5)"), GOOD.tobytes()), {}, "damaged"),
    "endless brackets": ("a.npy", header("(" * 60_000), {}, "damaged"),
    "unfinished text": ("a.npy", header("{'descr': '<u1"), {}, "damaged"),
    "list as mapping": ("a.npy", header("['descr']"), {}, "damaged"),
    "unhashable": ("a.npy", header("{[]: 1}"), {}, "damaged"),
    "header of 1 GB": ("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x3f", {}, "a header of"),
    "pickles": ("a.npy", npy(np.array([[[{}]]], object), allow_pickle=True), {}, "numbers"),
    "complex": ("a.npy", npy(GOOD.astype(complex)), {}, "numbers"),
    "text values": ("a.npy", npy(GOOD.astype("U3")), {}, "dtype <U3"),
    "times": ("a.npy", npy(GOOD.astype("M8[s]")), {}, "dtype datetime64"),
    "structured": ("a.npy", npy(np.zeros(5, [("a", "u1")])), {}, "numbers"),
    "all missing": ("a.npy", npy(np.full((6, 4, 5), 7, np.uint8)), {"missing": 7}, "no valid value"),
    "all NaN": ("a.npy", npy(NAN), {}, "no valid value"),
    "one value": ("a.npy", npy(np.full((6, 4, 5), 3, np.float32)), {}, "give a range"),
    "beyond float32": ("a.npy", npy(np.array([[[1e300, 0]]])), {}, "float32"),
    "not a zip": ("a.npz", npy(GOOD), {}, "rename it to a.npy"),
    "cut zip": ("a.npz", npz(frames=GOOD)[:-9], {}, "damage"),
    "too long in npz": ("a.npz", npz(frames=npy(GOOD) + b"x"), {}, "cut short or damaged"),
    "cut in npz": ("a.npz", npz(frames=npy(GOOD)[:-9]), {}, "cut short or damaged"),
    "giant in npz": ("a.npz", npz(frames=header(described(shape="(99999999, 99999, 99999)"))), {}, "cut short"),
    "no arrays": ("a.npz", npz(), {}, "no arrays"),
    "two arrays": ("a.npz", npz(a=GOOD, b=GOOD), {}, "name one with --var"),
    "no such variable": ("a.npz", npz(a=GOOD), {"variable": "x"}, "one of a"),
    "pickles in npz": ("a.npz", npz(frames=npy(np.array([[[{}]]], object), allow_pickle=True)), {}, "numbers"),
    "pickled label": ("a.npz", npz(frames=GOOD, split=npy(np.array([{}]), allow_pickle=True)), {}, "numbers"),
    "numbers as labels": ("a.npz", npz(frames=GOOD[None], split=np.array([1])), {}, "a label for each sequence"),
    "other labels": ("a.npz", npz(frames=GOOD[None], split=np.array(["dev"])), {}, "train, val or test"),
    "too many labels": ("a.npz", npz(frames=GOOD[None], split=np.array(["val"] * 2)), {}, "one for each sequence"),
    "too many times": ("a.npz", npz(frames=GOOD, start_time=np.zeros(3, "M8[m]")), {}, "one for each sequence"),
    "scale 0": ("a.npz", npz(frames=GOOD, scale=np.array(0)), {}, "not 0"),
    "scale NaN": ("a.npz", npz(frames=GOOD, scale=np.array(np.nan)), {}, "finite"),
    "two offsets": ("a.npz", npz(frames=GOOD, offset=np.zeros(2)), {}, "one number"),
    "step 0": ("a.npz", npz(frames=GOOD, step_minutes=np.array(0)), {}, "more than 0"),
    "two units": ("a.npz", npz(frames=GOOD, units=np.array(["a", "b"])), {}, "one text"),
    "wrong dims": ("a.npz", npz(frames=GOOD, dims=np.array("xyz")), {}, "t, h, w"),
    "limit": (
        "a.npz",
        npz(True, frames=np.zeros((100, 10, 10), np.uint8)),
        {"unpack_limit": 9999},
        "--unpack-limit 10128",
    ),
    "clips of other shape": ("a.npz", npz(clips=np.zeros((2, 2), int), input_raw_data=GOOD), {}, "(2, sequences, 2)"),
    "clips beyond": ("a.npz", npz(clips=CLIPS + 3, input_raw_data=GOOD[:, None]), {}, "beyond the frames"),
    "clips that overlap": (
        "a.npz",
        npz(clips=np.array([[[0, 2], [1, 2]], [[4, 1], [5, 1]]]), input_raw_data=GOOD[:, None]),
        {},
        "share frames",
    ),
    "clips in other axes": ("a.npz", npz(clips=CLIPS, input_raw_data=GOOD[:, None]), {"dims": "ctwh"}, "tchw"),
    "unknown suffix": ("a.mat", npy(GOOD), {}, "suffix .mat"),
    "no suffix": ("a", npy(GOOD), {}, "suffix none"),
    "a file called zarr": ("a.zarr", npy(GOOD), {}, "suffix .zarr"),
}


@pytest.mark.parametrize("what", FILES)
def test_files(tmp_path: Path, what: str):
    name, content, said, words = FILES[what]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        FileSource(DataConfig(source=str(tmp_path / name), **said))
    text = str(caught.value)
    assert words in text
    assert name in text
    assert "got " in text


def test_limits_hold_before_anything_is_read(tmp_path: Path):
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(header(described(shape="(1048576, 1024, 1024)")))
        file.truncate(file.tell() + 2**40)
    (tmp_path / "a.npz").write_bytes(npz(frames=GOOD))
    with pytest.raises(InputError, match="expected 1 to 68719476736"):
        FileSource(DataConfig(source=str(tmp_path / "a.npy")))
    with pytest.raises(InputError, match="at most 100"):
        open_stored(DataConfig(source=str(tmp_path / "a.npz"), unpack_limit=100))
    np.save(tmp_path / "b.npy", GOOD)
    with pytest.raises(InputError, match="expected 1 to 100"):
        open_stored(DataConfig(source=str(tmp_path / "b.npy")), mapped_limit=100)


def _metadata(path: Path, change: Callable[[dict], object]) -> None:
    file = path / "zarr.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


ZARRS: dict[str, tuple[Callable[[Path], object], dict, str]] = {
    "plain folder": (lambda p: [(p / "zarr.json").unlink()], {}, "a folder"),
    "no JSON": (lambda p: (p / "zarr.json").write_text("{"), {}, "zarr store"),
    "other JSON": (lambda p: (p / "zarr.json").write_text("[1]"), {}, "zarr store"),
    "unknown codec": (lambda p: _metadata(p, lambda m: m.update(codecs=[{"name": "x"}])), {}, "zarr store"),
    "giant chunk": (
        lambda p: _metadata(p, lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[10**4] * 3)),
        {},
        "bytes unpacked at once",
    ),
    "giant array": (lambda p: _metadata(p, lambda m: m.update(shape=[10**15, 4, 5])), {}, "at most 10000000 frames"),
    "giant frame": (lambda p: _metadata(p, lambda m: m.update(shape=[6, 10**9, 10**9])), {}, "pixels"),
    "text": (lambda p: _metadata(p, lambda m: m.update(data_type="string")), {}, "zarr"),
    "complex": (lambda p: _metadata(p, lambda m: m.update(data_type="complex64", fill_value=[0, 0])), {}, "numbers"),
    "variable": (lambda p: None, {"variable": "x"}, "not a group"),
    "cut chunk": (lambda p: (p / "c/0/0/0").write_bytes(b"12"), {"missing": 3}, "zarr store"),
    "labels": (lambda p: _metadata(p, lambda m: m["attributes"].update(split={"a": 1})), {}, "label"),
    "scale": (lambda p: _metadata(p, lambda m: m["attributes"].update(scale="1e")), {}, "one number"),
    "fill": (lambda p: _metadata(p, lambda m: m["attributes"].update(_FillValue="AAAA")), {}, "one number"),
    "time": (lambda p: _metadata(p, lambda m: m["attributes"].update(start_time="noon")), {}, "times as in"),
    "times": (lambda p: _metadata(p, lambda m: m["attributes"].update(start_time=[["2020"]])), {}, "one time"),
    "units": (lambda p: _metadata(p, lambda m: m["attributes"].update(units=3)), {}, "one text"),
    "dims": (lambda p: _metadata(p, lambda m: m["attributes"].update(dims=["t", 2])), {}, "one text"),
}


@pytest.mark.parametrize("what", ZARRS)
def test_zarr_stores(tmp_path: Path, what: str):
    damage, said, words = ZARRS[what]
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=GOOD, chunks=GOOD.shape)
    damage(path)
    with pytest.raises(InputError) as caught:
        FileSource(DataConfig(source=str(path), **said))
    assert words in str(caught.value)
    assert "a.zarr" in str(caught.value)


def test_zarr_groups(tmp_path: Path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    with pytest.raises(InputError, match="no arrays"):
        FileSource(DataConfig(source=str(tmp_path / "a.zarr")))
    for name in ("u", "v"):
        group.create_array(name, data=GOOD)
    with pytest.raises(InputError, match="arrays u, v"):
        FileSource(DataConfig(source=str(tmp_path / "a.zarr")))
    with pytest.raises(InputError, match="one of u, v"):
        FileSource(DataConfig(source=str(tmp_path / "a.zarr"), variable="w"))


@pytest.mark.parametrize("path", ["absent.npy", "absent/a.npz", "https://host/a.npy", "a" * 5000, "nul\0.npy"])
def test_paths(path: str):
    with pytest.raises(InputError):
        FileSource(DataConfig(source=path))


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((60, 4, 5)))
    return open_data(DataConfig(source=str(tmp_path / "a.npy")), context=3, horizon=2, seed=0)


@pytest.mark.parametrize(
    ("split", "epoch", "index"), [("dev", 0, 0), ("train", 0, 10_000), ("train", 0, -1), ("train", -1, 0)]
)
def test_windows_that_are_not_there(data: DataSet, split: str, epoch: int, index: int):
    with pytest.raises(UsageError):
        data.window(split, epoch, index)


@pytest.mark.parametrize(("sequence", "start", "stop"), [(1, 0, 1), (-1, 0, 1), (0, 59, 61), (0, -1, 3), (0, 3, 3)])
def test_frames_that_are_not_there(tmp_path: Path, data: DataSet, sequence: int, start: int, stop: int):
    with pytest.raises(InputError, match="expected"):
        FileSource(DataConfig(source=str(tmp_path / "a.npy"))).read(sequence, start, stop)


@pytest.mark.parametrize(("context", "horizon", "seed"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_open_data_checks_numbers(context: int, horizon: int, seed: int):
    with pytest.raises(UsageError):
        open_data(DataConfig(), context=context, horizon=horizon, seed=seed)


def test_turns_need_square_frames():
    config = DataConfig(augment=("turn",), moving_mnist=MovingMNISTConfig(size=(30, 40)))
    with pytest.raises(UsageError, match="square frames"):
        open_data(config, context=1, horizon=1, seed=0)


@pytest.mark.parametrize("kind", ["npy", "npz", "packed npz"])
def test_mutated_files_never_raise_anything_else(tmp_path: Path, kind: str):
    rng = np.random.default_rng(1)
    sides = {"scale": np.array(0.5), "units": np.array("dBZ"), "split": np.array(["train", "val"])}
    sides["start_time"] = np.zeros(2, "M8[m]")
    frames = np.stack([GOOD, GOOD])
    good = npy(GOOD) if kind == "npy" else npz(kind == "packed npz", frames=frames, **sides)
    path = tmp_path / f"a.{kind[-3:]}"
    read = refused = 0
    for trial in range(300):
        content = bytearray(good)
        if trial % 3 == 0:
            content = content[: rng.integers(len(content))]
        else:
            count = 200 if trial % 3 == 1 else int(rng.integers(1, 5))
            for place in rng.integers(len(content) if trial % 2 else 200, size=count):
                content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            source = FileSource(DataConfig(source=str(path)))
            source.read(0, 0, 1)
            source.fingerprint()
            read += 1
        except InputError:
            refused += 1
    assert read + refused == 300
    assert refused > 150
