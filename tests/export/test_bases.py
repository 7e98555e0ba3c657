"""Exported models with a base forecast as framecast does; motion comes from NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.export.test_onnx import HIGH, TOLERANCE, assert_clean, assert_near, export

import framecast
from framecast.bases import (
    CalibratedBase,
    ExtrapolationBase,
    Fitted,
    LinearBase,
    MeanBase,
    PersistenceBase,
    SeasonalBase,
)
from framecast.errors import InputError, UsageError
from framecast.export.step import ForecastStep
from framecast.forecasting.forecaster import Forecaster
from framecast.models import BaseAlone, ConvLSTM
from framecast.transforms.normalize import DBZ, Range

BASES: dict[str, tuple[Any, str]] = {
    "persistence": (PersistenceBase(), "change"),
    "mean": (MeanBase(), "mix"),
    "seasonal": (SeasonalBase(period=3), "mix"),
    "linear": (LinearBase(leads=3), "change"),
    "linear:4": (LinearBase(leads=3, period=4), "mix"),
    "extrapolation": (ExtrapolationBase(), "mix"),
    "calibrated": (CalibratedBase(leads=2), "mix"),
}


def make_forecaster(name: str, spin_up: int | None = None) -> Forecaster:
    base, head = BASES[name]
    spec = framecast.FrameSpec(channels=1, height=16, width=16, units="dBZ", high=HIGH)
    config = ConvLSTM(hidden=(4,), kernel_size=3)
    torch.manual_seed(1)
    normalizer = DBZ(high=HIGH) if head == "mix" else Range(low=0, high=HIGH)
    forecaster = Forecaster(config, spec, normalizer, 2, base=base, head=head, context=6, spin_up=spin_up).eval()
    with torch.no_grad():  # heads are zeros at first, which would hide the network
        for key, value in forecaster.network.named_parameters():
            value.add_(torch.randn_like(value) * (0.002 if "by_lead" in key else 0.1))
        assert forecaster.base is not None
        if isinstance(forecaster.base.base, Fitted):
            weights = forecaster.base.base.weights
            weights[1:].add_(torch.randn_like(weights[1:]) * 0.05)
    return forecaster


def make_rain(batch: int, context: int, height: int, width: int) -> np.ndarray:
    """Smooth echoes that move."""
    rows, columns = np.mgrid[:height, :width]
    frames = np.zeros((batch, context, 1, height, width), np.float32)
    for row in range(batch):
        for t in range(context):
            for place in range(4):
                y, x = 3 + 5 * place + 0.4 * t + row, 2 + 4 * place + 0.9 * t
                frames[row, t, 0] += 40 * np.exp(-((rows - y % height) ** 2 + (columns - x % width) ** 2) / 8)
    return frames.clip(0, HIGH)


def make_motion(batch: int, context: int, height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] / 20
    field = np.stack([0.9 + 0.3 * np.sin(rows), 0.4 + 0.2 * np.cos(columns)])
    return np.broadcast_to(field, (batch, context, 2, height, width)).astype(np.float32)


@pytest.mark.parametrize(
    "name", [name if name == "persistence" else pytest.param(name, marks=pytest.mark.slow) for name in BASES]
)
def test_a_network_with_a_base_forecasts_alike(name: str, tmp_path: Path) -> None:
    forecaster = make_forecaster(name, spin_up=3 if name in ("extrapolation", "mean") else None)
    model = export(forecaster, tmp_path / "model.onnx")
    assert_clean(tmp_path / "model.onnx")
    for batch, context, horizon, height, width in ((1, 6, 4, 16, 16), (2, 9, 7, 20, 24), (3, 2, 2, 12, 16)):
        frames = make_rain(batch, context, height, width)
        valid = np.random.default_rng(0).random(frames.shape) > 0.05
        if "motion" not in {port.name for port in model.session.get_inputs()}:
            assert_near(model.predict(frames, horizon, valid), forecaster.predict(frames, horizon, valid))
            continue
        motion = make_motion(batch, context, height, width)
        got = model.predict(frames, horizon, motion=motion)
        expected = forecaster.predict(frames, horizon, motion=torch.from_numpy(motion))
        assert_mostly_near(got, expected)
        assert_mostly_near(model.predict(frames, horizon), forecaster.predict(frames, horizon))
    with pytest.raises(InputError, match="multiples of 2"):
        model.predict(make_rain(1, 3, 15, 16), 2)
    with pytest.raises(InputError, match="known"):
        model.predict(make_rain(1, 3, 16, 16), 2, known=np.array([[True, False, True]]))


def assert_mostly_near(got: np.ndarray, expected: np.ndarray) -> None:
    """A pixel whose air comes from just the border of the frame is within it or not, by the last bit."""
    assert got.shape == expected.shape
    assert (np.abs(got - expected) > 10 * TOLERANCE * HIGH).mean() < 2e-3


@pytest.mark.parametrize("name", BASES)
def test_the_recurrence_is_the_base(name: str) -> None:
    """Step by step in torch, from zeros: the values of `predict`, which runs the base itself."""
    forecaster = make_forecaster(name, spin_up=2 if name == "extrapolation" else None)
    step = ForecastStep(forecaster)
    frames, motion = torch.from_numpy(make_rain(2, 6, 16, 20)), torch.from_numpy(make_motion(2, 6, 16, 20))
    valid = torch.rand(frames.shape, generator=torch.Generator().manual_seed(0)) > 0.05
    blank = torch.where(valid, frames, torch.nan)
    axes = {"rows": 8, "columns": 10, None: 1}
    state = [
        torch.zeros(2, *(size if isinstance(size, int) else size.factor * axes[size.axis] for size in part.sizes))
        for part in step.state
    ]
    predicted = []
    for t in range(6 + 5 - 1):
        at = min(t, 5)
        given = {"frame": blank[:, at], "known": torch.full((2,), t < 6), "motion": motion[:, at]}
        given["begins"] = torch.tensor(t == 4)
        with torch.no_grad():
            frame, *state = step(*(given[name] for name in step.inputs), *state)
        predicted.append(frame)
    moves = {"motion": motion} if step.recurrence is not None and step.recurrence.tracks else {}
    expected = forecaster.predict(frames, 5, valid, **moves)
    torch.testing.assert_close(torch.stack(predicted[5:], 1), expected, rtol=1e-6, atol=1e-4)


def test_what_cannot_be_exported_is_refused_in_words() -> None:
    spec = framecast.FrameSpec(channels=1, height=16, width=16)
    alone = Forecaster(BaseAlone(), spec, Range(low=0, high=1), 2, base=LinearBase(leads=2))
    with pytest.raises(UsageError, match="network of another kind"):
        ForecastStep(alone)


@pytest.mark.slow
def test_rain_as_onnx_forecasts_as_rain(tmp_path: Path) -> None:
    """The trained model on radar: motion is found in NumPy, the forecast by onnxruntime."""
    from framecast.trained import EXAMPLE, find_model

    with np.load(Path(find_model("rain")) / EXAMPLE) as stored:
        frames = stored["frames"][:1, :10, None].astype(np.float32) * stored["scale"] + stored["offset"]
        frames = np.where(stored["frames"][:1, :10, None] == stored["missing_code"], np.nan, frames)
    valid = np.isfinite(frames)
    forecaster = framecast.load("rain")
    model = export(forecaster, tmp_path / "rain.onnx")
    got, expected = model.predict(frames, 10, valid), forecaster.predict(frames, 10, valid)
    assert_mostly_near(got, expected)
    assert abs(got.mean() - expected.mean()) < 1e-4 * HIGH
