import gzip
from pathlib import Path

import numpy as np
import pytest

from framecast.data import MovingMNIST, MovingMNISTConfig
from framecast.data.moving_mnist import read_idx
from framecast.errors import InputError


def idx(images: np.ndarray, magic: int = 0x803) -> bytes:
    numbers = (magic, *images.shape)
    return b"".join(n.to_bytes(4, "big") for n in numbers) + images.astype(np.uint8).tobytes()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (36, 28, 28), np.uint8)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_what_was_written(tmp_path: Path, images: np.ndarray, packed: bool):
    path = tmp_path / "digits"
    path.write_bytes(gzip.compress(idx(images)) if packed else idx(images))
    np.testing.assert_array_equal(read_idx(path), images)


def test_wrong_files_are_input_errors(tmp_path: Path, images: np.ndarray):
    good = idx(images)
    wrong = {
        "empty": b"",
        "short header": good[:10],
        "labels": idx(images[0, 0], 0x801) + bytes(100),
        "cut": good[:-1],
        "long": good + b"x",
        "huge": good[:4] + b"\xff" * 12 + good[16:],
        "none": good[:4] + bytes(12),
        "cut gzip": gzip.compress(good)[:-30],
        "bad gzip": gzip.compress(good)[:200] + bytes(50) + gzip.compress(good)[250:],
        "bomb": gzip.compress(good[:16] + bytes(50_000_000)),
    }
    for name, content in wrong.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_idx(path)
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError):
            read_idx(path)


def test_a_file_of_digits_is_divided_in_twelfths(tmp_path: Path, images: np.ndarray):
    path = tmp_path / "digits.gz"
    path.write_bytes(gzip.compress(idx(images)))
    config = MovingMNISTConfig(size=28, digits=1, digits_file=str(path))
    generator = MovingMNIST(config, 0)
    parts = {"train": images[:30], "val": images[30:33], "test": images[33:]}
    for split, part in parts.items():
        drawn = {generator.sequence(split, i, 1).frames.astype(np.uint8).tobytes() for i in range(200)}
        assert drawn == {image.tobytes() for image in part}
    assert generator.fingerprint() != MovingMNIST(MovingMNISTConfig(size=28, digits=1), 0).fingerprint()


@pytest.mark.parametrize("shape", [(11, 28, 28), (24, 27, 28)])
def test_too_few_or_wrong_digits(tmp_path: Path, shape: tuple[int, int, int]):
    path = tmp_path / "digits"
    path.write_bytes(idx(np.ones(shape)))
    with pytest.raises(InputError, match="at least 12 images of 28 x 28"):
        MovingMNIST(MovingMNISTConfig(digits_file=str(path)), 0)
