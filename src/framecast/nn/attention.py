"""Attention over windows of a map with a learnt bias for each relative position, as in Swin transformers."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Extent: TypeAlias = Any
"""Length of an axis: int, or torch.SymInt while a network is exported with free sizes."""


def divide_windows(maps: Tensor, height: int, width: int) -> Tensor:
    """Divide maps (B, H, W, C) into windows of height x width, (B M, L, C): M of each map, positions row by row."""
    batch, rows, columns, channels = maps.shape
    squares = maps.reshape(batch, rows // height, height, columns // width, width, channels)
    return squares.transpose(2, 3).reshape(-1, height * width, channels)


def join_windows(windows: Tensor, height: int, width: int, shape: tuple[Extent, Extent]) -> Tensor:
    """Join windows (B M, L, C) of height x width to maps (B, *shape, C), the inverse of `divide_windows`."""
    rows, columns = shape
    squares = windows.reshape(-1, rows // height, columns // width, height, width, windows.shape[-1])
    return squares.transpose(2, 3).reshape(-1, rows, columns, windows.shape[-1])


def index_relative(height: Extent, width: Extent, device: torch.device) -> Tensor:
    """Index the relative positions in a window, (L, L) for query and key: differences of rows and columns, row-major."""
    row = torch.arange(height, device=device).repeat_interleave(width)
    column = torch.arange(width, device=device).repeat(height)
    down, right = row[:, None] - row + height - 1, column[:, None] - column + width - 1
    return down * (2 * width - 1) + right


def mask_shifted(rows: Extent, columns: Extent, window: int, shift: int, like: Tensor) -> Tensor:
    """Mask for windows of a map that was rolled by a shift, (M, L, L): -100 between parts that are not neighbours."""

    def label(length: Extent) -> Tensor:
        place = torch.arange(length, device=like.device)
        return (place >= length - window).int() + (place >= length - shift).int()

    regions = (3 * label(rows)[:, None] + label(columns))[None, :, :, None]
    own = divide_windows(regions, window, window)[..., 0]
    return torch.where(own[:, :, None] == own[:, None], 0.0, -100.0).to(like)


class WindowAttention(nn.Module):
    """Multi-head attention within windows.

    Args:
        channels: C, a multiple of the heads.
        heads: n.
        window: (rows, columns) of the windows for which the table of biases is made.
    """

    def __init__(self, channels: int, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.table = nn.Parameter(torch.empty((2 * window[0] - 1) * (2 * window[1] - 1), heads))
        nn.init.normal_(self.table, std=0.02)

    def resample_bias(self, height: Extent, width: Extent) -> Tensor:
        """Interpolate the table for windows of another size, ((2 height - 1) (2 width - 1), n)."""
        rows, columns = (2 * edge - 1 for edge in self.window)
        table = self.table.T.reshape(1, self.heads, rows, columns)
        size = (2 * height - 1, 2 * width - 1)
        return F.interpolate(table, size=size, mode="bilinear", align_corners=True).flatten(2)[0].T

    def attend(self, x: Tensor, bias: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the weights of keys for queries, (BM, n, L, L).

        Args:
            x: (BM, L, 3 C), queries, keys and values.
            bias: (L, L, n), of relative positions.
            mask: (M, L, L), added to the scores.
        """
        query, key, _ = self._divide(x)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias.permute(2, 0, 1)
        if mask is not None:
            scores = (scores.unflatten(0, (-1, mask.shape[0])) + mask[:, None]).flatten(0, 1)
        return scores.softmax(-1)

    def weigh(
        self, x: Tensor, size: tuple[Extent, Extent], mask: Tensor | None = None, *, resample: bool = False
    ) -> Tensor:
        """Compute the weights alone, (BM, n, L, L); arguments as for the attention itself."""
        return self.attend(self.qkv(x), self._bias(size, x.device, resample=resample), mask)

    def _bias(self, size: tuple[Extent, Extent], device: torch.device, *, resample: bool) -> Tensor:
        """Look up the biases of relative positions, (L, L, n)."""
        table = self.resample_bias(*size) if resample else self.table
        return table[index_relative(*size, device)]

    def _divide(self, x: Tensor) -> tuple[Tensor, ...]:
        """Divide (BM, L, 3 C) into queries, keys and values (BM, n, L, C / n)."""
        return x.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(
        self, x: Tensor, size: tuple[Extent, Extent], mask: Tensor | None = None, *, resample: bool = False
    ) -> Tensor:
        """Let the positions of windows attend to each other.

        Args:
            x: (BM, L, C).
            size: (rows, columns) of the windows; those of the table unless `resample`.
            mask: (M, L, L), added to the scores of the M windows of each map.
            resample: whether the table is interpolated for the size.
        """
        stacked = self.qkv(x)
        weights = self.attend(stacked, self._bias(size, x.device, resample=resample), mask)
        return self.proj((weights @ self._divide(stacked)[2]).transpose(1, 2).flatten(2))
