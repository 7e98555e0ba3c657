import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from framecast.data import DataConfig, evaluation_batches, open_data, training_batches
from framecast.data.config import SPLITS
from framecast.data.windows.crops import CANDIDATES, FLOOR, weigh_crop
from framecast.errors import InputError
from framecast.recipe.parsing import parse_config

HEIGHT, WIDTH, FRAMES = 23, 31, 24
MISSING = -1.0


def frames() -> np.ndarray:
    """Every pixel tells where and when it is; some are missing in all frames."""
    t, y, x = np.mgrid[:FRAMES, :HEIGHT, :WIDTH]
    values = (10_000.0 * t + 100 * y + x).astype(np.float32)
    values[:, 3:9, 20:] = np.nan
    return values


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("crops") / "places.npy"
    np.save(path, frames())
    return path


def data(path, seed=0, **said):
    fields = {"source": str(path), "dims": "thw", "crop": (8, 6), "fractions": (0.5, 0.25, 0.25), **said}
    return open_data(parse_config(DataConfig, fields, "test"), context=2, horizon=3, seed=seed)


def keyed(batches, steps):
    return [
        [(batch.frames.numpy(), batch.valid.numpy()) for batch in step] for step in itertools.islice(batches, steps)
    ]


def same(one, other) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=True)
        for pair in zip(one, other, strict=True)
        for a, b in zip(*pair, strict=True)
    )


@pytest.mark.parametrize("weight", ["uniform", "wet", "changing"])
def test_crops_are_places_of_the_frames(path, weight):
    dataset, truth = data(path, crop_weight=weight), frames()
    places = set()
    for epoch, index in itertools.product(range(3), range(dataset.count("train"))):
        window = dataset.window("train", epoch, index)
        first = window.frames[0, 0]
        start = int(np.nanmin(first)) // 10_000
        seen = np.argwhere(np.isfinite(first))[0]
        top, left = int(first[tuple(seen)]) % 10_000 // 100 - seen[0], int(first[tuple(seen)]) % 100 - seen[1]
        expected = truth[start : start + 5, None, top : top + 8, left : left + 6]
        np.testing.assert_array_equal(window.frames, expected)
        np.testing.assert_array_equal(window.valid, np.isfinite(expected))
        places.add((top, left))
    assert len(places) > 50


def test_training_counts_the_crops_of_each_window(path):
    assert data(path).spec.height, data(path).spec.width == (8, 6)
    windows = data(path, crop=None).count("train")
    assert data(path).count("train") == windows * (HEIGHT // 8) * (WIDTH // 6)
    assert data(path, crops=3).count("train") == 3 * windows


def test_an_epoch_brings_new_places_and_the_same_ones_again(path):
    dataset, again, other = data(path), data(path), data(path, seed=1)
    one = [dataset.window("train", 0, i).frames for i in range(20)]
    assert same([one], [[again.window("train", 0, i).frames for i in range(20)]])
    assert not same([one], [[dataset.window("train", 1, i).frames for i in range(20)]])
    assert not same([one], [[other.window("train", 0, i).frames for i in range(20)]])


@pytest.mark.parametrize("weight", ["uniform", "changing"])
def test_batches_are_a_pure_function_of_seed_and_step(path, weight):
    said = {"crop_weight": weight, "crop": 6, "augment": ("flip", "turn")}
    make = lambda **how: training_batches(data(path, **said), seed=5, **how)  # noqa: E731
    whole = [pair for step in keyed(make(batch_size=4), 6) for pair in step]
    later = [pair for step in keyed(make(batch_size=4, start_step=3), 3) for pair in step]
    assert same(whole[3:], later)
    workers = [pair for step in keyed(make(batch_size=4, workers=2), 6) for pair in step]
    assert same(whole, workers)
    ranks = [keyed(make(batch_size=2, rank=rank, world_size=2), 6) for rank in (0, 1)]
    joined = [
        tuple(np.concatenate(parts) for parts in zip(a[0], b[0], strict=True)) for a, b in zip(*ranks, strict=True)
    ]
    assert same(whole, joined)


def test_masks_follow_the_pixels_through_crops_and_turns(path):
    dataset, truth = data(path, crop=6, augment=("flip", "turn")), frames()
    corners = set()
    for (batch,) in itertools.islice(training_batches(dataset, seed=0, batch_size=8), 20):
        assert bool((batch.frames[~batch.valid] == dataset.spec.low).all())
        for values, valid in zip(batch.frames.numpy(), batch.valid.numpy(), strict=True):
            told = values[valid].astype(int)
            t, y, x = told // 10_000, told % 10_000 // 100, told % 100
            np.testing.assert_array_equal(truth[t, y, x], values[valid])
            # All that is observed inside the crop is marked as observed, however it was turned.
            if len(told):
                square = truth[t[0], y.min() : y.max() + 1, x.min() : x.max() + 1]
                assert np.isfinite(square).sum() == valid[0].sum()
            corners.add(tuple(np.sign(np.diff(values[0, 0, 0, :2])).tolist()))
    assert len(corners) > 1


def test_turns_fit_square_crops_of_frames_that_are_not_square(path):
    assert data(path, crop=6, augment=("turn",)).spec.width == 6
    with pytest.raises(ValueError, match="a square crop"):
        data(path, augment=("turn",))


def test_evaluation_is_on_a_fixed_grid_without_what_is_missing(path):
    dataset = data(path)
    whole = data(path, crop=None)
    windows = {name: whole.count(name) for name in SPLITS}
    places = [
        (top, left)
        for top in (3, 11)
        for left in (0, 6, 12, 18, 24)
        # rows 3 to 8 of columns 20 and more are missing: 24 of 48 pixels are observed at (3, 18), 12 at (3, 24)
        if (top, left) != (3, 24)
    ]
    assert dataset.count("val") == windows["val"] * len(places)
    seen = []
    for batch in evaluation_batches(dataset, "val", 4):
        for values, valid in zip(batch.frames[:, 0, 0].numpy(), batch.valid[:, 0, 0].numpy(), strict=True):
            row, column = np.argwhere(valid)[0]
            told = int(values[row, column]) % 10_000
            seen.append((told // 100 - int(row), told % 100 - int(column)))
    assert seen == places * windows["val"]


def test_the_hash_tells_grids_apart(path):
    hashes = [data(path, **said).split_hash for said in ({}, {"crop": (6, 8)}, {"crop": None}, {"crop": 8})]
    assert len(set(hashes)) == 4
    assert data(path, seed=3).split_hash == hashes[0]


def test_what_is_wet_is_drawn_as_often_as_stated(tmp_path):
    width, wet, draws = 12, 3, 500
    values = np.zeros((2, 1, width), np.float32)
    values[..., :wet] = 20
    np.save(tmp_path / "rain.npy", values)
    said = {"units": "dBZ", "crop": 1, "crop_weight": "wet", "crops": draws, "fractions": (1, 0, 0), "dims": "thw"}
    dataset = open_data(
        parse_config(DataConfig, {"source": str(tmp_path / "rain.npy"), **said}, "test"), context=1, horizon=1, seed=0
    )
    share, heavy, light = wet / width, FLOOR + 1, FLOOR
    expected = sum(
        math.comb(CANDIDATES, k)
        * share**k
        * (1 - share) ** (CANDIDATES - k)
        * (k * heavy / (k * heavy + (CANDIDATES - k) * light))
        for k in range(CANDIDATES + 1)
    )
    found = sum(float(dataset.window("train", 0, index).frames.max()) > 15 for index in range(draws))
    assert chisquare([found, draws - found], [expected * draws, (1 - expected) * draws]).pvalue > 1e-3
    assert not 0.2 < expected < 0.8  # far from the third that an even draw would give


def test_even_crops_lie_evenly(tmp_path):
    np.save(tmp_path / "columns.npy", np.tile(np.arange(9, dtype=np.uint8), (2, 3, 1)))
    said = {"source": str(tmp_path / "columns.npy"), "crop": 3, "crops": 1400, "fractions": (1, 0, 0), "dims": "thw"}
    dataset = open_data(parse_config(DataConfig, said, "test"), context=1, horizon=1, seed=0)
    lefts = [int(dataset.window("train", 0, index).frames[0, 0, 0, 0]) for index in range(1400)]
    assert chisquare(np.bincount(lefts, minlength=7)).pvalue > 1e-3


@given(
    values=st.lists(st.sampled_from([0.0, 10.0, 20.0, math.nan]), min_size=8, max_size=8),
    threshold=st.sampled_from([-1.0, 5.0, 15.0, 25.0]),
)
def test_weights_by_hand(values, threshold):
    ends = np.array(values, np.float32).reshape(2, 1, 2, 2)
    seen = [v for v in values if not math.isnan(v)]
    share = len(seen) / 8
    wet = sum(v > threshold for v in seen) / len(seen) if seen else 0
    pairs = [(a, b) for a, b in zip(values[:4], values[4:], strict=True) if not (math.isnan(a) or math.isnan(b))]
    change = sum(abs(b - a) for a, b in pairs) / len(pairs) / 50 if pairs else 0
    assert weigh_crop(ends, "uniform", {0: threshold}, [50.0]) == pytest.approx(share * FLOOR)
    assert weigh_crop(ends, "wet", {0: threshold}, [50.0]) == pytest.approx(share * (FLOOR + wet))
    assert weigh_crop(ends, "changing", {0: threshold}, [50.0]) == pytest.approx(share * (FLOOR + change), rel=1e-6)


def test_weights_look_at_targets_only(tmp_path):
    values = np.zeros((6, 2, 1, 9), np.float32)
    values[:, 0, :, 4] = 30
    values[:, 1] = 1000 * np.arange(54).reshape(6, 1, 9)
    np.save(tmp_path / "two.npy", values)
    said = {
        "source": str(tmp_path / "two.npy"),
        "dims": "tchw",
        "covariates": [1],
        "units": "dBZ",
        "fractions": (1, 0, 0),
    }
    said |= {"crop": 1, "crop_weight": "wet", "crops": 150, "fractions": (1, 0, 0)}
    dataset = open_data(parse_config(DataConfig, said, "test"), context=1, horizon=1, seed=0)
    found = np.mean([dataset.window("train", 0, index).frames[0, 0].max() > 15 for index in range(150)])
    assert found > 0.4, "one place of nine is wet; covariates, wet everywhere, would make it a ninth"


def test_crops_that_do_not_fit(path):
    with pytest.raises(InputError, match="at most 23 x 31"):
        data(path, crop=24)
    for said in ({"crop": None, "crops": 2}, {"crop": None, "crop_weight": "wet"}, {"crop_threshold": 1.0}):
        with pytest.raises(ValueError, match="expected"):
            data(path, **said)


def test_a_crop_is_the_same_from_files_and_from_memory(path, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 255, (12, 20, 22), np.uint8)
    for number, frame in enumerate(pixels):
        pillow.fromarray(frame).save(tmp_path / f"{number:03}.png")
    np.save(tmp_path.parent / "same.npy", pixels)
    said = {"crop": 4, "crop_weight": "changing", "shrink": 2, "fractions": (1, 0, 0)}
    sources = [DataConfig(source=str(tmp_path), **said), DataConfig(source=str(tmp_path.parent / "same.npy"), **said)]
    one, other = (open_data(config, context=2, horizon=2, seed=0) for config in sources)
    for index in range(one.count("train")):
        assert torch.equal(
            torch.from_numpy(one.window("train", 0, index).frames),
            torch.from_numpy(other.window("train", 0, index).frames),
        )
