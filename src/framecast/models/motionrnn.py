r"""MotionRNN: between the layers of any predictive network the hidden state is moved along offsets that are learnt.

A highway w carries past each cell, whose output gate is o, what does not move; h is the cell's own hidden state:

    h~ = h + (1 - o) o w        w = W1x1*frame below the bottom cell, w = h~ above a cell

Above all cells but the top one, on maps of half the size, with x = We*h~ (stride 2), offsets f and their trend d:

    u = sigma(Wu*[x;f])    r = sigma(Wr*[x;f])    f~ = tanh(Wf*[x; r o f])    d' = d + (f - d) / 2
    f' = (1 - u) o f + u o f~ + d'                g  = sigma(Wg*x)
    y(p) = sum over the 3 x 3 neighbours j of  W_j g_j(p) x(p + p_j + f'_j(p))        bilinear, 0 outside the map
    z = Wd*y (transposed, stride 2)               b  = sigma(Wb*[z;h~])       h' = b o z + (1 - b) o h~

h' rises, and stays in its layer. Wu, Wr, Wf and Wg start at 0.

Wu et al.: MotionRNN: A Flexible Model for Video Prediction with Spacetime-Varying Motions, CVPR 2021,
https://arxiv.org/abs/2103.02243.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from pydantic import field_validator
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import ConvConfig, equal
from framecast.models.convlstm import ConvLSTM
from framecast.models.mim import MIM, Differencing, MIMBlock
from framecast.models.predrnn import PredRNN
from framecast.nn.cell import Cell, Memory, State, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network
from framecast.nn.norm import Norm
from framecast.nn.resampling import strided_conv, transposed_conv
from framecast.types import Hidden

TAPS = 3
"""Edge of the square of neighbours that are moved."""


class MotionGRU(nn.Module):
    """The motion of a layer: offsets, the state of a GRU, and the map moved along them.

    Args:
        channels: n of x.
        trend: whether the offsets' running mean is added.
    """

    def __init__(self, channels: int, *, trend: bool) -> None:
        super().__init__()
        self.trend, self.offsets = trend, 2 * TAPS**2
        entering = channels + self.offsets
        self.conv_u, self.conv_r, self.conv_f = (GateConv(entering, self.offsets, 3, bias=True) for _ in range(3))
        self.conv_g = GateConv(channels, TAPS**2, 3, bias=True)
        for conv in (self.conv_u, self.conv_r, self.conv_f, self.conv_g):
            nn.init.zeros_(conv.weight)
        self.warp = GateConv(channels * TAPS**2, channels, 1)

    def forward(self, x: Hidden, offset: Tensor, trend: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the moved map (B, n, H, W), the new offsets and the new trend, (B, 18, H, W).

        Args:
            x: (B, n, H, W).
            offset: (B, 18, H, W), rows, then columns, pixels of this map.
            trend: (B, 18, H, W).
        """
        r = torch.sigmoid(self.conv_r(x, offset))
        trend = trend + 0.5 * (offset - trend) if self.trend else trend
        moved = kernels.highway_update(self.conv_f(x, r * offset), self.conv_u(x, offset), offset)
        offset = moved + trend if self.trend else moved
        g = torch.sigmoid(self.conv_g(x))
        return self.warp((look_up_neighbours(x, offset) * g[:, None]).flatten(1, 2)), offset, trend


def look_up_neighbours(x: Hidden, offset: Tensor) -> Tensor:
    """Look up the 3 x 3 neighbours of each pixel, moved by offsets, bilinearly; outside the map there are zeros.

    Args:
        x: (B, n, H, W).
        offset: (B, 18, H, W), rows of the 9 neighbours, then columns, pixels.

    Returns:
        (B, n, 9, H, W).
    """
    height, width = x.shape[-2:]
    neighbours = torch.arange(-(TAPS // 2), TAPS // 2 + 1, dtype=x.dtype, device=x.device)
    rows, columns = (torch.arange(n, dtype=x.dtype, device=x.device) for n in (height, width))
    down, right = offset.unflatten(1, (2, TAPS**2)).unbind(1)
    row = rows[:, None] + neighbours.repeat_interleave(TAPS)[:, None, None] + down
    column = columns + neighbours.repeat(TAPS)[:, None, None] + right
    # -1 and 1 are the outer edges of the border pixels, which holds for a map of one row too
    grid = torch.stack([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1], -1).flatten(1, 2)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False).unflatten(2, (TAPS**2, height))


class MotionState(NamedTuple):
    """State of a wrapped cell, of its motion, and its last hidden state where the next one is compared with it."""

    cell: State
    motion: tuple[Tensor, ...]
    """Offsets and their trend, (B, 18, H/2, W/2) each; () in the top layer."""
    before: tuple[Tensor, ...]
    """h~ of the frame before, (B, N, H, W); () where no difference rises."""


class Motion(Cell):
    """Motion and a highway around a cell that reports its output gate, and whose state has the field h.

    Args:
        cell: the cell; its last memory is the difference of its hidden states where `differs`.
        hidden: N of the cell.
        kernel_size: k, odd.
        in_channels: channels of the frame, in the bottom layer, which begins the highway; None above.
        moves: whether the hidden state is moved; not in the top layer.
        stays: which hidden state stays in the layer, "warped", h', or "plain", h~.
        highway: whether there is one, the last memory of this cell.
        trend: whether the offsets have a trend.
        differs: whether the cell's last memory is the difference of its hidden states: then it is that of h~.
    """

    def __init__(
        self,
        cell: Cell,
        hidden: int,
        kernel_size: int,
        *,
        in_channels: int | None,
        moves: bool,
        stays: Literal["warped", "plain"] = "warped",
        highway: bool = True,
        trend: bool = True,
        differs: bool = False,
    ) -> None:
        super().__init__()
        self.cell, self.hidden, self.stays, self.highway, self.differs = cell, hidden, stays, highway, differs
        for part in cell.modules():
            if isinstance(part, Cell):
                part.reports_output = highway
        memory = (*(cell.memory_channels or ()), *((hidden,) if highway else ()))
        self.memory_channels = self.memory_channels_out = memory
        self.enter = GateConv(in_channels, hidden, 1) if highway and in_channels else None
        self.motion: MotionGRU | None = None
        if moves:
            self.window, quarter = 2, max(1, hidden // 4)
            self.shrink = strided_conv(hidden, quarter, kernel_size, 2)
            self.motion = MotionGRU(quarter, trend=trend)
            self.grow = transposed_conv(quarter, hidden, 4, 2, padding=1)
            self.conv_b = GateConv(2 * hidden, hidden, kernel_size, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> MotionState:
        """Zero state of a new sequence; the published code draws noise, in forecasts too."""
        motion: tuple[Tensor, ...] = ()
        if self.motion is not None:
            offset = zeros(like, batch, self.motion.offsets, height // 2, width // 2)
            motion = (offset, torch.zeros_like(offset))
        before = (zeros(like, batch, self.hidden, height, width),) if self.differs else ()
        return MotionState(self.cell.init_state(batch, height, width, like=like), motion, before)

    def _divide(self, x: Tensor, memory: Memory) -> tuple[Memory, Tensor | None]:
        """Divide a memory into that of the cell and the highway, which the frame begins anew at the bottom."""
        if not self.highway:
            return memory, None
        return memory[:-1], memory[-1] if self.enter is None else self.enter(x)

    def _move(self, h: Tensor, motion: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
        """Move a hidden state; return it, the new state of the motion, and its symbols."""
        if self.motion is None:
            return h, (), {}
        y, offset, trend = self.motion(self.shrink(h), *motion)
        z = self.grow(y)
        b = torch.sigmoid(self.conv_b(z, h))
        return b * z + (1 - b) * h, (offset, trend), {"offset": offset, "trend": trend, "z": z, "b": b}

    def forward(self, x: Hidden, memory: Memory, state: MotionState) -> Step:
        """One step of the recurrence."""
        inner, w = self._divide(x, memory)
        out, inner, new, aux = self.cell(x, inner, state.cell)
        aux = dict(aux)
        plain = out if w is None else out + (1 - aux.pop("o")) * w
        if self.differs:
            inner = (*inner[:-1], plain - state.before[0])
        h, motion, _ = self._move(plain, state.motion)
        new = new._replace(h=h if self.stays == "warped" else plain)
        leaving = inner if w is None else (*inner, plain)
        return Step(h, leaving, MotionState(new, motion, (plain,) if self.differs else ()), aux)

    def gates(self, x: Hidden, memory: Memory, state: MotionState) -> dict[str, Tensor]:
        """Symbols of the cell, "plain", h~, and those of the motion: "offset", "trend", "z", "b", and h, what rises."""
        inner, w = self._divide(x, memory)
        values = self.cell.gates(x, inner, state.cell)
        plain = values["h"] if w is None else values["h"] + (1 - values["o"]) * w
        h, _, symbols = self._move(plain, state.motion)
        return {**values, **symbols, "plain": plain, "h": h}

    def penalty(self) -> Tensor | None:
        """Compute the cell's penalty."""
        return self.cell.penalty()


class MotionRNN(ConvConfig):
    """MotionRNN around the cells of another network.

    `around`: whose cells, "predrnn" (published), "mim" (in the paper; without published code) or "convlstm". `stays`:
    which hidden state stays in its layer, the "warped" one (published code) or the "plain" one (paper). `highway`,
    `trend`: without them, the paper's ablations.

    Note:
        Published states begin with noise, drawn anew for each forecast; ours with zeros. Around MIM the differences of
        hidden states are those before the motion, which the paper leaves open.
    """

    family, year = "memory flow", 2021
    name: Literal["motionrnn"] = "motionrnn"
    around: Literal["predrnn", "mim", "convlstm"] = "predrnn"
    stays: Literal["warped", "plain"] = "warped"
    highway: bool = True
    trend: bool = True
    bias: bool = False
    layer_norm: Norm | None = None

    _equal = field_validator("hidden")(equal)

    @property
    def fixed_size(self) -> bool:
        """True around MIM, whose peepholes are maps, or with "chw" norms."""
        return self.around == "mim" or super().fixed_size

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        kinds: dict[str, type[ConvConfig]] = {"predrnn": PredRNN, "mim": MIM, "convlstm": ConvLSTM}
        shared: dict[str, Any] = self.model_dump(include={"hidden", "kernel_size", "bias", "layer_norm"})
        inner = kinds[self.around](**shared).build(channels, height + height % 2, width + width % 2, extra)
        assert isinstance(inner, Network)
        top = len(self.hidden) - 1
        cells = [
            Motion(
                cell,
                self.hidden[0],
                self.kernel_size,
                in_channels=channels + extra if layer == 0 else None,
                moves=layer < top,
                stays=self.stays,
                highway=self.highway,
                trend=self.trend,
                differs=isinstance(cell, Differencing) or (isinstance(cell, MIMBlock) and cell.difference == "hidden"),
            )
            for layer, cell in enumerate(cast(list[Cell], list(inner.cells)))
        ]
        return Network(cells, inner.head)
