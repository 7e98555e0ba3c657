from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.data import (
    Batch,
    DataConfig,
    DataSet,
    MovingMNISTConfig,
    evaluation_batches,
    open_data,
    training_batches,
)
from framecast.data.windows.augment import augment
from framecast.errors import InputError, UsageError
from framecast.types import Window

RADAR = Path(__file__).parents[2] / "fixtures" / "fmi_140.npz"


def digits(**said) -> DataSet:
    mnist = MovingMNISTConfig(size=28, digits=1, length=7, validation=11, test=3)
    return open_data(DataConfig(moving_mnist=mnist, **said), context=2, horizon=1, seed=1)


def radar(**said) -> DataSet:
    return open_data(DataConfig(source=str(RADAR), **said), context=2, horizon=2, seed=0)


DIGITS, RADARS = digits(), radar()


def steps(count: int, dataset: DataSet = DIGITS, **how) -> list[list[Batch]]:
    return list(islice(training_batches(dataset, **{"seed": 3, "batch_size": 2, **how}), count))


def same(one: list[list[Batch]], other: list[list[Batch]]) -> None:
    assert [[b.indices for b in step] for step in one] == [[b.indices for b in step] for step in other]
    for a, b in zip((b for s in one for b in s), (b for s in other for b in s), strict=True):
        assert torch.equal(a.frames, b.frames)
        assert (a.valid is None) == (b.valid is None)
        assert a.valid is None or torch.equal(a.valid, b.valid)


def test_each_epoch_takes_every_window_once_and_batches_run_across_it():
    seen = [i for step in steps(21) for batch in step for i in batch.indices]
    epochs = [seen[at : at + 7] for at in range(0, 42, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 3
    assert seen != [i for step in steps(21, seed=4) for batch in step for i in batch.indices]


def test_frames_are_those_of_the_data_set():
    for place, (batch,) in enumerate(steps(8)):
        assert batch.frames.shape == (2, 3, 1, 28, 28)
        assert batch.frames.dtype == torch.float32
        assert batch.valid is None
        for row, index in enumerate(batch.indices):
            epoch = (2 * place + row) // 7
            np.testing.assert_array_equal(batch.frames[row].numpy(), DIGITS.window("train", epoch, index).frames)


@given(start=st.integers(0, 60), accumulate=st.integers(1, 3), batch_size=st.integers(1, 9))
@settings(max_examples=20)
def test_resume_at_any_step(start: int, accumulate: int, batch_size: int):
    how = {"accumulate": accumulate, "batch_size": batch_size}
    same(steps(start + 2, **how)[start:], steps(2, start_step=start, **how))


@given(batch_size=st.integers(1, 4), world=st.integers(1, 3), accumulate=st.integers(1, 3), start=st.integers(0, 9))
@settings(max_examples=20)
def test_processes_and_micro_batches_divide_the_same_samples(batch_size: int, world: int, accumulate: int, start: int):
    whole = steps(3, batch_size=batch_size * world * accumulate, start_step=start)
    alone = steps(3, batch_size=batch_size, accumulate=accumulate * world, start_step=start)
    ranks = [
        steps(3, batch_size=batch_size, accumulate=accumulate, rank=rank, world_size=world, start_step=start)
        for rank in range(world)
    ]
    for step in range(3):
        woven = [ranks[rank][step][micro] for micro in range(accumulate) for rank in range(world)]
        same([woven], [alone[step]])
        assert torch.equal(torch.cat([b.frames for b in woven]), whole[step][0].frames)
        assert [i for b in woven for i in b.indices] == whole[step][0].indices


@pytest.mark.parametrize("dataset", [DIGITS, radar(augment=("flip", "turn"))], ids=["digits", "radar"])
def test_workers_change_nothing(dataset: DataSet):
    how = {"accumulate": 2, "start_step": 5}
    state = torch.get_rng_state()
    expected = steps(4, dataset, **how)
    for workers in (1, 2):
        same(expected, steps(4, dataset, workers=workers, **how))
    assert torch.equal(state, torch.get_rng_state()), "torch's global generator was used"


def test_an_error_in_a_worker_keeps_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).random((60, 4, 5)))
    data = open_data(DataConfig(source=str(path)), context=2, horizon=2, seed=0)

    def fail(split: str, epoch: int, index: int) -> Window:
        raise InputError("a.npy", got="a fault")

    monkeypatch.setattr(data.windows, "read", fail)
    with pytest.raises(InputError, match="a fault"):
        steps(1, data, workers=1)


def test_missing_pixels_hold_the_lower_end_and_are_marked():
    data = open_data(DataConfig(source=str(RADAR), range=(5, 60)), context=2, horizon=2, seed=0)
    marked = 0
    for (batch,) in steps(10, data):
        assert batch.valid.shape == batch.frames.shape
        assert batch.valid.dtype == torch.bool
        assert torch.isfinite(batch.frames).all()
        assert (batch.frames[~batch.valid] == 5).all()
        marked += int((~batch.valid).sum())
        window = data.window("train", 0, batch.indices[0])
        np.testing.assert_array_equal(batch.valid[0].numpy(), window.valid)
        np.testing.assert_array_equal(batch.frames[0].numpy()[window.valid], window.frames[window.valid])
    assert marked


@pytest.mark.parametrize("kinds", [("flip",), ("turn",), ("flip", "turn")])
def test_augmentation_is_a_pure_function_and_moves_masks_along(kinds: tuple[str, ...]):
    frames = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    window = Window(frames, frames % 2 == 0, None)
    forms = set()
    for index in range(60):
        got = augment(window, kinds, 1, 2, index)
        np.testing.assert_array_equal(got.frames, augment(window, kinds, 1, 2, index).frames)
        np.testing.assert_array_equal(got.valid, got.frames % 2 == 0)
        assert np.array_equal(got.frames[0] + 48, got.frames[1]), "frames changed unlike each other"
        assert np.array_equal(got.frames[0, 0] + 16, got.frames[0, 1]), "channels changed unlike each other"
        forms.add(got.frames.tobytes())
    assert len(forms) == (8 if len(kinds) == 2 else 4)
    assert augment(window, (), 1, 2, 3) is window


def test_augmentation_is_for_training_only():
    plain, changed = radar(), radar(augment=("flip", "turn"))
    assert not all(
        torch.equal(a.frames, b.frames) for (a,), (b,) in zip(steps(5, plain), steps(5, changed), strict=True)
    )
    for split in ("train", "val"):
        ours, theirs = (list(evaluation_batches(d, split, 4)) for d in (plain, changed))
        same([ours], [theirs])
    again = steps(5, changed)
    same(again[3:], steps(2, changed, start_step=3))


@pytest.mark.parametrize("world", [1, 2, 3, 20])
@pytest.mark.parametrize("limit", [None, 4, 50])
def test_evaluation_takes_every_window_once(world: int, limit: int | None):
    taken = []
    for rank in range(world):
        batches = list(evaluation_batches(DIGITS, "val", 2, rank=rank, world_size=world, limit=limit))
        assert all(len(b.indices) == 2 for b in batches[:-1])
        for batch in batches:
            assert len(batch.frames) == len(batch.indices)
            np.testing.assert_array_equal(batch.frames[0].numpy(), DIGITS.window("val", 0, batch.indices[0]).frames)
        taken += [i for b in batches for i in b.indices]
    assert sorted(taken) == ([0, 2, 5, 8] if limit == 4 else list(range(11)))


def test_an_absent_split_gives_no_batch():
    assert list(evaluation_batches(RADARS, "test", 2)) == []


@pytest.mark.parametrize(
    "how",
    [
        {"seed": -1},
        {"batch_size": 0},
        {"accumulate": 0},
        {"rank": 1},
        {"rank": -1},
        {"world_size": 0},
        {"start_step": -1},
        {"workers": -1},
    ],
)
def test_wrong_usage_of_training(how: dict):
    with pytest.raises(UsageError):
        training_batches(DIGITS, **{"seed": 0, "batch_size": 2, **how})


@pytest.mark.parametrize("how", [{"batch_size": 0}, {"limit": 0}, {"rank": 2, "world_size": 2}, {"split": "dev"}])
def test_wrong_usage_of_evaluation(how: dict):
    with pytest.raises(UsageError):
        evaluation_batches(DIGITS, **{"split": "val", "batch_size": 2, **how})


def test_workers_pin_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Loader:
        def __init__(self, *_: object, pin_memory: bool, **__: object) -> None:
            asked.append(pin_memory)

        def __iter__(self):
            return iter(())

    monkeypatch.setattr("framecast.data.windows.loader.DataLoader", Loader)
    for pin in (False, True):
        training_batches(DIGITS, seed=0, batch_size=1, workers=1, pin=pin)
    assert asked == [False, True]


def test_workers_compute_with_one_thread_and_no_subnormals(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(self: object, keys: object) -> Batch:
        tiny = torch.full((), 2e-38) * 0.01
        return Batch(torch.tensor([torch.get_num_threads(), float(tiny)]).reshape(1, 1, 1, 1, 2), None, [0])

    monkeypatch.setattr("framecast.data.windows.loader._BatchDataset.__getitem__", seen)
    (batch,) = next(training_batches(DIGITS, seed=0, batch_size=1, workers=1))
    assert batch.frames.flatten().tolist() == [1, 0]
