"""Encoding of a base's fields as the inputs of a network and of its head."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from framecast.bases.base import Base, BaseFields, find_motion, smooth
from framecast.bases.config import BaseConfig, Head, NoBase
from framecast.bases.fitted import Fitted
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.errors import UsageError
from framecast.models import ModelConfig, build_network
from framecast.nn.base_head import BaseHead, BaseStep, ChangeHead, MixHead, attach_base
from framecast.nn.network import SequenceNetwork
from framecast.transforms.normalize import Normalizer
from framecast.transforms.patches import pad, patchify
from framecast.types import FrameSpec

RADII = (1, 3, 7, 15)
"""Radii of the squares over which the forecast of the base is averaged, pixels."""
MEAN_RADIUS = 7
"""Radius of the squares over which the mean of the context is averaged, pixels."""
CHANGE_SCALE = 5.0
"""Factor of the changes as inputs: they are small against the values."""
LEAD_SCALE = 10.0
"""Lead time that counts as 1 among the inputs, steps of the training."""


class BaseRun(NamedTuple):
    """What a base says after it observed some frames."""

    context: list[BaseStep]
    """For each observed frame but the newest, the forecast of the next one."""
    ahead: Iterator[BaseStep]
    """Forecasts of the lead times 1, 2, ... from the newest frame, without end; each is computed when it is taken."""
    state: Any
    """State of the base, to observe more."""

    def steps(self, *, of_context: bool, leads: list[BaseStep] | None = None) -> Iterator[BaseStep]:
        """Iterate over the steps of a rollout: those of lead times, and before them those within the context.

        Args:
            of_context: whether the rollout predicts frames of the context.
            leads: filled with the steps of lead times as they are used; None to keep none.
        """
        return chain(self.context if of_context else (), self.ahead if leads is None else _keep(self.ahead, leads))


def _keep(steps: Iterator[BaseStep], kept: list[BaseStep]) -> Iterator[BaseStep]:
    for step in steps:
        kept.append(step)
        yield step


class BaseEncoder:
    """What a base says, as tensors for a network and its head.

    Args:
        base: the base.
        kind: how the network betters it.
        patch: P, pixels.
        channels: C of a frame.
        floor: least value of a frame, network units, which is a field to mix too: no rain; None where values have none.
    """

    def __init__(self, base: Base, kind: Head, *, patch: int, channels: int, floor: float | None) -> None:
        self.base, self.kind, self.patch, self.edge = base, kind, patch, patch
        self.channels, self.floor = channels, floor

    def bind(self, network: SequenceNetwork) -> None:
        """Take the base that a network was built against, with its fitted numbers, and the size of its patches."""
        assert isinstance(network.base_head, BaseHead)
        assert isinstance(network.base_head.base, Base)
        self.base, self.edge = network.base_head.base, self.patch * network.stride

    @property
    def inputs(self) -> int:
        """Number of channels that enter the network: forecast, mean, what is known, changes, lead time.

        Of a fitted base also the field that it corrects.
        """
        maps = 2 + isinstance(self.base, Fitted)
        return maps * self.channels * self.patch**2 + 1 + self.base.changes * self.channels + 1

    def make_head(self) -> BaseHead:
        """Make the head that comes after the network's own."""
        if self.kind == "change":
            return ChangeHead(self.base, self.patch, self.channels)
        fields = 1 + isinstance(self.base, Fitted) + len(RADII) + 2 + (self.floor is not None)
        return MixHead(self.base, self.patch, self.channels, fields=fields, changes=self.base.changes, floor=self.floor)

    def encode(self, fields: BaseFields, lead: int | Tensor, pace: Tensor) -> BaseStep:
        """Encode the fields of one lead time.

        Args:
            fields: of the base.
            lead: lead time, frames; of each sequence (B,), or one of all.
            pace: (B,), time between frames, steps of the training.
        """
        batch = fields.forecast.shape[0]
        mask = fields.known.to(fields.mean.dtype)
        parts = fields.forecast, fields.values, fields.mean, mask, fields.changes.flatten(1, 2)
        forecast, values, mean, known, changes = (self._pad(part) for part in parts)
        time = lead * pace.to(forecast.dtype)
        maps = [forecast, mean, *([values] if isinstance(self.base, Fitted) else [])]
        patches = patchify(torch.stack(maps, 1), self.patch).flatten(1, 2)
        pooled = F.avg_pool2d(torch.cat([known, CHANGE_SCALE * changes], 1), self.patch)
        clock = (time / LEAD_SCALE)[:, None, None, None].expand(-1, 1, *patches.shape[-2:])
        unflattened = changes.unflatten(1, (self.base.changes, self.channels))
        mixed = self._list_fields(forecast, values, mean) if self.kind == "mix" else forecast.new_zeros(batch, 0)
        inputs = torch.cat([patches, pooled, clock], 1)
        return BaseStep(forecast, inputs, mixed, unflattened, time, values, known > 0.5)

    def _list_fields(self, forecast: Tensor, values: Tensor, mean: Tensor) -> Tensor:
        fields = [forecast, *([values] if isinstance(self.base, Fitted) else [])]
        fields += [*(smooth(values, radius) for radius in RADII), mean, smooth(mean, MEAN_RADIUS)]
        if self.floor is not None:
            fields.append(torch.full_like(forecast, self.floor))
        return torch.stack(fields, 1)

    def _pad(self, maps: Tensor) -> Tensor:
        return pad(maps[:, None], self.edge)[:, 0]

    @torch.no_grad()
    def run(
        self,
        frames: Tensor,
        seen: Tensor,
        pace: Tensor,
        motion: Tensor | None = None,
        state: Any = None,
        *,
        within: int | None = None,
    ) -> BaseRun:
        """Let the base observe true frames, and encode what it says of those that follow each.

        Args:
            frames: (B, J, C, H, W), network units, missing pixels filled.
            seen: (B, J, C, H, W), False where missing.
            pace: (B,), time between frames, steps of the training.
            motion: (B, N, 2, H, W), at the newest N frames, pixels per frame; None to estimate it.
            state: of the base, after the frames before.
            within: number of the newest frames whose forecasts of the next one are wanted; None for all, 1 for those
                from the newest frame only.
        """
        context: list[BaseStep] = []
        count = frames.shape[1]
        first = 0 if within is None else count - within
        for t in range(count):
            state = self.base.observe(frames[:, t], seen[:, t], state, find_motion(motion, t - count))
            if first <= t < count - 1:
                context.append(next(self._look_ahead(state, pace)))
        return BaseRun(context, self._look_ahead(state, pace), state)

    def _look_ahead(self, state: Any, pace: Tensor) -> Iterator[BaseStep]:
        ahead = self.base.look_ahead(state, pace)
        for lead in count(1):
            with torch.no_grad():
                step = self.encode(next(ahead), lead, pace)
            yield step


def make_encoder(
    config: BaseConfig, head: Head, spec: FrameSpec, normalizer: Normalizer, patch: int
) -> BaseEncoder | None:
    """Make the encoder of a base; None without one.

    Args:
        config: the base.
        head: how the network betters it.
        spec: contract of the frames.
        normalizer: raw units to network units.
        patch: P, pixels.

    Raises:
        UsageError: a base that these frames cannot have.
    """
    if isinstance(config, NoBase):
        return None
    # rain and its reflectivity end at zero, which is no rain; the low end of other ranges is a value as any other
    floor = 0.0 if normalizer.to_unit_range and spec.units in (DBZ_UNITS, RATE_UNITS) else None
    return BaseEncoder(config.make(spec, floor), head, patch=patch, channels=spec.channels, floor=floor)


def build_against_base(
    config: ModelConfig, channels: int, height: int, width: int, extra: int, encoder: BaseEncoder | None
) -> SequenceNetwork:
    """Build the network of a configuration, against a base if there is one.

    Args:
        config: configuration of the network.
        channels: channels of a patchified frame.
        height: rows of a patchified frame.
        width: columns of a patchified frame.
        extra: further channels that go in and do not come out, without those of the base.
        encoder: of the base.

    Raises:
        UsageError: a network that cannot have extra channels or a base.
    """
    if encoder is None:
        return build_network(config, channels, height, width, extra)
    if config.value_range is not None:
        expected = "none: this network's head ends in a bounded function, and a change has another range than a frame"
        raise UsageError("base", got="one", expected=expected)
    network = build_network(config, channels, height, width, extra + (encoder.inputs if config.feeds_back else 0))
    attach_base(network, encoder.make_head())
    return network
