r"""Spatiotemporal memory flow: one memory M and one hidden stream H zigzag through all layers.

    (H, M) = (H_t^{l-1}, M_t^{l-1}) above the bottom, (H_{t-1}^{L-1}, M_{t-1}^{L-1}) at the bottom, X_t at the bottom only

    i = sigma(Wxi*X + Whi*H + Wmi*M + bi)     f = sigma(Wxf*X + Whf*H + Wmf*M + bf)     g = tanh(Wxg*X + Whg*H + bg)
    M' = f o M + i o g                        o = sigma(Wxo*X + Who*H + Wmo*M' + bo)    H' = o o tanh(M')

Wang et al.: PredRNN: Recurrent Neural Networks for Predictive Learning using Spatiotemporal LSTMs, NIPS 2017, left of
figure 2, https://papers.nips.cc/paper/6689.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import torch
from pydantic import field_validator
from torch import Tensor

from framecast import kernels
from framecast.models.config import ConvConfig, equal
from framecast.nn.cell import Cell, Memory, Step
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.nn.norm import Norm
from framecast.types import Hidden


class NoState(NamedTuple):
    """Empty state: M and H are memory, which zigzags."""


class MemoryFlowCell(Cell):
    """One layer of the flow; blocks of x and h (i, f, g, o), of m (i, f). The memory is (M, H).

    Args:
        in_channels: channels of the frame for the bottom layer; None above, where x is H itself.
        hidden: N, of M and H.
        kernel_size: k, odd.
        bias: one bias per gate and channel.
        forget_bias: constant added inside the forget gate.
        layer_norm: flavour of layer norm after each convolution.
        size: (H, W), for "chw".
    """

    def __init__(
        self,
        in_channels: int | None,
        hidden: int,
        kernel_size: int,
        *,
        bias: bool = True,
        forget_bias: float = 0.0,
        layer_norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.hidden, self.forget_bias = hidden, forget_bias
        self.memory_channels = self.memory_channels_out = (hidden, hidden)
        conv = partial(GateConv, kernel_size=kernel_size, norm=layer_norm, size=size)
        self.conv_x = conv(in_channels, 4 * hidden) if in_channels else None
        self.conv_h = conv(hidden, 4 * hidden, bias=bias)
        self.conv_m = conv(hidden, 2 * hidden)
        self.conv_o = conv(hidden, hidden)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> NoState:
        """Empty state."""
        return NoState()

    def _convolve(self, x: Tensor, memory: Memory) -> tuple[Tensor, ...]:
        m, top = memory
        sums = self.conv_h(x) if self.conv_x is None else self.conv_x(x) + self.conv_h(top)
        i, f, g, o = sums.chunk(4, 1)
        im, fm = self.conv_m(m).chunk(2, 1)
        return i + im, f + fm, g, o

    def forward(self, x: Hidden, memory: Memory, state: NoState) -> Step:
        """One step of the recurrence."""
        i, f, g, o = self._convolve(x, memory)
        m, _ = kernels.memory_update(i, f, g, memory[0], self.forget_bias)
        h = kernels.output_update(o + self.conv_o(m), m)
        return Step(h, (m, h), state)

    def gates(self, x: Hidden, memory: Memory, state: NoState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused."""
        i, f, g, o = self._convolve(x, memory)
        i, f, g = torch.sigmoid(i), torch.sigmoid(f + self.forget_bias), torch.tanh(g)
        m = f * memory[0] + i * g
        o = torch.sigmoid(o + self.conv_o(m))
        return {"i": i, "f": f, "g": g, "o": o, "m": m, "h": o * torch.tanh(m)}


class MemoryFlow(ConvConfig):
    """Stacked memory-flow cells: M and H zigzag, no layer has a state."""

    family, year = "memory flow", 2017
    name: Literal["memory_flow"] = "memory_flow"
    bias: bool = True
    forget_bias: float = 0.0
    layer_norm: Norm | None = None

    _equal = field_validator("hidden")(equal)

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network; the head has no bias."""
        cells = [
            MemoryFlowCell(
                channels + extra if layer == 0 else None,
                n,
                self.kernel_size,
                bias=self.bias,
                forget_bias=self.forget_bias,
                layer_norm=self.layer_norm,
                size=(height, width),
            )
            for layer, n in enumerate(self.hidden)
        ]
        return Network(cells, pixel_head(self.hidden[-1], channels))
