"""Semi-Lagrangian advection: where the air of a pixel was some steps before, and frames looked up there.

Sawyer 1963, Tellus 15; Germann, Zawadzki 2002, Monthly Weather Review 130. The scheme and its values are those of
`pysteps.extrapolation.semilagrangian` (Pulkkinen et al. 2019, Geosci. Model Dev. 12) with its defaults, as torch
operations that can be differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Path(NamedTuple):
    """Positions on the way back along the motion."""

    position: Tensor
    """(B, 2, H, W), x and y of the place from which each pixel's air comes, pixels."""
    inside: Tensor
    """(B, 1, H, W), whether that place lies within the frame."""


def trace_back(motion: Tensor, pace: Tensor | None = None) -> Iterator[Path]:
    """Trace the air of each pixel back along a steady motion, step by step, without end.

    Args:
        motion: (B, 2, H, W), pixels per frame in x (to the right) and y (down).
        pace: (B,), length of a step for each sequence, in frames of the motion; one frame by default.
    """
    batch, _, height, width = motion.shape
    if pace is not None:
        motion = motion * pace[:, None, None, None]
    rows, columns = (torch.arange(n, dtype=motion.dtype, device=motion.device) for n in (height, width))
    start = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None].expand(batch, -1, -1, -1)
    displacement, increment = torch.zeros_like(motion), motion
    while True:
        # the velocity half-way along the step, and then that at its end, from which the next step begins
        increment = look_up(motion, start + displacement - increment / 2)
        displacement = displacement - increment
        position = start + displacement
        increment = look_up(motion, position)
        x, y = position[:, :1], position[:, 1:]
        yield Path(position, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def advect(frame: Tensor, path: Path) -> Tensor:
    """Move a frame (B, C, H, W) along its motion: look it up where the air comes from, at the border if from outside."""
    return look_up(frame, path.position)


def look_up(maps: Tensor, position: Tensor) -> Tensor:
    """Interpolate maps (B, C, H, W) linearly at positions (B, 2, H', W'), pixels; outside, the nearest border value."""
    height, width = maps.shape[-2:]
    last = position.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    grid = 2 * position.permute(0, 2, 3, 1) / last - 1
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=True)
