r"""SwinLSTM: an LSTM of one gate and one candidate, which are one stack of Swin transformer blocks over [x; h].

    u_0 = S_0(x, h)     u_i = S_i(u_{i-1}) for odd i, windows shifted     u_i = S_i(u_{i-1}, x) for even i     u = u_{d-1}
    c' = sigma(u) o (c + tanh(u))                                         h' = sigma(u) o tanh(c')

A block S(x, y) attends within windows of w x w positions, with a bias for each relative position:

    a = W*[LN(x); LN(y)] or LN(x)     x = x + attention(a)     x = x + W2*gelu(W1*LN'(x))

SwinLSTM-B has its cells at one resolution; in SwinLSTM-D each cell of the first half is followed by a merging of 2 x 2
positions, and each of the second half by the opposite.

Tang et al.: SwinLSTM: Improving Spatiotemporal Prediction Accuracy using Swin Transformer and LSTM, ICCV 2023,
https://arxiv.org/abs/2308.09891.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from framecast.models.config import MAX_LAYERS, ModelConfig, Options, Width
from framecast.nn.attention import WindowAttention, divide_windows, join_windows, mask_shifted
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.network import Network, Stem
from framecast.nn.norm import PositionNorm
from framecast.nn.resampling import ResampledCell, strided_conv, transposed_conv
from framecast.types import Frame, Hidden

Depths = Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_LAYERS)], ...], Field(min_length=1, max_length=MAX_LAYERS)]
"""Blocks of each cell."""


class SwinBlock(nn.Module):
    """Transformer block of windows, with or without a second input; positions last, (B, H, W, C).

    Args:
        channels: C.
        heads: of the attention.
        window: w; a map that is no larger has one window along that axis, and no shift.
        shift: by how much the windows are shifted.
        joins: whether there is a second input.
    """

    def __init__(self, channels: int, heads: int, window: int, *, shift: int, joins: bool) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.join = nn.Linear(2 * channels, channels) if joins else None
        self.attention = WindowAttention(channels, heads, (window, window))
        self.fc1, self.fc2 = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Compute (B, H, W, C)."""
        a = self.norm1(x)
        if self.join is not None:
            a = self.join(torch.cat([a, self.norm1(other)], -1))
        rows, columns = x.shape[1:3]
        shift = 0 if min(rows, columns) <= self.window else self.shift
        mask = mask_shifted(rows, columns, self.window, shift, x) if shift else None
        a = a.roll((-shift, -shift), (1, 2)) if shift else a
        a = self.attention(divide_windows(a, self.window, self.window), (self.window, self.window), mask)
        a = join_windows(a, self.window, self.window, (rows, columns))
        x = x + (a.roll((shift, shift), (1, 2)) if shift else a)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class SwinLSTMState(NamedTuple):
    """Hidden state and cell, (B, N, H, W)."""

    h: Tensor
    c: Tensor


class SwinLSTMCell(Cell):
    """SwinLSTM cell.

    Args:
        hidden: N, of x too.
        depth: blocks.
        heads: of each.
        window: w.
    """

    def __init__(self, hidden: int, depth: int, heads: int, window: int) -> None:
        super().__init__()
        self.hidden, self.window = hidden, window
        self.blocks = nn.ModuleList(
            [
                SwinBlock(hidden, heads, window, shift=number % 2 * (window // 2), joins=number % 2 == 0)
                for number in range(depth)
            ]
        )

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> SwinLSTMState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return SwinLSTMState(zeros(like, *shape), zeros(like, *shape))

    def _transform(self, x: Hidden, h: Hidden) -> Tensor:
        """Compute u, (B, N, H, W)."""
        x, h = x.movedim(1, -1), h.movedim(1, -1)
        u = x
        for number, block in enumerate(self.blocks):
            u = block(u, h if number == 0 else x)
        return u.movedim(-1, 1)

    def forward(self, x: Hidden, memory: Memory, state: SwinLSTMState) -> Step:
        """One step of the recurrence."""
        u = self._transform(x, state.h)
        f = torch.sigmoid(u)
        c = f * (state.c + torch.tanh(u))
        h = f * torch.tanh(c)
        return Step(h, memory, SwinLSTMState(h, c))

    def gates(self, x: Hidden, memory: Memory, state: SwinLSTMState) -> dict[str, Tensor]:
        """Symbols of the equations: f, the one gate, and g, the candidate."""
        u = self._transform(x, state.h)
        f, g = torch.sigmoid(u), torch.tanh(u)
        c = f * state.c + f * g
        return {"f": f, "g": g, "c": c, "h": f * torch.tanh(c)}


class PatchMerging(nn.Module):
    """Four neighbours to one position of twice the channels, (B, N, H, W) to (B, 2 N, H/2, W/2).

    Args:
        channels: N.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * channels), nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Hidden) -> Tensor:
        """Merge, channels in the order column, row, channel."""
        batch, channels, rows, columns = x.shape
        squares = x.reshape(batch, channels, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 5, 3, 1)
        return self.reduction(self.norm(squares.flatten(3))).movedim(-1, 1)


class PatchExpanding(nn.Module):
    """One position to four neighbours of half the channels, (B, N, H, W) to (B, N/2, 2 H, 2 W).

    Args:
        channels: N, even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand, self.norm = nn.Linear(channels, 2 * channels, bias=False), nn.LayerNorm(channels // 2)

    def forward(self, x: Hidden) -> Tensor:
        """Expand, channels in the order row, column, channel."""
        batch, channels, rows, columns = x.shape
        squares = self.expand(x.movedim(1, -1)).reshape(batch, rows, columns, 2, 2, channels // 2)
        return self.norm(squares.transpose(2, 3).reshape(batch, 2 * rows, 2 * columns, channels // 2)).movedim(-1, 1)


class PatchEmbedding(Stem):
    """The way in: each square of the frame becomes a position, whose channels are normalised.

    Args:
        channels: C of what enters.
        hidden: E.
        shrink: edge of a square, pixels.
    """

    def __init__(self, channels: int, hidden: int, shrink: int) -> None:
        super().__init__(stride=shrink)
        self.embed, self.norm = strided_conv(channels, hidden, shrink, shrink, padding=0), PositionNorm(hidden)

    def forward(self, frame: Frame) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute features, and no skips."""
        return self.norm(self.embed(frame)), ()


class SwinHead(nn.Module):
    """The way out: a transposed convolution and a sigmoid.

    Args:
        hidden: E.
        channels: C.
        shrink: edge of the square of a position, pixels.
    """

    def __init__(self, hidden: int, channels: int, shrink: int) -> None:
        super().__init__()
        self.leave = transposed_conv(hidden, channels, shrink + 1, shrink)

    def forward(self, x: Hidden) -> Tensor:
        """Compute the frame (B, C, H, W), in (0, 1)."""
        return torch.sigmoid(self.leave(x))


class SwinConfig(ModelConfig):
    """Fields of both SwinLSTMs."""

    hidden: Width = 128
    window: Annotated[int, Field(ge=1, le=64)] = 4
    shrink: Literal[2, 4] = 2

    @property
    def default_patch(self) -> int:
        """1: the network makes the map smaller by itself."""
        return 1

    @property
    def value_range(self) -> tuple[float, float]:
        """(0, 1), of a sigmoid."""
        return 0.0, 1.0

    def _assemble(self, cells: list[Cell], channels: int, extra: int) -> Network:
        stem = PatchEmbedding(channels + extra, self.hidden, self.shrink)
        return Network(cells, SwinHead(self.hidden, channels, self.shrink), stem=stem)

    def _choose_window(self, height: int, width: int, level: int) -> int:
        """Window of a level, no larger than its map, as published."""
        cells = self.shrink * 2**level
        return min(self.window, -(-height // cells), -(-width // cells))


def _check_heads(hidden: int, heads: tuple[int, ...], depths: tuple[int, ...], doubles: bool) -> None:
    """Refuse heads that do not divide the channels, or are not as many as cells."""
    if len(heads) != len(depths):
        raise ValueError(f"heads: got {len(heads)}, expected {len(depths)}, one for each cell")
    for level, count in enumerate(heads):
        width = hidden * 2**level if doubles else hidden
        if width % count:
            raise ValueError(f"heads: got {count}, expected a divisor of the cell's {width} channels")


class SwinLSTMB(SwinConfig):
    """SwinLSTM-B, all cells at one resolution; predictions are in (0, 1).

    `hidden`: channels. `depths`, `heads`: blocks of each cell, and their heads. `window`: edge of a window, positions.
    `shrink`: edge of the square of pixels that becomes a position.

    Note:
        The published training skips blocks by chance (stochastic depth, 0.1); ours does not.
    """

    family, year = "attention", 2023
    small: ClassVar[Options] = {"hidden": 64, "depths": (4,)}
    name: Literal["swinlstm_b"] = "swinlstm_b"
    depths: Depths = (12,)
    heads: Depths = (4,)

    @model_validator(mode="after")
    def _check(self) -> SwinLSTMB:
        _check_heads(self.hidden, self.heads, self.depths, doubles=False)
        return self

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        window = self._choose_window(height, width, 0)
        pairs = zip(self.depths, self.heads, strict=True)
        return self._assemble([SwinLSTMCell(self.hidden, depth, n, window) for depth, n in pairs], channels, extra)


class SwinLSTMD(SwinConfig):
    """SwinLSTM-D, down to a smaller map and up again; predictions are in (0, 1).

    `hidden`: channels of the first cell, which double with each merging. `depths_down`, `depths_up`: blocks of the cells
    of both halves, in the order in which they are computed (the published option for the second half is read
    backwards). `heads`: of the cells of the first half; mirrored in the second. `window`, `shrink`: as of SwinLSTM-B.

    Note:
        The published training skips blocks by chance (stochastic depth, 0 to 0.1); ours does not. A step that was
        exported with maps larger than the windows takes such maps only, as smaller ones have no shifted windows.
    """

    family, year = "attention", 2023
    small: ClassVar[Options] = {"hidden": 32, "depths_down": (2, 2), "depths_up": (2, 2), "heads": (2, 4)}
    name: Literal["swinlstm_d"] = "swinlstm_d"
    depths_down: Depths = (2, 6)
    depths_up: Depths = (2, 6)
    heads: Depths = (4, 8)

    @model_validator(mode="after")
    def _check(self) -> SwinLSTMD:
        _check_heads(self.hidden, self.heads, self.depths_down, doubles=True)
        if len(self.depths_up) != len(self.depths_down):
            raise ValueError(f"depths_up: got {len(self.depths_up)} cells, expected {len(self.depths_down)}")
        if self.hidden * 2 ** len(self.heads) > 2**16:
            raise ValueError(f"hidden: got {self.hidden}, expected fewer channels or fewer levels")
        return self

    @property
    def exports_one_size(self) -> bool:
        """Always: windows shrink to maps that are smaller than they are."""
        return True

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        levels, cells = len(self.heads), list[Cell]()
        for level, (depth, n) in enumerate(zip(self.depths_down, self.heads, strict=True)):
            cell = self._make_cell(level, depth, n, (height, width))
            cells.append(ResampledCell(cell, PatchMerging(cell.hidden), 0.5))
        for number, depth in enumerate(self.depths_up):
            cell = self._make_cell(levels - number, depth, self.heads[-1 - number], (height, width))
            cells.append(ResampledCell(cell, PatchExpanding(cell.hidden), 2.0))
        return self._assemble(cells, channels, extra)

    def _make_cell(self, level: int, depth: int, heads: int, size: tuple[int, int]) -> SwinLSTMCell:
        return SwinLSTMCell(self.hidden * 2**level, depth, heads, self._choose_window(*size, level))
