"""Memory of the maps that live until the backward pass.

They are born between temporaries that die at once. On the common heap the holes in between add up: a training step of
MIM took a half more memory. Blocks of their own, used again from step to step, leave no holes.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import weakref
from collections import defaultdict

import torch
from torch import Tensor

_idle: defaultdict[int, list[mmap.mmap]] = defaultdict(list)


def kept_map(batch: int, channels: int, height: int, width: int) -> Tensor:
    """An uninitialised float32 map (B, N, H, W), channels last, whose memory comes back here when it is freed."""
    shape = (batch, height, width, channels)
    size = 4 * math.prod(shape)
    block = _block(size)
    owner = (ctypes.c_char * size).from_buffer(block)
    weakref.finalize(owner, _idle[size].append, block)
    return torch.frombuffer(owner, dtype=torch.float32).view(shape).permute(0, 3, 1, 2)


def _block(size: int) -> mmap.mmap:
    if _idle[size]:
        return _idle[size].pop()
    for other in [other for other in _idle if other != size]:
        del _idle[other][:]  # of another batch or network; what is in use is not touched
    return mmap.mmap(-1, size)
