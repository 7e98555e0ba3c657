"""How networks of every kind are trained: what the loss is of, penalties, noise, and the sampling that they allow."""

from pathlib import Path

import pytest
import torch
from tests.contract.examples import EXAMPLES, TwoPhases, Wrapped
from torch import Tensor

from framecast.data import DataConfig, MovingMNISTConfig, open_data
from framecast.devices import Launch
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.models import ConvLSTM
from framecast.models.cost import count_cost
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig, ValidateConfig
from framecast.recipe.scheduled_sampling import Free, ScheduledSampling
from framecast.training.loop import open_batches
from framecast.training.objective import Objective
from framecast.training.start import new_fabric, start
from framecast.training.state import TrainingState
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=8, width=8, low=0, high=255)
CONTEXT, HORIZON = 3, 4


def recipe(config, **fields) -> Recipe:
    said = {
        "model": config,
        "patch": 4,
        "context": CONTEXT,
        "horizon": HORIZON,
        "train": TrainConfig(steps=4, batch_size=2, lr=1e-3, log_every=1),
        "validate": ValidateConfig(every=2, sequences=4),
        "data": DataConfig(moving_mnist=MovingMNISTConfig(size=32, digits=1, validation=4, test=5)),
    }
    return Recipe.model_validate({**said, **fields})


def objective(config, **options) -> Objective:
    torch.manual_seed(0)
    return Objective(
        Forecaster(config, SPEC, Range(low=0, high=255), 1, context=CONTEXT, **options).double(), LossConfig()
    )


def windows() -> Tensor:
    return 255 * torch.rand(
        2, CONTEXT + HORIZON, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


KNOWN = torch.ones(2, CONTEXT + HORIZON - 1, dtype=torch.bool)


@pytest.mark.parametrize("name", ["two_phases", "direct"])
def test_only_the_horizon_has_a_loss(name: str) -> None:
    trained, x = objective(EXAMPLES[name]), windows()
    pixels = torch.tensor(float(x[:, CONTEXT:].numel()))
    loss = trained(x, None, KNOWN, pixels, 1.0)
    predicted = trained.forecaster.normalize(trained.forecaster.predict(x[:, :CONTEXT], HORIZON))
    truth = trained.forecaster.normalize(x[:, CONTEXT:])
    torch.testing.assert_close(loss, (predicted - truth).square().mean())
    valid = torch.ones_like(x, dtype=torch.bool)
    valid[:, CONTEXT:, :, :4] = False
    half = trained(x, valid, KNOWN, pixels / 2, 1.0)
    torch.testing.assert_close(half, (predicted - truth).square()[..., 4:, :].mean())


def test_pixels_are_counted_where_the_loss_is() -> None:
    for config, first in ((TwoPhases(), CONTEXT), (ConvLSTM(hidden=(4,), kernel_size=3), 1)):
        made = recipe(config)
        state = TrainingState(
            made, open_data(made.data, context=CONTEXT, horizon=HORIZON, seed=0), new_fabric(made, Launch("cpu"))
        )
        batches = next(open_batches(state))
        assert state._count_pixels(batches[0], CONTEXT) == batches[0].frames[:, first:].numel()


def test_a_penalty_joins_the_loss() -> None:
    trained, x = objective(Wrapped()), windows()
    pixels = torch.tensor(float(x[:, 1:].numel()))
    with_penalty = trained(x, None, KNOWN, pixels, 0.5)
    penalty = trained.forecaster.network.penalty()
    trained.forecaster.network.penalty = lambda: None
    torch.testing.assert_close(with_penalty - trained(x, None, KNOWN, pixels, 0.5), 0.5 * penalty)


def test_every_sequence_and_iteration_has_its_own_noise() -> None:
    made = recipe(TwoPhases(noise=True))
    state = TrainingState(
        made, open_data(made.data, context=CONTEXT, horizon=HORIZON, seed=0), new_fabric(made, Launch("cpu"))
    )
    batch = next(open_batches(state))[0]
    noise = state._draw_noise(batch)
    assert noise.shape[:3] == (2, 1, HORIZON)
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(noise, state._draw_noise(batch))
    state.step = 1
    assert not torch.equal(noise, state._draw_noise(batch))


@pytest.mark.parametrize("name", ["strided", "two_phases/noise", "direct"])
def test_a_training_of_every_kind_runs_to_its_end(name: str, tmp_path: Path) -> None:
    config = EXAMPLES[name]
    outcome = start(recipe(config), tmp_path / "run", Launch("cpu"), quiet=True)
    assert outcome is not None
    model = load(tmp_path / "run", model=type(config))
    assert model.predict(torch.zeros(1, 3, 1, 32, 32), 2).shape == (1, 2, 1, 32, 32)


def test_sampling_is_free_where_no_frame_is_fed_back() -> None:
    assert recipe(TwoPhases()).sampling == Free()
    assert recipe(ConvLSTM()).sampling == ScheduledSampling()
    assert Recipe().sampling == ScheduledSampling()
    with pytest.raises(ValueError, match=r"sampling: got scheduled, expected free: this network is never fed its own"):
        recipe(TwoPhases(), sampling=ScheduledSampling())


@pytest.mark.parametrize("name", EXAMPLES)
def test_configuration_and_network_agree_on_what_is_fed_back(name: str) -> None:
    config = EXAMPLES[name]
    assert config.build(1, 8, 8).feeds_back == config.feeds_back


def test_a_context_is_needed_where_only_the_horizon_is_predicted() -> None:
    with pytest.raises(UsageError, match=r"context: got none"):
        Objective(Forecaster(TwoPhases(), SPEC, Range(low=0, high=255), 1), LossConfig())


def test_the_cost_of_two_phases() -> None:
    """54 N^2 H W for each GRU of a pyramid, here one convolution of 9 (Cx + N) N at each level."""
    cost = count_cost(TwoPhases(), 1, 8, 12, patch=1, frames=CONTEXT + HORIZON, context=CONTEXT)
    encoder = 9 * 2 * 1 * 96 + 9 * 8 * 4 * 24
    forecaster = 9 * 32 * 16 * 6 + 9 * 8 * 4 * 24
    assert cost.multiply_adds == CONTEXT * encoder + HORIZON * forecaster


def test_only_steps_in_time_are_compiled() -> None:
    made = recipe(TwoPhases(), train=TrainConfig(steps=4, batch_size=2, compile=True))
    dataset = open_data(made.data, context=CONTEXT, horizon=HORIZON, seed=0)
    with pytest.raises(UsageError, match=r"train.compile: got true for EncoderForecaster, expected false"):
        TrainingState(made, dataset, new_fabric(made, Launch("cpu")))
