"""Devices that are not here: operands agree in their device, nothing is read, gradients lie as their weights do."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.fake_steps import GUARD, SPEC, batch, objective
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from framecast.analysis.trace import Tally
from framecast.devices import move_module, restore_optimizer, to_device
from framecast.evaluation.evaluate import to_unit_range
from framecast.metrics import Scores, select_metrics
from framecast.models import MODELS
from framecast.training.objective import gradient_norm, trainable

pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = Path(__file__).parents[2]
TORCH = Path(torch.__file__).parent


class _NoFloat64(TorchDispatchMode):
    """Refuses what Apple's GPUs do not have."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, Tensor) and value.dtype == torch.float64 and value.device.type != "cpu":
                raise TypeError(f"{func} makes float64 on {value.device}")
        return out


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_stays_on_its_device(name: str) -> None:
    """On "meta", which stands for Apple's GPUs too: torch takes no fake tensors there."""
    with FakeTensorMode(), _NoFloat64():
        trained = objective(name, "meta")
        parameters = trainable(trained)
        trained(*batch("meta"), 1.0).backward()
        reached = [parameter for parameter in parameters if parameter.grad is not None]
        assert reached
        # Fused optimisers refuse a gradient that lies in memory in another order than its weight.
        assert all(p.grad.stride() == p.stride() and p.grad.dtype == p.dtype for p in reached)
        assert gradient_norm(reached).device.type == "meta"
        torch.optim.Adam(parameters).step()


def test_forward_and_fused_optimiser_take_cuda(tmp_path: Path) -> None:
    """In a process of its own: the CUDA that exists in name only would stay for other tests."""
    if (compiler := shutil.which("c++")) is None:
        pytest.skip("no C++ compiler")
    source, library = tmp_path / "guard.cpp", tmp_path / "guard.so"
    source.write_text(GUARD)
    link = [f"-L{TORCH / 'lib'}", "-lc10", "-o", str(library)]
    made = [compiler, "-std=c++20", "-shared", "-fPIC", str(source), f"-I{TORCH / 'include'}", *link]
    subprocess.run(made, check=True)
    words = [sys.executable, "-W", "ignore", "-m", "tests.training.fake_steps", str(library)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(MODELS)


@pytest.mark.parametrize(
    "wait_or_mix",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.tolist(),
        lambda x: x + torch.ones(2),
    ],
    ids=["item", "bool", "nonzero", "boolean index", "tolist", "two devices"],
)
def test_fakes_refuse_what_is_looked_for(wait_or_mix: Callable[[Tensor], Any]) -> None:
    with FakeTensorMode(), pytest.raises(Exception, match=r"aten|same device"):
        wait_or_mix(torch.ones(2, device="meta"))


def test_scores_on_mps_are_summed_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames leave a device without float64 before they become it."""
    moved: list[torch.dtype] = []
    monkeypatch.setattr(Tensor, "cpu", lambda self: moved.append(self.dtype) or torch.rand(self.shape))
    with FakeTensorMode(), _NoFloat64():
        to_unit_range(torch.rand(1, 2, 2, 8, 6, device="mps"), SPEC)
    assert moved == [torch.float32]
    assert Scores(select_metrics(["sse"], spec=SPEC), 2, "mps").sums.device.type == "cpu"


def test_float64_becomes_float32_on_the_way_to_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames, covariates and published weights in float64; numbers of pixels stay what they are."""
    moved: list[tuple[torch.dtype, str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(Tensor, "to", lambda tensor, device: moved.append((tensor.dtype, str(device))) or tensor)
        for dtype in (torch.float64, torch.float32, torch.int64):
            to_device(torch.ones(2, dtype=dtype), "mps")
            to_device(torch.ones(2, dtype=dtype), "cpu")
    single, double, count = torch.float32, torch.float64, torch.int64
    there = [(single, "mps"), (double, "cpu"), (single, "mps"), (single, "cpu"), (count, "mps"), (count, "cpu")]
    assert moved == there
    weights = torch.nn.Linear(2, 2).double()
    assert move_module(weights, "cpu").weight.dtype == torch.float64
    asked: list[tuple[torch.dtype, str]] = []
    weights.to = lambda device: asked.append((weights.weight.dtype, device)) or weights
    move_module(weights, "mps")
    assert asked == [(single, "mps")]


def test_studies_on_mps_add_up_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[torch.dtype] = []
    monkeypatch.setattr(Tensor, "cpu", lambda self: moved.append(self.dtype) or torch.ones(self.shape))
    tally = Tally()
    with FakeTensorMode(), _NoFloat64():
        tally.add(1, "i", 1, torch.rand(3, device="mps"))
    assert moved[0] == torch.float32
    for path in (ROOT / "src/framecast/analysis").glob("*.py"):
        assert ".double()" not in path.read_text(), f"{path}: to_float64 knows the devices that have none"


@pytest.mark.parametrize(("before", "now"), [(False, True), (None, True), (True, False)])
def test_counters_of_adam_are_where_the_present_device_needs_them(before: bool | None, now: bool) -> None:
    """From MPS, whose Adam is not fused, to CUDA, and back; "meta" stands for the device."""
    old = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    old.param_groups[0]["params"][0].grad = torch.ones(2)
    old.step()
    state = old.state_dict()
    state["param_groups"][0]["fused"] = before
    parameter = torch.nn.Parameter(torch.ones(2, device="meta"))
    new = torch.optim.Adam([parameter])
    new.param_groups[0]["fused"] = now
    restore_optimizer(new, state)
    assert new.param_groups[0]["fused"] is now
    assert new.state[parameter]["step"].device.type == ("meta" if now else "cpu")
    assert new.state[parameter]["exp_avg"].device.type == "meta"
    assert state["param_groups"][0]["fused"] is before
