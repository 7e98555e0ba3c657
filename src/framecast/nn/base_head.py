"""Heads of a network that forecasts against a base: it changes the base's frame, or mixes fields that the base gives.

A base knows something before any training: the last frame, the extrapolated one. The network's own head begins as zero,
so that the first forecast is the base's.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framecast.errors import UsageError
from framecast.nn.conv import GateConv
from framecast.nn.network import SequenceNetwork
from framecast.transforms.patches import patchify

KNOTS = (0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0)
"""Lead times, steps of the training, between which coefficients of `MixHead` are interpolated."""
START = 6.0
"""Advantage of the base over each other field at the start, in the exponent: it has 98 % of the weight among eight."""
RATE = 20.0
"""Factor of the coefficients by lead time: they learn so many times faster than the weights of the network."""


class BaseStep(NamedTuple):
    """What a base gives for one step of a rollout, network units; frames are padded to whole patches."""

    forecast: Tensor
    """(B, C, H, W), forecast of the base for the frame that the step predicts."""
    inputs: Tensor
    """(B, E, H / P, W / P), channels that enter the network beside its frame."""
    fields: Tensor
    """(B, N, C, H, W), fields to mix: the forecast, then its means over areas, the mean of the context, zero."""
    changes: Tensor
    """(B, D, C, H, W), estimates of the change that the forecast leaves out."""
    lead: Tensor
    """(B,), lead time, steps of the training."""
    values: Tensor
    """(B, C, H, W), the field whose distribution a forecast of this time should have."""
    known: Tensor
    """(B, 1, H, W), whether the base knows the pixel."""


class BaseHead(nn.Module):
    """Interface of the part of a head that comes after the network's own: it needs the base's fields.

    Args:
        base: the base, whose fitted numbers are saved with the network; any module.
        patch: P, pixels.
        channels: C of a frame.
    """

    def __init__(self, base: nn.Module, patch: int, channels: int) -> None:
        super().__init__()
        self.base, self.patch, self.channels = base, patch, channels

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Number of channels that the network's own head gives."""

    def forward(self, features: Tensor, step: BaseStep) -> Tensor:
        """Combine what the network's head gives, (B * M, inputs, H / P, W / P), with the base: patches of the next frame.

        Rows are the M members of each sequence side by side.
        """
        members = features.shape[0] // step.forecast.shape[0]  # not len, which fixes the size of a graph
        if members > 1:
            step = BaseStep(*(part.repeat_interleave(members, 0) for part in step))
        return self.combine(features, step)

    @abstractmethod
    def combine(self, features: Tensor, step: BaseStep) -> Tensor:
        """Combine features and base for as many rows of each."""


class ChangeHead(BaseHead):
    """Head that adds a change to the base's forecast."""

    @property
    def inputs(self) -> int:
        """Channels of a patch."""
        return self.channels * self.patch**2

    def combine(self, features: Tensor, step: BaseStep) -> Tensor:
        """Add the base's forecast."""
        return features + patchify(step.forecast[:, None], self.patch)[:, 0]


class MixHead(BaseHead):
    """Head that mixes given fields, and so cannot make anything of nothing: rain only from rain nearby.

    For each patch and channel the network gives the weights of a softmax over the fields, a bounded factor of growth,
    exp(tanh(g) / 2), and coefficients of the given changes; to each it adds a number by lead time. They are interpolated
    between patches.

    Args:
        base: the base.
        patch: P, pixels.
        channels: C of a frame.
        fields: N, fields to mix, the base's forecast first.
        changes: D, given changes.
        floor: least value of a frame, network units; None for none.
    """

    knots: Tensor

    def __init__(
        self, base: nn.Module, patch: int, channels: int, *, fields: int, changes: int, floor: float | None
    ) -> None:
        super().__init__(base, patch, channels)
        self.fields, self.changes, self.floor = fields, changes, floor
        self.by_lead = nn.Parameter(torch.zeros(len(KNOTS), channels, fields + 1 + changes))
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)

    @property
    def inputs(self) -> int:
        """Channels of weights, growth and coefficients."""
        return self.channels * (self.fields + 1 + self.changes)

    def combine(self, features: Tensor, step: BaseStep) -> Tensor:
        """Mix the fields, let them grow, add the changes."""
        numbers = features.unflatten(1, (self.channels, -1)) + self._interpolate(step.lead)[..., None, None]
        logits, growth, weights = numbers.split((self.fields, 1, self.changes), 2)
        first = torch.zeros(self.fields, 1, 1, dtype=logits.dtype, device=logits.device)
        first[0] = START
        coefficients = [(logits + first).softmax(2), torch.exp(torch.tanh(growth) / 2), weights]
        maps = F.interpolate(
            torch.cat(coefficients, 2).flatten(1, 2),
            scale_factor=float(self.patch),
            mode="bilinear",
            align_corners=False,
        ).unflatten(1, (self.channels, -1))
        shares, factor, weights = maps.split((self.fields, 1, self.changes), 2)
        frame = (shares * step.fields.transpose(1, 2)).sum(2) * factor[:, :, 0]
        frame = frame + (weights * step.changes.transpose(1, 2)).sum(2)
        frame = frame if self.floor is None else frame.clamp_min(self.floor)
        return patchify(frame[:, None], self.patch)[:, 0]

    def _interpolate(self, lead: Tensor) -> Tensor:
        """Interpolate the numbers of each lead time, (B, C, N + 1 + D); beyond the last knot they stay."""
        lead = lead.to(self.knots.dtype).clamp(self.knots[0], self.knots[-1])
        above = (self.knots < lead[:, None]).sum(1).clamp(1, len(self.knots) - 1)
        left, right = self.knots[above - 1], self.knots[above]
        share = ((lead - left) / (right - left)).to(self.by_lead.dtype)[:, None, None]
        return RATE * torch.lerp(self.by_lead[above - 1], self.by_lead[above], share)


def attach_base(network: SequenceNetwork, head: BaseHead) -> None:
    """Let a network forecast against a base: its own head gives what `head` takes, zeros at first.

    Args:
        network: a fresh network, whose attribute `head` is replaced.
        head: what comes after it.

    Raises:
        UsageError: a network without an attribute `head`.
    """
    own = getattr(network, "head", None)
    if not isinstance(own, nn.Module):
        expected = "one with an attribute head, a module from features to frames"
        raise UsageError("base", got=f"{type(network).__name__}, a network without a head", expected=expected)
    if isinstance(own, GateConv) and own.norm is None and own.weight.shape[-1] == 1:
        network.head = _make_zero(own.weight.shape[1], head.inputs)
    else:
        network.head = _Then(own, _make_zero(head.channels * head.patch**2, head.inputs))
    network.base_head = head


class _Then(nn.Module):
    """A head of any kind, and a convolution after it."""

    def __init__(self, head: nn.Module, conv: nn.Module) -> None:
        super().__init__()
        self.head, self.conv = head, conv

    def forward(self, *arguments: Tensor) -> Tensor:
        """Apply one after the other."""
        result: Tensor = self.conv(self.head(*arguments))
        return result


def _make_zero(inputs: int, outputs: int) -> GateConv:
    conv = GateConv(inputs, outputs, 1, bias=True)
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv
