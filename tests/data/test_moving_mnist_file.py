import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from framecast.data import DataConfig, FileSource, MovingMNIST, MovingMNISTConfig, freeze
from framecast.errors import UsageError

CONFIG = MovingMNISTConfig(size=(30, 40))


@pytest.mark.parametrize(("name", "dims"), [("a.npz", None), ("a.npy", "tnhw"), ("a.zarr", None)])
def test_round_trip(tmp_path: Path, name: str, dims: str | None):
    path = tmp_path / name
    digest = freeze(path, "test", 19, 5, 3, CONFIG)
    generator = MovingMNIST(CONFIG, 3)
    expected = np.stack([generator.sequence("test", i, 5).frames[:, 0] for i in range(19)])
    assert digest == hashlib.sha256(expected.astype(np.uint8).tobytes()).hexdigest()
    source = FileSource(DataConfig(source=str(path), dims=dims))
    assert list(source.lengths) == [5] * 19
    got = np.stack([source.read(i, 0, 5).frames[:, 0] for i in range(19)])
    np.testing.assert_array_equal(got, expected)
    assert (source.spec.low, source.spec.high, source.spec.channels) == (0, 255, 1)
    assert (source.spec.height, source.spec.width) == (30, 40)
    assert not source.has_missing
    if name != "a.npy":
        assert source.spec.units == generator.spec.units
    assert [p.name for p in tmp_path.iterdir()] == [name], "a temporary file was left"


def test_npz_says_where_the_digits_are(tmp_path: Path):
    freeze(tmp_path / "a.npz", "val", 3, 4, 0, CONFIG)
    with np.load(tmp_path / "a.npz") as file:
        path = MovingMNIST(CONFIG, 0).path("val", 2, 4)
        np.testing.assert_array_equal(file["digit_index"][2], path.digit)
        np.testing.assert_array_equal(file["top"][2], path.top)
        np.testing.assert_array_equal(file["left"][2], path.left)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None


def test_npy_has_the_published_layout(tmp_path: Path):
    freeze(tmp_path / "a.npy", "test", 2, 20, 0)
    array = np.load(tmp_path / "a.npy")
    assert array.shape == (20, 2, 64, 64)
    assert array.dtype == np.uint8


def test_zarr_notices_a_flipped_bit(tmp_path: Path):
    freeze(tmp_path / "a.zarr", "test", 2, 3, 0, CONFIG)
    chunk = next(p for p in (tmp_path / "a.zarr" / "c").rglob("*") if p.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    source = FileSource(DataConfig(source=str(tmp_path / "a.zarr")))
    with pytest.raises(ValueError, match="a zarr store that can be read"):
        source.read(0, 0, 3)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.zarr"])
def test_never_overwrites(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists"):
        freeze(path, "test", 1, 1, 0, CONFIG)
    assert path.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.zarr"])
def test_never_overwrites_what_appears_meanwhile(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / name
    drawn = MovingMNIST.pixels

    def slow(self, where, split):
        if name == "a.zarr":
            path.mkdir(exist_ok=True)
            (path / "mine").write_bytes(b"mine")
        else:
            path.write_bytes(b"mine")
        return drawn(self, where, split)

    monkeypatch.setattr(MovingMNIST, "pixels", slow)
    with pytest.raises(UsageError, match="exists"):
        freeze(path, "test", 1, 1, 0, CONFIG)
    assert (path / "mine" if path.is_dir() else path).read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.zarr"])
def test_a_failure_leaves_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    def full(self, where, split):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MovingMNIST, "pixels", full)
    with pytest.raises(OSError, match="No space"):
        freeze(tmp_path / name, "test", 1, 1, 0, CONFIG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "split", "count", "frames", "seed"),
    [
        ("a.txt", "test", 1, 1, 0),
        ("a", "test", 1, 1, 0),
        ("no/a.npz", "test", 1, 1, 0),
        ("a.npz", "dev", 1, 1, 0),
        ("a.npz", "test", 0, 1, 0),
        ("a.npz", "test", 1, 0, 0),
        ("a.npz", "test", 1, 1, -1),
    ],
)
def test_wrong_usage(tmp_path: Path, name: str, split: str, count: int, frames: int, seed: int):
    with pytest.raises(UsageError):
        freeze(tmp_path / name, split, count, frames, seed)
    assert list(tmp_path.iterdir()) == []
