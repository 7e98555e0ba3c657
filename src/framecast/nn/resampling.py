"""Changes of resolution: strided and transposed convolutions of stems and heads, cells that end in a resampler."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from framecast.nn.cell import Cell, Memory, Step
from framecast.types import Hidden


def strided_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, *, padding: int | None = None, bias: bool = True
) -> nn.Conv2d:
    """Make a convolution that divides rows and columns by its stride.

    Args:
        in_channels: N_in.
        out_channels: N_out.
        kernel_size: k.
        stride: s; rows and columns of what enters are multiples of it.
        padding: zeros on each side; k // 2 by default.
        bias: whether a bias is added.
    """
    padding = kernel_size // 2 if padding is None else padding
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias)


def transposed_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, *, padding: int | None = None, bias: bool = True
) -> nn.ConvTranspose2d:
    """Make a transposed convolution that multiplies rows and columns by its stride.

    Args:
        in_channels: N_in.
        out_channels: N_out.
        kernel_size: k, at least the stride.
        stride: s.
        padding: rows and columns that are cut off on each side, of those that k brings; k // 2 by default.
        bias: whether a bias is added.
    """
    padding = kernel_size // 2 if padding is None else padding
    missing = stride - kernel_size + 2 * padding  # so that the size is the product, whatever k is
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride, padding, missing, bias=bias)


class ResampledCell(Cell):
    """A cell whose hidden state leaves at another size.

    Args:
        cell: the cell.
        resample: (B, N, H, W) to (B, N', scale H, scale W).
        scale: 1/2 or 2.
    """

    def __init__(self, cell: Cell, resample: nn.Module, scale: float) -> None:
        super().__init__()
        self.cell, self.resample, self.scale, self.window = cell, resample, scale, cell.window
        self.memory_channels, self.memory_channels_out = cell.memory_channels, cell.memory_channels_out

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> Any:
        """Make the state of the cell."""
        return self.cell.init_state(batch, height, width, like=like)

    def forward(self, x: Hidden, memory: Memory, state: Any) -> Step:
        """One step of the cell."""
        step = self.cell(x, memory, state)
        return step._replace(out=self.resample(step.out))

    def gates(self, x: Hidden, memory: Memory, state: Any) -> dict[str, Tensor]:
        """Symbols of the cell; h is the hidden state that leaves."""
        values = self.cell.gates(x, memory, state)
        return {**values, "h": self.resample(values["h"])}

    def penalty(self) -> Tensor | None:
        """Compute the cell's penalty."""
        return self.cell.penalty()
