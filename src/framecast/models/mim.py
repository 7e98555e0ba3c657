r"""MIM: the forget gate replaced by two cascaded memories, one for what changes (N) and one for what stays (S).

Bottom layer, an ST-LSTM whose input gates serve both memories:

    c' = sigma(fx+ft+1) o c + sigma(ix+it) o tanh(gx+gt)     m' = sigma(fx+fs+1) o m + sigma(ix+is) o tanh(gx+gs)
    o  = sigma(ox+ot+os)                                     h' = o o tanh(W1x1*[c';m'])

MIM-N and MIM-S, both with input x, recurrent input r and memory s:

    i = sigma(Wxi*x + Wri*r + wi o s)     f = sigma(Wxf*x + Wrf*r + wf o s + 1)     s' = f o s + i o tanh(Wxg*x + Wrg*r)
    o = sigma(Wxo*x + Wro*r + wo o s')    out = o o tanh(s')

MIM block of layer l > 0:

    D' = MIM-N(difference of the layer below, D, N)        T = MIM-S(D', c, S)
    c' = T + sigma(ix+it) o tanh(gx+gt)                    m', o, h' as in the bottom layer

Wang et al.: Memory In Memory: A Predictive Neural Network for Learning Higher-Order Non-Stationarity from
Spatiotemporal Dynamics, CVPR 2019, https://arxiv.org/abs/1811.07490.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import MAX_LAYERS, ConvConfig, Width, equal
from framecast.models.predrnn import STLSTMCell, STLSTMState
from framecast.nn.cell import Cell, Memory, State, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.nn.norm import Norm
from framecast.types import Hidden

Difference = Literal["cascade", "hidden"]


class SharedSTLSTMCell(Cell):
    """The bottom cell of the official code; blocks (i, f, g, o) of t (on h), s (on m) and x, x shared by both memories.

    Args:
        in_channels: channels of x.
        hidden: N.
        kernel_size: k, odd.
        bias: one bias per convolution, as in the official code.
        forget_bias: constant added inside both forget gates.
        layer_norm: flavour of layer norm after each k x k convolution.
        size: (H, W), for "chw".
    """

    def __init__(
        self,
        in_channels: int,
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
        self.memory_channels = self.memory_channels_out = (hidden,)
        conv = partial(GateConv, kernel_size=kernel_size, bias=bias, norm=layer_norm, size=size)
        self.conv_t = conv(hidden, 4 * hidden)
        self.conv_s = conv(hidden, 4 * hidden)
        self.conv_x = conv(in_channels, 4 * hidden)
        self.fusion = GateConv(2 * hidden, hidden, 1, bias=bias)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> STLSTMState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return STLSTMState(zeros(like, *shape), zeros(like, *shape))

    def _convolve(self, x: Tensor, memory: Memory, state: STLSTMState) -> tuple[Tensor, ...]:
        ix, fx, gx, ox = self.conv_x(x).chunk(4, 1)
        it, ft, gt, ot = self.conv_t(state.h).chunk(4, 1)
        is_, fs, gs, os_ = self.conv_s(memory[0]).chunk(4, 1)
        return ix + it, fx + ft, gx + gt, ix + is_, fx + fs, gx + gs, ox + ot + os_

    def forward(self, x: Hidden, memory: Memory, state: STLSTMState) -> Step:
        """One step of the recurrence."""
        i, f, g, im, fm, gm, o = self._convolve(x, memory, state)
        c, _ = kernels.memory_update(i, f, g, state.c, self.forget_bias)
        m, _ = kernels.memory_update(im, fm, gm, memory[0], self.forget_bias)
        h, aux = self.open_output(o, self.fusion(c, m))
        return Step(h, (m,), STLSTMState(h, c), aux)

    def gates(self, x: Hidden, memory: Memory, state: STLSTMState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused; the gates of m are "im", "fm", "gm"."""
        i, f, g, im, fm, gm, o = self._convolve(x, memory, state)
        i, f, g = torch.sigmoid(i), torch.sigmoid(f + self.forget_bias), torch.tanh(g)
        im, fm, gm = torch.sigmoid(im), torch.sigmoid(fm + self.forget_bias), torch.tanh(gm)
        c, m, o = f * state.c + i * g, fm * memory[0] + im * gm, torch.sigmoid(o)
        h = o * torch.tanh(self.fusion(c, m))
        return {"i": i, "f": f, "g": g, "im": im, "fm": fm, "gm": gm, "o": o, "c": c, "m": m, "h": h}


class Differencing(Cell):
    """Adds the difference of a cell's hidden state to the memory that rises: (M, _) in, (M', h' - h) out.

    Args:
        cell: a cell whose memory is (M,) and whose state has the field h.
    """

    def __init__(self, cell: STLSTMCell | SharedSTLSTMCell) -> None:
        super().__init__()
        self.cell = cell
        self.memory_channels = self.memory_channels_out = (cell.hidden, cell.hidden)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> State:
        """Zero state of the wrapped cell."""
        return self.cell.init_state(batch, height, width, like=like)

    def forward(self, x: Hidden, memory: Memory, state: State) -> Step:
        """One step of the recurrence."""
        out, (m,), new, aux = self.cell(x, memory[:1], state)
        return Step(out, (m, out - state.h), new, aux)

    def gates(self, x: Hidden, memory: Memory, state: State) -> dict[str, Tensor]:
        """Symbols of the wrapped cell."""
        return self.cell.gates(x, memory[:1], state)


class MemoryModule(nn.Module):
    """The body of MIM-N and MIM-S: a ConvLSTM with full-map peepholes; blocks (i, f, g, o).

    Args:
        hidden: N.
        kernel_size: k, odd.
        bias: one bias per convolution.
        forget_bias: constant added inside the forget gate.
        layer_norm: flavour of layer norm after each convolution.
        size: (H, W) of the peephole maps, which start at 0.
    """

    def __init__(
        self,
        hidden: int,
        kernel_size: int,
        *,
        bias: bool,
        forget_bias: float,
        layer_norm: Norm | None,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.forget_bias = forget_bias
        conv = partial(GateConv, kernel_size=kernel_size, bias=bias, norm=layer_norm, size=size)
        self.conv_x, self.conv_h = conv(hidden, 4 * hidden), conv(hidden, 4 * hidden)
        self.peephole = nn.Parameter(torch.zeros(3, hidden, *size))

    def forward(self, x: Hidden, recurrent: Hidden, memory: Hidden) -> tuple[Tensor, Tensor]:
        """One step of the recurrence: x, r and s to (out, s'), all (B, N, H, W)."""
        i, f, g, o = (self.conv_x(x) + self.conv_h(recurrent)).chunk(4, 1)
        wi, wf, wo = self.peephole
        s, _ = kernels.memory_update(i + wi * memory, f + wf * memory, g, memory, self.forget_bias)
        return kernels.output_update(o + wo * s, s), s

    def gates(self, x: Hidden, recurrent: Hidden, memory: Hidden) -> dict[str, Tensor]:
        """Symbols of the equations, unfused."""
        i, f, g, o = (self.conv_x(x) + self.conv_h(recurrent)).chunk(4, 1)
        wi, wf, wo = self.peephole
        i, f, g = torch.sigmoid(i + wi * memory), torch.sigmoid(f + wf * memory + self.forget_bias), torch.tanh(g)
        s = f * memory + i * g
        o = torch.sigmoid(o + wo * s)
        return {"i": i, "f": f, "g": g, "o": o, "s": s, "out": o * torch.tanh(s)}


class MIMState(NamedTuple):
    """State of a MIM block, (B, N, H, W); `begun`, (B, 1, 1, 1), is 0 before a sequence's first frame, then 1.

    No field's name may begin with another's: the guards of torch.export (2.13) would confuse the two.
    """

    h: Tensor
    c: Tensor
    d: Tensor
    n: Tensor
    s: Tensor
    begun: Tensor


class MIMBlock(Cell):
    """A layer above the bottom; blocks of t (i, g, o), of s and x (i, f, g, o). The memory is (M, difference).

    Args:
        hidden: N.
        kernel_size: k, odd.
        bias: one bias per convolution, as in the official code.
        forget_bias: constant added inside all forget gates.
        layer_norm: flavour of layer norm after each k x k convolution.
        size: (H, W) of the map.
        difference: what rises to the next layer's MIM-N: "cascade", this layer's D' (official code), or "hidden",
            this layer's h' - h (paper).

    Note:
        At a sequence's first frame there is no difference: MIM-N's result is discarded, D' and N' stay 0.
    """

    def __init__(
        self,
        hidden: int,
        kernel_size: int,
        *,
        size: tuple[int, int],
        bias: bool = True,
        forget_bias: float = 1.0,
        layer_norm: Norm | None = None,
        difference: Difference = "cascade",
    ) -> None:
        super().__init__()
        self.hidden, self.forget_bias, self.difference = hidden, forget_bias, difference
        self.memory_channels = self.memory_channels_out = (hidden, hidden)
        module = partial(MemoryModule, bias=bias, layer_norm=layer_norm, forget_bias=forget_bias, size=size)
        self.mim_n, self.mim_s = module(hidden, kernel_size), module(hidden, kernel_size)
        conv = partial(GateConv, kernel_size=kernel_size, bias=bias, norm=layer_norm, size=size)
        self.conv_t = conv(hidden, 3 * hidden)
        self.conv_s = conv(hidden, 4 * hidden)
        self.conv_x = conv(hidden, 4 * hidden)
        self.fusion = GateConv(2 * hidden, hidden, 1, bias=bias)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> MIMState:
        """Zero state of a new sequence."""
        h, c, d, n, s = (zeros(like, batch, self.hidden, height, width) for _ in range(5))
        return MIMState(h, c, d, n, s, zeros(like, batch, 1, 1, 1))

    def _convolve(self, x: Tensor, m: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        ix, fx, gx, ox = self.conv_x(x).chunk(4, 1)
        it, gt, ot = self.conv_t(h).chunk(3, 1)
        is_, fs, gs, os_ = self.conv_s(m).chunk(4, 1)
        return ix + it, gx + gt, ix + is_, fx + fs, gx + gs, ox + ot + os_

    def forward(self, x: Hidden, memory: Memory, state: MIMState) -> Step:
        """One step of the recurrence."""
        d, n = self.mim_n(memory[1], state.d, state.n)
        # A product and no branch: it exports, and each sample of a batch may begin at another step.
        d, n = d * state.begun, n * state.begun
        tau, s = self.mim_s(d, state.c, state.s)
        i, g, im, fm, gm, o = self._convolve(x, memory[0], state.h)
        c = tau + kernels.increment(i, g)
        m, _ = kernels.memory_update(im, fm, gm, memory[0], self.forget_bias)
        h, aux = self.open_output(o, self.fusion(c, m))
        rising = d if self.difference == "cascade" else h - state.h
        return Step(h, (m, rising), MIMState(h, c, d, n, s, torch.ones_like(state.begun)), aux)

    def gates(self, x: Hidden, memory: Memory, state: MIMState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused: MIM-N's end in "_n", MIM-S's in "_s", the gates of m in "m"; T is "tau"."""
        mim_n = self.mim_n.gates(memory[1], state.d, state.n)
        d, n = mim_n["out"] * state.begun, mim_n["s"] * state.begun
        mim_s = self.mim_s.gates(d, state.c, state.s)
        i, g, im, fm, gm, o = self._convolve(x, memory[0], state.h)
        i, g, im, gm = torch.sigmoid(i), torch.tanh(g), torch.sigmoid(im), torch.tanh(gm)
        fm, o = torch.sigmoid(fm + self.forget_bias), torch.sigmoid(o)
        c, m = mim_s["out"] + i * g, fm * memory[0] + im * gm
        h = o * torch.tanh(self.fusion(c, m))
        inner = {f"{letter}_{name}": part[letter] for name, part in (("n", mim_n), ("s", mim_s)) for letter in "ifgo"}
        values = {"d": d, "n": n, "s": mim_s["s"], "tau": mim_s["out"], "c": c, "m": m, "h": h}
        return {"i": i, "g": g, "im": im, "fm": fm, "gm": gm, "o": o, **inner, **values}


class MIM(ConvConfig):
    """An ST-LSTM below MIM blocks; fits one frame size, because the peepholes are maps.

    `variant`: "official", or "openstl", whose bottom cell is PredRNN's and which has no biases. `difference`: what
    MIM-N of layer l > 1 sees, "cascade" (official code) or "hidden" (paper). `init`: "torch", or "official", the
    ranges of the official code, which are several times wider and meant for layer norm.
    """

    family, year = "memory flow", 2019
    name: Literal["mim"] = "mim"
    hidden: Annotated[tuple[Width, ...], Field(min_length=2, max_length=MAX_LAYERS)] = (64, 64, 64, 64)
    bias: bool | None = None
    forget_bias: float = 1.0
    layer_norm: Norm | None = None
    difference: Difference = "cascade"
    variant: Literal["official", "openstl"] = "official"
    init: Literal["torch", "official"] = "torch"

    _equal = field_validator("hidden")(equal)

    @property
    def fixed_size(self) -> bool:
        """True: the peepholes are maps."""
        return True

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        bias = self.variant == "official" if self.bias is None else self.bias
        options: dict[str, Any] = {"kernel_size": self.kernel_size, "bias": bias, "forget_bias": self.forget_bias}
        options |= {"layer_norm": self.layer_norm, "size": (height, width)}
        n, bottom = self.hidden[0], SharedSTLSTMCell if self.variant == "official" else STLSTMCell
        first = Differencing(bottom(channels + extra, n, **options))
        blocks = [MIMBlock(n, difference=self.difference, **options) for _ in self.hidden[1:]]
        network = Network([first, *blocks], pixel_head(n, channels, bias=bias))
        if self.init == "official":
            _init_official(network)
        return network


def _init_official(network: nn.Module) -> None:
    """Draw weights and peepholes in the ranges of the official code; those of MIM-N's convolutions are +-0.001."""
    for name, part in network.named_modules():
        if isinstance(part, GateConv):
            # as if the kernel were 1 x 1, so that 5 x 5 ones start five times wider than Glorot's
            wide = math.sqrt(6 / (part.weight.shape[0] + part.weight.shape[1]))
            part.reset_parameters(0.001 if "mim_n" in name else wide)
        elif isinstance(part, MemoryModule):
            _, n, height, width = part.peephole.shape
            # Glorot's range as TensorFlow takes it, of arrays (H, W, 2 N) and (H, W, N)
            for maps, columns in ((part.peephole[:2], width + 2 * n), (part.peephole[2:], width + n)):
                bound = math.sqrt(6 / (height * columns))
                nn.init.uniform_(maps.detach(), -bound, bound)
