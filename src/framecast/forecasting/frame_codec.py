"""Frame codec: raw frames to the patches that a network takes, and its patches back to raw frames."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framecast.bases.encoding import BaseEncoder, BaseRun
from framecast.bases.matching import match_values
from framecast.devices import to_device
from framecast.errors import UsageError
from framecast.motion import average_channels
from framecast.nn.base_head import BaseStep
from framecast.nn.network import SequenceNetwork
from framecast.transforms.channels import channel_lows, to_unit
from framecast.transforms.missing import Fill, Observed, fill_missing, mask_channel, update_observed
from framecast.transforms.normalize import Normalizer
from framecast.transforms.patches import pad, patchify, unpatchify
from framecast.types import FrameSpec

UNIT = (0.0, 1.0)
"""Range to which a normalizer maps the value range."""


class EncodedFrame(NamedTuple):
    """Newest frame of a stream as a network takes it."""

    patches: Tensor
    """(B, 1, P*P*C, H', W'), network units."""
    extra: Tensor | None
    """(B, steps, P*P*E, H', W'), covariates and mask of the steps from this frame on; None without any."""
    observed: Observed | None
    """Observations of the stream up to this frame; None where neither fill nor mask need them."""
    base: BaseRun | None
    """What the base says after this frame; None without one."""


class FrameCodec(nn.Module):
    """Module that encodes raw frames as patches in network units, and decodes the network's patches.

    Args:
        spec: channels, size, units and value range of the frames.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that P and the stride of the network do not divide are padded and cropped.
        fill: value that stands for missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        value_range: range of the network's output, as of its last activation, network units; None for any.

    Raises:
        UsageError: a value range for a normalizer that has none, a patch below 1, or an unknown fill.
    """

    network: SequenceNetwork

    def __init__(
        self,
        spec: FrameSpec,
        normalizer: Normalizer,
        patch: int,
        *,
        fill: Fill,
        mask_channel: bool,
        value_range: tuple[float, float] | None,
    ) -> None:
        super().__init__()
        if patch < 1:
            raise UsageError("patch", got=patch, expected="at least 1 pixel")
        if fill not in get_args(Fill):
            raise UsageError.unknown("fill", str(fill), get_args(Fill))
        if value_range is not None and not normalizer.to_unit_range:
            got, expected = f"{normalizer.kind}, whose values have no ends", "one from and to the value range"
            fix = f"this network answers in {list(value_range)}: choose range, log or dbz"
            raise UsageError("normalize", got=got, expected=expected, fix=fix)
        self.spec, self.normalizer, self.patch = spec, normalizer, patch
        self.fill, self.mask_channel = fill, mask_channel
        self.value_range = value_range or UNIT
        self.base: BaseEncoder | None = None
        """Base that the network forecasts against; None without one."""
        self.ignores_extra = False
        """Whether covariates and mask have no effect."""
        self.spin_up: int | None = None
        """The newest frames that the network runs over; None for all."""
        self.pace = 1.0
        """Time between frames, steps of the training."""
        self.matched = False
        """Whether forecasts take the values of the base by rank, see `match_values`."""

    @property
    def extra_channels(self) -> int:
        """Number of input channels that are not forecast: covariates and the mask; a base alone has no use for them."""
        if self.ignores_extra:
            return 0
        return len(self.spec.covariates) + self.mask_channel

    @property
    def input_channels(self) -> int:
        """Number of channels that enter the network: of a frame, covariates and mask, in patches, and of the base."""
        base = 0 if self.base is None or not self.network.feeds_back else self.base.inputs
        return (self.spec.channels + self.extra_channels) * self.patch**2 + base

    def count_run_in(self, context: int) -> int:
        """Count the frames of a context that the network runs over, the newest."""
        return context if self.spin_up is None else min(context, self.spin_up)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Count the rows and columns of the map, in patches, of a frame in pixels: multiples of the network's stride."""
        edge = self.patch * self.network.stride
        return -(-height // edge) * self.network.stride, -(-width // edge) * self.network.stride

    def encode(self, frames: Tensor, valid: Tensor | None = None, before: Observed | None = None) -> Tensor:
        """Encode raw frames as patches.

        Args:
            frames: (B, T, C, H, W), raw units, any device and dtype.
            valid: (B, T, C, H, W), False where missing; None where nothing is.
            before: observations before these frames, for the fill "last".

        Returns:
            (B, T, P*P*C, H', W'), network units, on the device and in the dtype of the weights.
        """
        return self._patchify(self.to_units(frames, valid, before))

    def to_units(self, frames: Tensor, valid: Tensor | None = None, before: Observed | None = None) -> Tensor:
        """Fill the missing pixels of raw frames (B, T, C, H, W), and convert all to network units."""
        frames, valid = self._to_weights(frames, valid)
        if valid is not None:
            frames = fill_missing(frames, valid, self.fill, channel_lows(frames, self.spec), before)
        return self.normalize(frames)

    def run_base(
        self,
        frames: Tensor,
        valid: Tensor | None = None,
        before: Observed | None = None,
        *,
        pace: Tensor | None = None,
        motion: Tensor | None = None,
        state: Any = None,
        within: int | None = None,
    ) -> BaseRun | None:
        """Let the base observe raw frames; None for a network that forecasts without one.

        Args:
            frames: (B, J, C, H, W), raw units, any device and dtype.
            valid: (B, J, C, H, W), False where missing; None where nothing is.
            before: observations before these frames, for the fill "last".
            pace: (B,), time between frames, steps of the training; `self.pace` by default.
            motion: (B, J, 2, H, W), at each frame, pixels per frame; None to estimate it from the frames.
            state: of the base, after the frames before.
            within: number of the newest frames that the network runs over; None for all.
        """
        if self.base is None:
            return None
        units = self.to_units(frames, valid, before)
        seen = torch.ones_like(units, dtype=torch.bool) if valid is None else to_device(valid, units.device)
        pace = units.new_full((len(units),), self.pace) if pace is None else to_device(pace, units.device)
        motion = None if motion is None else to_device(motion, units.device).to(units.dtype)
        return self.base.run(units, seen, pace, motion, state, within=within if self.network.feeds_back else 1)

    def _patchify(self, frames: Tensor) -> Tensor:
        return patchify(pad(frames, self.patch * self.network.stride), self.patch)

    def extra(
        self,
        frames: Tensor,
        valid: Tensor | None,
        steps: int,
        covariates: Tensor | None,
        before: Observed | None = None,
        known: Tensor | None = None,
    ) -> Tensor | None:
        """Encode the input channels that are not forecast: covariates and the mask.

        Args:
            frames: (B, T, C, H, W), raw units.
            valid: (B, T, C, H, W), False where missing; None where nothing is.
            steps: number of steps of the rollout.
            covariates: (B, steps, E, H, W), of the frames that the steps predict, raw units, NaN where missing: the
                network sees the low end of their range there.
            before: observations before these frames.
            known: (B, steps), True for steps that are fed true frames; by default while frames last.

        Returns:
            (B, steps, P*P*E, H', W'), network units; None for a network without such channels.
        """
        if self.ignores_extra:
            return None
        parts, weight = [], next(self.network.parameters())
        if covariates is not None:
            scaled = to_unit(to_device(covariates, weight.device).to(weight.dtype), self.spec.covariates)
            parts.append(torch.where(torch.isfinite(scaled), scaled, 0))
        if self.mask_channel:
            valid = torch.ones_like(frames, dtype=torch.bool) if valid is None else valid
            if known is None:
                known = (torch.arange(steps) < frames.shape[1]).expand(len(frames), steps)
            mask = mask_channel(to_device(valid, weight.device), to_device(known, weight.device), before)
            parts.append(mask.to(weight.dtype))
        return self._patchify(torch.cat(parts, 2)) if parts else None

    def to_tracked(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert raw frames (T, C, H, W), NaN where missing, to the maps (T, H, W) that a base tracks."""
        values = torch.from_numpy(frames[:, : self.spec.channels])
        seen = torch.isfinite(values)
        units = self.normalize(torch.where(seen, values, channel_lows(values, self.spec))[None])
        tracked = average_channels(units[:, :, : self.spec.targets], seen[None, :, : self.spec.targets])
        return tracked[0].numpy()

    def normalize(self, frames: Tensor) -> Tensor:
        """Convert raw frames (B, T, C, H, W) to network units: targets by the normalizer, others by each one's range."""
        count = self.spec.targets
        if count == self.spec.channels:
            units = self.normalizer.normalize(frames)
        else:
            targets = self.normalizer.normalize(frames[:, :, :count])
            units = torch.cat([targets, to_unit(frames[:, :, count:], self.spec.past)], 2)
        low, high = self.value_range
        # skipped for [0, 1], as the arithmetic would round
        return units if (low, high) == UNIT else low + (high - low) * units

    def decode(self, patches: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode patches to raw frames of the targets.

        Args:
            patches: (B, T, P*P*C, H', W'), or of members (B, M, T, P*P*C, H', W'), network units.
            size: (H, W), pixels; padding beyond it is cropped.

        Returns:
            (B, T, targets, H, W), or of members (B, M, T, targets, H, W), raw units.
        """
        if patches.ndim == 6:
            return self.decode(patches.flatten(0, 1), size).unflatten(0, patches.shape[:2])
        frames = unpatchify(patches, self.patch)[:, :, : self.spec.targets, : size[0], : size[1]]
        low, high = self.value_range
        return self.normalizer.denormalize(frames if (low, high) == UNIT else (frames - low) / (high - low))

    def match(self, frames: Tensor, step: BaseStep) -> Tensor:
        """Give the frames of one lead time, (B, [M,] targets, H, W), raw units, the values of the base by rank."""
        height, width = frames.shape[-2:]
        values = self.normalizer.denormalize(step.values[None, :, : self.spec.targets, :height, :width])[0]
        known = step.known[..., :height, :width]
        if frames.ndim == 4:
            return match_values(frames, values, known)
        return torch.stack([match_values(member, values, known) for member in frames.unbind(1)], 1)

    def decode_members(
        self, patches: Tensor, size: tuple[int, int], noise: Tensor | None, members: int | None
    ) -> Tensor:
        """Decode patches; a network with noise whose `members` were not given has one, whose axis is dropped."""
        frames = self.decode(patches, size)
        return frames[:, 0] if noise is not None and members is None else frames

    def _to_weights(self, frames: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Move frames and mask to the device of the weights, frames to their dtype too."""
        weight = next(self.network.parameters())
        mask = None if valid is None else to_device(valid, weight.device)
        return to_device(frames, weight.device).to(weight.dtype), mask

    def track_observed(self, frames: Tensor, valid: Tensor | None, before: Observed | None) -> Observed | None:
        """Update the observations of a stream by frames (B, T, C, H, W), raw units, and their mask.

        None where neither fill nor mask need them.
        """
        if self.fill != "last" and not self.mask_channel:
            return None
        frames, mask = self._to_weights(frames, valid)
        mask = torch.ones_like(frames, dtype=torch.bool) if mask is None else mask
        return update_observed(frames, mask, channel_lows(frames, self.spec), before)
