"""Studies of the networks that came after PredRNN: gates of a GRU, attention, motion, moments."""

import numpy as np
import pytest
import torch

from framecast.analysis.attention import map_attention
from framecast.analysis.gradients import measure_gradients
from framecast.analysis.memory import map_memory
from framecast.analysis.moments import measure_moments
from framecast.analysis.motion import map_motion
from framecast.analysis.saturation import measure_saturation
from framecast.commands.study_kinds import STUDIES
from framecast.data.windows.loader import Batch
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import MAU, ConvGRU, ConvLSTM, ModelConfig, MotionRNN, PhyDNet, SimVP, SwinLSTMB, SwinLSTMD
from framecast.models.phydnet import ORDERS, PhyCell
from framecast.nn.attention import WindowAttention
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

CONTEXT, HORIZON, SIDE = 3, 4, 16


def make(config: ModelConfig, patch: int = 1) -> Forecaster:
    torch.manual_seed(0)
    spec = FrameSpec(channels=1, height=SIDE, width=SIDE)
    return Forecaster(config, spec, Range(low=0, high=1), patch, context=CONTEXT).double().eval()


def make_batch(sequences: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(sequences, CONTEXT + HORIZON, 1, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return Batch(frames, None, list(range(sequences)))


def test_update_gates_of_a_gru_count_as_forget_gates() -> None:
    model = make(ConvGRU(levels=2))
    for cell in (*model.network.encoder, *model.network.forecaster):
        torch.nn.init.zeros_(cell.cell.conv_zr.weight)
        cell.cell.conv_zr.bias.data.fill_(-5.0)  # z = sigmoid(-5): 0.7 % is replaced, the rest is kept
    shares = measure_saturation(model, [make_batch()], CONTEXT, low=0.1, high=0.9)
    assert shares.symbol.tolist() == ["1 - z"] * 4
    assert shares.layer.tolist() == [1, 2, 3, 4]
    reading, writing = shares.above[:2], shares.above[2:]
    np.testing.assert_array_equal(reading[:, :CONTEXT], 1.0)
    assert np.isnan(reading[:, CONTEXT:]).all(), "the encoder reads the context alone"
    np.testing.assert_array_equal(writing[:, CONTEXT - 1 :], 1.0)
    assert np.isnan(writing[:, : CONTEXT - 1]).all()


def test_maps_and_gradients_of_two_phases() -> None:
    model, batch = make(ConvGRU(levels=2)), make_batch(1)
    maps = map_memory(model, batch, CONTEXT)
    np.testing.assert_allclose(maps.fed[:CONTEXT], batch.frames[0, :CONTEXT], atol=1e-6)
    assert np.isnan(maps.fed[CONTEXT:]).all()
    assert np.isnan(maps.predicted[: CONTEXT - 1]).all()
    np.testing.assert_allclose(
        maps.predicted[CONTEXT - 1 :], model.predict(batch.frames[0, :CONTEXT], HORIZON), atol=1e-6
    )
    reach = measure_gradients(model, [batch], CONTEXT)
    rows = {(symbol, layer): norms[0] for symbol, layer, norms in zip(*reach, strict=True)}
    assert (rows["h", 1][:CONTEXT] > 0).all()
    assert np.isnan(rows["h", 1][CONTEXT:]).all()
    assert np.isnan(rows["h", 3][: CONTEXT - 1]).all()


@pytest.mark.parametrize(
    "config",
    [
        MAU(hidden=(8, 8), kernel_size=3, tau=3),
        PhyDNet(hidden=(8, 6), shrink=2),
        SwinLSTMD(hidden=8, depths_down=(2,), depths_up=(2,), heads=(2,), window=2),
    ],
)
def test_frames_of_networks_with_a_smaller_map(config: ModelConfig) -> None:
    model, batch = make(config), make_batch(1)
    maps = map_memory(model, batch, CONTEXT)
    forecast = model.predict(batch.frames[0, :CONTEXT], HORIZON)
    np.testing.assert_allclose(maps.fed, np.concatenate([batch.frames[0, :CONTEXT], forecast[:-1]]), atol=1e-6)
    np.testing.assert_allclose(maps.predicted[-HORIZON:], forecast, atol=1e-6)
    assert maps.mean.shape[:2] == (len(maps.symbol), CONTEXT + HORIZON - 1)
    assert measure_gradients(model, [batch], CONTEXT).norm.shape[1:] == (1, CONTEXT + HORIZON - 1)


def test_weights_of_past_steps() -> None:
    model = make(MAU(hidden=(8, 8), kernel_size=3, tau=3))
    maps = map_attention(model, make_batch(1), CONTEXT)
    assert maps.past.shape == (2, CONTEXT + HORIZON - 1, 3)
    np.testing.assert_allclose(maps.past.sum(-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(maps.past[:, 0], 1 / 3, atol=1e-12)  # of zeros none fits better
    assert np.abs(maps.past[:, -1] - 1 / 3).max() > 1e-6


def test_places_that_are_attended_to() -> None:
    model = make(SwinLSTMB(hidden=8, depths=(2,), heads=(2,), window=4))
    maps = map_attention(model, make_batch(1), CONTEXT)
    assert maps.places.shape == (1, CONTEXT + HORIZON - 1, SIDE // 2, SIDE // 2)
    windows = maps.places.reshape(1, -1, 2, 4, 2, 4).mean((3, 5))
    np.testing.assert_allclose(windows, 1.0, atol=1e-12)
    assert maps.places.std() > 1e-3
    for part in model.network.modules():
        if isinstance(part, WindowAttention):
            torch.nn.init.zeros_(part.qkv.weight)
            part.table.data.zero_()
            part.table.data[: 7 * 3] = 9.0  # of rows from -3 to 3 those that lie below the one that asks
    below = map_attention(model, make_batch(1), CONTEXT).places[0, 0]
    assert below[[3, 7]].mean() > 2 * below[[0, 4]].mean()


def test_motion_is_the_offset_turned_round() -> None:
    model = make(MotionRNN(hidden=(8, 8), kernel_size=3, trend=False), patch=2)
    for cell in model.network.cells:
        if cell.motion is not None:
            cell.motion.conv_u.bias.data.fill_(50.0)  # the old offset is forgotten
            cell.motion.conv_f.bias.data[:9] = np.arctanh(0.5)  # half a row below
            cell.motion.conv_f.bias.data[9:] = np.arctanh(-0.25)
    fields = map_motion(model, make_batch(1), CONTEXT)
    assert fields.layer.tolist() == [1]
    np.testing.assert_allclose(fields.motion[0, :, 0], 0.25 * 4, atol=1e-9)  # to the right, pixels of 1 / (2 x 2)
    np.testing.assert_allclose(fields.motion[0, :, 1], -0.5 * 4, atol=1e-9)
    assert fields.motion.shape == (1, CONTEXT + HORIZON - 1, 2, SIDE, SIDE)


def test_moments_of_derivatives() -> None:
    model = make(PhyDNet(hidden=(8, 6), shrink=2))
    cell = next(part for part in model.network.modules() if isinstance(part, PhyCell))
    place = np.arange(ORDERS) - ORDERS // 2
    factorial = np.cumprod([1, *range(1, ORDERS)])
    inverse = np.linalg.inv(place[None] ** np.arange(ORDERS)[:, None] / factorial[:, None])
    filters = np.einsum("ia,jb->abij", inverse, inverse).reshape(ORDERS**2, 1, ORDERS, ORDERS)
    cell.derivatives.weight.data.copy_(torch.from_numpy(filters).expand_as(cell.derivatives.weight))
    moments = measure_moments(model)
    np.testing.assert_allclose(moments.mean, np.eye(ORDERS**2), atol=1e-9)
    assert moments.loss < 1e-15
    with torch.no_grad():
        cell.derivatives.weight[3] *= 2
    assert measure_moments(model).mean[3, 3] == pytest.approx(2)


@pytest.mark.parametrize("study", ["attention", "motion"])
def test_networks_that_have_none_are_refused(study: str) -> None:
    measure = {"attention": map_attention, "motion": map_motion}[study]
    with pytest.raises(UsageError, match=f"{study}: got ConvLSTM"):
        measure(make(ConvLSTM(hidden=(2,), kernel_size=3)), make_batch(1), CONTEXT)
    with pytest.raises(UsageError, match="expected a network whose cells take every step"):
        measure(make(SimVP(frames=3, hidden=4, translator_hidden=8, layers=2, blocks=2)), make_batch(1), CONTEXT)
    with pytest.raises(UsageError, match="moments: got ConvLSTM"):
        measure_moments(make(ConvLSTM(hidden=(2,), kernel_size=3)))
    assert study in STUDIES
