r"""SimVP: all frames at once, through convolutions alone: an encoder, a translator over time and channels, a decoder.

    e_0 = sc(frame), e = sc(... sc(e_0)), every second one of stride 2        sc(x) = silu(GN(W*x))
    z = translator([e of all frames])                                        frame' = W1*sc(... sc(z) + e_0)

Translators are stacks of gated blocks (gSTA), on y = BN(x), with depthwise convolutions K5 and K7 (dilation 3):

    u = gelu(W1*y)    [f; g] = W1*K7*K5*u
    x' = x + s1 o (W1*(sigma(g) o f) + y)    x'' = x' + s2 o W1*gelu(K3*W1*BN(x'))

or of inceptions (IncepU): sums of grouped convolutions of 3, 5, 7 and 11 pixels, as a U of blocks with skips.

Gao et al.: SimVP: Simpler yet Better Video Prediction, CVPR 2022, https://arxiv.org/abs/2206.05099; Tan et al.: SimVP:
Towards Simple yet Powerful Spatiotemporal Predictive Learning, 2022, https://arxiv.org/abs/2211.12509.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from framecast import kernels
from framecast.models.config import MAX_LAYERS, ModelConfig, Options, Width
from framecast.nn.conv import GateConv, grouped_conv
from framecast.nn.direct_network import DirectNetwork
from framecast.nn.norm import BatchNorm
from framecast.nn.resampling import strided_conv
from framecast.types import Hidden

KERNELS = (3, 5, 7, 11)
"""Edges of the kernels of an inception."""


class SpaceConv(nn.Module):
    """Convolution of 3 x 3 pixels at a size, to half of it or to twice, a norm of two groups, a sigmoid linear unit.

    Args:
        in_channels: N_in.
        out_channels: N_out, even.
        scale: "keep", "halve" or "double".
    """

    def __init__(self, in_channels: int, out_channels: int, scale: Literal["keep", "halve", "double"]) -> None:
        super().__init__()
        self.doubles = scale == "double"
        leaving = 4 * out_channels if self.doubles else out_channels
        self.conv: nn.Module = GateConv(in_channels, leaving, 3, bias=True)
        if scale == "halve":
            self.conv = strided_conv(in_channels, leaving, 3, 2)
        self.norm = nn.GroupNorm(2, out_channels)
        for name, value in self.conv.named_parameters():
            if name == "bias":
                nn.init.zeros_(value)
            else:
                nn.init.normal_(value, std=0.02)

    def forward(self, x: Hidden) -> Tensor:
        """Compute (B, N_out, H', W')."""
        x = self.conv(x)
        return F.silu(self.norm(F.pixel_shuffle(x, 2) if self.doubles else x))


class GatedAttention(nn.Module):
    """Attention of gSTA: a large kernel, made of two depthwise ones, whose one half gates the other.

    Args:
        channels: n.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.leave = (GateConv(channels, channels, 1, bias=True) for _ in range(2))
        self.near = grouped_conv(channels, channels, 5, groups=channels)
        self.far = grouped_conv(channels, channels, 7, groups=channels, dilation=3)
        self.join = GateConv(channels, 2 * channels, 1, bias=True)

    def forward(self, y: Hidden) -> Tensor:
        """Compute (B, n, H, W)."""
        u = F.gelu(self.enter(y))
        f, g = self.join(self.far(self.near(u))).chunk(2, 1)
        return self.leave(torch.sigmoid(g) * f)


class MetaBlock(nn.Module):
    """Block of a translator: an attention, and a mixing of channels, each added with a scale per channel.

    Args:
        channels: n that enter.
        out_channels: that leave, through a 1 x 1 convolution where they are others.
        attend: makes the attention from the number of channels.
    """

    def __init__(self, channels: int, out_channels: int, attend: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = BatchNorm(channels), BatchNorm(channels)
        self.scale1, self.scale2 = (nn.Parameter(torch.full((channels, 1, 1), 0.01)) for _ in range(2))
        self.widen = GateConv(channels, 8 * channels, 1, bias=True)
        self.mix = grouped_conv(8 * channels, 8 * channels, 3, groups=8 * channels)
        self.narrow = GateConv(8 * channels, channels, 1, bias=True)
        self.reduce = GateConv(channels, out_channels, 1, bias=True) if channels != out_channels else None
        for conv, fan_out in ((self.widen, 8 * channels), (self.mix, 9), (self.narrow, channels)):
            _init_normal(conv, fan_out)
        if self.reduce is not None:
            _init_normal(self.reduce, out_channels)
        self.attention = attend(channels)

    def forward(self, x: Hidden) -> Tensor:
        """Compute (B, out_channels, H, W)."""
        y = self.norm1(x)
        x = x + self.scale1 * (self.attention(y) + y)
        x = x + self.scale2 * self.narrow(F.gelu(self.mix(self.widen(self.norm2(x)))))
        return x if self.reduce is None else self.reduce(x)


def _init_normal(conv: nn.Module, fan_out: int) -> None:
    """Draw the weights of a convolution from N(0, 2 / fan_out), with a bias of 0."""
    assert isinstance(conv.weight, Tensor)
    assert isinstance(conv.bias, Tensor)
    nn.init.normal_(conv.weight, std=math.sqrt(2 / fan_out))
    nn.init.zeros_(conv.bias)


def make_gated_attention(channels: int) -> nn.Module:
    """Make the attention of gSTA with its initial weights."""
    attention = GatedAttention(channels)
    fans: list[tuple[nn.Module, int]] = [(attention.enter, channels), (attention.leave, channels)]
    for part, fan_out in [*fans, (attention.join, 2 * channels), (attention.near, 25), (attention.far, 49)]:
        _init_normal(part, fan_out)
    return attention


class Inception(nn.Module):
    """Sum of convolutions of several sizes, each with a norm and a leaky rectifier.

    Args:
        in_channels: a.
        hidden: channels in between; where it is a multiple of 8, convolutions and norms have 8 groups, else one.
        out_channels: b.
    """

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        groups = 1 if hidden % 8 else 8
        self.enter = GateConv(in_channels, hidden, 1, bias=True)
        self.convs = nn.ModuleList([grouped_conv(hidden, out_channels, k, groups=groups) for k in KERNELS])
        self.norms = nn.ModuleList([nn.GroupNorm(groups, out_channels) for _ in KERNELS])

    def forward(self, x: Hidden) -> Tensor:
        """Compute (B, b, H, W)."""
        x = kernels.materialize(self.enter(x))  # used by all convolutions
        terms = [F.leaky_relu(norm(conv(x)), 0.2) for conv, norm in zip(self.convs, self.norms, strict=True)]
        return torch.stack(terms).sum(0)


class InceptionTranslator(nn.Module):
    """IncepU: inceptions down and up, the second half with skips of the first.

    Args:
        channels: D that enter and leave.
        hidden: T.
        blocks: inceptions of each half.
    """

    def __init__(self, channels: int, hidden: int, blocks: int) -> None:
        super().__init__()
        inner, half = hidden, max(1, hidden // 2)
        self.first = nn.ModuleList([Inception(channels if i == 0 else inner, half, inner) for i in range(blocks)])
        self.second = nn.ModuleList(
            [
                Inception(inner if i == 0 else 2 * inner, half, channels if i == blocks - 1 else inner)
                for i in range(blocks)
            ]
        )

    def forward(self, z: Hidden) -> Tensor:
        """Compute (B, D, H, W)."""
        skips: list[Tensor] = []
        for block in self.first:
            z = block(z)
            skips.append(z)
        for number, block in enumerate(self.second):
            z = block(z if number == 0 else torch.cat([z, skips[-1 - number]], 1))
        return z


class FrameTranslator(nn.Module):
    """Encoder, translator and decoder: (B, J, C, H, W) to the next J frames.

    Args:
        channels: C.
        hidden: S, channels of a frame's features, even.
        layers: of encoder and decoder, even; every second one changes the size.
        translator: (B, J S, H', W') to the same shape.
        extra: channels that go in after the C and do not come out.
    """

    def __init__(self, channels: int, hidden: int, layers: int, translator: nn.Module, extra: int = 0) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            [
                SpaceConv(channels + extra if i == 0 else hidden, hidden, "halve" if i % 2 else "keep")
                for i in range(layers)
            ]
        )
        self.translator = translator
        self.decoder = nn.ModuleList([SpaceConv(hidden, hidden, "keep" if i % 2 else "double") for i in range(layers)])
        self.leave = GateConv(hidden, channels, 1, bias=True)

    def forward(self, block: Tensor) -> Tensor:
        """Compute the next block."""
        frames = block.shape[:2]
        x = skip = self.encoder[0](block.flatten(0, 1))
        for layer in self.encoder[1:]:
            x = layer(x)
        x = self.translator(x.unflatten(0, frames).flatten(1, 2)).unflatten(1, (frames[1], -1)).flatten(0, 1)
        for layer in self.decoder[:-1]:
            x = layer(x)
        return self.leave(self.decoder[-1](x + skip)).unflatten(0, frames)


def stack_blocks(channels: int, hidden: int, blocks: int, attend: Callable[[int], nn.Module]) -> nn.Sequential:
    """Stack blocks of a translator: the first takes its channels to the hidden ones, the last takes them back.

    Args:
        channels: D that enter and leave.
        hidden: T.
        blocks: at least two.
        attend: makes an attention from the number of channels.
    """
    middle = [MetaBlock(hidden, hidden, attend) for _ in range(blocks - 2)]
    return nn.Sequential(MetaBlock(channels, hidden, attend), *middle, MetaBlock(hidden, channels, attend))


class DirectConfig(ModelConfig):
    """Fields of SimVP and TAU."""

    small: ClassVar[Options] = {"hidden": 16, "translator_hidden": 128, "blocks": 4}
    frames: Annotated[int, Field(ge=1, le=1000)] = 10
    hidden: Annotated[int, Field(ge=2, le=2**16, multiple_of=2)] = 64
    translator_hidden: Width = 512
    layers: Annotated[int, Field(ge=2, le=16, multiple_of=2)] = 4
    blocks: Annotated[int, Field(ge=2, le=MAX_LAYERS)] = 8

    @property
    def feeds_back(self) -> bool:
        """False: blocks of frames go in and come out."""
        return False

    @property
    def default_patch(self) -> int:
        """1: the network makes the map smaller by itself."""
        return 1

    def _assemble(self, channels: int, translator: nn.Module, extra: int) -> DirectNetwork:
        body = FrameTranslator(channels, self.hidden, self.layers, translator, extra)
        correction = None
        if extra:
            enter, leave = (
                GateConv(*sizes, 3, bias=True) for sizes in ((channels + extra, self.hidden), (self.hidden, channels))
            )
            correction = nn.Sequential(enter, nn.SiLU(), leave)
        return DirectNetwork(body, self.frames, 2 ** (self.layers // 2), correction)


class SimVP(DirectConfig):
    """SimVP, a direct network: blocks of frames in and out, further ones from those that it predicted.

    `frames`: J of a block, as the context of the recipe. `hidden`, `translator_hidden`: channels of a frame's features,
    and of the translator. `layers`: of encoder and decoder, every second of which halves or doubles the map. `blocks`:
    of the translator. `translator`: "gsta" or "incepu".

    Note:
        Before J frames are observed the first one stands for those before it. The published training skips blocks by
        chance (stochastic depth, up to 0.01); ours does not. Covariates and a mask, which the paper has not, enter beside
        each frame; those of a predicted frame correct it by two convolutions.
    """

    family, year = "direct", 2022
    name: Literal["simvp"] = "simvp"
    translator: Literal["gsta", "incepu"] = "gsta"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> DirectNetwork:
        """Build the network."""
        sizes = self.frames * self.hidden, self.translator_hidden, self.blocks
        if self.translator == "gsta":
            return self._assemble(channels, stack_blocks(*sizes, make_gated_attention), extra)
        return self._assemble(channels, InceptionTranslator(*sizes), extra)
