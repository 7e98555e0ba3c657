"""Forecasts without a network."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.forecasting.baselines import (
    BASELINES,
    Diurnal,
    Extrapolation,
    Mean,
    Persistence,
    Seasonal,
    make_baseline,
)
from framecast.motion import estimate
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=64, width=64, units="dBZ", low=0.0, high=70.0, step_minutes=5)


def drifting(shift: tuple[int, int], frames: int = 14) -> Tensor:
    """Rain (1, T, 1, 64, 64) that moves by `shift` rows and columns a frame, and comes in over the border."""
    rows, columns = np.mgrid[-40:104, -40:104]
    field = sum(
        35 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 40)
        for y in range(-35, 104, 23)
        for x in range(-35, 104, 19)
    )
    views = [
        field[40 - shift[0] * t : 104 - shift[0] * t, 40 - shift[1] * t : 104 - shift[1] * t] for t in range(frames)
    ]
    return torch.from_numpy(np.stack(views)[None, :, None])


@pytest.mark.parametrize("shift", [(0, 2), (-1, 1), (2, 0)])
def test_extrapolation_follows_what_moves(shift: tuple[int, int]) -> None:
    frames = drifting(shift)
    prediction = Extrapolation(SPEC).predict(frames[:, :10], 4)
    assert (prediction.shape, prediction.dtype) == ((1, 4, 1, 64, 64), torch.float64)
    inside = (..., slice(12, -12), slice(12, -12))
    error = (prediction - frames[:, 10:])[inside].abs().mean()
    still = (Persistence(SPEC).predict(frames[:, :10], 4) - frames[:, 10:])[inside].abs().mean()
    assert error < 0.1 * still


def test_what_flows_in_is_the_mean_of_the_input() -> None:
    frames = drifting((0, 3))
    past = frames[:, :10]
    prediction = Extrapolation(SPEC).predict(past, 4)
    mean = Mean(SPEC).predict(past, 4)
    assert torch.allclose(prediction[:, 3, ..., :10], mean[:, 3, ..., :10], atol=1e-12)
    assert not torch.allclose(prediction[:, 3, ..., 20:30], mean[:, 3, ..., 20:30], atol=1.0)


def test_nothing_moves_where_nothing_can_be_tracked() -> None:
    frames = torch.full((1, 3, 1, 64, 64), 20.0)
    assert torch.allclose(Extrapolation(SPEC).predict(frames, 2), frames[:, :2], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4, 1, 8, 8), (2, 3, 3, 40, 30), (1, 5, 1, 1, 1), (1, 3, 1, 2, 50)])
@pytest.mark.parametrize("seen", [0.0, 0.5, 1.0])
def test_extrapolation_takes_any_frames(shape: tuple[int, ...], seen: float) -> None:
    generator = torch.Generator().manual_seed(0)
    spec = FrameSpec(channels=shape[2], height=shape[3], width=shape[4], low=-1.0, high=3.0)
    valid = torch.rand(shape, generator=generator) < seen
    frames = (5 * torch.rand(shape, generator=generator) - 1).masked_fill(~valid, -1.0)  # some are above the range
    prediction = Extrapolation(spec).predict(frames, 3, valid)
    assert prediction.shape == (shape[0], 3, *shape[2:])
    assert prediction.dtype == torch.float32
    assert ((prediction >= -1) & (prediction <= 3 + 1e-6)).all()
    hidden = torch.where(valid, frames, torch.nan)
    assert torch.equal(Extrapolation(spec).predict(hidden, 3, valid), prediction)
    if seen == 0:
        assert (prediction == -1).all()


def test_channels_move_together() -> None:
    frames = drifting((0, 2))
    spec = SPEC.model_copy(update={"channels": 2})
    both = Extrapolation(spec).predict(torch.cat([frames, 0.5 * frames], 2)[:, :10], 4)
    assert torch.allclose(both[:, :, 1], 0.5 * both[:, :, 0], atol=1e-9)


def test_one_frame_shows_no_motion() -> None:
    with pytest.raises(InputError, match="baseline extrapolation: got 1 frame, expected 2 or more"):
        Extrapolation(SPEC).predict(torch.zeros(1, 1, 1, 64, 64), 2)


def test_without_opencv_blocks_are_correlated(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = drifting((0, 2))
    tracked = Extrapolation(SPEC).predict(frames[:, :4], 2)
    monkeypatch.setattr(estimate, "import_opencv", lambda: None)
    correlated = Extrapolation(SPEC).predict(frames[:, :4], 2)
    assert not torch.equal(tracked, correlated)
    last = Persistence(SPEC).predict(frames[:, :4], 2)
    errors = [float((predicted - frames[:, 4:6]).square().mean()) for predicted in (correlated, last)]
    assert errors[0] < 0.5 * errors[1]


def test_extrapolation_prints_nothing_and_is_loaded_only_when_used() -> None:
    code = (
        "import sys, torch, framecast.forecasting.baselines as b, framecast as f\n"
        "spec = f.FrameSpec(channels=1, height=9, width=9, step_minutes=60)\n"
        "made = [kind(spec) for kind in b.BASELINES.values()]\n"
        "assert not {'pysteps', 'cv2', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "f.Extrapolation(spec).predict(torch.rand(1, 3, 1, 9, 9), 2)\n"
        "assert 'cv2' in sys.modules\n"
        "assert 'pysteps' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", ["persistence", "mean", "blank", "extrapolation"])
def test_arrays_are_taken_as_a_forecaster_takes_them(name: str) -> None:
    frames = drifting((0, 2))[:, :4].numpy().astype(">f4")
    valid = np.ones(frames.shape, bool)
    valid[..., :3] = False
    baseline = BASELINES[name](SPEC)
    found = baseline.predict(frames, 2, valid)
    assert isinstance(found, np.ndarray)
    given = torch.from_numpy(frames.astype(np.float32))
    np.testing.assert_array_equal(found, baseline.predict(given, 2, torch.from_numpy(valid)).numpy())
    assert isinstance(baseline.predict(frames.astype(np.int16), 2), np.ndarray)
    with pytest.raises(InputError, match="dtype complex"):
        baseline.predict(frames.astype(complex), 2)


@pytest.mark.parametrize("name", BASELINES)
def test_frames_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"frames: got shape \(1, 3, 2, 64, 64\)"):
        BASELINES[name](SPEC).predict(torch.zeros(1, 3, 2, 64, 64), 2)


def test_diurnal_repeats_the_last_day() -> None:
    spec = FrameSpec(channels=1, height=1, width=1, low=-1.0, step_minutes=360)
    frames = torch.arange(6.0).reshape(1, 6, 1, 1, 1)
    assert Diurnal(spec).predict(frames, 6).flatten().tolist() == [2, 3, 4, 5, 2, 3]
    valid = torch.ones(1, 6, 1, 1, 1, dtype=torch.bool)
    valid[0, 3] = False
    assert Diurnal(spec).predict(frames, 3, valid).flatten().tolist() == [2, -1, 4]


def test_diurnal_needs_a_day_and_a_step_that_divides_it() -> None:
    spec = FrameSpec(channels=1, height=1, width=1, step_minutes=360)
    with pytest.raises(InputError, match="got 3 frames, expected 4 or more"):
        Diurnal(spec).predict(torch.zeros(1, 3, 1, 1, 1), 2)
    for step, message in ((None, "whose time step is unknown"), (7 * 60.0, "expected a multiple of the step, 420 min")):
        with pytest.raises(UsageError, match=rf"baseline diurnal: got 1d.*{message}"):
            Diurnal(spec.model_copy(update={"step_minutes": step}))


@pytest.mark.parametrize(
    ("name", "step", "period"),
    [
        ("seasonal", {"step_minutes": 60.0}, 24),
        ("seasonal", {"step_minutes": 30.5 * 1440, "step_months": 1}, 12),
        ("seasonal:7d", {"step_minutes": 1440.0}, 7),
        ("seasonal:1y", {"step_minutes": 91.5 * 1440, "step_months": 3}, 4),
        ("seasonal:5", {}, 5),
        ("diurnal", {"step_minutes": 120.0}, 12),
    ],
)
def test_any_period_comes_again(name: str, step: dict, period: int) -> None:
    """Oracle: a sequence that repeats is forecast without error, from one period, and from more."""
    spec = FrameSpec(channels=1, height=2, width=3, high=1.0, **step)
    season = np.random.default_rng(0).random((1, period, 1, 2, 3))
    future = np.tile(season, (1, 3, 1, 1, 1))
    baseline = make_baseline(name, spec)
    assert (baseline.context, baseline.origin.name) == (max(10, period), name)
    np.testing.assert_array_equal(baseline.predict(season, 2 * period + 1), future[:, : 2 * period + 1])
    np.testing.assert_array_equal(baseline.predict(future[:, : period + 1], period), future[:, 1 : period + 1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seasonal:0", "baseline seasonal: got 0, expected one frame or more"),
        ("seasonal:0h", "baseline seasonal: got 0h, expected one frame or more"),
        ("seasonal:", "baseline seasonal: got ''"),
        ("seasonal:7min", "expected a multiple of the step, 5 min"),
        ("mean:3", "baseline: got 'mean:3', expected one of"),
        ("diurnal:3", "baseline: got 'diurnal:3', expected one of"),
        ("seasonl", "did you mean seasonal?"),
    ],
)
def test_periods_that_are_none_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make_baseline(name, SPEC)


def test_a_day_is_a_period() -> None:
    spec = FrameSpec(channels=1, height=2, width=2, high=1.0, step_minutes=180.0)
    frames = np.random.default_rng(1).random((2, 9, 1, 2, 2))
    np.testing.assert_array_equal(Diurnal(spec).predict(frames, 11), Seasonal(spec, "24h").predict(frames, 11))
