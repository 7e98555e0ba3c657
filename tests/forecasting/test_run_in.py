"""Networks that run over the newest frames only: streams, and forecasts frame by frame, equal `predict` of all."""

import pytest
import torch
from tests.contract.examples import EXAMPLES

from framecast.bases import ExtrapolationBase, MeanBase
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

SPEC = FrameSpec(channels=1, height=16, width=16, low=0, high=1)
SUBJECTS = {
    "plain": {},
    "base": {"base": MeanBase()},
    "motion": {"base": ExtrapolationBase(), "head": "mix"},
    "mask": {"mask_channel": True, "fill": "last", "base": MeanBase()},
    "covariates": {"spec": SPEC.model_copy(update={"covariates": (Channel(name="height", low=0, high=1),)})},
    "one frame": {"base": MeanBase(), "spin_up": 1},
}


def make(name: str) -> Forecaster:
    torch.manual_seed(0)
    said = {"spec": SPEC, "spin_up": 3, **SUBJECTS[name]}
    forecaster = Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), said.pop("spec"), Range(low=0, high=1), 2, **said)
    for parameter in forecaster.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return forecaster.double().eval()


def draw(forecaster: Forecaster, frames: int = 6, horizon: int = 4):
    numbers = torch.Generator().manual_seed(1)
    past = torch.rand(2, frames, 1, 16, 16, generator=numbers, dtype=torch.float64)
    valid = torch.rand(2, frames, 1, 16, 16, generator=numbers) > 0.2 if forecaster.mask_channel else None
    others = len(forecaster.spec.covariates)
    covariates = torch.rand(2, frames + horizon, others, 16, 16, generator=numbers).double() if others else None
    return past, valid, covariates


@pytest.mark.parametrize("name", SUBJECTS)
def test_only_the_newest_frames_reach_the_network(name: str) -> None:
    forecaster = make(name)
    past, valid, covariates = draw(forecaster)
    whole = forecaster.predict(past, 4, valid, covariates)
    newest = forecaster.spin_up
    cut = forecaster.predict(
        past[:, -newest:],
        4,
        None if valid is None else valid[:, -newest:],
        None if covariates is None else covariates[:, -newest - 4 :],
    )
    is_equal = torch.allclose(whole, cut, rtol=0, atol=1e-9)
    assert is_equal == (name in ("plain", "covariates")), "a base, and the fill of the last value, see the whole past"


@pytest.mark.parametrize("name", SUBJECTS)
def test_frame_by_frame_equals_whole(name: str) -> None:
    forecaster = make(name)
    past, valid, covariates = draw(forecaster)
    whole = forecaster.predict(past, 4, valid, covariates)
    pairs = zip(past.unbind(1), [None] * 6 if valid is None else valid.unbind(1), strict=True)
    steps = forecaster.ahead(pairs, 4, None if covariates is None else covariates.unbind(1))
    by_frame = torch.stack([step.frame for step in steps], 1)
    torch.testing.assert_close(by_frame, whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_branch_of_a_stream_equals_whole(name: str) -> None:
    forecaster = make(name)
    past, valid, covariates = draw(forecaster)
    state = None
    for t in range(6):
        mask = None if valid is None else valid[:, t]
        ahead = None if covariates is None else covariates[:, t + 1 :]
        known = past[:, : t + 1], None if valid is None else valid[:, : t + 1]
        whole = forecaster.predict(known[0], 4, known[1], None if covariates is None else covariates[:, : t + 5])
        branch = forecaster.branch(past[:, t], state, 4, mask, None if ahead is None else ahead[:, :4])
        torch.testing.assert_close(branch, whole, rtol=0, atol=1e-9)
        frame, state = forecaster.step(past[:, t], state, mask, None if ahead is None else ahead[:, 0])
        torch.testing.assert_close(frame, whole[:, 0], rtol=0, atol=1e-9)
        assert len(state.recent) == min(t + 1, forecaster.spin_up - 1)


def test_a_network_that_forecasts_only_after_the_context() -> None:
    torch.manual_seed(0)
    config = EXAMPLES["direct"]
    forecaster = Forecaster(config, SPEC, Range(low=0, high=1), 1, context=6, spin_up=3).double().eval()
    past = draw(forecaster)[0]
    whole = forecaster.predict(past, 4)
    torch.testing.assert_close(whole, forecaster.predict(past[:, -3:], 4), rtol=0, atol=1e-12)
    by_frame = torch.stack([step.frame for step in forecaster.ahead(((frame, None) for frame in past.unbind(1)), 4)], 1)
    torch.testing.assert_close(by_frame, whole, rtol=0, atol=1e-9)


def test_it_is_saved_with_the_model(tmp_path) -> None:
    forecaster = make("base").float()
    save_forecaster(tmp_path / "model", forecaster)
    loaded = load(tmp_path / "model")
    past = draw(forecaster)[0].float()
    assert loaded.spin_up == 3
    assert torch.equal(loaded.predict(past, 4), forecaster.predict(past, 4))
    assert loaded.at_pace(2.0).spin_up == 3
