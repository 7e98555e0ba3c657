r"""PredRNN-V3: PredRNN's two memories from two branches, convolutions for space and attention for time.

    u = W1*[x; h; m]      A = R(R(u)), R(a) = a + y o SE(y), y = W*leaky(W*a)      Z = V(V(u))
    m' = sigma(A) o (m + tanh(A))       c' = sigma(Z) o (c + tanh(Z))       mix(m, c) = W1*[p; c o sigma(p)], p = W*m
    o = sigma(A + Z + mix_o(m', c'))       h' = o o tanh(mix_h(m', c'))

SE weighs the channels by their means over the map. V is a transformer block whose one window is the whole map:

    s = s + attention(LN(s))      V = LN''(s + W2*(silu(Wg*b) o Wx*b)), b = LN'(s)

Written from a description of the published network (YouZhou12138/PredRNNv3), which has no licence and was not used.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import ConvConfig, Hiddens, Options, equal
from framecast.models.predrnn import STLSTMState
from framecast.nn.attention import Extent, WindowAttention
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, Stem
from framecast.nn.norm import Norm, layer_norm
from framecast.nn.resampling import strided_conv, transposed_conv
from framecast.types import Frame, Hidden


class ConvBranch(nn.Module):
    """R: two convolutions, whose result is weighed by channel and added.

    Args:
        channels: N.
        kernel_size: k, odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (GateConv(channels, channels, kernel_size) for _ in range(2))
        squeezed = max(1, channels // 16)
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, a: Hidden) -> Tensor:
        """Compute (B, N, H, W)."""
        y = self.conv2(F.leaky_relu(self.conv1(a), 0.01))
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
        return a + y * weights[:, :, None, None]


class AttentionBranch(nn.Module):
    """V: attention over the whole map, and a gated product of two projections.

    Args:
        channels: N.
        heads: of the attention.
        size: (H, W) of the map for which the table of relative positions is made.
        resample: whether the table is interpolated for other sizes.
    """

    def __init__(self, channels: int, heads: int, size: tuple[int, int], *, resample: bool) -> None:
        super().__init__()
        self.resample = resample
        self.norm1, self.norm2, self.norm = (nn.LayerNorm(channels) for _ in range(3))
        self.attention = WindowAttention(channels, heads, size)
        self.fc_g, self.fc_x = (nn.Linear(channels, 4 * channels) for _ in range(2))
        self.fc = nn.Linear(4 * channels, channels)
        for part in (self.attention.qkv, self.attention.proj, self.fc_g, self.fc_x, self.fc):
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)

    def forward(self, s: Tensor, size: tuple[Extent, Extent]) -> Tensor:
        """Compute (B, L, N) from positions of a map of a size, row by row."""
        s = s + self.attention(self.norm1(s), size, resample=self.resample)
        b = self.norm2(s)
        return self.norm(s + self.fc(F.silu(self.fc_g(b)) * self.fc_x(b)))


class Mix(nn.Module):
    """A convolved memory beside another one that it gates.

    Args:
        channels: N.
        kernel_size: k, odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv, self.join = GateConv(channels, channels, kernel_size), GateConv(2 * channels, channels, 1)

    def forward(self, m: Hidden, c: Hidden) -> Tensor:
        """Compute (B, N, H, W)."""
        p = kernels.materialize(self.conv(m))
        return self.join(p, c * torch.sigmoid(p))


class PredRNNV3Cell(Cell):
    """Cell of two branches. The memory is (M,).

    Args:
        hidden: N, of x too.
        kernel_size: k, odd.
        heads: of the attention.
        size: (H, W) of the map for which the tables of relative positions are made.
        resample: whether the tables are interpolated for other sizes.
    """

    def __init__(self, hidden: int, kernel_size: int, heads: int, size: tuple[int, int], *, resample: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.memory_channels = self.memory_channels_out = (hidden,)
        self.enter = GateConv(3 * hidden, hidden, 1)
        self.space = nn.ModuleList([ConvBranch(hidden, kernel_size) for _ in range(2)])
        self.time = nn.ModuleList([AttentionBranch(hidden, heads, size, resample=resample) for _ in range(2)])
        self.mix_o, self.mix_h = Mix(hidden, kernel_size), Mix(hidden, kernel_size)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> STLSTMState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return STLSTMState(zeros(like, *shape), zeros(like, *shape))

    def _branch(self, x: Hidden, memory: Memory, state: STLSTMState) -> tuple[Tensor, Tensor]:
        """Compute A and Z, (B, N, H, W)."""
        u = kernels.materialize(self.enter(x, state.h, memory[0]))
        a, z = u, u.flatten(2).transpose(1, 2)
        rows, columns = x.shape[-2:]
        for space, time in zip(self.space, self.time, strict=True):
            a, z = space(a), time(z, (rows, columns))
        return a, z.transpose(1, 2).unflatten(2, (rows, columns))

    def forward(self, x: Hidden, memory: Memory, state: STLSTMState) -> Step:
        """One step of the recurrence."""
        values = self.gates(x, memory, state)
        aux = {"o": values["o"]} if self.reports_output else {}
        return Step(values["h"], (values["m"],), STLSTMState(values["h"], values["c"]), aux)

    def gates(self, x: Hidden, memory: Memory, state: STLSTMState) -> dict[str, Tensor]:
        """Symbols of the equations: "fm", "gm" are gate and candidate of m, "f", "g" of c."""
        a, z = self._branch(x, memory, state)
        fm, gm, f, g = torch.sigmoid(a), torch.tanh(a), torch.sigmoid(z), torch.tanh(z)
        m, c = fm * (memory[0] + gm), f * (state.c + g)
        o = torch.sigmoid(a + z + self.mix_o(m, c))
        h = o * torch.tanh(self.mix_h(m, c))
        return {"f": f, "g": g, "fm": fm, "gm": gm, "o": o, "c": c, "m": m, "h": h}


class PatchStem(Stem):
    """The way in: each square of the frame becomes a position, normalised.

    Args:
        channels: C of what enters.
        hidden: N.
        shrink: edge of a square, pixels.
        norm: flavour of the norm.
        size: (H', W') of the map, for "chw".
    """

    def __init__(self, channels: int, hidden: int, shrink: int, norm: Norm, size: tuple[int, int]) -> None:
        super().__init__(stride=shrink)
        self.embed = strided_conv(channels, hidden, shrink, shrink, padding=0)
        self.norm = layer_norm(norm, hidden, size)

    def forward(self, frame: Frame) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute features, and no skips."""
        return self.norm(self.embed(frame)), ()


class PredRNNV3(ConvConfig):
    """PredRNN-V3 on squares of pixels; all layers are equally wide.

    `heads`: of the attention over the whole map, whose cost grows with the square of its positions. `shrink`: edge of
    the square of pixels that becomes a position. `layer_norm`: of the way in; "position" takes any size, and interpolates
    the tables of relative positions; "chw" is the published one, for one size.
    """

    family = "attention"
    small: ClassVar[Options] = {"hidden": (64, 64)}
    name: Literal["predrnn_v3"] = "predrnn_v3"
    hidden: Hiddens = (128, 128, 128, 128)
    kernel_size: Annotated[int, Field(ge=1, le=999)] = 3
    heads: Annotated[int, Field(ge=1, le=1024)] = 4
    shrink: Annotated[int, Field(ge=1, le=64)] = 4
    layer_norm: Norm = "position"

    _equal = field_validator("hidden")(equal)

    @model_validator(mode="after")
    def _check_heads(self) -> PredRNNV3:
        if self.hidden[0] % self.heads:
            raise ValueError(f"heads: got {self.heads}, expected a divisor of the {self.hidden[0]} channels")
        return self

    @property
    def exports_one_size(self) -> bool:
        """Always: biases of the attention are interpolated to the size of the map."""
        return True

    @property
    def default_patch(self) -> int:
        """1: the network makes the map smaller by itself."""
        return 1

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        n, size = self.hidden[0], (-(-height // self.shrink), -(-width // self.shrink))
        resample = self.layer_norm != "chw"
        cells = [PredRNNV3Cell(n, self.kernel_size, self.heads, size, resample=resample) for _ in self.hidden]
        stem = PatchStem(channels + extra, n, self.shrink, self.layer_norm, size)
        return Network(cells, transposed_conv(n, channels, self.shrink, self.shrink, padding=0), stem=stem)
