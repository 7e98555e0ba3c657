"""Checks (e), (f), (g), (h), (i), (j), (k), (n) of the specification; the others are contracts or golden values."""

import pytest
import torch

from framecast.models import LSTM, MIM, MODELS, ConvLSTM, MemoryFlow, PredRNN, PredRNNPP, PredRNNV2
from framecast.models.lstm import LSTMCell
from framecast.models.predrnn_pp import GradientHighway, HighwayState
from framecast.models.predrnn_v2 import measure_alignment
from framecast.nn.rollout import rollout


def frames(channels: int = 2, size: int = 6, time: int = 5) -> torch.Tensor:
    return torch.rand(2, time, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


FULL = (128,) * 4
LIVE_COUNTS = [
    (ConvLSTM(hidden=FULL, bias=False), 16, 16, 11_675_648),
    (ConvLSTM(hidden=FULL, peephole="channel"), 16, 16, 11_679_232),
    (MemoryFlow(hidden=FULL), 16, 16, 11_677_696),
    (PredRNN(hidden=FULL), 16, 16, 23_838_720),
    (PredRNN(hidden=FULL, layer_norm="chw"), 16, 16, 27_770_880),
    (PredRNNV2(hidden=FULL), 16, 16, 23_855_104),
    (PredRNNV2(hidden=FULL, layer_norm="chw"), 16, 16, 27_787_264),
    (PredRNNPP(hidden=FULL, bias=False), 16, 16, 35_307_520),
    (PredRNNPP(hidden=FULL), 16, 16, 35_319_824),
    (PredRNNPP(hidden=FULL, layer_norm="channel_affine"), 16, 16, 35_343_376),
    (PredRNNPP(hidden=(128, 64, 64, 64)), 16, 16, 15_375_056),
    (PredRNNPP(hidden=(128, 64, 64, 64), layer_norm="channel_affine"), 16, 16, 15_390_160),
    (MIM(hidden=FULL, variant="openstl"), 16, 16, 37_945_344),
    (MIM(hidden=FULL), 16, 16, 37_394_576),
    (MIM(hidden=FULL, layer_norm="channel_affine"), 16, 16, 37_418_384),
    (MIM(hidden=(64,) * 4), 16, 16, 9_550_928),
    (MIM(hidden=(64,) * 4, layer_norm="channel_affine"), 16, 16, 9_562_832),
    (PredRNN(hidden=FULL), 8, 16, 23_658_496),
]


@pytest.mark.parametrize(("config", "channels", "size", "count"), LIVE_COUNTS)
def test_h_parameter_counts(config, channels, size, count) -> None:
    with torch.device("meta"):
        network = config.build(channels, size, size)
    assert sum(p.numel() for p in network.parameters()) == count


def test_e_state_shapes() -> None:
    network = PredRNNPP(hidden=(6, 4, 5), kernel_size=3).build(2, 6, 7)
    state = network.init_state(torch.zeros(3, 2, 6, 7))
    shapes = [tuple(value.shape) for cell in state.cells for value in cell]
    assert shapes == [(3, 6, 6, 7)] * 2 + [(3, 6, 6, 7)] + [(3, 4, 6, 7)] * 2 + [(3, 5, 6, 7)] * 2
    assert [tuple(m.shape) for m in state.memory] == [(3, 5, 6, 7)]
    assert all(not value.any() for cell in state.cells for value in cell)


def test_f_predrnn_v2_without_decoupling_is_predrnn() -> None:
    plain, decoupled = PredRNN(hidden=(4, 4)).build(2, 6, 6).double(), PredRNNV2(hidden=(4, 4)).build(2, 6, 6).double()
    plain.load_state_dict({k: v for k, v in decoupled.state_dict().items() if not k.startswith("regularizer")})
    assert torch.equal(rollout(plain, frames(), 7).frames, rollout(decoupled, frames(), 7).frames)


def test_g_all_true_is_teacher_forcing() -> None:
    network = PredRNN(hidden=(4, 4)).build(2, 6, 6).double()
    known = torch.ones(2, 4, dtype=torch.bool)
    assert torch.equal(rollout(network, frames(), 4, known).frames, rollout(network, frames(), 4).frames)


def test_i_closed_highway_keeps_z() -> None:
    unit = GradientHighway(3, 3).double()
    with torch.no_grad():
        unit.conv_x.bias[3:] = -50
    z, x = torch.rand(2, 3, 4, 4, dtype=torch.float64), torch.rand(2, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(unit(x, (), HighwayState(z)).out, z, rtol=0, atol=1e-15)


@pytest.mark.parametrize("peephole", ["channel", "full"])
def test_j_zero_peepholes_are_the_plain_network(peephole: str) -> None:
    plain = ConvLSTM(hidden=(4, 4), kernel_size=3).build(2, 6, 6).double()
    peeping = ConvLSTM(hidden=(4, 4), kernel_size=3, peephole=peephole).build(2, 6, 6).double()
    peeping.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(rollout(peeping, frames(), 6).frames, rollout(plain, frames(), 6).frames)


def _as_torch_lstm(cells, hidden: int, inputs: int) -> torch.nn.LSTM:
    reference = torch.nn.LSTM(inputs, hidden, num_layers=len(cells), batch_first=True).double()
    for layer, cell in enumerate(cells):
        for theirs, ours in (("weight_ih", cell.conv_x.weight), ("weight_hh", cell.conv_h.weight)):
            getattr(reference, f"{theirs}_l{layer}").data = ours.data[:, :, 0, 0].clone()
        getattr(reference, f"bias_ih_l{layer}").data = cell.conv_x.bias.data.clone()
        getattr(reference, f"bias_hh_l{layer}").data.zero_()
    return reference


def test_k_1x1_convlstm_on_one_pixel_is_torch_lstm() -> None:
    network = ConvLSTM(hidden=(5, 5), kernel_size=1).build(3, 1, 1).double()
    x = frames(channels=3, size=1)
    hidden, _ = _as_torch_lstm(network.cells, 5, 3)(x[:, :, :, 0, 0])
    expected = torch.nn.functional.linear(hidden, network.head.weight[:, :, 0, 0])
    torch.testing.assert_close(rollout(network, x, 5).frames[:, :, :, 0, 0], expected, rtol=1e-12, atol=1e-14)


def test_k_lstm_is_torch_lstm() -> None:
    network = LSTM(hidden=(5, 5)).build(2, 3, 3).double()
    assert isinstance(network.cells[0], LSTMCell)
    x = frames(size=3)
    hidden, _ = _as_torch_lstm(network.cells, 5, 18)(x.flatten(2))
    expected = torch.nn.functional.linear(hidden, network.head.conv.weight[:, :, 0, 0], network.head.conv.bias)
    torch.testing.assert_close(rollout(network, x, 5).frames.flatten(2), expected, rtol=1e-12, atol=1e-14)


def test_n_mim_n_is_not_trained_by_the_first_frame() -> None:
    network = MIM(hidden=(4, 4, 4), kernel_size=3).build(2, 6, 6).double()
    rollout(network, frames(time=2), 1).frames.square().sum().backward()
    for name, parameter in network.named_parameters():
        if ".mim_n." in name:
            assert parameter.grad is None or not parameter.grad.any(), name
    rollout(network, frames(time=3), 2).frames.square().sum().backward()
    assert any(parameter.grad.any() for name, parameter in network.named_parameters() if ".mim_n." in name)


def test_decoupling_of_orthogonal_and_parallel_memories() -> None:
    u = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    assert measure_alignment(u, -2 * u).item() == pytest.approx(1)
    left, right = torch.zeros_like(u), torch.zeros_like(u)
    left[..., :2], right[..., 2:] = 1, 1
    assert measure_alignment(left, right).item() == 0


@pytest.mark.parametrize("name", ["memory_flow", "predrnn", "predrnn_v2", "mim"])
def test_unequal_widths_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="equal numbers"):
        MODELS[name](hidden=(4, 5))


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        ConvLSTM(kernel_size=4)


def test_neighbours_must_agree_about_the_memory() -> None:
    from framecast.models.memory_flow import MemoryFlowCell
    from framecast.models.predrnn import STLSTMCell
    from framecast.nn.network import Network, pixel_head

    for cells in ([STLSTMCell(2, 4, 3), STLSTMCell(4, 5, 3)], [STLSTMCell(2, 4, 3), MemoryFlowCell(None, 4, 3)], []):
        with pytest.raises(ValueError, match=r"memory between|at least one cell"):
            Network(cells, pixel_head(4, 2))
