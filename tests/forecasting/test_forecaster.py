import numpy as np
import pytest
import torch

from framecast.errors import InputError, UsageError
from framecast.forecasting.baselines import Blank, Mean, Persistence
from framecast.forecasting.forecaster import Forecaster
from framecast.models import LSTM, MIM, ConvLSTM, PredRNN
from framecast.nn.rollout import rollout
from framecast.transforms.normalize import DBZ, Range
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=13, width=10, low=0, high=255)


def forecaster(config=None, spec: FrameSpec = SPEC, **options) -> Forecaster:
    torch.manual_seed(0)
    config = config or PredRNN(hidden=(3, 3), kernel_size=3)
    return Forecaster(config, spec, options.pop("normalizer", Range(low=0, high=255)), 4, **options).double()


def frames(time: int = 5, height: int = 13, width: int = 10, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 255 * torch.rand(2, time, channels, height, width, dtype=torch.float64, generator=generator)


def test_raw_units_any_size_any_length() -> None:
    model = forecaster()
    for height, width, time, horizon in ((13, 10, 5, 3), (4, 4, 1, 1), (21, 9, 2, 30)):
        future = model.predict(frames(time, height, width), horizon)
        assert future.shape == (2, horizon, 1, height, width)
    assert model.predict(frames(), 2).abs().max() > 1  # grey levels, not [0, 1]


def test_streaming_equals_predicting() -> None:
    model, x = forecaster(), frames()
    expected = model.predict(x, 6)
    state = None
    for t in range(4):
        following, state = model.step(x[:, t], state)
    assert following.shape == (2, 1, 13, 10)
    assert torch.equal(model.branch(x[:, 4], state, 6), expected)
    assert torch.equal(model.branch(x[:, 4], state, 6), expected), "a branch must leave the state as it was"
    last, _ = model.step(x[:, 4], state)
    assert torch.equal(last, expected[:, 0])


def test_streams_may_have_holes() -> None:
    model, x = forecaster(), frames()
    valid = torch.rand(2, 5, 1, 13, 10, generator=torch.Generator().manual_seed(2)) > 0.4
    holes = torch.where(valid, x, float("nan"))
    state = None
    for t in range(4):
        _, state = model.step(holes[:, t], state, valid[:, t])
    assert torch.equal(model.branch(holes[:, 4], state, 3, valid[:, 4]), model.predict(holes, 3, valid))


def test_odd_arrays_and_horizons() -> None:
    model, x = forecaster(), frames().numpy()
    np.testing.assert_array_equal(model.predict(x.astype(">f8"), 2), model.predict(x, 2))
    with pytest.raises(InputError, match="real numbers"):
        model.predict(x.astype(object), 2)
    for horizon in (0, -2):
        with pytest.raises(UsageError, match="at least 1"):
            model.predict(x, horizon)


def test_arrays_in_arrays_out_and_any_real_dtype() -> None:
    model = forecaster()
    x = frames().round()
    expected = model.predict(x, 3)
    got = model.predict(x.numpy().astype(np.uint8), 3)
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, expected.numpy())


@pytest.mark.parametrize("fill", ["low", "mean"])
def test_missing_pixels_are_filled_and_do_not_matter(fill: str) -> None:
    model = forecaster(fill=fill)
    x, valid = frames(), torch.rand(2, 5, 1, 13, 10, generator=torch.Generator().manual_seed(2)) > 0.4
    valid[0, 2] = False
    results = [model.predict(torch.where(valid, x, value), 3, valid) for value in (float("nan"), 1e9, -7.0)]
    assert torch.isfinite(results[0]).all()
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], model.predict(x, 3))


def test_dbz_and_patches_on_the_way() -> None:
    model = forecaster(normalizer=DBZ(), spec=SPEC.model_copy(update={"low": 0.0, "high": 70.0, "units": "dBZ"}))
    silent, nothing = torch.full((1, 3, 1, 13, 10), -32.0), torch.zeros(1, 3, 1, 13, 10)
    assert torch.equal(model.predict(silent, 2), model.predict(nothing, 2))


def test_known_frames_equal_the_rollout_by_hand() -> None:
    model, x = forecaster(), frames(height=12, width=8)
    patches = model.encode(x)
    by_hand = model.decode(rollout(model.network, patches, 5 + 2).frames[:, 4:], (12, 8))
    torch.testing.assert_close(model.predict(x, 3), by_hand, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("x", "valid", "message"),
    [
        (frames()[0, 0, 0], None, r"batch, time, channel, height, width"),
        (frames()[:, :0], None, "no frame"),
        (frames(channels=2), None, "2 channels, expected 1"),
        (frames().masked_fill(torch.rand(2, 5, 1, 13, 10) > 0.5, float("nan")), None, "NaN or infinite"),
        (frames(), torch.ones(2, 5, 1, 13, 9, dtype=torch.bool), "that of the frames"),
    ],
)
def test_wrong_frames_are_refused_with_the_fix(x, valid, message: str) -> None:
    with pytest.raises(InputError, match=message):
        forecaster().predict(x, 2, valid)


@pytest.mark.parametrize(
    "config",
    [
        LSTM(hidden=(4,)),
        MIM(hidden=(3, 3)),
        ConvLSTM(hidden=(3,), peephole="full"),
        PredRNN(hidden=(3,), layer_norm="chw"),
    ],
)
def test_networks_of_one_size_say_so(config) -> None:
    model = forecaster(config)
    assert model.predict(frames(), 2).shape == (2, 2, 1, 13, 10)
    with pytest.raises(InputError, match="expected 13x10"):
        model.predict(frames(height=16), 2)


def test_baselines() -> None:
    x, valid = frames(), torch.ones(2, 5, 1, 13, 10, dtype=torch.bool)
    valid[:, -1, :, 0] = False
    assert torch.equal(Persistence(SPEC).predict(x, 3), x[:, -1:].expand(-1, 3, -1, -1, -1))
    last = Persistence(SPEC).predict(torch.where(valid, x, float("nan")), 2, valid)
    assert torch.equal(last[:, 0, :, 1:], x[:, -1, :, 1:])
    assert not last[:, 0, :, 0].any()
    torch.testing.assert_close(Mean(SPEC).predict(x, 1)[:, 0], x.mean(1))
    assert not Blank(SPEC).predict(x, 4).any()
    with pytest.raises(InputError, match="expected"):
        Persistence(SPEC).predict(frames(channels=2), 3)
