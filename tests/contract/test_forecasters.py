"""What a Forecaster promises, whatever kind of network it holds."""

from typing import Literal

import pytest
import torch
from tests.contract.examples import EXAMPLES, Direct, Strided, TwoPhases
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import FrameMemory, MemoryLimits, plan_memory
from framecast.forecasting.stream import StreamState
from framecast.models import ConvLSTM, ModelConfig
from framecast.nn.network import Network
from framecast.transforms.normalize import DBZ, Identity, Range, Standard
from framecast.types import Channel, FrameSpec

SPEC = FrameSpec(channels=1, height=13, width=10, low=0, high=255)
KINDS: dict[str, ModelConfig] = {**EXAMPLES, "convlstm": ConvLSTM(hidden=(3, 3), kernel_size=3)}
every = pytest.mark.parametrize("name", KINDS)
NOISY = "two_phases/noise"


def forecaster(config: ModelConfig, patch: int = 2, **options) -> Forecaster:
    torch.manual_seed(0)
    normalizer = options.pop("normalizer", Range(low=0, high=255))
    return Forecaster(config, SPEC, normalizer, patch, **options).double().eval()


def frames(time: int = 4, height: int = 13, width: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 255 * torch.rand(2, time, 1, height, width, dtype=torch.float64, generator=generator)


@every
def test_streams_branches_and_single_frames_give_the_same_forecast(name: str) -> None:
    model, x = forecaster(KINDS[name]), frames()
    expected = model.predict(x, 5)
    assert expected.shape == (2, 5, 1, 13, 10)
    state: StreamState | None = None
    for t in range(3):
        following, state = model.step(x[:, t], state)
        assert torch.equal(following, model.predict(x[:, : t + 1], 1)[:, 0])
    assert torch.equal(model.branch(x[:, 3], state, 5), expected)
    assert torch.equal(model.branch(x[:, 3], state, 5), expected), "a branch must leave the state as it was"
    one_by_one = [ahead.frame for ahead in model.ahead([(x[:, t], None) for t in range(4)], 5)]
    assert torch.equal(torch.stack(one_by_one, 1), expected)


@pytest.mark.parametrize("name", ["two_phases", NOISY, "direct", "convlstm"])
def test_covariates_and_a_mask_in_streams_branches_and_single_frames(name: str) -> None:
    spec = SPEC.model_copy(update={"covariates": (Channel(name="height", low=0.0, high=1.0),)})
    torch.manual_seed(0)
    model = Forecaster(KINDS[name], spec, Range(low=0, high=255), 2, mask_channel=True, fill="last").double().eval()
    x, known = frames(), torch.rand(2, 9, 1, 13, 10, dtype=torch.float64)
    valid = torch.rand(x.shape) > 0.3
    expected = model.predict(x, 5, valid, known)
    state: StreamState | None = None
    for t in range(3):
        _, state = model.step(x[:, t], state, valid[:, t], known[:, t + 1])
    assert torch.equal(model.branch(x[:, 3], state, 5, valid[:, 3], known[:, 4:]), expected)
    past = [(x[:, t], valid[:, t]) for t in range(4)]
    one_by_one = [ahead.frame for ahead in model.ahead(past, 5, known.unbind(1))]
    assert torch.equal(torch.stack(one_by_one, 1), expected)
    other, hidden = known.clone(), valid.clone()
    other[:, 6] += 1
    assert torch.equal(model.predict(x, 5, valid, other)[:, :2], expected[:, :2])
    assert not torch.equal(model.predict(x, 5, valid, other)[:, 2], expected[:, 2])
    hidden[:, 3, :, 0, 0] = ~hidden[:, 3, :, 0, 0]
    assert not torch.equal(model.predict(x, 5, hidden, known), expected)


@every
def test_any_size_any_length(name: str) -> None:
    model = forecaster(KINDS[name])
    for height, width, time, horizon in ((13, 10, 5, 3), (9, 17, 1, 1), (16, 8, 2, 9)):
        assert model.predict(frames(time, height, width), horizon).shape == (2, horizon, 1, height, width)


@every
def test_frames_that_are_cropped_are_those_of_padded_ones(name: str) -> None:
    model, x = forecaster(KINDS[name]), frames()
    rows, columns = (2 * cells for cells in model.cells(13, 10))
    padded = torch.nn.functional.pad(x.flatten(0, 1), (0, columns - 10, 0, rows - 13), mode="replicate").unflatten(
        0, (2, 4)
    )
    assert torch.equal(model.predict(x, 3), model.predict(padded, 3)[..., :13, :10])


def test_members_share_the_past_and_differ_by_their_noise() -> None:
    model, x = forecaster(KINDS[NOISY]), frames()
    members = model.predict(x, 4, members=3, seed=5)
    assert members.shape == (2, 3, 4, 1, 13, 10)
    assert torch.equal(model.predict(x, 4, seed=5), members[:, 0])
    assert torch.equal(model.predict(x, 2, members=2, seed=5), members[:, :2, :2]), (
        "other members and lead times change none"
    )
    torch.testing.assert_close(model.predict(x[1:], 4, members=3, seed=5), members[1:])
    assert not torch.equal(members[:, 0], members[:, 1])
    assert not torch.equal(members, model.predict(x, 4, members=3, seed=6))
    assert not torch.equal(members[:, :, 0], members[:, :, 1])
    state = None
    for t in range(3):
        _, state = model.step(x[:, t], state, seed=5)
    assert torch.equal(model.branch(x[:, 3], state, 4, members=3, seed=5), members)
    ahead = model.ahead([(x[:, t], None) for t in range(4)], 4, members=3, seed=5)
    assert torch.equal(torch.stack([one.frame for one in ahead], 2), members)
    assert model.predict(x.numpy(), 4, members=3, seed=5).shape == members.shape


def test_members_of_a_network_without_noise_are_refused() -> None:
    for name in ("convlstm", "two_phases", "direct"):
        with pytest.raises(UsageError, match=r"members: got 2, expected none: this network takes no noise"):
            forecaster(KINDS[name]).predict(frames(), 1, members=2)
    with pytest.raises(UsageError, match=r"members: got 0, expected at least 1"):
        forecaster(KINDS[NOISY]).predict(frames(), 1, members=0)


@pytest.mark.parametrize("config", [Strided(), TwoPhases()])
def test_the_range_of_the_data_becomes_that_of_the_network(config: ModelConfig) -> None:
    low, high = config.value_range
    model = forecaster(config, patch=1, normalizer=Range(low=0, high=255))
    x = torch.tensor([0.0, 255.0, 51.0, 102.0], dtype=torch.float64).expand(1, 1, 1, 4, 4)
    units = model.normalize(x)
    assert units.min() == low
    assert units.max() == high
    torch.testing.assert_close(model.decode(model.encode(x), (4, 4)), x)
    future = model.predict(frames(), 3)
    assert future.min() >= 0
    assert future.max() <= 255


@pytest.mark.parametrize("normalizer", [Standard(mean=(1.0,), std=(2.0,)), Identity()])
def test_a_normalizer_without_a_range_is_refused(normalizer) -> None:
    with pytest.raises(UsageError, match=rf"normalize: got {normalizer.kind}.*choose range, log or dbz"):
        forecaster(Strided(), normalizer=normalizer)
    assert forecaster(Strided(), normalizer=DBZ()).value_range == (0, 1)
    assert forecaster(KINDS["convlstm"], normalizer=normalizer)


class FramesAlone(ModelConfig):
    """A network from outside whose `build` has no argument for what is known beside the frames."""

    name: Literal["frames_alone"] = "frames_alone"

    def build(self, channels: int, height: int, width: int) -> Network:  # type: ignore[override]
        return Strided().build(channels, height, width)


def test_what_a_network_is_not_made_for_is_refused() -> None:
    with pytest.raises(UsageError, match=r"covariates or a mask, expected a network that takes some"):
        forecaster(FramesAlone(), mask_channel=True)
    room, none = MemoryLimits(tile=8), FrameMemory(0, 0)
    for name in ("strided", "levels", "two_phases", "direct"):
        model = forecaster(KINDS[name])
        with pytest.raises(UsageError, match=r"--tile: got 8 pixels, expected 0"):
            plan_memory(model, (13, 10), batch_size=1, frames=none, room=room)
        assert plan_memory(model, (130, 100), batch_size=1, frames=none).layout is None
    with pytest.raises(InputError, match=r"multiples of 4, the stride"):
        forecaster(TwoPhases()).network.init_state(torch.zeros(1, 4, 6, 8))


def test_a_direct_network_goes_on_from_its_own_blocks() -> None:
    model, x = forecaster(Direct(frames=3), patch=1), frames(3)
    block = model.encode(x)
    expected = []
    for _ in range(3):
        block = model.network.body(block)
        expected.append(block)
    assert torch.equal(model.predict(x, 8), model.decode(torch.cat(expected, 1), (13, 10))[:, :8])
    alone = model.predict(x[:, 2:], 2)
    assert torch.equal(alone, model.predict(x[:, [2, 2, 2]], 2)), "the first frame stands for those before it"
