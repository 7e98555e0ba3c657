"""A cell of your own in a network, trained and used like any other: one file, nothing to register.

python examples/03_own_cell.py [RUN] [STEPS]
"""

import sys
from typing import Literal, NamedTuple

import torch
from torch import Tensor

import framecast
from framecast.models import ConvConfig
from framecast.nn import Cell, GateConv, Memory, Network, Step, pixel_head


class GRUState(NamedTuple):
    h: Tensor


class ConvGRUCell(Cell):
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


class ConvGRU(ConvConfig):
    """Stacked ConvGRU cells."""

    name: Literal["convgru"] = "convgru"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        below = (channels + extra, *self.hidden)  # extra: covariates and mask, where there are any
        cells = [ConvGRUCell(b, n, self.kernel_size) for b, n in zip(below, self.hidden, strict=False)]
        return Network(cells, pixel_head(self.hidden[-1], channels))


run = sys.argv[1] if len(sys.argv) > 1 else "runs/example-3"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100
recipe = framecast.Recipe(model=ConvGRU(hidden=(16, 16), kernel_size=3), train={"steps": steps, "lr": 3e-3})
print(framecast.start(recipe, run))
print(framecast.load(run, model=ConvGRU).config)
