"""What the fast back end's conv returns behaves like the tensor that it stands for."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framecast import kernels
from framecast.kernels.lazy_conv import LazyConv
from framecast.kernels.native_library import load_library
from framecast.kernels.prepared_weights import WeightStore

pytestmark = pytest.mark.skipif(
    load_library().handle is None, reason=load_library().reason or "the native library is there"
)


@pytest.fixture(autouse=True)
def high() -> Iterator[None]:
    kernels.set_precision("high")
    yield
    kernels.set_precision("auto")


def operands(batch: int = 2, channels: int = 5, outputs: int = 12, taps: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(batch + channels + outputs + taps)
    x = torch.randn(batch, channels, 7, 6, requires_grad=True)
    return x, torch.randn(outputs, channels, taps, taps, requires_grad=True), torch.randn(outputs, requires_grad=True)


def direct(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.nn.functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "chunk": lambda y: y.chunk(3, 1)[1],
    "torch.chunk": lambda y: torch.chunk(y, 4, dim=1)[2],
    "uneven chunk": lambda y: y.chunk(5, 1)[3],
    "chunk of another axis": lambda y: y.chunk(2, 0)[1],
    "chunk of chunk": lambda y: y.chunk(2, 1)[1].chunk(3, 1)[1],
    "slice": lambda y: y[:, 2:5, 1:],
    "split": lambda y: y.split(4, 1)[2],
    "sum with itself": lambda y: y + y * 2,
    "sum with a number": lambda y: 1 + y,
    "sum with a row": lambda y: y + torch.ones(6),
    "sum with a map": lambda y: torch.ones(2, 12, 7, 6) + y,
    "sum with alpha": lambda y: torch.add(y, y, alpha=3),
    "difference": lambda y: 2 - y,
    "activation": torch.sigmoid,
    "method": lambda y: y.tanh().mean((2, 3)),
    "cat": lambda y: torch.cat([y, torch.zeros(2, 1, 7, 6)], 1),
    "stack of chunks": lambda y: torch.stack(y.chunk(3, 1)),
    "norm": lambda y: torch.nn.functional.layer_norm(y, (12, 7, 6)),
    "identity": torch.nn.Identity(),
    "numpy": lambda y: torch.from_numpy(y.detach().numpy()),
    "conv": lambda y: kernels.conv(y, torch.ones(3, 12, 3, 3)),
    "double": lambda y: y.double() + y,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_a_convolution(name: str) -> None:
    x, weight, bias = operands()
    function = FUNCTIONS[name]
    expected = function(direct(x, weight, bias))
    got = function(kernels.conv(x, weight, bias))
    torch.testing.assert_close(got.mul(1), expected, rtol=1e-4, atol=1e-4)


def test_gradients_go_through_any_function() -> None:
    x, weight, bias = operands()

    def gradients(conv: Callable[[Tensor, Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        y = conv(x, weight, bias)
        first, second = y.chunk(2, 1)
        return torch.autograd.grad(y[:, :3].square().sum() + (first + second).sin().sum(), (x, weight, bias))

    for got, expected in zip(gradients(kernels.conv), gradients(direct), strict=True):
        torch.testing.assert_close(got, expected, rtol=5e-4, atol=5e-4)


@settings(max_examples=40)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 35),
    hidden=st.integers(1, 20),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    taps=st.sampled_from([3, 5]),
    biased=st.booleans(),
)
def test_any_shape(batch: int, channels: int, hidden: int, height: int, width: int, taps: int, biased: bool) -> None:
    """Two sources, three gates, a peephole: an update and all its gradients."""
    torch.manual_seed(0)
    shape = (batch, hidden, height, width)
    x, h, c = torch.randn(batch, channels, height, width), torch.randn(shape), torch.randn(shape)
    wx, wh = torch.randn(3 * hidden, channels, taps, taps) / 10, torch.randn(4 * hidden, hidden, taps, taps) / 10
    inputs = [t.requires_grad_() for t in (x, h, c, wx, wh, torch.randn(3 * hidden), torch.randn(hidden, 1, 1))]

    def update(precision: str, dtype: torch.dtype) -> list[Tensor]:
        kernels.set_precision(precision)
        x, h, c, wx, wh, bias, peephole = (t.detach().to(dtype).requires_grad_() for t in inputs)
        i, f, g = kernels.conv(x, wx, bias if biased else None).chunk(3, 1)
        ih, _, gh, fh = kernels.conv(h, wh).chunk(4, 1)
        out, delta = kernels.memory_update(i + ih + peephole * c, f + fh, gh + g, c, 1.0)
        (out * out).sum().backward(retain_graph=False)
        leaves = (x, h, c, wx, wh, bias, peephole)
        return [out.detach(), delta.detach(), *(t.grad for t in leaves if t.grad is not None)]

    for got, expected in zip(update("high", torch.float32), update("highest", torch.float64), strict=True):
        # Gradients of weights are sums over all pixels, as wrong as their largest element asks for: 2.3e-5 of it at
        # most in 150 shapes (direct kernels in float32: 2e-6), while an element near zero may stand beside one of 30.
        atol = max(3e-4, 4e-5 * expected.abs().max().item())
        torch.testing.assert_close(got.double(), expected, rtol=3e-4, atol=atol)


@pytest.mark.parametrize("value", [0.0, 1e-6, -1e-4, 0.3, -5.0, 20.0, -200.0, 3e38, float("inf"), float("-inf")])
def test_activations_at_the_ends(value: float) -> None:
    """A 3 x 3 kernel of zeros and a bias: the gates get exactly the value."""
    x, weight = torch.zeros(1, 1, 4, 4), torch.zeros(2, 1, 3, 3)
    out = kernels.increment(*kernels.conv(x, weight, torch.tensor([value, value])).chunk(2, 1))
    exact = torch.tensor(value, dtype=torch.float64)
    expected = torch.sigmoid(exact) * torch.tanh(exact)
    torch.testing.assert_close(out[0, 0, 0, 0].double(), expected, rtol=1e-6, atol=1e-30)


def test_nan_stays() -> None:
    x, weight = torch.zeros(1, 1, 4, 4), torch.zeros(2, 1, 3, 3)
    bias = torch.tensor([float("nan"), 1.0])
    assert kernels.increment(*kernels.conv(x, weight, bias).chunk(2, 1)).isnan().all()


def test_a_changed_weight_is_noticed() -> None:
    x, weight, _ = operands()
    y = kernels.conv(x, weight).sum()
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_second_derivative_is_refused() -> None:
    """Also where the incoming gradient is a constant, and torch alone would let zeros through."""
    x, weight, _ = operands()
    for loss in (kernels.conv(x, weight).sum(), kernels.conv(x, weight).square().sum()):
        with pytest.raises(RuntimeError, match="second derivatives: got create_graph"):
            torch.autograd.grad(loss, x, create_graph=True)


def test_backward_twice_gives_the_same() -> None:
    x, weight, _ = operands()
    loss = kernels.conv(x, weight).square().sum()
    loss.backward(retain_graph=True)
    first = weight.grad.clone()
    loss.backward()
    torch.testing.assert_close(weight.grad, 2 * first)


def test_frozen_weights_cost_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, _ = operands()
    kernels.conv(x.detach(), weight).square().sum().backward()
    assert weight.grad is not None
    weight.requires_grad_(False)
    monkeypatch.setattr(WeightStore, "sum", lambda self: pytest.fail("a gradient of a frozen weight"))
    kernels.conv(x, weight).square().sum().backward()
    assert x.grad is not None


def test_scratch_is_bounded() -> None:
    """Four times the pixels need no more of it: the work goes through chunks of tiles."""
    handle = load_library().handle
    assert handle is not None
    weight = torch.zeros(64, 16, 5, 5)
    kernels.conv(torch.zeros(4, 16, 32, 32), weight).sum()
    held = handle.fc_held()
    kernels.conv(torch.zeros(16, 16, 32, 32), weight).sum()
    kernels.conv(torch.zeros(4, 16, 64, 64), weight).sum()
    assert handle.fc_held() <= 1.6 * held


def test_notes_say_what_they_are() -> None:
    x, weight, _ = operands()
    y = kernels.conv(x, weight)
    assert isinstance(y, LazyConv)
    assert (y.shape, y.dtype, y.device, y.ndim, y.size(1)) == (torch.Size([2, 12, 7, 6]), x.dtype, x.device, 4, 12)
    assert y.requires_grad
