"""Spin-up: the network runs over the newest frames of the context, its base observes all, and pasts may be short."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.test_kinds import CONTEXT, HORIZON, SPEC, windows

from framecast.bases import MeanBase
from framecast.data import DataConfig, open_data, training_batches
from framecast.data.config import FileConfig
from framecast.devices import Launch
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ConvLSTM
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe
from framecast.training.objective import Objective
from framecast.training.start import start
from framecast.transforms.normalize import Range

NETWORK = ConvLSTM(hidden=(4,), kernel_size=3)


def objective(spin_up: int | None, **options) -> Objective:
    torch.manual_seed(0)
    forecaster = Forecaster(NETWORK, SPEC, Range(low=0, high=255), 1, context=CONTEXT, spin_up=spin_up, **options)
    return Objective(forecaster.double(), LossConfig(context=False))


def compute(subject: Objective, frames: torch.Tensor, context: int, valid: torch.Tensor | None = None) -> torch.Tensor:
    run_in = subject.forecaster.count_run_in(context)
    known = (torch.arange(run_in + HORIZON - 1) < run_in).expand(2, -1)
    pixels = torch.tensor(float(frames[:, context - 1 :].numel()))
    return subject(frames, valid, known, pixels, 1.0, context=context)


def test_without_a_base_older_frames_have_no_say() -> None:
    frames = windows()
    cut = compute(objective(None), frames[:, CONTEXT - 2 :], 2)
    torch.testing.assert_close(compute(objective(2), frames, CONTEXT), cut, rtol=0, atol=1e-15)
    assert not torch.isclose(compute(objective(None), frames, CONTEXT), cut, rtol=1e-6)


def test_the_base_observes_all_of_the_context() -> None:
    frames = windows()
    unit = frames / 255
    mean = unit[:, :CONTEXT].mean(1, keepdim=True)
    expected = ((unit[:, CONTEXT:] - mean) ** 2).sum() / frames[:, CONTEXT - 1 :].numel()
    loss = compute(objective(2, base=MeanBase()), frames, CONTEXT)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)


def test_the_mean_is_of_the_frames_that_are_there() -> None:
    frames = windows()
    valid = torch.ones_like(frames, dtype=torch.bool)
    valid[:, 0] = False
    unit = frames / 255
    mean = unit[:, 1:CONTEXT].mean(1, keepdim=True)
    expected = ((unit[:, CONTEXT:] - mean) ** 2).sum() / frames[:, CONTEXT - 1 :].numel()
    loss = compute(objective(2, base=MeanBase()), torch.where(valid, frames, 0), CONTEXT, valid)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    """A long sequence and a short one, whose values are the numbers of their frames, from 1 and from 101."""
    files = []
    for name, first, length, repeat in (("long", 1, 12, 1), ("short", 101, 6, 3)):
        values = np.arange(first, first + length, dtype=np.float32)[:, None, None] * np.ones((1, 8, 8), np.float32)
        np.save(tmp_path / f"{name}.npy", values)
        files.append(FileConfig(path=str(tmp_path / f"{name}.npy"), split="train", repeat=repeat))
    return DataConfig(source=tuple(files), dims="thw", range=(0, 120), every=(1, 2))


def list_windows(config: DataConfig, spin_up: int | None) -> list[tuple[float, ...]]:
    data = open_data(config, context=4, horizon=2, seed=0, spin_up=spin_up)
    assert data.has_missing == (spin_up is not None)
    found = [data.window("train", 0, index) for index in range(data.count("train"))]
    for window in found:
        assert window.valid is None or (window.valid == np.isfinite(window.frames)).all()
    return [tuple(window.frames[:, 0, 0, 0].tolist()) for window in found]


def test_windows_with_a_short_past_begin_before_the_sequence(config: DataConfig) -> None:
    nan = float("nan")
    whole = [str(window) for window in list_windows(config, None)]
    with_short = [str(window) for window in list_windows(config, 2)]
    assert len(whole) == 7 + 3 + 2  # of the long one in steps of 1 and 2, and thrice the one of the short one
    added = sorted(set(with_short) - set(whole))
    expected = [
        *((*[nan] * n, *range(1, 7 - n)) for n in (1, 2)),
        *((*[nan] * n, *range(101, 107 - n)) for n in (1, 2)),
        *((*[nan] * n, *range(begin, begin + 2 * (6 - n), 2)) for n in (1, 2) for begin in (1, 2)),
    ]
    assert added == sorted(str(tuple(float(value) for value in window)) for window in expected)
    of_short = [window for window in with_short if "104.0" in window]
    assert len(of_short) == 3 * len(set(of_short))


def test_batches_mark_what_is_not_there(config: DataConfig) -> None:
    data = open_data(config, context=4, horizon=2, seed=0, spin_up=2)
    batch = next(training_batches(data, seed=0, batch_size=data.count("train")))[0]
    assert batch.valid is not None
    absent = ~batch.valid[:, :, 0, 0, 0]
    assert set(absent.sum(1).tolist()) == {0, 1, 2}
    assert not absent[:, 2:].any()
    assert (batch.frames[absent] == 0).all()


def test_a_training_with_motion_on_short_pasts(tmp_path: Path) -> None:
    from tests.motion.test_estimate import make_rain

    np.save(tmp_path / "rain.npy", make_rain((1.0, -2.0), frames=20, size=(64, 64)).astype(np.float32))
    recipe = Recipe.model_validate(
        {
            "model": NETWORK,
            "context": 6,
            "horizon": 2,
            "base": "extrapolation",
            "head": "mix",
            "sampling": {"kind": "free"},
            "loss": {"context": False},
            "spin_up": 4,
            "train": {"steps": 3, "batch_size": 4, "log_every": 1},
            "validate": {"every": 3},
            "data": {"source": str(tmp_path / "rain.npy"), "dims": "thw", "fractions": (0.6, 0.4, 0.0), "crop": 32},
        }
    )
    outcome = start(recipe, tmp_path / "run", Launch("cpu"), quiet=True)
    assert outcome is not None
    assert (tmp_path / "run" / "model" / "model.json").is_file()
