"""What the native code may be given: it checks nothing by itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch.autograd import forward_ad


def traced() -> bool:
    """Whether torch follows what is computed: compiles, exports, transforms (vmap, grad, jvp) or traces it."""
    return (
        torch.compiler.is_compiling()
        or get_eval_frame_callback() is not None  # a function within a compiled one, that is run as it is
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_tracing_state() is not None
        or forward_ad._current_level >= 0
    )


def plain(x: Tensor) -> bool:
    """Whether a tensor is float32 on a CPU."""
    return x.dtype == torch.float32 and x.device.type == "cpu"


def fit(maps: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None) -> bool:
    """Whether maps (B, N, H, W) are of one size, with as many channels together as the weight has inputs."""
    batch, _, *size = maps[0].shape
    return (
        sum(x.shape[1] for x in maps) == weight.shape[1]
        and all(x.ndim == 4 and plain(x) and x.shape[0] == batch and list(x.shape[2:]) == size for x in maps)
        and (bias is None or (plain(bias) and bias.shape == weight.shape[:1]))
    )
