r"""FC-LSTM on flattened frames: the baseline without any notion of space.

    i = sigma(Wxi x + Whi h + bi)      f = sigma(Wxf x + Whf h + bf)      g = tanh(Wxg x + Whg h + bg)
    c' = f o c + i o g                 o = sigma(Wxo x + Who h + bo)      h' = o o tanh(c')

Hochreiter, Schmidhuber: Long Short-Term Memory, 1997, https://doi.org/10.1162/neco.1997.9.8.1735; in the form of
Srivastava, Mansimov, Salakhutdinov: Unsupervised Learning of Video Representations using LSTMs, 2015,
https://arxiv.org/abs/1502.04681.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import Hiddens, ModelConfig, Options
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network
from framecast.types import Hidden


class LSTMState(NamedTuple):
    """Hidden state and cell, (B, N, 1, 1)."""

    h: Tensor
    c: Tensor


class LSTMCell(Cell):
    """LSTM cell over all pixels of its input at once; blocks (i, f, g, o).

    Args:
        in_features: numbers in the flattened input.
        hidden: N.
        forget_bias: constant added inside the forget gate.

    Note:
        One bias per gate; torch.nn.LSTM has two, whose sum this is.
    """

    def __init__(self, in_features: int, hidden: int, *, forget_bias: float = 0.0) -> None:
        super().__init__()
        self.hidden, self.forget_bias = hidden, forget_bias
        self.conv_x = GateConv(in_features, 4 * hidden, 1, bias=True)
        self.conv_h = GateConv(hidden, 4 * hidden, 1)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> LSTMState:
        """Zero state of a new sequence, whatever the size of the map."""
        return LSTMState(zeros(like, batch, self.hidden, 1, 1), zeros(like, batch, self.hidden, 1, 1))

    def _convolve(self, x: Tensor, state: LSTMState) -> tuple[Tensor, ...]:
        flat = x.flatten(1)[:, :, None, None]
        return (self.conv_x(flat) + self.conv_h(state.h)).chunk(4, 1)

    def forward(self, x: Hidden, memory: Memory, state: LSTMState) -> Step:
        """One step of the recurrence; x (B, C, H, W) is flattened to (B, C*H*W, 1, 1)."""
        i, f, g, o = self._convolve(x, state)
        c, _ = kernels.memory_update(i, f, g, state.c, self.forget_bias)
        h = kernels.output_update(o, c)
        return Step(h, memory, LSTMState(h, c))

    def gates(self, x: Hidden, memory: Memory, state: LSTMState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused."""
        i, f, g, o = self._convolve(x, state)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f + self.forget_bias), torch.tanh(g), torch.sigmoid(o)
        c = f * state.c + i * g
        return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * torch.tanh(c)}


class FrameHead(nn.Module):
    """Linear layer from the hidden vector to a whole frame: (B, N, 1, 1) to (B, C, H, W)."""

    def __init__(self, hidden: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (channels, height, width)
        self.conv = GateConv(hidden, channels * height * width, 1, bias=True)

    def forward(self, h: Hidden) -> Tensor:
        """Turn (B, N, 1, 1) into (B, C, H, W)."""
        return self.conv(h).reshape(-1, *self.shape)


class LSTM(ModelConfig):
    """Stacked LSTM cells on the flattened frame; fits one frame size."""

    family, year = "gated cells", 2015
    small: ClassVar[Options] = {"hidden": (256,)}
    name: Literal["lstm"] = "lstm"
    hidden: Hiddens = (512, 512)
    forget_bias: float = 0.0

    @property
    def fixed_size(self) -> bool:
        """True: the weights have the size of the frame."""
        return True

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        sizes = ((channels + extra) * height * width, *self.hidden)
        cells = [LSTMCell(below, n, forget_bias=self.forget_bias) for below, n in zip(sizes, self.hidden, strict=False)]
        return Network(cells, FrameHead(self.hidden[-1], channels, height, width))
