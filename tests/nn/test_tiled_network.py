import pytest
import torch
from tests.contract import networks
from torch.utils._pytree import tree_leaves

from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import measure_step_memory
from framecast.models import LSTM, MODELS, ConvLSTM, PredRNN
from framecast.nn.tiled_network import BLENDED, SEAM, TiledNetwork, TileLayout, measure_reach
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

SPEC = FrameSpec(channels=1, height=12, width=12, low=0, high=255)
WHOLE = {name for name in networks.VARIANTS if name.split("/")[0] not in networks.STACKS | {"e3d_lstm"}}
"""Networks that make the map smaller, or see all of it at once: their forecasts have no tiles."""
TILED = [name for name in networks.VARIANTS if name not in WHOLE]
TINY = ConvLSTM(hidden=(3, 3), kernel_size=3)


def forecaster(config=TINY, **options) -> Forecaster:
    torch.manual_seed(0)
    return Forecaster(config, SPEC, Range(low=0, high=255), 2, **options).double()


def frames(height: int, width: int, time: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 255 * torch.rand(2, time, 1, height, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("convlstm", 3),  # a 3x3 kernel in each of three layers
        ("convlstm/channel", 3),
        ("memory_flow", 6),  # a second one on the new memory, in each layer
        ("predrnn", 6),
        ("predrnn_v2", 6),
        ("predrnn/bias", None),  # layer norm
        ("predrnn_pp/official", None),
    ],
)
def test_reach_by_hand(name: str, cells: int | None) -> None:
    assert measure_reach(networks.network(name), networks.CHANNELS) == cells


@pytest.mark.parametrize("name", TILED)
def test_one_tile_is_the_network(name: str) -> None:
    network, x = networks.network(name), networks.frames(2)
    tiled = TiledNetwork(network, TileLayout((networks.HEIGHT, networks.WIDTH), 2, None), torch.clone)
    state, other = None, None
    for t in range(3):
        expected, state, _ = network(x[:, t], state)
        found, other, aux = tiled(x[:, t], other)
        assert torch.equal(found, expected)
        assert aux[SEAM][1] == 0
    for a, b in zip(tree_leaves(state), tree_leaves(other), strict=True):
        assert torch.equal(a, b if a.shape == b.shape else b[..., 0])


@pytest.mark.parametrize("name", [name for name in TILED if not networks.VARIANTS[name].fixed_size])
def test_tiles_that_overlap_by_twice_the_reach_are_exact(name: str) -> None:
    network, x = networks.network(name), networks.frames(2, height=33, width=26)
    far = measure_reach(network, networks.CHANNELS)
    if far is None:
        pytest.skip("its layer norm sees all of the map")
    layout = TileLayout((2 * far + BLENDED + 3,) * 2, 2 * far + BLENDED, far)
    assert layout.exact()
    tiled = TiledNetwork(network, layout, torch.clone)
    state, other, frame, part = None, None, x[:, 0], x[:, 0]
    for t in range(5):  # two true frames, then its own: exact at any lead time
        frame, state, _ = network(x[:, t] if t < 2 else frame, state)
        part, other, aux = tiled(x[:, t] if t < 2 else part, other)
        torch.testing.assert_close(part, frame, rtol=1e-12, atol=1e-13)
        squares, compared = aux[SEAM]
        assert compared > 0
        assert (squares / compared).sqrt() < 1e-12
    less = TiledNetwork(network, layout._replace(overlap=2, tile=(8, 8)), torch.clone)
    approximate, _, aux = less(x[:, 0])
    assert not torch.allclose(approximate, network(x[:, 0])[0], rtol=1e-6)
    assert (aux[SEAM][0] / aux[SEAM][1]).sqrt() > 1e-6, "the seams must tell"


@pytest.mark.parametrize("name", sorted({*MODELS} & WHOLE))
def test_the_others_are_refused_in_words(name: str) -> None:
    model = Forecaster(networks.VARIANTS[name], SPEC, Range(low=0, high=255), 2, context=3)
    with pytest.raises(UsageError, match="a network whose maps all have the size of the frame; compute the whole"):
        model.tiled(TileLayout((6, 6), 2, None))


@pytest.mark.parametrize("name", sorted({*MODELS} - WHOLE))
def test_every_other_model_predicts_a_domain_in_tiles(name: str) -> None:
    config = networks.VARIANTS[name]
    model = forecaster(config)
    x, valid = frames(17, 23), torch.rand(2, 3, 1, 17, 23, generator=torch.Generator().manual_seed(2)) > 0.3
    holes = torch.where(valid, x, torch.nan)
    tiled = model.tiled(TileLayout((6, 6), 2, None))
    future = tiled.predict(holes, 3, valid)
    assert future.shape == (2, 3, 1, 17, 23)
    assert torch.isfinite(future).all()
    past = zip(holes.unbind(1), valid.unbind(1), strict=True)
    assert torch.equal(future, torch.stack([ahead.frame for ahead in tiled.ahead(past, 3)], 1))
    row = tiled.predict(holes[1:], 3, valid[1:])
    torch.testing.assert_close(row, future[1:], rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("config", [LSTM(hidden=(6, 5)), ConvLSTM(hidden=(3,), kernel_size=3, peephole="full")])
def test_tiles_side_by_side_are_forecasts_of_their_own(config) -> None:
    model, x = forecaster(config), frames(24, 36)
    future = model.tiled(TileLayout((6, 6), 0, None)).predict(x, 3)
    for y in (0, 12):
        for left in (0, 12, 24):
            place = (..., slice(y, y + 12), slice(left, left + 12))
            torch.testing.assert_close(future[place], model.predict(x[place], 3), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("config", [TINY, PredRNN(hidden=(3, 3), kernel_size=3, layer_norm="channel_affine")])
def test_nothing_stays_nothing(config) -> None:
    model = forecaster(config)
    for value in model.parameters():
        torch.nn.init.zeros_(value)
    future = model.tiled(TileLayout((6, 6), 3, None)).predict(frames(30, 22), 2)
    assert torch.equal(future, torch.zeros_like(future))


def test_what_is_the_same_everywhere_stays_so() -> None:
    model = forecaster(PredRNN(hidden=(3,), kernel_size=1))
    future = model.tiled(TileLayout((5, 4), 3, 0)).predict(torch.full((1, 2, 1, 30, 22), 77.0), 4)
    for frame in future[0, :, 0]:
        patches = frame.reshape(15, 2, 11, 2)
        torch.testing.assert_close(patches, patches[:1, :, :1].expand_as(patches))


def test_ahead_is_predict() -> None:
    model, x = forecaster(), frames(17, 23)
    found = torch.stack([a.frame for a in model.ahead(((frame, None) for frame in x.unbind(1)), 4)], 1)
    assert torch.equal(found, model.predict(x, 4))
    with pytest.raises(InputError, match="no frame"):
        list(model.ahead([], 2))


BESIDE = (Channel(name="solar", low=0, high=100), Channel(name="z", low=-50, high=50))


@pytest.mark.parametrize("fill", ["low", "mean", "last"])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("beside", [(), BESIDE])
def test_tiles_cut_covariates_and_mask_with_the_frames(fill, mask: bool, beside: tuple[Channel, ...]) -> None:
    spec = SPEC.model_copy(
        update={"channels": 2, "past": (Channel(name="wind", low=0, high=255),), "covariates": beside}
    )
    torch.manual_seed(0)
    model = Forecaster(TINY, spec, Range(low=0, high=255), 2, fill=fill, mask_channel=mask).double()
    x = torch.cat([frames(37, 30), frames(37, 30).flip(0)], 2)
    valid = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) > 0.3
    valid[:, :, :, 20:, 18:] = False
    x = torch.where(valid, x, torch.nan)
    known = 100 * torch.rand(2, 7, len(beside), 37, 30, dtype=torch.float64) if beside else None
    if known is not None:
        known[:, 2, :, 5:9] = torch.nan
    expected = model.predict(x, 4, valid, known)
    far = measure_reach(model.network, model.input_channels)
    assert far is not None
    tiled = model.tiled(TileLayout((2 * far + BLENDED + 2,) * 2, 2 * far + BLENDED, far))
    assert tiled.mask_channel == mask
    torch.testing.assert_close(tiled.predict(x, 4, valid, known), expected, rtol=1e-12, atol=1e-10)
    for one in (model, tiled):
        past = zip(x.unbind(1), valid.unbind(1), strict=True)
        found = torch.stack([a.frame for a in one.ahead(past, 4, None if known is None else known.unbind(1))], 1)
        assert found.shape == (2, 4, 1, 37, 30)
        assert torch.equal(found, one.predict(x, 4, valid, known))
    measure_step_memory(model)  # whatever enters the network, a step can be counted


def test_ahead_asks_for_covariates() -> None:
    spec = SPEC.model_copy(update={"covariates": BESIDE})
    model = Forecaster(TINY, spec, Range(low=0, high=255), 2).double()
    past, known = [(frame, None) for frame in frames(12, 12).unbind(1)], torch.zeros(2, 6, 2, 12, 12).double()
    assert len(list(model.ahead(past, 3, known.unbind(1)))) == 3
    for given in (None, known[:, 1:].unbind(1)):
        with pytest.raises(InputError, match="covariates: got none, expected solar, z"):
            list(model.ahead(past, 3, given))
    with pytest.raises(InputError, match="covariates: got some"):
        list(forecaster().ahead(past, 3, known.unbind(1)))


def test_streams_in_tiles() -> None:
    model, x = forecaster().tiled(TileLayout((6, 6), 4, 2)), frames(17, 23)
    state = None
    for frame in x[:, :2].unbind(1):
        _, state = model.step(frame, state)
    assert torch.equal(model.branch(x[:, 2], state, 3), model.predict(x, 3))


def test_a_network_of_one_size_needs_as_much() -> None:
    model = forecaster(ConvLSTM(hidden=(3,), kernel_size=3, peephole="full")).tiled(TileLayout((6, 6), 2, None))
    assert model.predict(frames(14, 25), 2).shape == (2, 2, 1, 14, 25)
    with pytest.raises(InputError, match="6x6 or more"):
        model.predict(frames(10, 25), 2)


def test_seams_are_in_raw_units() -> None:
    model = forecaster()
    layout = TileLayout((6, 6), 2, 2)
    patches = model.encode(frames(17, 23))
    raw = model.tiled(layout).network(patches[:, 0])[2][SEAM]
    plain = TiledNetwork(model.network, layout, torch.clone)(patches[:, 0])[2][SEAM]
    assert raw[1] == plain[1]
    torch.testing.assert_close(raw[0], plain[0] * 255**2)
