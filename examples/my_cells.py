"""A cell of one's own, and a network of it: a gated recurrent unit with convolutions (Ballas et al. 2016)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from framecast.models import ConvConfig
from framecast.nn import Cell, GateConv, Memory, Network, Step, pixel_head


class GRUState(NamedTuple):
    h: Tensor


class MyCell(Cell):
    """z = sigma(Wz*[x,h]), r = sigma(Wr*[x,h]), h' = (1 - z) h + z tanh(W*[x, r h])."""

    def __init__(self, in_channels: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_gates = GateConv(in_channels + hidden, 2 * hidden, kernel_size, bias=True)
        self.conv_new = GateConv(in_channels + hidden, hidden, kernel_size, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> GRUState:
        return GRUState(like.new_zeros(batch, self.hidden, height, width))

    def gates(self, x: Tensor, memory: Memory, state: GRUState) -> dict[str, Tensor]:
        z, r = torch.sigmoid(self.conv_gates(torch.cat([x, state.h], 1))).chunk(2, 1)
        new = torch.tanh(self.conv_new(torch.cat([x, r * state.h], 1)))
        return {"z": z, "r": r, "new": new, "h": (1 - z) * state.h + z * new}

    def forward(self, x: Tensor, memory: Memory, state: GRUState) -> Step:
        h = self.gates(x, memory, state)["h"]
        return Step(h, memory, GRUState(h))


class MyNetwork(ConvConfig):
    """Stacked cells."""

    name: Literal["my_network"] = "my_network"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        below = (channels + extra, *self.hidden)  # extra: covariates and mask, where there are any
        cells = [MyCell(b, n, self.kernel_size) for b, n in zip(below, self.hidden, strict=False)]
        return Network(cells, pixel_head(self.hidden[-1], channels))
