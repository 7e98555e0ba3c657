"""Deferred weight gradients are those of the direct path: every network, and every way to run autograd."""

import gc
import weakref

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from framecast import kernels
from framecast.kernels import deferred_wgrad
from framecast.kernels.deferred_wgrad import Deferred
from framecast.models import MIM, ConvLSTM, MemoryFlow, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
from framecast.nn.network import Network
from framecast.nn.rollout import rollout

HIDDEN = (4, 4)
NETWORKS: dict[str, ModelConfig] = {
    "convlstm": ConvLSTM(hidden=HIDDEN, kernel_size=3, peephole="full"),
    "memory_flow": MemoryFlow(hidden=HIDDEN, kernel_size=3),
    "predrnn": PredRNN(hidden=HIDDEN, kernel_size=5, layer_norm="channel_affine"),
    "predrnn_v2": PredRNNV2(hidden=HIDDEN, kernel_size=3),
    "predrnn_pp": PredRNNPP(hidden=HIDDEN, kernel_size=3),
    "mim": MIM(hidden=HIDDEN, kernel_size=3),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(autouse=True)
def _back_to_ours():
    yield
    kernels.set_backend(None)


def network(name: str, dtype: torch.dtype = torch.float64) -> Network:
    torch.manual_seed(1)
    return NETWORKS[name].build(2, 6, 7).to(dtype)


def gradients(net: Network, backend: kernels.Backend | None, dtype=torch.float64) -> list[torch.Tensor]:
    """Frames, loss, and gradients of all parameters and of the input frames, in float64."""
    kernels.set_backend(backend)
    generator = torch.Generator().manual_seed(3)
    frames = torch.rand(2, 4, 2, 6, 7, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    known = torch.tensor([[True, True, False, True], [True, False, True, True]])
    result = rollout(net, frames, 4, known, aux=True)
    loss = result.frames.square().sum()
    if net.regularizer is not None:
        loss = loss + net.regularizer(result.aux)
    found = torch.autograd.grad(loss, [frames, *net.parameters()])
    return [value.detach().double() for value in (result.frames, loss, *found)]


def assert_close(got: list[torch.Tensor], expected: list[torch.Tensor], tolerance: float) -> None:
    for one, other in zip(got, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max().clamp_min(1e-3)


@every_network
@pytest.mark.parametrize("backend", [Deferred(), Deferred(limit=1), Deferred(limit=9000), Deferred(channels_last=True)])
def test_equals_direct(name: str, backend: Deferred) -> None:
    assert_close(gradients(network(name), backend), gradients(network(name), None), 1e-12)


@every_network
def test_equals_direct_in_float32(name: str) -> None:
    net = network(name, torch.float32)
    exact = gradients(network(name), None)
    assert_close(gradients(net, Deferred(), torch.float32), exact, 2e-5)


@every_network
def test_autocast_gives_the_values_of_direct(name: str) -> None:
    """Frames to the bit; gradients nearer to the truth than those of torch, which sums them in bf16."""
    net = network(name, torch.float32)
    exact = gradients(network(name), None)
    with torch.autocast("cpu", torch.bfloat16):
        direct = gradients(net, None, torch.float32)
        ours = gradients(net, Deferred(), torch.float32)
    assert torch.equal(direct[0], ours[0])
    assert torch.equal(direct[1], ours[1])

    def error(found: list[torch.Tensor]) -> float:
        return sum(float((a - b).norm() / b.norm()) for a, b in zip(found[2:], exact[2:], strict=True))

    assert error(ours) <= 1.05 * error(direct)


def weights_and_input() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(3, 3, 3, 3), torch.randn(3), torch.randn(2, 3, 5, 4)
    return tuple(value.double().requires_grad_() for value in (weight, bias, x))  # type: ignore[return-value]


def five_uses(weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    with kernels.rollout_scope():
        for _ in range(5):
            x = kernels.conv(torch.tanh(x), weight, bias)
    return x.square().sum()


def test_the_weight_gradient_is_one_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = deferred_wgrad._gradients
    monkeypatch.setattr(deferred_wgrad, "_gradients", lambda dy, x, w, of: (asked.append(of), real(dy, x, w, of))[1])
    weight, bias, x = weights_and_input()
    for limit, expected in ((10**9, 1), (1, 5), (2 * 8 * 2 * 3 * 20 + 1, 3)):
        kernels.set_backend(Deferred(limit=limit))
        asked.clear()
        five_uses(weight, bias, x).backward()
        assert (asked.count("weight"), asked.count("x")) == (expected, 5), limit


def test_two_biases_and_none_share_a_weight() -> None:
    weight, bias, x = weights_and_input()
    other = (2 * bias).detach().requires_grad_()

    def loss() -> torch.Tensor:
        with kernels.rollout_scope():
            a = kernels.conv(x, weight, bias)
            b = kernels.conv(a, weight, other)
            small = kernels.conv(b[..., 1:, :], weight)  # a map of another size
            return (a * b).sum() + small.square().sum()

    expected = torch.autograd.grad(loss(), [weight, bias, other, x])
    kernels.set_backend(Deferred())
    for got, right in zip(torch.autograd.grad(loss(), [weight, bias, other, x]), expected, strict=True):
        torch.testing.assert_close(got, right, rtol=1e-12, atol=1e-12)


def test_backward_passes_do_not_mix() -> None:
    """Twice over one graph, one for the input only between, a part of the graph, frozen weights."""
    weight, bias, x = weights_and_input()
    kernels.set_backend(Deferred())
    loss = five_uses(weight, bias, x)
    first = torch.autograd.grad(loss, [weight, bias], retain_graph=True)
    torch.autograd.grad(loss, x, retain_graph=True)
    second = torch.autograd.grad(3 * loss, [weight, bias], retain_graph=True)
    (only_bias,) = torch.autograd.grad(loss, bias)
    torch.testing.assert_close([3 * g for g in first], list(second), rtol=1e-12, atol=1e-12)
    assert torch.equal(only_bias, first[1])
    kernels.set_backend(None)
    direct = torch.autograd.grad(five_uses(weight, bias, x), [weight, bias, x])
    kernels.set_backend(Deferred())
    torch.testing.assert_close(list(first), list(direct[:2]), rtol=1e-12, atol=1e-12)
    (frozen,) = torch.autograd.grad(five_uses(weight.detach(), bias.detach(), x), x)
    torch.testing.assert_close(frozen, direct[2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(reentrant: bool) -> None:
    weight, bias, x = weights_and_input()
    kernels.set_backend(Deferred())

    def step(value: torch.Tensor) -> torch.Tensor:
        return torch.tanh(kernels.conv(value, weight, bias))

    def loss(again: bool) -> torch.Tensor:
        value = x
        with kernels.rollout_scope():
            for _ in range(3):
                value = checkpoint(step, value, use_reentrant=reentrant) if again else step(value)
        return value.square().sum()

    found = []
    for again in (False, True):
        for tensor in (weight, bias, x):
            tensor.grad = None
        loss(again).backward()
        found.append([tensor.grad for tensor in (weight, bias, x)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_nothing_is_kept_when_the_graph_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref] = []

    class Uses(deferred_wgrad._Uses):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            made.append(weakref.ref(self))

    monkeypatch.setattr(deferred_wgrad, "_Uses", Uses)
    weight, bias, x = weights_and_input()
    kernels.set_backend(Deferred())
    loss = five_uses(weight, bias, x)
    torch.autograd.grad(loss, x, retain_graph=True)
    assert [uses().accounts for uses in made] == [{}]  # nobody would collect pairs
    gc.disable()  # reference counts alone must do it: no cycle
    try:
        assert made[0]() is not None
        del loss
        assert [uses() for uses in made] == [None]
    finally:
        gc.enable()


def test_an_in_place_change_of_a_weight_is_noticed() -> None:
    weight, bias, x = weights_and_input()
    kernels.set_backend(Deferred())
    loss = five_uses(weight, bias, x)
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_tracing_and_transforms_go_to_direct() -> None:
    weight, _, x = weights_and_input()
    kernels.set_backend(Deferred())
    per_row = torch.func.vmap(lambda row: kernels.conv(row[None], weight)[0])(x)
    torch.testing.assert_close(per_row, kernels.conv(x, weight))

    class One(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return kernels.conv(x, weight.detach())

    exported = torch.export.export(One(), (x.detach(),))
    assert any("conv2d" in str(node.target) for node in exported.graph.nodes)
    assert not Deferred().takes(torch.ones(1, dtype=torch.int64), None)


def test_inference_keeps_no_tape() -> None:
    weight, bias, x = weights_and_input()
    kernels.set_backend(Deferred())
    with torch.inference_mode():
        got = kernels.conv(x, weight, bias)
    torch.testing.assert_close(got, torch.nn.functional.conv2d(x, weight, bias, padding=1).detach())
    assert not got.requires_grad
