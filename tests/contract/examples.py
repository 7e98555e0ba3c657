"""The smallest example of each thing that the contract offers and that no registered network needs."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from framecast.models import ModelConfig
from framecast.nn import Cell, DirectNetwork, EncoderForecaster, GateConv, Memory, Network, Stem, Step, pixel_head
from framecast.nn.cell import zeros
from framecast.nn.network import NetworkState, SequenceNetwork
from framecast.nn.rollout import draw_noise

N = 4


class HalvingStem(Stem):
    """Half the resolution, group norm; the features at full resolution are the skip."""

    def __init__(self, channels: int) -> None:
        super().__init__(stride=2)
        self.full, self.down = nn.Conv2d(channels, N, 1), nn.Conv2d(N, N, 3, 2, 1)
        self.norm = nn.GroupNorm(2, N)

    def forward(self, frame: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        skip = self.full(frame)
        return self.norm(self.down(skip)), (skip,)


class DoublingHead(nn.Module):
    """Twice the resolution, the skip is added, a sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up, self.out = nn.ConvTranspose2d(N, N, 2, 2), nn.Conv2d(N, channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.sigmoid(self.out(self.up(x) + skip))


class HiddenState(NamedTuple):
    h: Tensor


class PlainCell(Cell):
    """h' = tanh(conv([x; h]))."""

    def __init__(self, in_channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden, self.conv = hidden, GateConv(in_channels + hidden, hidden, 3, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> HiddenState:
        return HiddenState(zeros(like, batch, self.hidden, height, width))

    def forward(self, x: Tensor, memory: Memory, state: HiddenState) -> Step:
        h = torch.tanh(self.conv(x, state.h))
        return Step(h, memory, HiddenState(h))

    def gates(self, x: Tensor, memory: Memory, state: HiddenState) -> dict[str, Tensor]:
        return {"h": torch.tanh(self.conv(torch.cat([x, state.h], 1)))}


class Level(Cell):
    """A cell whose hidden state leaves at half or twice the size; four times, or a quarter of, its channels."""

    def __init__(self, cell: Cell, scale: float, window: int = 1) -> None:
        super().__init__()
        self.cell, self.scale, self.window = cell, scale, window

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> Any:
        return self.cell.init_state(batch, height, width, like=like)

    def _resampled(self, h: Tensor) -> Tensor:
        return nn.functional.pixel_unshuffle(h, 2) if self.scale < 1 else nn.functional.pixel_shuffle(h, 2)

    def forward(self, x: Tensor, memory: Memory, state: Any) -> Step:
        step = self.cell(x, memory, state)
        return step._replace(out=self._resampled(step.out))

    def gates(self, x: Tensor, memory: Memory, state: Any) -> dict[str, Tensor]:
        values = self.cell.gates(x, memory, state)
        return {**values, "h": self._resampled(values["h"])}


class QueueState(NamedTuple):
    past: tuple[Tensor, ...]
    """The last hidden states, oldest first; zeros before the start."""


class QueueCell(Cell):
    """h' = tanh(conv([x; mean of past h's, weighted by their fit])): past states take part as long as they are kept."""

    def __init__(self, in_channels: int, length: int = 3) -> None:
        super().__init__()
        self.length, self.conv = length, GateConv(in_channels + N, N, 3, bias=True)
        self.key = GateConv(in_channels, N, 1)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> QueueState:
        return QueueState(tuple(zeros(like, batch, N, height, width) for _ in range(self.length)))

    def _weights(self, x: Tensor, state: QueueState) -> Tensor:
        """(length, B, 1, 1, 1)."""
        return torch.softmax((torch.stack(state.past) * self.key(x)).mean((2, 3, 4), keepdim=True), 0)

    def forward(self, x: Tensor, memory: Memory, state: QueueState) -> Step:
        h = torch.tanh(self.conv(x, (self._weights(x, state) * torch.stack(state.past)).sum(0)))
        return Step(h, memory, QueueState((*state.past[1:], h)))

    def gates(self, x: Tensor, memory: Memory, state: QueueState) -> dict[str, Tensor]:
        past = sum(a * h for a, h in zip(self._weights(x, state), state.past, strict=True))
        return {"h": torch.tanh(self.conv(torch.cat([x, past], 1)))}


class NoState(NamedTuple):
    pass


class SlotCell(Cell):
    """A highway in a memory slot: the bottom cell fills it from the frame, whatever comes in; the others rewrite it."""

    memory_channels = memory_channels_out = (N,)

    def __init__(self, in_channels: int, *, bottom: bool) -> None:
        super().__init__()
        self.bottom, self.conv = bottom, GateConv(in_channels if bottom else 2 * N, N, 3, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> NoState:
        return NoState()

    def forward(self, x: Tensor, memory: Memory, state: NoState) -> Step:
        h = torch.tanh(self.conv(x) if self.bottom else self.conv(x, memory[0]))
        return Step(h, (h,) if self.bottom else (h * memory[0],), state)

    def gates(self, x: Tensor, memory: Memory, state: NoState) -> dict[str, Tensor]:
        maps = (x,) if self.bottom else (x, memory[0])
        return {"h": torch.tanh(self.conv(torch.cat(maps, 1)))}


class OpenCell(Cell):
    """A gated cell that reports its output gate o to what is around it, and has a penalty of its own."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = GateConv(in_channels + N, 2 * N, 3, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> HiddenState:
        return HiddenState(zeros(like, batch, N, height, width))

    def forward(self, x: Tensor, memory: Memory, state: HiddenState) -> Step:
        o, g = self.conv(x, state.h).chunk(2, 1)
        o = torch.sigmoid(o)
        h = o * torch.tanh(g)
        return Step(h, memory, HiddenState(h), {"o": o})

    def gates(self, x: Tensor, memory: Memory, state: HiddenState) -> dict[str, Tensor]:
        o, g = self.conv(torch.cat([x, state.h], 1)).chunk(2, 1)
        return {"h": torch.sigmoid(o) * torch.tanh(g), "o": torch.sigmoid(o)}

    def penalty(self) -> Tensor:
        return (self.conv.weight.sum((2, 3)) - 1).square().mean()


class HighwayAround(Cell):
    """h' = h + (1 - o) o w, with the output gate o of the cell inside and w of the frame."""

    def __init__(self, cell: Cell, in_channels: int) -> None:
        super().__init__()
        self.cell, self.conv = cell, GateConv(in_channels, N, 1)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> Any:
        return self.cell.init_state(batch, height, width, like=like)

    def forward(self, x: Tensor, memory: Memory, state: Any) -> Step:
        step = self.cell(x, memory, state)
        kept = {symbol: value for symbol, value in step.aux.items() if symbol != "o"}
        return step._replace(out=step.out + (1 - step.aux["o"]) * self.conv(x), aux=kept)

    def gates(self, x: Tensor, memory: Memory, state: Any) -> dict[str, Tensor]:
        values = self.cell.gates(x, memory, state)
        return {**values, "h": values["h"] + (1 - values["o"]) * self.conv(x)}

    def penalty(self) -> Tensor | None:
        return self.cell.penalty()


class Unshuffled(nn.Module):
    """The forecaster's first states: each of the encoder's, unshuffled, the deepest first."""

    def forward(self, state: NetworkState) -> NetworkState:
        halved = [tuple(nn.functional.pixel_unshuffle(leaf, 2) for leaf in cell) for cell in reversed(state.cells)]
        return NetworkState(tuple(type(old)(*new) for old, new in zip(state.cells, halved, strict=True)), ())


class Blocks(nn.Module):
    """All frames of a block joined on their channels."""

    def __init__(self, channels: int, frames: int, extra: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d((channels + extra) * frames, channels * frames, 3, padding=1)

    def forward(self, block: Tensor) -> Tensor:
        return torch.tanh(self.conv(block.flatten(1, 2))).unflatten(1, (block.shape[1], -1))


class Strided(ModelConfig):
    """A stem, a head with a skip, a value range."""

    name: Literal["strided"] = "strided"

    @property
    def value_range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        return Network([PlainCell(N, N)], DoublingHead(channels), stem=HalvingStem(channels + extra))


class Levels(ModelConfig):
    """Down, a window, up."""

    name: Literal["levels"] = "levels"

    def build(self, channels: int, height: int, width: int) -> Network:
        down, up = Level(PlainCell(channels, N), 0.5), Level(PlainCell(4 * N, 4 * N), 2, window=2)
        return Network([down, up], pixel_head(N, channels))


class Queues(ModelConfig):
    """States of several tensors."""

    name: Literal["queues"] = "queues"

    def build(self, channels: int, height: int, width: int) -> Network:
        return Network([QueueCell(channels), QueueCell(N)], pixel_head(N, channels))


class Slots(ModelConfig):
    """A memory that each frame fills anew."""

    name: Literal["slots"] = "slots"

    def build(self, channels: int, height: int, width: int) -> Network:
        cells = [SlotCell(channels, bottom=True), SlotCell(N, bottom=False), SlotCell(N, bottom=False)]
        return Network(cells, pixel_head(N, channels))


class Wrapped(ModelConfig):
    """A wrapper that takes the output gate, and a penalty."""

    name: Literal["wrapped"] = "wrapped"

    def build(self, channels: int, height: int, width: int) -> Network:
        return Network([HighwayAround(OpenCell(channels), channels), OpenCell(N)], pixel_head(N, channels))


class TwoPhases(ModelConfig):
    """An encoder of two levels, a forecaster that mirrors it, zeros or noise."""

    name: Literal["two_phases"] = "two_phases"
    noise: bool = False

    @property
    def value_range(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def feeds_back(self) -> bool:
        return False

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> EncoderForecaster:
        wider = channels + extra
        encoder = [Level(PlainCell(wider, channels), 0.5), Level(PlainCell(4 * channels, 4 * channels), 0.5)]
        forecaster = [Level(PlainCell(16 * wider, 16 * channels), 2), Level(PlainCell(4 * channels, 4 * channels), 2)]
        head, drive = nn.Identity(), 16 * channels
        return EncoderForecaster(encoder, forecaster, Unshuffled(), head, drive_channels=drive, noise=self.noise)


class Direct(ModelConfig):
    """Blocks of frames."""

    name: Literal["direct"] = "direct"
    frames: int = Field(default=3, ge=1)

    @property
    def feeds_back(self) -> bool:
        return False

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> DirectNetwork:
        correction = nn.Conv2d(channels + extra, channels, 1) if extra else None
        return DirectNetwork(Blocks(channels, self.frames, extra), self.frames, correction=correction)


EXAMPLES: dict[str, ModelConfig] = {
    "strided": Strided(),
    "levels": Levels(),
    "queues": Queues(),
    "slots": Slots(),
    "wrapped": Wrapped(),
    "two_phases": TwoPhases(),
    "two_phases/noise": TwoPhases(noise=True),
    "direct": Direct(),
}


def with_noise(network: SequenceNetwork, frames: Tensor, steps: int, members: int = 2) -> dict[str, Tensor]:
    """What drives a rollout, the same for every sequence; nothing for a network without noise."""
    shape = network.drive_shape(*frames.shape[-2:])
    leads = range(steps - max(frames.shape[1] - 1, 0))
    return {} if shape is None else {"drive": draw_noise(shape, [(7,)] * len(frames), leads, members, frames)}
