r"""TAU: SimVP whose translator's attention is that of a place, by a large kernel, times that of a channel, by its mean.

    u = gelu(W1*y)    f = W1*K7*K5*u    e = sigma(B relu(A mean(u)))    x' = x + s1 o (W1*(e o f o u) + y)

The rest is SimVP's, see `models/direct/simvp.py`. Its loss has a term of the differences of frames, `loss.terms: [{kind:
divergence, weight: 0.1}]`.

Tan et al.: Temporal Attention Unit: Towards Efficient Spatiotemporal Predictive Learning, CVPR 2023,
https://arxiv.org/abs/2206.12126.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framecast.models.direct.simvp import DirectConfig, stack_blocks
from framecast.nn.conv import GateConv, grouped_conv
from framecast.nn.direct_network import DirectNetwork
from framecast.types import Hidden


class TemporalAttention(nn.Module):
    """Temporal attention unit.

    Args:
        channels: n.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.leave = (GateConv(channels, channels, 1, bias=True) for _ in range(2))
        self.near = grouped_conv(channels, channels, 5, groups=channels)
        self.far = grouped_conv(channels, channels, 7, groups=channels, dilation=3)
        self.join = GateConv(channels, channels, 1, bias=True)
        squeezed = max(1, channels // max(channels // 16, 4))
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.excite = nn.Linear(squeezed, channels, bias=False)

    def forward(self, y: Hidden) -> Tensor:
        """Compute (B, n, H, W)."""
        u = F.gelu(self.enter(y))
        f = self.join(self.far(self.near(u)))
        e = torch.sigmoid(self.excite(F.relu(self.squeeze(u.mean((2, 3))))))
        return self.leave(e[:, :, None, None] * f * u)


class TAU(DirectConfig):
    """TAU, a direct network: blocks of frames in and out, further ones from those that it predicted.

    `frames`: J of a block, as the context of the recipe. `hidden`, `translator_hidden`: channels of a frame's features,
    and of the translator. `layers`: of encoder and decoder, every second of which halves or doubles the map. `blocks`:
    of the translator.

    Note:
        Before J frames are observed the first one stands for those before it. The published training skips blocks by
        chance (stochastic depth, up to 0.01); ours does not. Covariates and a mask, which the paper has not, enter beside
        each frame; those of a predicted frame correct it by two convolutions.
    """

    family, year = "direct", 2023
    name: Literal["tau"] = "tau"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> DirectNetwork:
        """Build the network; the attention begins in torch's ranges, as in the published code."""
        joined = self.frames * self.hidden
        blocks = stack_blocks(joined, self.translator_hidden, self.blocks, TemporalAttention)
        return self._assemble(channels, blocks, extra)
