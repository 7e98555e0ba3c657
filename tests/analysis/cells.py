"""Networks whose answers are known, and forecasters around them."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from framecast.cell import Cell, Memory, Step, zeros
from framecast.data.loader import Batch
from framecast.forecaster import Forecaster
from framecast.models import ConvLSTM, ModelConfig
from framecast.network import Network
from framecast.normalize import Identity
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=4, width=6)


class LinearState(NamedTuple):
    h: Tensor


class Linear(Cell):
    """h' = a h + b m + x,  m' = m + h': all that moves is a sum, so all derivatives are powers and binomials."""

    def __init__(self, a: float, b: float = 0.0) -> None:
        super().__init__()
        self.a, self.b = a, b
        self.memory_channels = self.memory_channels_out = (1,)
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> LinearState:
        return LinearState(zeros(like, batch, 1, height, width))

    def forward(self, x: Tensor, memory: Memory, state: LinearState) -> Step:
        h = self.a * state.h + self.b * memory[0] + x
        return Step(h, (memory[0] + h,), LinearState(h))

    def gates(self, x: Tensor, memory: Memory, state: LinearState) -> dict[str, Tensor]:
        h = self.a * state.h + self.b * memory[0] + x
        return {"h": h, "m": memory[0] + h}


class TwoState(NamedTuple):
    h: Tensor
    c: Tensor


class TwoMemories(Cell):
    """Increments of C and M that are given; the frame passes through."""

    def __init__(self, delta_c: Tensor, delta_m: Tensor) -> None:
        super().__init__()
        self.register_buffer("delta_c", delta_c)
        self.register_buffer("delta_m", delta_m)
        self.memory_channels = self.memory_channels_out = (len(delta_c),)
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> TwoState:
        return TwoState(zeros(like, batch, 1, height, width), zeros(like, batch, len(self.delta_c), height, width))

    def forward(self, x: Tensor, memory: Memory, state: TwoState) -> Step:
        return Step(x, (memory[0] + self.delta_m,), TwoState(x, state.c + self.delta_c))

    def gates(self, x: Tensor, memory: Memory, state: TwoState) -> dict[str, Tensor]:
        shape = state.c.shape
        one = torch.ones(shape, dtype=x.dtype)
        c, m = self.delta_c.expand(shape), self.delta_m.expand(shape)
        return {"i": one, "g": c, "im": one / 2, "gm": 2 * m, "c": state.c + c, "m": memory[0] + m, "h": x}


class Copy(nn.Module):
    """A head whose output is another tensor than its input."""

    def forward(self, h: Tensor) -> Tensor:
        return h.clone()


class Fixed(ModelConfig):
    """A network that is there already."""

    name: Literal["fixed"] = "fixed"
    _cells: list[Cell] = PrivateAttr(default_factory=list)

    def build(self, channels: int, height: int, width: int) -> Network:
        return Network(self._cells, Copy())


def forecaster(*cells: Cell, spec: FrameSpec = SPEC) -> Forecaster:
    """A forecaster in float64 whose network units are raw units and whose patches are pixels."""
    config = Fixed()
    config._cells = list(cells)
    return Forecaster(config, spec, Identity(), 1).double().eval()


def forced(forget: float) -> Forecaster:
    """A ConvLSTM of two layers whose weights are 0 and whose forget gates are sigmoid(forget) everywhere."""
    made = Forecaster(ConvLSTM(hidden=(3, 2), kernel_size=3), SPEC, Identity(), 1).double().eval()
    with torch.no_grad():
        for name, value in made.network.named_parameters():
            value.zero_()
            if name.endswith("conv_x.bias"):
                n = len(value) // 4
                value[n : 2 * n] = forget
    return made


def batch(frames: Tensor | None = None, *, sequences: int = 2, time: int = 7, **options: Any) -> Batch:
    """Random frames unless they are given."""
    if frames is None:
        generator = torch.Generator().manual_seed(3)
        shape = (sequences, time, 1, SPEC.height, SPEC.width)
        frames = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return Batch(frames, options.get("valid"), list(range(len(frames))))
