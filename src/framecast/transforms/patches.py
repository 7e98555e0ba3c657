"""Patches of frames: P x P pixels become P*P*C channels, so that the recurrence runs on a map P*P times smaller."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from framecast.types import Frames


def patchify(frames: Frames, patch: int) -> Tensor:
    """Turn P x P pixels into channels, in the published order.

    Args:
        frames: (B, T, C, H, W); H and W are divisible by `patch` (see `pad`).
        patch: P, pixels.

    Returns:
        (B, T, P*P*C, H/P, W/P); pixel (dy, dx) of channel c is channel (dy*P + dx)*C + c.

    Note:
        This is not `pixel_unshuffle`, whose order is (c, dy, dx): published weights need this one.
    """
    b, t, c, h, w = frames.shape
    assert h % patch == w % patch == 0, f"{h}x{w} is not divisible by {patch}: pad first"
    grid = frames.reshape(b, t, c, h // patch, patch, w // patch, patch)
    return grid.permute(0, 1, 4, 6, 2, 3, 5).reshape(b, t, patch * patch * c, h // patch, w // patch)


def unpatchify(patches: Frames, patch: int) -> Tensor:
    """Turn channels back into P x P pixels: (B, T, P*P*C, H/P, W/P) to (B, T, C, H, W)."""
    b, t, c, h, w = patches.shape
    grid = patches.reshape(b, t, patch, patch, c // patch**2, h, w)
    return grid.permute(0, 1, 4, 5, 2, 6, 3).reshape(b, t, c // patch**2, h * patch, w * patch)


def pad(frames: Frames, patch: int) -> Tensor:
    """Repeat the last row and column until `patch` divides height and width: (B, T, C, H, W) to (B, T, C, H+, W+)."""
    b, t, c, h, w = frames.shape
    down, right = -h % patch, -w % patch
    if not down and not right:
        return frames
    padded = F.pad(frames.reshape(b * t, c, h, w), (0, right, 0, down), mode="replicate")
    return padded.reshape(b, t, c, h + down, w + right)
