r"""MAU: motion T and appearance S, where past motions are pooled by how past appearances fit the present one.

With k x k convolutions, each followed by a layer norm over its whole output, and the last tau T's and S's of the layer
(zeros before the start), S the appearance that enters and T the newest motion, d the number of values of S:

    s = W1*S    t = W2*T    a_j = softmax_j(<S_j, s> / sqrt(d))      trend = sum_j a_j T_j
    F = sigma(t) o T + (1 - sigma(t)) o trend                        [tg; tt; ts] = W3*F    [sg; st; ss] = W4*S
    T' = sigma(tg) o tt + (1 - sigma(tg)) o st                       S' = sigma(sg) o ss + (1 - sigma(sg)) o ts (+ S)

S' rises, T' and S stay. Chang et al.: MAU: A Motion-Aware Unit for Video Prediction and Beyond, NeurIPS 2021,
https://proceedings.neurips.cc/paper/2021/hash/e25cfa90f04351958216f97e3efdabe9-Abstract.html.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from framecast.models.config import ConvConfig, equal
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, Stem
from framecast.nn.norm import Norm
from framecast.nn.resampling import strided_conv, transposed_conv
from framecast.types import Frame, Hidden


class MAUState(NamedTuple):
    """The last tau motions and appearances of a layer, oldest first, (B, N, H, W) each."""

    t: tuple[Tensor, ...]
    s: tuple[Tensor, ...]


class MAUCell(Cell):
    """Motion-aware unit; blocks of F (tg, tt, ts), of S (sg, st, ss).

    Args:
        hidden: N, of x too.
        kernel_size: k, odd.
        tau: steps that are looked back.
        residual: whether S is added to S'.
        layer_norm: flavour of layer norm after each convolution.
        size: (H, W), for "chw".
    """

    def __init__(
        self, hidden: int, kernel_size: int, *, tau: int, residual: bool, layer_norm: Norm, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.hidden, self.tau, self.residual = hidden, tau, residual
        conv = partial(GateConv, hidden, kernel_size=kernel_size, bias=True, norm=layer_norm, size=size)
        self.conv_t, self.conv_t_next = conv(3 * hidden), conv(hidden)
        self.conv_s, self.conv_s_next = conv(3 * hidden), conv(hidden)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> MAUState:
        """Zeros, which take part in the attention."""
        # each a tensor of its own: an export takes one tensor in two places for one input
        t, s = (tuple(zeros(like, batch, self.hidden, height, width) for _ in range(self.tau)) for _ in range(2))
        return MAUState(t, s)

    def _attend(self, x: Tensor, state: MAUState) -> tuple[Tensor, Tensor]:
        """Weights of the past (tau, B), and their mean of motions."""
        s = self.conv_s_next(x)
        size = s.new_full((), s.shape[1] * s.shape[2] * s.shape[3])  # a tensor, so that an exported size stays free
        fit = torch.stack([(past * s).sum((1, 2, 3)) for past in state.s]) / size.sqrt()
        a = torch.softmax(fit, 0)
        return a, (a[:, :, None, None, None] * torch.stack(state.t)).sum(0)

    def _fuse(self, x: Tensor, state: MAUState) -> dict[str, Tensor]:
        a, trend = self._attend(x, state)
        gate = torch.sigmoid(self.conv_t_next(state.t[-1]))
        fused = gate * state.t[-1] + (1 - gate) * trend
        tg, tt, ts = self.conv_t(fused).chunk(3, 1)
        sg, st, ss = self.conv_s(x).chunk(3, 1)
        tg, sg = torch.sigmoid(tg), torch.sigmoid(sg)
        new = {"t": tg * tt + (1 - tg) * st, "h": sg * ss + (1 - sg) * ts + (x if self.residual else 0)}
        return {"a": a.T[:, :, None, None], "trend": trend, "gate": gate, "tg": tg, "sg": sg, **new}

    def forward(self, x: Hidden, memory: Memory, state: MAUState) -> Step:
        """One step of the recurrence."""
        values = self._fuse(x, state)
        return Step(values["h"], memory, MAUState((*state.t[1:], values["t"]), (*state.s[1:], x)))

    def gates(self, x: Hidden, memory: Memory, state: MAUState) -> dict[str, Tensor]:
        """Symbols of the equations, "gate" for sigma(t), h for S'; a, (B, tau, 1, 1), oldest first."""
        return self._fuse(x, state)


class MAUStem(Stem):
    """The way in: a 1x1 convolution, then halvings, each with a leaky rectifier.

    Args:
        channels: C of what enters.
        hidden: N.
        shrink: r, a power of two.
        recall: whether the features of all sizes but the last are skips.
    """

    def __init__(self, channels: int, hidden: int, shrink: int, *, recall: bool) -> None:
        super().__init__(stride=shrink)
        self.recall = recall
        self.enter = GateConv(channels, hidden, 1, bias=True)
        self.down = nn.ModuleList([strided_conv(hidden, hidden, 3, 2) for _ in range(shrink.bit_length() - 1)])

    def forward(self, frame: Frame) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute features, and those of the larger maps."""
        features = [F.leaky_relu(self.enter(frame), 0.2)]
        for halve in self.down:
            features.append(F.leaky_relu(halve(features[-1]), 0.2))
        return features[-1], tuple(features[:-1]) if self.recall else ()


class MAUHead(nn.Module):
    """The way out: doublings, to each of which the features of its size are added, if there are any; a 1x1 convolution.

    Args:
        hidden: N.
        channels: C.
        shrink: r, a power of two.
    """

    def __init__(self, hidden: int, channels: int, shrink: int) -> None:
        super().__init__()
        self.up = nn.ModuleList([transposed_conv(hidden, hidden, 3, 2) for _ in range(shrink.bit_length() - 1)])
        self.leave = GateConv(hidden, channels, 1, bias=True)

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Compute the frame (B, C, H, W); skips from the largest map to the smallest."""
        for number, double in enumerate(self.up, 1):
            x = double(x)
            x = F.leaky_relu(x, 0.2) if number < len(self.up) else x
            x = x + skips[-number] if skips else x
        return self.leave(x)


class MAU(ConvConfig):
    """Stacked motion-aware units on a map of a part of the rows and columns; all layers are equally wide.

    `tau`: steps that each layer looks back. `shrink`: rows and columns of a frame for one of the map. `residual`:
    cells add what enters. `recall`: the features of the way in are added on the way out. `layer_norm`: always there;
    "chw" is the published one, which fixes the size.
    """

    family, year = "attention", 2021
    name: Literal["mau"] = "mau"
    tau: Annotated[int, Field(ge=1, le=1000)] = 5
    shrink: Literal[1, 2, 4, 8, 16] = 4
    residual: bool = False
    recall: bool = False
    layer_norm: Norm = "channel_affine"

    _equal = field_validator("hidden")(equal)

    @property
    def default_patch(self) -> int:
        """1: the network makes the map smaller by itself."""
        return 1

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        n, size = self.hidden[0], (-(-height // self.shrink), -(-width // self.shrink))
        cells = [
            MAUCell(n, self.kernel_size, tau=self.tau, residual=self.residual, layer_norm=self.layer_norm, size=size)
            for _ in self.hidden
        ]
        stem = MAUStem(channels + extra, n, self.shrink, recall=self.recall)
        return Network(cells, MAUHead(n, channels, self.shrink), stem=stem)
