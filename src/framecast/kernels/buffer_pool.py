"""Pool of memory for the maps that live until the backward pass.

They are allocated between temporaries that are freed at once. On the common heap the holes in between add up: a
training step of MIM took a half more memory. Separate blocks, used again from step to step, leave no holes.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections import defaultdict

import torch
from torch import Tensor

_idle: defaultdict[int, list[mmap.mmap]] = defaultdict(list)
"""Blocks that no map uses, by their size in bytes."""


def take_map(batch: int, channels: int, height: int, width: int) -> Tensor:
    """Take an empty float32 map (B, N, H, W), channels last, whose memory returns to the pool when it is freed."""
    size = 4 * batch * channels * height * width
    block = _take_block(size)
    if block is None:
        return torch.empty(
            batch, channels, height, width, dtype=torch.float32, device="cpu", memory_format=torch.channels_last
        )
    owner = (ctypes.c_char * size).from_buffer(block)
    # The storage holds `owner`, which dies with it, and so with the last tensor on it: then the block is idle again.
    weakref.finalize(owner, _idle[size].append, block)
    storage = torch.frombuffer(owner, dtype=torch.float32).untyped_storage()
    # Set, not viewed: a view that is made inside an autograd function could not be changed in place.
    strides = (height * width * channels, 1, width * channels, channels)
    return torch.empty(0, dtype=torch.float32, device="cpu").set_(storage, 0, (batch, channels, height, width), strides)


def release() -> None:
    """Return idle blocks to the system, as after a training; blocks in use are not touched."""
    for blocks in list(_idle.values()):
        blocks.clear()


def _take_block(size: int) -> mmap.mmap | None:
    """Take an idle block, or a new one; None where the system gives no more, as it limits the number of blocks."""
    try:
        return _idle[size].pop()
    except IndexError:
        release()  # idle blocks of other sizes belong to another batch or network
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # private: a fork must not write here
    except (OSError, AttributeError):  # the last on Windows, which has no such flags
        return None
