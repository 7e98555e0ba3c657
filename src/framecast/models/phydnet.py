r"""PhyDNet: a learnt partial differential equation and a ConvLSTM, side by side in one latent space.

    E  features of the frame, x_p = E_p(E), x_r = E_r(E)        frame' = sigma(D(D_p(h_p') + D_r(h_r')))

The physical branch predicts and corrects, as a Kalman filter does; W7 is meant to be a bank of partial derivatives:

    K = sigma(W*[x_p; h_p] + b)      h~ = h_p + W1*GN(W7*h_p)      h_p' = h~ + K o (x_p - h~)

The other branch is a stack of ConvLSTM cells. The filters of W7 (49, N, 7, 7) have the loss

    sum over inputs of the mean of (m - target)^2,   m_ab = sum_ij (i-3)^a / a! (j-3)^b / b! W7_ij

with a target of 1 for the moment (a, b) of filter 7 a + b, and 0 for its others.

Le Guen, Thome: Disentangling Physical Dynamics from Unknown Factors for Unsupervised Video Prediction, CVPR 2020,
https://arxiv.org/abs/2003.01460.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from framecast.models.config import Hiddens, ModelConfig, Options
from framecast.models.convlstm import ConvLSTMCell, ConvLSTMState
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, Stem
from framecast.nn.resampling import strided_conv, transposed_conv
from framecast.types import Frame, Hidden

LATENT = 64
"""Channels of the latent space."""
ORDERS = 7
"""Orders of derivatives along rows and along columns, and edge of the filters."""


class ConvBlock(nn.Module):
    """A 3 x 3 convolution, plain, strided or transposed; a norm of 16 groups; a leaky rectifier.

    Args:
        conv: the convolution.
        channels: of its output, a multiple of 16.
    """

    def __init__(self, conv: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = conv, nn.GroupNorm(16, channels)

    def forward(self, x: Hidden) -> Tensor:
        """Compute (B, channels, H', W')."""
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)


def _down(entering: int, leaving: int, stride: int = 1) -> ConvBlock:
    if stride == 1:
        return ConvBlock(GateConv(entering, leaving, 3, bias=True), leaving)
    return ConvBlock(strided_conv(entering, leaving, 3, stride), leaving)


def _up(entering: int, leaving: int, stride: int = 1) -> ConvBlock:
    return ConvBlock(transposed_conv(entering, leaving, 3, stride), leaving)


class PhyCell(nn.Module):
    """The physical branch: prediction by learnt derivatives, and correction."""

    def __init__(self) -> None:
        super().__init__()
        self.derivatives = GateConv(LATENT, ORDERS**2, ORDERS, bias=True)
        self.norm = nn.GroupNorm(ORDERS, ORDERS**2)
        self.combine = GateConv(ORDERS**2, LATENT, 1, bias=True)
        self.conv_k = GateConv(2 * LATENT, LATENT, 3, bias=True)

    def forward(self, x: Hidden, h: Hidden) -> tuple[Tensor, Tensor, Tensor]:
        """Compute K, the prediction h~ and the corrected h', all (B, 64, H, W)."""
        k = torch.sigmoid(self.conv_k(x, h))
        predicted = h + self.combine(self.norm(self.derivatives(h)))
        return k, predicted, predicted + k * (x - predicted)

    def moments(self) -> Tensor:
        """Compute the moments of the filters, (49, 64, 7, 7): of each filter and input, by orders along rows, columns."""
        weight = self.derivatives.weight
        place = torch.arange(ORDERS, dtype=weight.dtype, device=weight.device) - ORDERS // 2
        powers = torch.stack([place**order / math.factorial(order) for order in range(ORDERS)])
        return torch.einsum("ai,bj,ncij->ncab", powers, powers, weight)

    def measure_moments(self) -> Tensor:
        """Compute the loss of the moments, a scalar."""
        moments = self.moments()
        target = torch.eye(ORDERS**2, dtype=moments.dtype, device=moments.device).reshape(-1, 1, ORDERS, ORDERS)
        return (moments - target).square().mean((0, 2, 3)).sum()


class PhyDNetState(NamedTuple):
    """Physical state, (B, 64, H, W), and the states of the ConvLSTM cells; empty for a branch that is not there."""

    physical: tuple[Tensor, ...]
    residual: tuple[ConvLSTMState, ...]


class PhyDNetCell(Cell):
    """Both branches between what encodes and decodes them; what rises is the sum of what they decode to.

    Args:
        hidden: channels of the ConvLSTM cells, bottom up; () for no such branch.
        kernel_size: of those cells.
        physical: whether there is a physical branch.
        moment_weight: weight of the loss of the moments.
    """

    def __init__(self, hidden: tuple[int, ...], kernel_size: int, *, physical: bool, moment_weight: float) -> None:
        super().__init__()
        self.moment_weight = moment_weight
        self.encode_p = self.phycell = self.decode_p = self.encode_r = self.decode_r = None
        if physical:
            self.encode_p = nn.Sequential(_down(LATENT, LATENT), _down(LATENT, LATENT))
            self.phycell = PhyCell()
            self.decode_p = nn.Sequential(_up(LATENT, LATENT), _up(LATENT, LATENT))
        if hidden:
            self.encode_r = nn.Sequential(_down(LATENT, LATENT), _down(LATENT, LATENT))
            self.decode_r = nn.Sequential(_up(hidden[-1], LATENT), _up(LATENT, LATENT))
        below = zip((LATENT, *hidden), hidden, strict=False)
        self.cells = nn.ModuleList([ConvLSTMCell(entering, n, kernel_size) for entering, n in below])

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> PhyDNetState:
        """Zero state of a new sequence."""
        physical = () if self.phycell is None else (zeros(like, batch, LATENT, height, width),)
        return PhyDNetState(physical, tuple(cell.init_state(batch, height, width, like=like) for cell in self._cells()))

    def _cells(self) -> list[ConvLSTMCell]:
        return [cell for cell in self.cells if isinstance(cell, ConvLSTMCell)]

    def _correct(self, x: Tensor, state: PhyDNetState) -> dict[str, Tensor]:
        """Symbols of the physical branch, and what it decodes to."""
        if self.phycell is None or self.encode_p is None or self.decode_p is None:
            return {}
        k, predicted, physical = self.phycell(self.encode_p(x), state.physical[0])
        return {"k": k, "predicted": predicted, "physical": physical, "decoded_p": self.decode_p(physical)}

    def forward(self, x: Hidden, memory: Memory, state: PhyDNetState) -> Step:
        """One step of the recurrence."""
        values = self._correct(x, state)
        decoded = [values["decoded_p"]] if values else []
        residual: list[ConvLSTMState] = []
        if self.encode_r is not None and self.decode_r is not None:
            x = self.encode_r(x)
            for cell, old in zip(self._cells(), state.residual, strict=True):
                step = cell(x, (), old)
                x = step.out
                residual.append(step.state)
            decoded.append(self.decode_r(x))
        new = PhyDNetState((values["physical"],) if values else (), tuple(residual))
        return Step(sum(decoded[1:], decoded[0]), memory, new)

    def gates(self, x: Hidden, memory: Memory, state: PhyDNetState) -> dict[str, Tensor]:
        """Symbols of both branches: "k", "predicted", h~, "physical", h_p'; "i1", "f1", ... of ConvLSTM cell 1 and so on.

        "decoded_p" and "decoded_r" are what the branches decode to, of which h is the sum.
        """
        values = self._correct(x, state)
        if self.encode_r is not None and self.decode_r is not None:
            x = self.encode_r(x)
            for number, (cell, old) in enumerate(zip(self._cells(), state.residual, strict=True), 1):
                inner = cell.gates(x, (), old)
                x = inner["h"]
                values |= {f"{symbol}{number}": value for symbol, value in inner.items()}
            values["decoded_r"] = self.decode_r(x)
        decoded = [values[name] for name in ("decoded_p", "decoded_r") if name in values]
        return {**values, "h": sum(decoded[1:], decoded[0])}

    def penalty(self) -> Tensor | None:
        """Compute the loss of the moments, weighted."""
        if self.phycell is None or not self.moment_weight:
            return None
        return self.moment_weight * self.phycell.measure_moments()


class PhyDNetStem(Stem):
    """The way in, E: three blocks to the latent space.

    Args:
        channels: C of what enters.
        shrink: rows and columns of a frame for one of the latent map, 2 or 4.
    """

    def __init__(self, channels: int, shrink: int) -> None:
        super().__init__(stride=shrink)
        self.blocks = nn.Sequential(_down(channels, 32, 2), _down(32, 32), _down(32, LATENT, shrink // 2))

    def forward(self, frame: Frame) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute features, and no skips."""
        return self.blocks(frame), ()


class PhyDNetHead(nn.Module):
    """The way out, D: two blocks, a transposed convolution and a sigmoid.

    Args:
        channels: C.
        shrink: rows and columns of a frame for one of the latent map, 2 or 4.
    """

    def __init__(self, channels: int, shrink: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_up(LATENT, 32, 2), _up(32, 32))
        self.leave = transposed_conv(32, channels, 3, shrink // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the frame (B, C, H, W), in (0, 1)."""
        return torch.sigmoid(self.leave(self.blocks(x)))


class PhyDNet(ModelConfig):
    """PhyDNet; predictions are in (0, 1).

    `hidden`: channels of the ConvLSTM cells. `shrink`: rows and columns of a frame for one of the latent map. `branches`:
    both, or one alone, the paper's ablations. `moment_weight`: of the loss of the moments beside the mean of the errors;
    published as 1 beside their sum over the predicted frames, which for 19 of them is this default.
    """

    family, year = "physics", 2020
    small: ClassVar[Options] = {"hidden": (64, 64)}
    name: Literal["phydnet"] = "phydnet"
    hidden: Hiddens = (128, 128, 64)
    kernel_size: Literal[3, 5, 7] = 3
    shrink: Literal[2, 4] = 4
    branches: Literal["both", "physical", "residual"] = "both"
    moment_weight: Annotated[float, Field(ge=0)] = 1 / 19

    @property
    def default_patch(self) -> int:
        """1: the network makes the map smaller by itself."""
        return 1

    @property
    def value_range(self) -> tuple[float, float]:
        """(0, 1), of a sigmoid."""
        return 0.0, 1.0

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network."""
        cell = PhyDNetCell(
            () if self.branches == "physical" else self.hidden,
            self.kernel_size,
            physical=self.branches != "residual",
            moment_weight=self.moment_weight,
        )
        return Network([cell], PhyDNetHead(channels, self.shrink), stem=PhyDNetStem(channels + extra, self.shrink))
