"""Memory of the maps that live until the backward pass.

They are born between temporaries that die at once. On the common heap the holes in between add up: a training step of
MIM took a half more memory. Blocks of their own, used again from step to step, leave no holes.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections import defaultdict

import torch
from torch import Tensor

_idle: defaultdict[int, list[mmap.mmap]] = defaultdict(list)


def take_map(batch: int, channels: int, height: int, width: int) -> Tensor:
    """An uninitialised float32 map (B, N, H, W), channels last, whose memory comes back here when it is freed."""
    size = 4 * batch * channels * height * width
    block = _block(size)
    if block is None:
        return torch.empty(
            batch, channels, height, width, dtype=torch.float32, device="cpu", memory_format=torch.channels_last
        )
    owner = (ctypes.c_char * size).from_buffer(block)
    weakref.finalize(owner, _idle[size].append, block)
    storage = torch.frombuffer(owner, dtype=torch.float32).untyped_storage()
    # Set, not viewed: a view that is made inside an autograd function could not be changed in place.
    strides = (height * width * channels, 1, width * channels, channels)
    return torch.empty(0, dtype=torch.float32, device="cpu").set_(storage, 0, (batch, channels, height, width), strides)


def release() -> None:
    """Give back what is idle, for example after a training; what is in use is not touched."""
    for blocks in list(_idle.values()):
        blocks.clear()


def _block(size: int) -> mmap.mmap | None:
    """A block that is idle, or a new one; None where the system gives no more, as the number of blocks is limited."""
    try:
        return _idle[size].pop()
    except IndexError:
        release()  # of another batch or network
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # private: a fork must not write here
    except OSError:
        return None
