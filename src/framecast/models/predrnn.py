r"""PredRNN: an LSTM with two memories, C that stays in its layer and M that zigzags through all of them.

    i  = sigma(Wxi*x + Whi*h)       f  = sigma(Wxf*x + Whf*h + 1)      g  = tanh(Wxg*x + Whg*h)      c' = f o c + i o g
    i' = sigma(W'xi*x + Wmi*m)      f' = sigma(W'xf*x + Wmf*m + 1)     g' = tanh(W'xg*x + Wmg*m)     m' = f' o m + i' o g'
    o  = sigma(Wxo*x + Who*h + Wco*c' + Wmo*m')                        h' = o o tanh(W1x1*[c';m'])

Wang et al.: PredRNN: Recurrent Neural Networks for Predictive Learning using Spatiotemporal LSTMs, NIPS 2017,
https://papers.nips.cc/paper/6689; constants as in its code of 2021, https://arxiv.org/abs/2103.09504.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import torch
from pydantic import field_validator
from torch import Tensor

from framecast import kernels
from framecast.models.config import ConvConfig, equal
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.nn.norm import Norm
from framecast.types import Hidden


class STLSTMState(NamedTuple):
    """Hidden state and temporal memory, (B, N, H, W)."""

    h: Tensor
    c: Tensor


class STLSTMCell(Cell):
    """Spatiotemporal LSTM; blocks of x (i, f, g, i', f', g', o), of h (i, f, g, o), of m (i', f', g').

    Args:
        in_channels: channels of x.
        hidden: N.
        kernel_size: k, odd.
        bias: one bias per gate and channel, and in the 1x1 fusion.
        forget_bias: constant added inside both forget gates.
        layer_norm: flavour of layer norm after each k x k convolution.
        size: (H, W), for "chw".
        report: whether `aux` holds "delta_c" = i o g and "delta_m" = i' o g', which PredRNN-V2 decouples.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        kernel_size: int,
        *,
        bias: bool = False,
        forget_bias: float = 1.0,
        layer_norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
        report: bool = False,
    ) -> None:
        super().__init__()
        self.hidden, self.forget_bias, self.report = hidden, forget_bias, report
        self.memory_channels = self.memory_channels_out = (hidden,)
        conv = partial(GateConv, kernel_size=kernel_size, norm=layer_norm, size=size)
        self.conv_x = conv(in_channels, 7 * hidden, bias=bias)
        self.conv_h = conv(hidden, 4 * hidden)
        self.conv_m = conv(hidden, 3 * hidden)
        self.conv_o = conv(2 * hidden, hidden)
        self.fusion = GateConv(2 * hidden, hidden, 1, bias=bias)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> STLSTMState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return STLSTMState(zeros(like, *shape), zeros(like, *shape))

    def _convolve(self, x: Tensor, memory: Memory, state: STLSTMState) -> tuple[Tensor, ...]:
        ix, fx, gx, im, fm, gm, ox = self.conv_x(x).chunk(7, 1)
        ih, fh, gh, oh = self.conv_h(state.h).chunk(4, 1)
        i_m, f_m, g_m = self.conv_m(memory[0]).chunk(3, 1)
        return ix + ih, fx + fh, gx + gh, im + i_m, fm + f_m, gm + g_m, ox + oh

    def forward(self, x: Hidden, memory: Memory, state: STLSTMState) -> Step:
        """One step of the recurrence."""
        i, f, g, im, fm, gm, o = self._convolve(x, memory, state)
        c, delta_c = kernels.memory_update(i, f, g, state.c, self.forget_bias)
        m, delta_m = kernels.memory_update(im, fm, gm, memory[0], self.forget_bias)
        h, aux = self.open_output(o + self.conv_o(c, m), self.fusion(c, m))
        increments = {"delta_c": delta_c, "delta_m": delta_m} if self.report else {}
        return Step(h, (m,), STLSTMState(h, c), aux | increments)

    def gates(self, x: Hidden, memory: Memory, state: STLSTMState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused; the primed gates are "im", "fm", "gm"."""
        i, f, g, im, fm, gm, o = self._convolve(x, memory, state)
        i, f, g = torch.sigmoid(i), torch.sigmoid(f + self.forget_bias), torch.tanh(g)
        im, fm, gm = torch.sigmoid(im), torch.sigmoid(fm + self.forget_bias), torch.tanh(gm)
        c, m = f * state.c + i * g, fm * memory[0] + im * gm
        o = torch.sigmoid(o + self.conv_o(c, m))
        h = o * torch.tanh(self.fusion(c, m))
        return {"i": i, "f": f, "g": g, "im": im, "fm": fm, "gm": gm, "o": o, "c": c, "m": m, "h": h}


class STLSTMConfig(ConvConfig):
    """Fields of the networks of ST-LSTM cells, PredRNN and PredRNN-V2; all layers are equally wide."""

    bias: bool = False
    forget_bias: float = 1.0
    layer_norm: Norm | None = None

    _equal = field_validator("hidden")(equal)

    def build_cells(self, channels: int, height: int, width: int, *, report: bool = False) -> list[STLSTMCell]:
        """Build the cells, bottom up.

        Args:
            channels: channels that enter the bottom layer.
            height: rows of the map.
            width: columns of the map.
            report: whether the cells report their increments, see `STLSTMCell`.
        """
        return [
            STLSTMCell(
                below,
                n,
                self.kernel_size,
                bias=self.bias,
                forget_bias=self.forget_bias,
                layer_norm=self.layer_norm,
                size=(height, width),
                report=report,
            )
            for below, n in zip((channels, *self.hidden), self.hidden, strict=False)
        ]


class PredRNN(STLSTMConfig):
    """Stacked ST-LSTM cells that share one zigzag memory."""

    family, year = "memory flow", 2017
    name: Literal["predrnn"] = "predrnn"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        cells = self.build_cells(channels + extra, height, width)
        return Network(cells, pixel_head(self.hidden[-1], channels, bias=self.bias))
