"""Motion of batches of sequences, as tensors."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from framecast.motion.dense_field import SPACING
from framecast.motion.estimate import estimate_motion


def expand_motion(nodes: Tensor, height: int, width: int) -> Tensor:
    """Expand motion on the nodes of a coarse grid, (B, 2, rows, columns), to all pixels, (B, 2, H, W)."""
    size = (nodes.shape[-2] - 1) * SPACING + 1, (nodes.shape[-1] - 1) * SPACING + 1
    return F.interpolate(nodes, size=size, mode="bilinear", align_corners=True)[..., :height, :width]


def estimate_batch(frames: Tensor) -> Tensor:
    """Estimate the motion of each sequence of a batch, (B, T, H, W), NaN where missing, for all pixels: (B, 2, H, W)."""
    nodes = np.stack([estimate_motion(sequence) for sequence in frames.detach().cpu().float().numpy()])
    return expand_motion(torch.from_numpy(nodes), *frames.shape[-2:]).to(frames.device)


def average_channels(frames: Tensor, seen: Tensor) -> Tensor:
    """Average the channels, which move together: (B, T, C, H, W) and mask to (B, T, H, W), NaN where all are missing."""
    total = torch.where(seen, frames, 0).sum(2)
    return torch.where(seen.any(2), total / seen.sum(2).clamp_min(1), torch.nan)
