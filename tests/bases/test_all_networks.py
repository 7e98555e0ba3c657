"""Every network against every base: it begins as the base, streams as it rolls out, and learns."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
import torch
from tests.contract.networks import ALL, EXAMPLES
from torch import Tensor

from framecast import Extrapolation, FrameSpec, Mean, Persistence
from framecast.bases import (
    BaseConfig,
    CalibratedBase,
    ExtrapolationBase,
    Head,
    LinearBase,
    MeanBase,
    PersistenceBase,
    SeasonalBase,
)
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import TensorPredictor
from framecast.transforms.normalize import Range

SPEC = FrameSpec(channels=1, height=32, width=48, units="dBZ", high=60.0, step_minutes=5.0)
BASES: dict[str, BaseConfig] = {
    "persistence": PersistenceBase(),
    "mean": MeanBase(),
    "extrapolation": ExtrapolationBase(),
    "seasonal": SeasonalBase(period=3),
    "linear": LinearBase(leads=4),
    "calibrated": CalibratedBase(leads=4),
}
BOUNDED = {name for name, config in ALL.items() if config.value_range is not None}
WITHOUT_HEAD = {"direct", "simvp", "simvp/incepu", "tau"}
WITHOUT_EXTRA = {
    name for name in EXAMPLES if "extra" not in signature(ALL[name].build).parameters and ALL[name].feeds_back
}
ABLE = sorted(set(ALL) - BOUNDED - WITHOUT_HEAD - WITHOUT_EXTRA)


class Season(TensorPredictor):
    """Frames one period earlier."""

    def predict(self, frames: Tensor, horizon: int, valid: object = None, covariates: object = None) -> Tensor:
        return frames[:, [-3 + lead % 3 for lead in range(horizon)]]


ALONE = {
    "persistence": Persistence(SPEC),
    "mean": Mean(SPEC),
    "extrapolation": Extrapolation(SPEC),
    "seasonal": Season(),
    "linear": Persistence(SPEC),
    "calibrated": Extrapolation(SPEC),
}
"""Forecast of each base before any training."""


def make_rain(frames: int = 5) -> Tensor:
    """Make two blobs that move, (2, T, 1, 32, 48)."""
    y, x = np.mgrid[: SPEC.height, : SPEC.width]
    rain = [
        [40 * np.exp(-((y - 14 - t) ** 2 + (x - 12 - 3 * b - 2 * t) ** 2) / 30) for t in range(frames)]
        for b in range(2)
    ]
    return torch.tensor(np.array(rain), dtype=torch.float32)[:, :, None]


def make_forecaster(name: str, base: str, head: Head) -> Forecaster:
    torch.manual_seed(0)
    return Forecaster(ALL[name], SPEC, Range(low=0, high=60), patch=4, base=BASES[base], head=head, context=5).eval()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ABLE)
def test_a_change_begins_as_zero(name: str, base: str) -> None:
    rain = make_rain()
    predicted = make_forecaster(name, base, "change").predict(rain, 4)
    expected = ALONE[base].predict(rain, 4)
    assert float((predicted - expected).abs().max()) < 1e-6 * 60 * 4


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ABLE)
def test_a_mix_begins_near_the_base(name: str, base: str) -> None:
    rain = make_rain(9)
    past, future = rain[:, :5], rain[:, 5:] + 5 * torch.randn(2, 4, 1, 32, 48)
    predicted = make_forecaster(name, base, "mix").predict(past, 4)
    expected = ALONE[base].predict(past, 4)
    errors = [float((forecast - future).square().mean()) for forecast in (predicted, expected)]
    assert errors[0] != errors[1]
    assert abs(errors[0] - errors[1]) < 0.02 * errors[1]


@pytest.mark.parametrize("head", ["change", "mix"])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ["convlstm", "predrnn", *sorted(set(EXAMPLES) & set(ABLE))])
def test_streaming_equals_the_rollout(name: str, base: str, head: Head) -> None:
    forecaster, rain = make_forecaster(name, base, head), make_rain()
    with torch.no_grad():
        for parameter in forecaster.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    whole = forecaster.predict(rain, 3)
    state = None
    if forecaster.network.feeds_back:
        for t in range(4):
            _, state = forecaster.step(rain[:, t], state)
        torch.testing.assert_close(forecaster.branch(rain[:, 4], state, 3), whole, rtol=0, atol=0)
    frames = [(frame, None) for frame in rain.unbind(1)]
    ahead = torch.stack([predicted.frame for predicted in forecaster.ahead(frames, 3)], 1)
    torch.testing.assert_close(ahead, whole, rtol=0, atol=0)


@pytest.mark.parametrize("head", ["change", "mix"])
def test_every_parameter_learns(head: Head) -> None:
    forecaster = make_forecaster("convlstm", "extrapolation", head).train()
    rain = make_rain(9)
    for _ in range(2):  # behind a head of zeros nothing moves in the first step
        run = forecaster.run_base(rain[:, :5])
        assert run is not None
        from framecast.nn.rollout import rollout

        frames = rollout(forecaster.network, forecaster.encode(rain), 8, base=run.steps(of_context=True)).frames
        (frames - forecaster.encode(rain)[:, 1:]).square().mean().backward()
        with torch.no_grad():
            for parameter in forecaster.network.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad.sign() * 0.01)
                moved = bool(parameter.grad.any())
                parameter.grad = None
    assert moved


@pytest.mark.parametrize("name", sorted(BOUNDED | WITHOUT_HEAD | WITHOUT_EXTRA))
def test_what_cannot_stand_on_a_base_says_so(name: str) -> None:
    with pytest.raises(UsageError, match=r"base|extra"):
        make_forecaster(name, "persistence", "change")


def test_rain_cannot_come_from_nothing() -> None:
    forecaster = make_forecaster("convlstm", "extrapolation", "mix")
    with torch.no_grad():
        for parameter in forecaster.network.parameters():
            parameter.add_(torch.randn_like(parameter))
    rain = make_rain()
    rain[1] = 0
    predicted = forecaster.predict(rain, 4)
    assert not predicted[1].any()
    assert predicted.min() >= 0
