r"""ConvGRU encoder-forecaster: a pyramid of GRUs reads the past, a mirrored one starts from its states and predicts.

    [z; r] = sigma(W * [x; h] + b)      n = tanh(Wn * [x; r o h] + bn)      h' = (1 - z) o h + z o n

Encoder cell l of L has C 4^l channels and leaves its h' space-to-depth'ed by 2; forecaster cell l has C 4^(L-l) channels
and leaves its h' depth-to-space'd by 2, which for the last one is the frame. The forecaster starts from the encoder's
states, space-to-depth'ed, and its first cell is fed zeros, or noise, drawn anew for each step and member.

Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014, https://arxiv.org/abs/1406.1078; Shi et
al.: Deep Learning for Precipitation Nowcasting, NIPS 2017, https://arxiv.org/abs/1706.03458; as a pyramid and an ensemble
in https://github.com/DSIP-FBK/ConvGRU-Ensemble and https://github.com/mlcast-community/mlcast, on which we rely.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from framecast import kernels
from framecast.errors import UsageError
from framecast.models.config import ModelConfig, Options, check_odd
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.encoder_forecaster import EncoderForecaster
from framecast.nn.network import NetworkState
from framecast.nn.resampling import ResampledCell
from framecast.types import Hidden


class ConvGRUState(NamedTuple):
    """Hidden state, (B, N, H, W)."""

    h: Tensor


class ConvGRUCell(Cell):
    """ConvGRU cell; blocks (z, r).

    Args:
        in_channels: channels of x.
        hidden: N.
        kernel_size: k, odd.
    """

    def __init__(self, in_channels: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_zr = GateConv(in_channels + hidden, 2 * hidden, kernel_size, bias=True)
        self.conv_n = GateConv(in_channels + hidden, hidden, kernel_size, bias=True)

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> ConvGRUState:
        """Zero state of a new sequence."""
        return ConvGRUState(zeros(like, batch, self.hidden, height, width))

    def forward(self, x: Hidden, memory: Memory, state: ConvGRUState) -> Step:
        """One step of the recurrence."""
        z, r = self.conv_zr(x, state.h).chunk(2, 1)
        h = kernels.highway_update(self.conv_n(x, torch.sigmoid(r) * state.h), z, state.h)
        return Step(h, memory, ConvGRUState(h))

    def gates(self, x: Hidden, memory: Memory, state: ConvGRUState) -> dict[str, Tensor]:
        """Symbols of the equations, unfused."""
        z, r = torch.sigmoid(self.conv_zr(x, state.h)).chunk(2, 1)
        n = torch.tanh(self.conv_n(x, r * state.h))
        return {"z": z, "r": r, "n": n, "h": (1 - z) * state.h + z * n}


class Bridge(nn.Module):
    """States with which the forecaster starts: the encoder's, space-to-depth'ed, the deepest one first."""

    def forward(self, state: NetworkState) -> NetworkState:
        """Turn the states of the encoder into those of the forecaster."""
        return NetworkState(tuple(ConvGRUState(pixel_unshuffle(cell.h, 2)) for cell in reversed(state.cells)), ())


class ConvGRU(ModelConfig):
    """ConvGRU encoder-forecaster; predictions are in (-1, 1), and only frames after the context are predicted.

    `levels`: cells of each half; each further one has four times the channels, half the map, and 16 times the
    parameters. Published: 5 without patches, which is as large as 3 on patches of 4 x 4. `noise`: the forecaster is
    fed noise, so that it gives an ensemble; else zeros.

    Note:
        The published codes append zeros to frames whose size 2^levels does not divide: in their units 30 dBZ of rain. We
        repeat the border. Their forecasts are nowhere exactly -1, and so nowhere dry: apply a threshold to them.
    """

    family, year = "gated cells", 2017
    small: ClassVar[Options] = {"levels": 2}
    name: Literal["convgru"] = "convgru"
    levels: Annotated[int, Field(ge=1, le=8)] = 3
    kernel_size: Annotated[int, Field(ge=1, le=999)] = 3
    noise: bool = False

    _odd = field_validator("kernel_size")(check_odd)

    @property
    def value_range(self) -> tuple[float, float]:
        """(-1, 1), of a mixture of tanh values."""
        return -1.0, 1.0

    @property
    def feeds_back(self) -> bool:
        """False: the forecaster is fed zeros or noise."""
        return False

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> EncoderForecaster:
        """Build the network; what is known beside the frames enters the first cell of each half.

        Raises:
            UsageError: levels of more channels than a network may have.
        """
        widths = [channels * 4**level for level in range(self.levels + 1)]
        beside = [extra, *[0] * (self.levels - 1)]
        if (widest := widths[-1] + extra * 4**self.levels) > 2**16:
            fix = "take fewer levels or smaller patches"
            raise UsageError("levels", got=f"{widest} channels", expected=f"at most {2**16}", fix=fix)
        encoder = [
            ResampledCell(ConvGRUCell(n + more, n, self.kernel_size), nn.PixelUnshuffle(2), 0.5)
            for n, more in zip(widths[:-1], beside, strict=True)
        ]
        forecaster = [
            ResampledCell(ConvGRUCell(n + more * 4**self.levels, n, self.kernel_size), nn.PixelShuffle(2), 2.0)
            for n, more in zip(widths[:0:-1], beside, strict=True)
        ]
        options = {"drive_channels": widths[-1], "noise": self.noise}
        return EncoderForecaster(encoder, forecaster, Bridge(), nn.Identity(), **options)
