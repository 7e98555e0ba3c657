"""The deterministic tensors of the golden values, from a linear congruence: no foreign code is needed."""

import json
from math import prod
from pathlib import Path

import torch
from torch import Tensor

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


def fixture(number: int, shape: list[int], amplitude: float, offset: float = 0.0) -> Tensor:
    k = torch.arange(prod(shape), dtype=torch.int64)
    u = ((31 * k * k + 7919 * k + 104729 * number + 12345) * 48271 % 2147483647).double() / 2147483647
    return (offset + amplitude * (2 * u - 1)).reshape(shape)


def frames(batch: int = 2, time: int = 6, height: int = 8, width: int = 8, channels: int = 4) -> Tensor:
    """(B, T, C, H, W), filled in the published order (B, T, H, W, C)."""
    return fixture(999, [batch, time, height, width, channels], 0.5, 0.5).permute(0, 1, 4, 2, 3).contiguous()


def known(schedule: str, batch: int = 2, context: int = 3, time: int = 6) -> Tensor:
    """(B, T-1) from mask[b, j] = (b + j) mod 2."""
    b, t = torch.meshgrid(torch.arange(batch), torch.arange(time - 1), indexing="ij")
    if schedule == "rss":
        return (t == 0) | ((b + t - 1) % 2 == 1)
    return (t < context) | ((b + t - context) % 2 == 1)


def parameters(case: dict) -> dict[str, Tensor]:
    """The case's weights under their published names, as leaves of a graph."""
    return {name: fixture(n, shape, a, b).requires_grad_() for n, name, shape, a, b, *_ in case["tensors"]}
