"""Gradients lie in memory as their weights do, whatever the layout of maps: fused optimisers apply them as they lie."""

from collections.abc import Callable

import pytest
import torch
from tests.training.fake_steps import batch, objective
from torch import Tensor

from framecast import kernels
from framecast.kernels.reference import Direct
from framecast.models import MODELS
from framecast.training.objective import trainable

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["highest", "high"], ids=["plain", "fast"])
def precision(request: pytest.FixtureRequest):
    kernels.set_precision(request.param)
    yield
    kernels.set_precision("auto")


def turn_maps(conv: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Convolutions of channels_last maps, as cuDNN likes them in bf16."""

    def turned(self: Direct, maps: tuple[Tensor, ...], *rest: object) -> Tensor:
        return conv(self, tuple(m.contiguous(memory_format=torch.channels_last) for m in maps), *rest)

    return turned


def lie(values: Tensor) -> list[int]:
    """Strides along the axes that have more than one entry: those along the others say nothing."""
    return [stride for stride, size in zip(values.stride(), values.shape, strict=True) if size > 1]


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "lstm"])
def test_fused_steps_are_plain_steps(name: str, half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Direct, "conv", turn_maps(Direct.conv))
    torch.manual_seed(0)
    trained, frames = objective(name, "cpu"), batch("cpu")
    parameters = trainable(trained)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        trained(*frames, 1.0).backward()
    reached = [parameter for parameter in parameters if parameter.grad is not None]
    assert all(lie(p.grad) == lie(p) and p.grad.dtype == p.dtype for p in reached)
    before = [p.detach().clone() for p in reached]
    torch.optim.Adam(reached, fused=True).step()
    fused = [p.detach().clone() for p in reached]
    for parameter, value in zip(reached, before, strict=True):
        parameter.data.copy_(value)
    torch.optim.Adam(reached, foreach=False).step()
    assert all(torch.allclose(one, other, atol=1e-7) for one, other in zip(fused, reached, strict=True))
