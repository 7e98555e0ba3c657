r"""ConvLSTM: an LSTM whose matrix products are convolutions.

    i = sigma(Wxi*x + Whi*h + wci o c + bi)     f = sigma(Wxf*x + Whf*h + wcf o c + bf)     g = tanh(Wxg*x + Whg*h + bg)
    c' = f o c + i o g                          o = sigma(Wxo*x + Who*h + wco o c' + bo)    h' = o o tanh(c')

Shi et al.: Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting, 2015, eq. 3,
https://arxiv.org/abs/1506.04214.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import ConvConfig
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.nn.norm import Norm
from framecast.types import Hidden

Peephole = Literal["channel", "full"]


class ConvLSTMState(NamedTuple):
    """Hidden state and cell, (B, N, H, W)."""

    h: Tensor
    c: Tensor


class ConvLSTMCell(Cell):
    """ConvLSTM cell; blocks (i, f, g, o).

    Args:
        in_channels: channels of x.
        hidden: N.
        kernel_size: k, odd.
        bias: one bias per gate and channel.
        peephole: None; "channel", one weight per gate and channel; "full", one per gate, channel and pixel.
        forget_bias: constant added inside the forget gate.
        layer_norm: flavour of layer norm after each convolution.
        size: (H, W), for "full" and "chw".

    Note:
        The parameter totals printed in the paper are those of "channel". Peepholes start at 0.
    """

    peephole: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        kernel_size: int,
        *,
        bias: bool = True,
        peephole: Peephole | None = None,
        forget_bias: float = 0.0,
        layer_norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.hidden, self.forget_bias = hidden, forget_bias
        conv = partial(GateConv, kernel_size=kernel_size, norm=layer_norm, size=size)
        self.conv_x = conv(in_channels, 4 * hidden, bias=bias)
        self.conv_h = conv(hidden, 4 * hidden)
        maps = {"channel": (1, 1), "full": size}
        self.peephole = nn.Parameter(torch.zeros(3, hidden, *maps[peephole])) if peephole else None

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> ConvLSTMState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return ConvLSTMState(zeros(like, *shape), zeros(like, *shape))

    def _convolve(self, x: Tensor, state: ConvLSTMState) -> tuple[Tensor, ...]:
        return (self.conv_x(x) + self.conv_h(state.h)).chunk(4, 1)

    def forward(self, x: Hidden, memory: Memory, state: ConvLSTMState) -> Step:
        """One step of the recurrence."""
        i, f, g, o = self._convolve(x, state)
        if self.peephole is not None:
            i, f = i + self.peephole[0] * state.c, f + self.peephole[1] * state.c
        c, _ = kernels.memory_update(i, f, g, state.c, self.forget_bias)
        if self.peephole is not None:
            o = o + self.peephole[2] * c
        h, aux = self.open_output(o, c)
        return Step(h, memory, ConvLSTMState(h, c), aux)

    def gates(self, x: Hidden, memory: Memory, state: ConvLSTMState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused."""
        ix, fx, gx, ox = self._convolve(x, state)
        wci, wcf, wco = self.peephole if self.peephole is not None else (0.0, 0.0, 0.0)
        i = torch.sigmoid(ix + wci * state.c)
        f = torch.sigmoid(fx + wcf * state.c + self.forget_bias)
        g = torch.tanh(gx)
        c = f * state.c + i * g
        o = torch.sigmoid(ox + wco * c)
        return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * torch.tanh(c)}


class ConvLSTM(ConvConfig):
    """Stacked ConvLSTM cells, one step ahead.

    `peephole`: none, channel or full. OpenSTL's network is `bias: false` and `peephole: none`.
    """

    family, year = "gated cells", 2015
    name: Literal["convlstm"] = "convlstm"
    peephole: Literal["none", "channel", "full"] = "none"
    bias: bool = True
    forget_bias: float = 0.0
    layer_norm: Norm | None = None

    @property
    def fixed_size(self) -> bool:
        """True with full peepholes or "chw" norms."""
        return self.peephole == "full" or super().fixed_size

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network; the head has no bias."""
        cells = [
            ConvLSTMCell(
                below,
                n,
                self.kernel_size,
                bias=self.bias,
                peephole=None if self.peephole == "none" else self.peephole,
                forget_bias=self.forget_bias,
                layer_norm=self.layer_norm,
                size=(height, width),
            )
            for below, n in zip((channels + extra, *self.hidden), self.hidden, strict=False)
        ]
        return Network(cells, pixel_head(self.hidden[-1], channels))
