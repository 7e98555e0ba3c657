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
    if pace is not None:
        motion = motion * pace[:, None, None, None]
    start = _make_positions(motion)
    displacement, increment = torch.zeros_like(motion), motion
    while True:
        path, displacement, increment = _go_back(motion, start, displacement, increment)
        yield path


def step_back(motion: Tensor, displacement: Tensor, increment: Tensor) -> tuple[Path, Tensor, Tensor]:
    """Go one frame further back, as `trace_back` does: path, displacement and increment after it.

    Args:
        motion: (B, 2, H, W), pixels per frame in x and y.
        displacement: (B, 2, H, W), so far, pixels; zeros at first.
        increment: (B, 2, H, W), velocity at the end of the last step; the motion at first.
    """
    return _go_back(motion, _make_positions(motion), displacement, increment)


def _make_positions(motion: Tensor) -> Tensor:
    """Make the position of each pixel, x and y, (B, 2, H, W)."""
    rows, columns = (torch.arange(n, dtype=motion.dtype, device=motion.device) for n in motion.shape[-2:])
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None].expand(motion.shape[0], -1, -1, -1)


def _go_back(motion: Tensor, start: Tensor, displacement: Tensor, increment: Tensor) -> tuple[Path, Tensor, Tensor]:
    height, width = motion.shape[-2:]
    # the velocity half-way along the step, and then that at its end, from which the next step begins
    increment = look_up(motion, start + displacement - increment / 2)
    displacement = displacement - increment
    position = start + displacement
    x, y = position[:, :1], position[:, 1:]
    path = Path(position, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))
    return path, displacement, look_up(motion, position)


def advect(frame: Tensor, path: Path) -> Tensor:
    """Move a frame (B, C, H, W) along its motion: look it up where the air comes from, at the border if from outside."""
    return look_up(frame, path.position)


def look_up(maps: Tensor, position: Tensor) -> Tensor:
    """Interpolate maps (B, C, H, W) linearly at positions (B, 2, H', W'), pixels; outside, the nearest border value."""
    height, width = maps.shape[-2:]
    x, y = position.unbind(1)
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=True)
