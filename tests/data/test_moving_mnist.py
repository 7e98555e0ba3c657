import math
from importlib import resources

import numpy as np
import pytest

from framecast.data import DataConfig, MovingMNIST, MovingMNISTConfig, open_data
from framecast.errors import UsageError


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    with np.load(str(resources.files("framecast.data") / "digits" / "digits.npz")) as file:
        return {"train": file["train"][:1800], "val": file["train"][1800:], "test": file["test"]}


def naive(draws: np.ndarray, pool: np.ndarray, canvas: tuple[int, int], speed: str, frames: int) -> np.ndarray:
    """The published description, one pixel rule at a time, from the same random numbers."""
    height, width = canvas
    film = [[[0] * width for _ in range(height)] for _ in range(frames)]
    for x, y, direction, amplitude, which in draws:
        image = pool[math.floor(which * len(pool))]
        vx, vy = math.cos(2 * math.pi * direction), math.sin(2 * math.pi * direction)
        step = 0.1 if speed == "fixed" else (3 + 2 * amplitude) / 36
        bx = by = 1
        for t in range(frames):
            y += by * vy * step
            x += bx * vx * step
            if x <= 0:
                x, bx = 0, -bx
            if x >= 1:
                x, bx = 1, -bx
            if y <= 0:
                y, by = 0, -by
            if y >= 1:
                y, by = 1, -by
            top, left = math.trunc((height - 28) * y), math.trunc((width - 28) * x)
            for i in range(28):
                for j in range(28):
                    film[t][top + i][left + j] = max(film[t][top + i][left + j], int(image[i, j]))
    return np.array(film, np.float32)


@pytest.mark.parametrize(
    ("size", "count", "speed"), [(64, 2, "fixed"), ((30, 47), 3, "uniform"), (28, 1, "fixed"), ((96, 64), 2, "uniform")]
)
def test_equals_a_naive_generator(digits, size, count, speed):
    config = MovingMNISTConfig(size=size, digits=count, speed=speed)
    for place, split in enumerate(("train", "val", "test")):
        for index in (0, 7):
            sequence = np.random.SeedSequence(5, spawn_key=(1, place, index))
            draws = np.random.default_rng(sequence).random((count, 5))
            got = MovingMNIST(config, 5).sequence(split, index, 23)
            np.testing.assert_array_equal(got.frames[:, 0], naive(draws, digits[split], config.canvas, speed, 23))
            assert got.valid is None
            assert got.frames.dtype == np.float32
            assert got.frames.shape == (23, 1, *config.canvas)


def test_digits_bounce_and_keep_their_speed():
    generator = MovingMNIST(MovingMNISTConfig(digits=1, speed="fixed", size=1028), 0)
    turns = 0
    for index in range(20):
        path = generator.path("train", index, 60)
        moves = np.stack([np.diff(path.top[0]), np.diff(path.left[0])])
        walls = np.stack([path.top[0], path.left[0]])
        assert walls.min() >= 0
        assert walls.max() <= 1000
        free = ((walls > 0) & (walls < 1000)).all(0)
        inside = free[1:] & free[:-1]
        speed = np.hypot(*moves[:, inside])
        np.testing.assert_allclose(speed, 100, atol=1.5)
        turns += int((np.sign(moves[:, 1:]) * np.sign(moves[:, :-1]) < 0).any(0).sum())
    assert turns > 50


def test_uniform_speed_is_three_to_five_pixels():
    generator = MovingMNIST(MovingMNISTConfig(digits=1, speed="uniform"), 0)
    speeds = []
    for index in range(200):
        path = generator.path("train", index, 2)
        move = float(np.hypot(path.top[0, 1] - path.top[0, 0], path.left[0, 1] - path.left[0, 0]))
        walls = {int(v) for v in (*path.top[0], *path.left[0])} & {0, 36}
        if not walls:
            speeds.append(move)
    assert min(speeds) > 3 - 1.5
    assert max(speeds) < 5 + 1.5
    assert np.std(speeds) > 0.4


def test_is_a_pure_function_of_seed_split_and_index():
    config = MovingMNISTConfig()
    forward = [MovingMNIST(config, 3).sequence("train", i, 5).frames for i in range(4)]
    again = MovingMNIST(config, 3)
    backward = [again.sequence("train", i, 5).frames for i in reversed(range(4))]
    np.testing.assert_array_equal(forward, backward[::-1])
    np.testing.assert_array_equal(forward[2], again.sequence("train", 2, 9).frames[:5])
    others = [
        MovingMNIST(config, 4).sequence("train", 2, 5),
        again.sequence("val", 2, 5),
        again.sequence("test", 2, 5),
        again.sequence("train", 3, 5),
    ]
    assert all((forward[2] != other.frames).any() for other in others)


def test_golden_sequence():
    # where the digits of one sequence are; may change only together with moving_mnist.VERSION
    path = MovingMNIST(MovingMNISTConfig(), 0).path("test", 0, 4)
    assert path.digit.tolist() == [352, 349]
    assert path.top.tolist() == [[25, 22, 19, 16], [30, 34, 36, 32]]
    assert path.left.tolist() == [[20, 21, 23, 25], [18, 18, 18, 19]]


def test_splits_use_other_digits(digits):
    seen = {name: {image.tobytes() for image in pool} for name, pool in digits.items()}
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    assert not seen["val"] & seen["test"]
    config = MovingMNISTConfig(size=28, digits=1)
    for split in ("train", "val", "test"):
        drawn = {
            MovingMNIST(config, 0).pixels(MovingMNIST(config, 0).path(split, i, 1), split)[0].tobytes()
            for i in range(300)
        }
        assert drawn <= seen[split]
        assert len(drawn) > 100


def test_data_set_is_fresh_in_training_and_fixed_elsewhere():
    config = DataConfig(moving_mnist=MovingMNISTConfig(length=5, validation=3, test=4))
    data = open_data(config, context=3, horizon=2, seed=1)
    other = open_data(config, context=3, horizon=2, seed=2)
    assert [data.count(s) for s in ("train", "val", "test")] == [5, 3, 4]
    assert (data.window("train", 0, 1).frames != data.window("train", 1, 1).frames).any()
    np.testing.assert_array_equal(
        data.window("train", 2, 1).frames, MovingMNIST(config.moving_mnist, 1).sequence("train", 11, 5).frames
    )
    assert (data.window("train", 0, 0).frames != other.window("train", 0, 0).frames).any()
    for split in ("val", "test"):
        np.testing.assert_array_equal(data.window(split, 0, 2).frames, data.window(split, 9, 2).frames)
        np.testing.assert_array_equal(data.window(split, 0, 2).frames, other.window(split, 0, 2).frames)
    assert data.split_hash == other.split_hash
    assert data.fingerprint == other.fingerprint
    longer = open_data(config, context=3, horizon=3, seed=1)
    assert longer.split_hash != data.split_hash
    assert any("disjoint" in note for note in data.notes)


def test_fingerprint_follows_the_rules():
    prints = {
        MovingMNIST(c, 0).fingerprint()
        for c in (
            MovingMNISTConfig(),
            MovingMNISTConfig(digits=1),
            MovingMNISTConfig(size=40),
            MovingMNISTConfig(speed="uniform"),
        )
    }
    assert len(prints) == 4
    assert MovingMNIST(MovingMNISTConfig(length=7), 5).fingerprint() in prints


@pytest.mark.parametrize(("split", "index", "frames"), [("dev", 0, 5), ("train", -1, 5), ("train", 0, 0)])
def test_wrong_requests(split: str, index: int, frames: int):
    with pytest.raises(UsageError):
        MovingMNIST(MovingMNISTConfig(), 0).sequence(split, index, frames)
    with pytest.raises(UsageError, match="seed"):
        MovingMNIST(MovingMNISTConfig(), -1)
