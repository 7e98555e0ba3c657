r"""PredRNN++: causal LSTM cells, deeper in time, with a gradient highway over the bottom one.

Causal LSTM, a cascade of temporal memory C, spatial memory M and output:

    i = sigma(Wi*[x,h,c])    f = sigma(Wf*[x,h,c] + 1)     g = tanh(Wg*[x,h,c])         c' = f o c + i o g
    i' = sigma(W'i*[x,c',m]) f' = sigma(W'f*[x,c',m] + 1)  g' = tanh(W'g*[x,c'])        m' = f' o tanh(W3*m) + i' o g'
    o = tanh(Wo*[x,h,c',m'])                                                            h' = o o tanh(W1x1*[c';m'])

Gradient highway unit:

    p = tanh(Wpx*x + Wpz*z)     u = sigma(Wux*x + Wuz*z)     z' = u o p + (1 - u) o z

Wang et al.: PredRNN++: Towards A Resolution of the Deep-in-Time Dilemma in Spatiotemporal Predictive Learning, ICML
2018, https://arxiv.org/abs/1804.06300.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import MAX_LAYERS, ConvConfig, Width
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.nn.norm import Norm
from framecast.types import Hidden


class CausalState(NamedTuple):
    """Hidden state and temporal memory, (B, N, H, W)."""

    h: Tensor
    c: Tensor


class CausalLSTMCell(Cell):
    """Causal LSTM; blocks of x (i, f, g, i', f', g', o), h (i, f, g, o), c (i, f, g), m (i', f', m), c2m (i', f', g', o).

    Args:
        in_channels: channels of x.
        memory_in: channels of the memory that enters; m is re-projected, so layers may differ in width.
        hidden: N.
        kernel_size: k, odd.
        bias: one bias per convolution, as in the official code.
        forget_bias: constant added inside both forget gates.
        layer_norm: flavour of layer norm after each k x k convolution.
        size: (H, W), for "chw".

    Note:
        W3 is 1x1 in the paper and k x k in its code; the output gate is a tanh in both. We follow the code.
    """

    def __init__(
        self,
        in_channels: int,
        memory_in: int,
        hidden: int,
        kernel_size: int,
        *,
        bias: bool = True,
        forget_bias: float = 1.0,
        layer_norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.hidden, self.forget_bias = hidden, forget_bias
        self.memory_channels, self.memory_channels_out = (memory_in,), (hidden,)
        conv = partial(GateConv, kernel_size=kernel_size, bias=bias, norm=layer_norm, size=size)
        self.conv_x = conv(in_channels, 7 * hidden)
        self.conv_h = conv(hidden, 4 * hidden)
        self.conv_c = conv(hidden, 3 * hidden)
        self.conv_m = conv(memory_in, 3 * hidden)
        self.conv_c2m = conv(hidden, 4 * hidden)
        self.conv_om = conv(hidden, hidden)
        self.fusion = GateConv(2 * hidden, hidden, 1, bias=bias)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> CausalState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return CausalState(zeros(like, *shape), zeros(like, *shape))

    def forward(self, x: Hidden, memory: Memory, state: CausalState) -> Step:
        """One step of the recurrence."""
        ix, fx, gx, imx, fmx, gmx, ox = self.conv_x(x).chunk(7, 1)
        ih, fh, gh, oh = self.conv_h(state.h).chunk(4, 1)
        ic, fc, gc = self.conv_c(state.c).chunk(3, 1)
        c, _ = kernels.memory_update(ix + ih + ic, fx + fh + fc, gx + gh + gc, state.c, self.forget_bias)
        i2, f2, g2, o2 = self.conv_c2m(c).chunk(4, 1)
        im, fm, mm = self.conv_m(memory[0]).chunk(3, 1)
        m, _ = kernels.memory_update(i2 + imx + im, f2 + fmx + fm, g2 + gmx, torch.tanh(mm), self.forget_bias)
        o, fused = ox + oh + o2 + self.conv_om(m), self.fusion(c, m)
        h = kernels.output_update(o, fused, activation="tanh")
        return Step(h, (m,), CausalState(h, c))

    def gates(self, x: Hidden, memory: Memory, state: CausalState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused; the primed gates are "im", "fm", "gm"."""
        ix, fx, gx, imx, fmx, gmx, ox = self.conv_x(x).chunk(7, 1)
        ih, fh, gh, oh = self.conv_h(state.h).chunk(4, 1)
        ic, fc, gc = self.conv_c(state.c).chunk(3, 1)
        i, g = torch.sigmoid(ix + ih + ic), torch.tanh(gx + gh + gc)
        f = torch.sigmoid(fx + fh + fc + self.forget_bias)
        c = f * state.c + i * g
        i2, f2, g2, o2 = self.conv_c2m(c).chunk(4, 1)
        im_m, fm_m, mm = self.conv_m(memory[0]).chunk(3, 1)
        im, gm = torch.sigmoid(i2 + imx + im_m), torch.tanh(g2 + gmx)
        fm = torch.sigmoid(f2 + fmx + fm_m + self.forget_bias)
        m = fm * torch.tanh(mm) + im * gm
        o = torch.tanh(ox + oh + o2 + self.conv_om(m))
        h = o * torch.tanh(self.fusion(c, m))
        return {"i": i, "f": f, "g": g, "im": im, "fm": fm, "gm": gm, "o": o, "c": c, "m": m, "h": h}


class HighwayState(NamedTuple):
    """The highway, (B, N, H, W)."""

    z: Tensor


class GradientHighway(Cell):
    """Gradient highway unit; blocks (p, u). Any memory passes by unchanged.

    Args:
        channels: N of the layer below, and of z.
        kernel_size: k, odd.
        bias: one bias per convolution, as in the official code.
        layer_norm: flavour of layer norm after each convolution.
        size: (H, W), for "chw".
    """

    memory_channels = None
    memory_channels_out = None

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        layer_norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.channels = channels
        conv = partial(GateConv, kernel_size=kernel_size, bias=bias, norm=layer_norm, size=size)
        self.conv_x = conv(channels, 2 * channels)
        self.conv_z = conv(channels, 2 * channels)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> HighwayState:
        """Zero state of a new sequence."""
        return HighwayState(zeros(like, batch, self.channels, height, width))

    def forward(self, x: Hidden, memory: Memory, state: HighwayState) -> Step:
        """One step of the recurrence."""
        p, u = (self.conv_x(x) + self.conv_z(state.z)).chunk(2, 1)
        z = kernels.highway_update(p, u, state.z)
        return Step(z, memory, HighwayState(z))

    def gates(self, x: Hidden, memory: Memory, state: HighwayState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused; z is called "h", as the output of every cell."""
        p, u = (self.conv_x(x) + self.conv_z(state.z)).chunk(2, 1)
        p, u = torch.tanh(p), torch.sigmoid(u)
        return {"p": p, "u": u, "h": u * p + (1 - u) * state.z}


class PredRNNPP(ConvConfig):
    """Causal LSTM cells with the gradient highway between the first and the second; widths may differ.

    OpenSTL's network is `bias: false`. `init`: "torch", or "official", where all k x k weights start in +-0.001.
    `highway: false` leaves the highway out: the paper's ablation, causal LSTM cells alone.
    """

    family, year = "memory flow", 2018
    name: Literal["predrnn_pp"] = "predrnn_pp"
    hidden: Annotated[tuple[Width, ...], Field(min_length=2, max_length=MAX_LAYERS)] = (128, 64, 64, 64)
    bias: bool = True
    forget_bias: float = 1.0
    layer_norm: Norm | None = None
    init: Literal["torch", "official"] = "torch"
    highway: bool = True

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        options: dict[str, Any] = {"bias": self.bias, "layer_norm": self.layer_norm, "size": (height, width)}
        below, memory = (channels + extra, *self.hidden), (self.hidden[-1], *self.hidden)
        cells: list[Cell] = [
            CausalLSTMCell(below[layer], memory[layer], n, self.kernel_size, forget_bias=self.forget_bias, **options)
            for layer, n in enumerate(self.hidden)
        ]
        if self.highway:
            cells.insert(1, GradientHighway(self.hidden[0], self.kernel_size, **options))
        network = Network(cells, pixel_head(self.hidden[-1], channels, bias=self.bias))
        if self.init == "official":
            _init_official(network)
        return network


def _init_official(network: nn.Module) -> None:
    """Draw the weights as the official code does: Glorot's range for 1 x 1 kernels, +-0.001 for the others."""
    for conv in network.modules():
        if isinstance(conv, GateConv):
            glorot = (6 / (conv.weight.shape[0] + conv.weight.shape[1])) ** 0.5
            conv.reset_parameters(glorot if conv.weight.shape[-1] == 1 else 0.001)
