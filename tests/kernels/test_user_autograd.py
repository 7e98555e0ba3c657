"""What a user's own cell, loss or server may do with the fast kernels, beside the direct ones."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from framecast import kernels
from framecast.kernels import buffer_pool
from framecast.kernels.dispatch import rollout_scope
from framecast.kernels.native_library import load_library
from framecast.models import MIM, PredRNN
from framecast.nn.rollout import rollout

pytestmark = pytest.mark.skipif(
    load_library().handle is None, reason=load_library().reason or "the native library is there"
)


@pytest.fixture(autouse=True)
def high() -> Iterator[None]:
    kernels.set_precision("high")
    yield
    torch.set_num_threads(1)


def both(function: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """The same by the direct kernels and by the fast ones."""
    kernels.set_precision("highest")
    direct = function()
    kernels.set_precision("high")
    return function(), direct


def alike(function: Callable[[], Tensor]) -> None:
    fast, direct = both(function)
    assert fast.shape == direct.shape
    assert (fast - direct).norm() <= 1e-4 * direct.norm()


def operands(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    tensors = torch.randn(batch, 16, 9, 8), torch.randn(32, 16, 3, 3) / 12, torch.randn(32)
    x, weight, bias = (tensor.requires_grad_() for tensor in tensors)
    return x, weight, bias


@pytest.mark.parametrize("broken", [False, True])
def test_a_pass_that_does_not_ask_for_the_weight_leaves_nothing(broken: bool) -> None:
    def gradient() -> Tensor:
        x, weight, bias = operands()
        loss = kernels.conv(x, weight, bias).square().sum()
        if broken:
            hook = x.register_hook(lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                loss.backward(retain_graph=True)
            hook.remove()
            weight.grad = None
        else:
            torch.autograd.grad(loss, x, retain_graph=True)
        loss.backward()
        assert weight.grad is not None
        return weight.grad

    alike(gradient)


@pytest.mark.parametrize("name", ["two maps", "two gates"])
def test_parts_of_a_weight_that_meet(name: str) -> None:
    """Several threads must not add to the same rows."""

    def gradient() -> Tensor:
        x, weight, _ = operands(8)
        z = torch.flip(x.detach(), (0,))
        y = kernels.conv(x, weight)
        a, b = (y + kernels.conv(z, weight)).chunk(2, 1) if name == "two maps" else (y.chunk(2, 1)[0],) * 2
        kernels.increment(a, b).square().sum().backward()
        assert weight.grad is not None
        return weight.grad

    torch.set_num_threads(4)
    expected = both(gradient)[1]
    for _ in range(40):
        assert (gradient() - expected).norm() <= 1e-4 * expected.norm()


def test_steps_without_gradients_do_not_freeze_the_weights() -> None:
    net = PredRNN(hidden=(8, 8), kernel_size=3).build(4, 8, 8)
    x = torch.rand(1, 4, 8, 8)
    with rollout_scope():
        with torch.no_grad():
            net(x)
        net(x)[0].sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name


WRONG: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "too many channels": lambda x, w, b: kernels.conv(torch.cat([x, x], 1), w, b),
    "too few channels": lambda x, w, b: kernels.conv(x[:, :8], w, b),
    "another batch": lambda x, w, b: kernels.conv((x[:, :8], x[:1, 8:]), w, b),
    "another size": lambda x, w, b: kernels.conv((x[:, :8], x[:, 8:, :4]), w, b),
    "another dtype": lambda x, w, b: kernels.conv((x[:, :8], x[:, 8:].double()), w, b),
    "a short bias": lambda x, w, b: kernels.conv(x, w, b[:4]),
    "a bias of doubles": lambda x, w, b: kernels.conv(x, w, b.double()),
    "too few channels, single pixels": lambda x, w, b: kernels.conv(x[:, :8], w[..., :1, :1], b),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_an_error(name: str) -> None:
    with pytest.raises((RuntimeError, TypeError)):  # TypeError: the tests check the shapes of signatures
        WRONG[name](*operands()).sum()


@pytest.mark.parametrize("shape", [(1, 16, 9, 8), (1, 16, 1, 1), (2, 1, 9, 8)])
def test_a_memory_is_broadcast(shape: tuple[int, ...]) -> None:
    def update() -> Tensor:
        x, weight, bias = operands()
        i, f = kernels.conv(x, weight, bias).chunk(2, 1)
        return kernels.memory_update(i, f, i, torch.ones(shape))[0]

    alike(update)


def test_nothing_in_nothing_out() -> None:
    _, weight, bias = operands()
    assert kernels.increment(*kernels.conv(torch.zeros(0, 16, 8, 8), weight, bias).chunk(2, 1)).shape == (0, 16, 8, 8)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_the_default_dtype_is_not_ours(kind: torch.dtype) -> None:
    def gradients() -> Tensor:
        x, weight, bias = operands()
        i, f = kernels.conv(x, weight, bias).chunk(2, 1)
        before = torch.get_default_dtype()
        try:
            torch.set_default_dtype(kind)
            kernels.memory_update(i, f, i, x.detach())[0].sum().backward()
        finally:
            torch.set_default_dtype(before)
        assert bias.grad is not None
        assert bias.grad.dtype == torch.float32
        return bias.grad

    alike(gradients)


def test_the_default_device_is_not_ours() -> None:
    def gradient() -> Tensor:
        x, weight, bias = operands()
        with torch.device("meta"):
            kernels.conv(x, weight, bias).sum().backward()
        assert weight.grad is not None
        return weight.grad

    alike(gradient)


def write(y: Tensor) -> Tensor:
    y.add_(1)
    return y * y


def write_a_part(y: Tensor) -> Tensor:
    y[:, :3] = 5
    return y.chunk(2, 1)[0] * 2


def write_out(y: Tensor) -> Tensor:
    with torch.no_grad():
        torch.add(torch.ones_like(y), 1, out=y.detach())
    return y + 1


def hooked(y: Tensor) -> Tensor:
    y.register_hook(lambda gradient: 3 * gradient)
    return y.square()


USES = {"write": write, "write a part": write_a_part, "write out": write_out, "hook": hooked}


@pytest.mark.parametrize("name", USES)
def test_what_is_done_to_a_convolution_is_not_lost(name: str) -> None:
    def use() -> Tensor:
        x, weight, bias = operands()
        y = USES[name](kernels.conv(x, weight, bias))
        y.sum().backward()
        assert x.grad is not None
        return torch.stack([y.mean(), x.grad.mean()])

    alike(use)


def test_a_map_that_changes_before_its_convolution_is_noticed() -> None:
    _, weight, bias = operands()
    x = torch.ones(2, 16, 9, 8)
    y = kernels.conv(x, weight, bias)
    x.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum()


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, y: Tensor) -> Tensor:
        return 2 * y

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


def test_an_autograd_function_does_not_cut_gradients_unseen() -> None:
    x, weight, bias = operands()
    with pytest.raises(RuntimeError, match=r"kernels\.materialize"):
        Doubled.apply(kernels.conv(x, weight, bias)).sum().backward()
    Doubled.apply(kernels.materialize(kernels.conv(x, weight, bias))).sum().backward()
    assert weight.grad is not None


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_hooks_of_modules() -> None:
    net = PredRNN(hidden=(8,), kernel_size=3).build(4, 8, 8)
    seen = []
    for module in net.modules():
        module.register_full_backward_hook(lambda module, *_: seen.append(module))
    net(torch.rand(1, 4, 8, 8))[0].sum().backward()
    assert {type(module).__name__ for module in seen} >= {"GateConv", "STLSTMCell"}


def test_outputs_can_be_changed_in_place() -> None:
    def gradient() -> Tensor:
        x, weight, bias = operands()
        h = kernels.increment(*kernels.conv(x, weight, bias).chunk(2, 1))
        h.mul_(2)
        torch.nn.functional.relu_(h)
        h.sum().backward()
        assert x.grad is not None
        return x.grad

    alike(gradient)


COMPILED = """
import torch
from framecast.models import PredRNN
from framecast.nn.rollout import rollout
net, frames = PredRNN(hidden=(8, 8), kernel_size=3).build(4, 8, 8), torch.rand(2, 3, 4, 8, 8)
with torch.set_grad_enabled({grad}):
    step = torch.compile(net, backend="eager", fullgraph=True)
    again = step(frames[:, 1], step(frames[:, 0])[1])[0]
    torch.testing.assert_close(again, net(frames[:, 1], net(frames[:, 0])[1])[0])
    whole = torch.compile(lambda given: rollout(net, given, 5).frames, backend="eager")(frames)
    torch.testing.assert_close(whole, rollout(net, frames, 5).frames)
    if {grad}:
        (again.sum() + whole.sum()).backward()
        assert all(weight.grad is not None for weight in net.parameters())
"""


@pytest.mark.parametrize("grad", [False, True])
def test_compiled(grad: bool) -> None:
    """In a process of its own: torch cannot compile the checks of signatures that the tests bring."""
    words = [sys.executable, "-W", "ignore", "-c", COMPILED.format(grad=grad)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore")
def test_transformed() -> None:
    x, weight, bias = (tensor.detach() for tensor in operands())

    def loss(x: Tensor) -> Tensor:
        return kernels.increment(*kernels.conv(x, weight, bias).chunk(2, 1)).sum()

    alike(lambda: torch.func.grad(loss)(x))
    alike(lambda: torch.func.vmap(loss)(x[:, None]))
    alike(lambda: torch.func.jvp(loss, (x,), (torch.ones_like(x),))[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_does_not_write_into_its_parent() -> None:
    h = kernels.increment(*kernels.conv(*operands()).chunk(2, 1))
    before = h.detach().clone()
    child = os.fork()
    if child == 0:
        try:
            with torch.no_grad():
                h.zero_()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert torch.equal(h, before)


ENDING_THREADS = """
import ctypes, os, threading, time, torch
from framecast import kernels
from framecast.kernels.native_library import load_library

kernels.set_precision("high")
x, weight, bias = torch.randn(16, 16, 54, 48), torch.randn(32, 16, 3, 3) / 12, torch.randn(32)
held = []

def work():
    with torch.no_grad():
        kernels.conv(x, weight, bias).sum()
    held.append(load_library().handle.fc_held())

def resident():
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # what was freed is no scratch
        libc.malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

sizes = []
for _ in range(100):
    before = len(os.listdir("/proc/self/task"))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    end = time.monotonic() + 20
    while len(os.listdir("/proc/self/task")) > before and time.monotonic() < end:
        time.sleep(0.002)  # those that OpenMP gave the thread end after it
    sizes.append(resident())
print(sizes[-1] - sizes[19], held[-1])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")
def test_threads_that_end_leave_no_scratch() -> None:
    """In a process of its own, as other tests leave memory that grows and shrinks by itself."""
    one = {**os.environ, "OMP_NUM_THREADS": "1"}  # a team of OpenMP's for each thread has memory of its own
    done = subprocess.run([sys.executable, "-c", ENDING_THREADS], env=one, capture_output=True, text=True, check=True)
    grown, held = map(int, done.stdout.split())
    assert held > 1e6
    assert grown < 4 * held  # 80 threads ended since


def test_memory_of_a_training_goes_back_before_a_forecast() -> None:
    net = PredRNN(hidden=(8,), kernel_size=3).build(4, 8, 8)
    frames = torch.rand(2, 3, 4, 8, 8)
    rollout(net, frames, 4).frames.sum().backward()
    assert any(buffer_pool._idle.values())
    with torch.inference_mode():
        rollout(net, frames, 4)
    assert not any(buffer_pool._idle.values())


def test_without_more_blocks_there_is_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **named: object) -> None:
        raise OSError("Cannot allocate memory")

    buffer_pool.release()
    monkeypatch.setattr(buffer_pool.mmap, "mmap", refused)
    alike(lambda: kernels.increment(*kernels.conv(*operands()).chunk(2, 1)).detach())


def test_a_step_of_mim_computes_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upper block: memory updates of n, s and m, output updates of d, tau and h, one increment."""
    from framecast.kernels import winograd

    net = MIM(hidden=(8, 8), kernel_size=3).build(4, 8, 8)
    kinds = []
    run = winograd._call_library
    monkeypatch.setattr(winograd, "_call_library", lambda name, op: (kinds.append(op.kind), run(name, op))[1])
    with torch.no_grad():
        net(torch.rand(1, 4, 8, 8))
    assert kinds.count(winograd.SUM) == 0
    assert kinds.count(winograd.INCREMENT) == 1
    assert kinds.count(winograd.MEMORY) == 2 + 3
