"""The written-out gradients of the gates are autograd's; compiled or not."""

import subprocess
import sys

import pytest
import torch

from framecast.kernels import fused_gates
from framecast.kernels.deferred_wgrad import Deferred
from framecast.kernels.reference import Direct

CASES = {
    "memory": (4, lambda b, i, f, g, m: b.memory_update(i, f, g, m, 1.0)),
    "memory, increment unused": (4, lambda b, i, f, g, m: b.memory_update(i, f, g, m, 0.0)[:1]),
    "memory, increment only": (4, lambda b, i, f, g, m: b.memory_update(i, f, g, m, 0.5)[1:]),
    "output": (2, lambda b, o, m: (b.output_update(o, m, "sigmoid"),)),
    "output, tanh": (2, lambda b, o, m: (b.output_update(o, m, "tanh"),)),
    "increment": (2, lambda b, i, g: (b.increment(i, g),)),
    "highway": (3, lambda b, p, u, z: (b.highway_update(p, u, z),)),
}


def gates(case: str, dtypes: tuple[torch.dtype, torch.dtype], fuse: bool) -> list[torch.Tensor]:
    count, call = CASES[case]
    generator = torch.Generator().manual_seed(5)
    sums = torch.randn(2, count * 3, 4, 5, generator=generator, dtype=torch.float64)
    inputs = [part.to(dtypes[n == count - 1]).detach().requires_grad_() for n, part in enumerate(sums.chunk(count, 1))]
    if fuse:
        with fused_gates.fusing():
            outputs = call(Deferred(), *inputs)
    else:
        outputs = call(Direct(), *inputs)
    loss = sum(
        (n + 1) * (value.float() if value.dtype != torch.float64 else value).sin().sum()
        for n, value in enumerate(outputs)
    )
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [*outputs, *(torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True))]


def compare(case: str, dtypes: tuple[torch.dtype, torch.dtype], tolerance: float) -> None:
    for got, right in zip(gates(case, dtypes, True), gates(case, dtypes, False), strict=True):
        assert got.dtype == right.dtype
        torch.testing.assert_close(got, right, rtol=tolerance, atol=tolerance)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_gates, "_broken", True)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("case", CASES)
def test_formulas(case: str) -> None:
    compare(case, (torch.float64, torch.float64), 1e-12)
    compare(case, (torch.float32, torch.float32), 2e-6)
    compare(case, (torch.bfloat16, torch.float32), 2e-2)


def test_without_a_compiler_the_formulas_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._dynamo

    def broken(_: object) -> object:
        raise torch._dynamo.exc.TorchDynamoException("no compiler\nhere")

    monkeypatch.setattr(fused_gates, "_compiled", broken)
    monkeypatch.setattr(fused_gates, "_broken", False)
    with pytest.warns(UserWarning, match=r"does not work here \(no compiler\)"):
        got = gates("output", (torch.float64, torch.float64), True)
    assert torch.equal(got[0], gates("output", (torch.float64, torch.float64), False)[0])
    gates("memory", (torch.float64, torch.float64), True)  # and says it once


def test_nothing_is_fused_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_gates, "_run", None)
    o, m = torch.randn(2, 1, 2, 3, 3).unbind()
    assert torch.equal(Deferred().output_update(o, m, "sigmoid"), Direct().output_update(o, m, "sigmoid"))
    with fused_gates.fusing(), pytest.raises(TypeError):
        Deferred().output_update(o, m, "sigmoid")
    assert not fused_gates.wanted()


@pytest.mark.slow
def test_compiled() -> None:
    """In a process of its own: the compiler cannot look through the wrappers that check shapes in the tests."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    for name in CASES:
        compare(name, (torch.float32, torch.float32), 2e-6)
        compare(name, (torch.bfloat16, torch.float32), 2e-2)
    assert not fused_gates._broken
