r"""PredRNN-V2: PredRNN whose two memories are kept apart by a loss, trained with reverse scheduled sampling.

    delta_c = i o g,  delta_m = i' o g'           the increments of both memories, from the ST-LSTM cell
    L_dec = mean over steps, layers, samples and channels of | cos(A * delta_c, A * delta_m) |,   A a 1x1 convolution

Wang et al.: PredRNN: A Recurrent Neural Network for Spatiotemporal Predictive Learning, 2021 (TPAMI 2022), section 3.3,
https://arxiv.org/abs/2103.09504.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from framecast.kernels import checkpointed
from framecast.models.predrnn import STLSTMConfig
from framecast.nn.conv import GateConv
from framecast.nn.network import Aux, Network, pixel_head
from framecast.types import Hidden


def measure_alignment(delta_c: Hidden, delta_m: Hidden) -> Tensor:
    """Mean over samples and channels of |cos| between the increments of two memories, the cosine taken over the map.

    Args:
        delta_c: (B, N, H, W), increment of C.
        delta_m: (B, N, H, W), increment of M.

    Returns:
        (), in [0, 1]: 0 for orthogonal increments, 1 for parallel ones.
    """
    flat = (delta.flatten(2) for delta in (delta_c, delta_m))
    # In float32 at least: under autocast the adapter gives half precision, in which sums over a map lose digits.
    wide = (d.float() if d.dtype in (torch.bfloat16, torch.float16) else d for d in flat)
    u, v = (nn.functional.normalize(delta, dim=2, eps=1e-12) for delta in wide)
    return (u * v).sum(2).abs().mean()


class Decoupling(nn.Module):
    """The decoupling loss with its adapter A, one for all layers, steps and both memories. Not used in inference.

    Note:
        The paper sums over steps, layers and channels; its code, and its weights beta, take the mean. So do we.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.adapter = GateConv(hidden, hidden, 1)

    def forward(self, aux: list[Aux]) -> Tensor:
        """Loss of a rollout, (), in [0, 1].

        Args:
            aux: of each step, with "delta_c" and "delta_m" (B, N, H, W) of each layer.
        """
        terms = [
            checkpointed(self._align, c, m)
            for step in aux
            for c, m in zip(step["delta_c"], step["delta_m"], strict=True)
        ]
        return torch.stack(terms).mean()

    def _align(self, delta_c: Hidden, delta_m: Hidden) -> Tensor:
        return measure_alignment(self.adapter(delta_c), self.adapter(delta_m))


class PredRNNV2(STLSTMConfig):
    """PredRNN with the decoupling loss; its weight is the recipe's `loss.decoupling`."""

    family, year = "memory flow", 2022
    name: Literal["predrnn_v2"] = "predrnn_v2"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network, with the decoupling loss as its regularizer."""
        cells = self.build_cells(channels + extra, height, width, report=True)
        head = pixel_head(self.hidden[-1], channels, bias=self.bias)
        return Network(cells, head, regularizer=Decoupling(self.hidden[0]))
