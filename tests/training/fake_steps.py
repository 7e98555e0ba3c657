"""Training steps on fake tensors, which have a shape, a dtype and a device, but no values.

`python -m tests.training.fake_steps GUARD.so` takes the forward pass and the optimiser of every network through fake CUDA
tensors, in float32 and under bf16 autocast. GUARD.so, made of GUARD, registers a CUDA that exists in name only.
"""

import ctypes
import sys

import torch
from tests.contract.networks import STACKS, VARIANTS
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from framecast.forecasting.forecaster import Forecaster
from framecast.models import MODELS
from framecast.recipe.losses import LossConfig
from framecast.training.objective import Objective, trainable
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

GUARD = """
#include <c10/core/impl/DeviceGuardImplInterface.h>
namespace c10::impl {
C10_REGISTER_GUARD_IMPL(CUDA, NoOpDeviceGuardImpl<DeviceType::CUDA>)
}
"""
SPEC = FrameSpec(channels=2, height=8, width=6, units="mm/h", low=0.0, high=10.0)
FRAMES, CONTEXT = 6, 3


def objective(name: str, device: str) -> Objective:
    """A small network with all inputs and, for PredRNN-V2, its second loss, made on the device."""
    config = VARIANTS[name]
    takes_mask = name != "lstm" and config.feeds_back
    with torch.device(device):
        forecaster = Forecaster(config, SPEC, Range(low=0.0, high=10.0), 2, mask_channel=takes_mask, context=CONTEXT)
        return Objective(forecaster, LossConfig(decoupling=0.1 if name == "predrnn_v2" else 0.0))


def batch(device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames with missing pixels, a mask, and the number of observed pixels."""
    frames = torch.rand(2, FRAMES, SPEC.channels, SPEC.height, SPEC.width, device=device)
    known = torch.ones(2, FRAMES - 1, dtype=torch.bool, device=device)
    return frames, frames > 0.1, known, torch.full((), 99.0, device=device)


def check_cuda(name: str, *, bf16: bool) -> None:
    """Forward and optimiser on CUDA; autograd's way back asks for more of the device than its name."""
    torch.set_autocast_enabled("cuda", bf16)  # torch.autocast switches itself off without the device
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    predicted: list[torch.dtype] = []
    with FakeTensorMode():
        trained = objective(name, "cuda")
        parameters = trainable(trained)
        network = trained.requires_grad_(False).forecaster.network
        if name in STACKS:  # others end in blocks of their own
            network.head.register_forward_hook(lambda *seen: predicted.append(seen[-1].dtype))
        loss = trained(*batch("cuda"), 1.0)
        assert (loss.device.type, loss.dtype) == ("cuda", torch.float32)
        assert name not in STACKS or set(predicted) == {torch.bfloat16 if bf16 else torch.float32}, predicted
        for parameter in parameters:
            parameter.requires_grad_().grad = torch.zeros_like(parameter)
        torch.optim.Adam(parameters, fused=True).step()


if __name__ == "__main__":
    ctypes.CDLL(sys.argv[1])
    for network in MODELS:
        for half in (False, True):
            check_cuda(network, bf16=half)
    print(*MODELS)
