r"""Action-conditioned PredRNN: what is known of the future, as the actions of a robot, gates the recurrence.

    [ih; fh; gh; oh] = (Wh*h + bh) o (Wa*a + ba)        the rest as in PredRNN, each convolution with a bias

a, the features of the actions, goes to every layer. A frame enters through two convolutions of stride 2, and leaves
through two transposed ones, to which the features of the way in are added:

    e1 = W1*frame, e2 = W2*e1        a = A2*A1*actions        r = D1(h_top + e2)        frame' = D2(r + e1)

Wang et al.: PredRNN: A Recurrent Neural Network for Spatiotemporal Predictive Learning, 2021 (TPAMI 2022), section 3.5,
https://arxiv.org/abs/2103.09504.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from framecast import kernels
from framecast.models.predrnn import STLSTMConfig, STLSTMState
from framecast.models.predrnn_v2 import Decoupling
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, Stem
from framecast.nn.norm import Norm
from framecast.nn.resampling import strided_conv, transposed_conv
from framecast.types import Frame, Hidden


class ActionSTLSTMCell(Cell):
    """ST-LSTM whose recurrent sums are multiplied by features of actions; blocks as in STLSTMCell, of a (i, f, g, o).

    The memory is (M, a): the bottom cell gets a with x and hands it up, the others get it as a memory.

    Args:
        hidden: N, of x too.
        kernel_size: k, odd.
        bottom: whether x is [features of the frame; a] and the a that enters is not looked at.
        actions: whether there are actions; else the memory is (M,).
        forget_bias: constant added inside both forget gates.
        layer_norm: flavour of layer norm after each k x k convolution.
        size: (H, W), for "chw".
        report: whether `aux` holds the increments of both memories, which PredRNN-V2 decouples.
    """

    def __init__(
        self,
        hidden: int,
        kernel_size: int,
        *,
        bottom: bool,
        actions: bool,
        forget_bias: float = 1.0,
        layer_norm: Norm | None = None,
        size: tuple[int, int] = (0, 0),
        report: bool = False,
    ) -> None:
        super().__init__()
        self.hidden, self.bottom, self.forget_bias, self.report = hidden, bottom, forget_bias, report
        self.memory_channels = self.memory_channels_out = (hidden, hidden) if actions else (hidden,)
        conv = partial(GateConv, kernel_size=kernel_size, bias=True, norm=layer_norm, size=size)
        self.conv_x = conv(hidden, 7 * hidden)
        self.conv_h = conv(hidden, 4 * hidden)
        self.conv_a = conv(hidden, 4 * hidden) if actions else None
        self.conv_m = conv(hidden, 3 * hidden)
        self.conv_o = conv(2 * hidden, hidden)
        self.fusion = GateConv(2 * hidden, hidden, 1, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> STLSTMState:
        """Zero state of a new sequence."""
        shape = (batch, self.hidden, height, width)
        return STLSTMState(zeros(like, *shape), zeros(like, *shape))

    def _convolve(self, x: Tensor, memory: Memory, state: STLSTMState) -> tuple[tuple[Tensor, ...], Memory]:
        """Sums of the gates, and the features of the actions, if any."""
        recurrent, carried = self.conv_h(state.h), memory[1:]
        if self.conv_a is not None:
            x, a = x.split(self.hidden, 1) if self.bottom else (x, memory[1])
            recurrent, carried = recurrent * self.conv_a(a), (a,)
        ix, fx, gx, im, fm, gm, ox = self.conv_x(x).chunk(7, 1)
        ih, fh, gh, oh = recurrent.chunk(4, 1)
        i_m, f_m, g_m = self.conv_m(memory[0]).chunk(3, 1)
        return (ix + ih, fx + fh, gx + gh, im + i_m, fm + f_m, gm + g_m, ox + oh), carried

    def forward(self, x: Hidden, memory: Memory, state: STLSTMState) -> Step:
        """One step of the recurrence."""
        (i, f, g, im, fm, gm, o), carried = self._convolve(x, memory, state)
        c, delta_c = kernels.memory_update(i, f, g, state.c, self.forget_bias)
        m, delta_m = kernels.memory_update(im, fm, gm, memory[0], self.forget_bias)
        h, aux = self.open_output(o + self.conv_o(c, m), self.fusion(c, m))
        increments = {"delta_c": delta_c, "delta_m": delta_m} if self.report else {}
        return Step(h, (m, *carried), STLSTMState(h, c), aux | increments)

    def gates(self, x: Hidden, memory: Memory, state: STLSTMState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused; the primed gates are "im", "fm", "gm"."""
        (i, f, g, im, fm, gm, o), carried = self._convolve(x, memory, state)
        i, f, g = torch.sigmoid(i), torch.sigmoid(f + self.forget_bias), torch.tanh(g)
        im, fm, gm = torch.sigmoid(im), torch.sigmoid(fm + self.forget_bias), torch.tanh(gm)
        c, m = f * state.c + i * g, fm * memory[0] + im * gm
        o = torch.sigmoid(o + self.conv_o(c, m))
        h = o * torch.tanh(self.fusion(c, m))
        values = {"i": i, "f": f, "g": g, "im": im, "fm": fm, "gm": gm, "o": o, "c": c, "m": m, "h": h}
        return values | dict(zip("a", carried, strict=False))


class ActionStem(Stem):
    """The way in, a quarter of the rows and columns: frame and actions apart, without activations.

    Args:
        channels: C of the frame.
        extra: E of the actions, which follow it; 0 for none.
        hidden: N, at least 2; the map of half the size has N // 2 channels.
        kernel_size: k, odd.
    """

    def __init__(self, channels: int, extra: int, hidden: int, kernel_size: int) -> None:
        super().__init__(stride=4)
        self.channels = channels

        def halve(entering: int, leaving: int) -> nn.Module:
            return strided_conv(entering, leaving, kernel_size, 2, bias=False)

        self.frame = nn.ModuleList([halve(channels, hidden // 2), halve(hidden // 2, hidden)])
        self.action = nn.Sequential(halve(extra, hidden // 2), halve(hidden // 2, hidden)) if extra else None

    def forward(self, frame: Frame) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute [e2; a], and the skips e2 and e1."""
        frame, actions = frame[:, : self.channels], frame[:, self.channels :]
        e1 = self.frame[0](frame)
        e2 = self.frame[1](e1)
        x = e2 if self.action is None else torch.cat([e2, self.action(actions)], 1)
        return x, (e2, e1)


class ActionHead(nn.Module):
    """The way out: two transposed convolutions, each with the features of the way in added to what enters.

    Args:
        hidden: N.
        channels: C.
        kernel_size: k, odd.
        residual: whether the features are added.
    """

    def __init__(self, hidden: int, channels: int, kernel_size: int, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.up1 = transposed_conv(hidden, hidden // 2, kernel_size, 2, bias=False)
        self.up2 = transposed_conv(hidden // 2, channels, kernel_size, 2, bias=False)

    def forward(self, x: Tensor, e2: Tensor, e1: Tensor) -> Tensor:
        """Compute the frame (B, C, H, W)."""
        if not self.residual:
            return self.up2(self.up1(x))
        return self.up2(self.up1(x + e2) + e1)


class ActionPredRNN(STLSTMConfig):
    """PredRNN on features of a quarter of the rows and columns, gated by the covariates: actions, or whatever is known.

    `decoupling`: PredRNN-V2, with the decoupling loss, whose weight is the recipe's `loss.decoupling`. `residual`: the
    features of the way in are added on the way out. Without covariates the network is PredRNN between two pairs of
    convolutions.

    Note:
        The covariates of a step are those of the frame that it predicts. The official code feeds what its loader
        stored with the frame that enters: shift such data by one frame.
    """

    family, year = "memory flow", 2022
    name: Literal["action_predrnn"] = "action_predrnn"
    bias: Literal[True] = True
    residual: bool = True
    decoupling: bool = False

    @property
    def default_patch(self) -> int:
        """1: the network makes the map smaller by itself."""
        return 1

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        n = self.hidden[0]
        cells = [
            ActionSTLSTMCell(
                n,
                self.kernel_size,
                bottom=layer == 0,
                actions=extra > 0,
                forget_bias=self.forget_bias,
                layer_norm=self.layer_norm,
                size=(-(-height // 4), -(-width // 4)),
                report=self.decoupling,
            )
            for layer in range(len(self.hidden))
        ]
        head = ActionHead(n, channels, self.kernel_size, residual=self.residual)
        stem = ActionStem(channels, extra, n, self.kernel_size)
        return Network(cells, head, regularizer=Decoupling(n) if self.decoupling else None, stem=stem)
