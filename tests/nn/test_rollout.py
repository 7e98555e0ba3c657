"""The time loop: noise, sizes of levels, and what it refuses."""

from fractions import Fraction

import pytest
import torch
from tests.contract.examples import Level, Levels, PlainCell, TwoPhases, with_noise
from tests.contract.networks import frames_of, network

from framecast.errors import InputError
from framecast.nn import Network, pixel_head, rollout
from framecast.nn.network import stack_levels, stack_stride
from framecast.nn.norm import PositionNorm
from framecast.nn.rollout import draw_noise

LIKE = torch.zeros((), dtype=torch.float64)


def test_noise_is_a_function_of_seed_lead_time_and_member() -> None:
    noise = draw_noise((2, 3), [(1,), (2,), (1,)], range(4), 5, LIKE)
    assert noise.shape == (3, 5, 4, 2, 3)
    assert torch.equal(noise[0], noise[2])
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(noise[:2, :3, 1:3], draw_noise((2, 3), [(1,), (2,)], range(1, 3), 3, LIKE))
    assert len(noise[:2].flatten().unique()) == noise[:2].numel()
    assert draw_noise((2,), [(1,)], range(1), 1, LIKE.float()).dtype == torch.float32
    many = draw_noise((100, 100), [(3,)], range(1), 1, LIKE)
    assert abs(many.mean()) < 0.05
    assert abs(many.std() - 1) < 0.05


def test_every_level_has_its_size() -> None:
    net = Levels().build(3, 8, 12)
    state = net.init_state(torch.zeros(2, 3, 8, 12))
    assert [tuple(cell.h.shape) for cell in state.cells] == [(2, 4, 8, 12), (2, 16, 4, 6)]
    assert net.stride == 4


def test_a_stride_fits_all_levels_and_windows() -> None:
    def cells(*pairs: tuple[float, int]) -> list[Level]:
        return [Level(PlainCell(1, 1), scale, window) for scale, window in pairs]

    assert stack_levels(cells((0.5, 1), (2, 1), (2, 1))) == [1, Fraction(1, 2), 1, 2]
    assert stack_stride(cells((1, 1))) == 1
    assert stack_stride(cells((0.5, 1), (0.5, 1))) == 4
    assert stack_stride(cells((0.5, 4), (2, 3))) == 12
    assert stack_stride(cells((2, 1), (0.5, 4))) == 2


def test_the_penalties_of_all_cells_add_up() -> None:
    net = network("wrapped")
    inner = [net.cells[0].cell, net.cells[1]]
    assert torch.equal(net.penalty(), inner[0].penalty() + inner[1].penalty())
    assert Network([PlainCell(1, 4)], pixel_head(4, 1)).penalty() is None


def test_layer_norm_by_position() -> None:
    norm, x = PositionNorm(5).double(), torch.rand(2, 5, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(5))
        norm.bias.copy_(torch.rand(5))
    centred = x - x.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_what_a_rollout_refuses() -> None:
    net, x = network("two_phases"), frames_of("two_phases")
    with pytest.raises(
        InputError, match=r"known: got some, expected none: EncoderForecaster is fed observed frames alone"
    ):
        rollout(net, x, 4, torch.ones(3, 4, dtype=torch.bool))
    with pytest.raises(InputError, match=r"extra: got \(3, 3\), expected \(3, 4\)"):
        rollout(net, x, 4, extra=torch.zeros(3, 3, 1, 8, 12, dtype=torch.float64))
    with pytest.raises(InputError, match=r"4 frames, 3 steps, expected steps for all frames"):
        rollout(net, x, 3)
    with pytest.raises(InputError, match=r"0 frames, 3 steps"):
        rollout(net, x[:, :0], 3)
    drive = with_noise(TwoPhases(noise=True).build(3, 8, 12), x, 5)["drive"]
    with pytest.raises(InputError, match=r"drive: got noise, expected none"):
        rollout(net, x, 5, drive=drive)
    with pytest.raises(InputError, match=r"drive: got shape .*, expected \(3, 2, 3, 48, 2, 3\)"):
        rollout(network("two_phases/noise"), x, 6, drive=drive)
