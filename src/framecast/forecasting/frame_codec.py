"""The way of frames from raw units to what a network takes, and of what it gives back to raw units."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from framecast.devices import to_device
from framecast.errors import UsageError
from framecast.nn.network import SequenceNetwork
from framecast.transforms.channels import channel_lows, to_unit
from framecast.transforms.missing import Fill, Observed, fill_missing, mask_channel, update_observed
from framecast.transforms.normalize import Normalizer
from framecast.transforms.patches import pad, patchify, unpatchify
from framecast.types import FrameSpec

UNIT = (0.0, 1.0)


class GivenInput(NamedTuple):
    """What a network gets of a stream's newest frame."""

    patches: Tensor
    """(B, 1, P*P*C, H', W'), network units."""
    extra: Tensor | None
    """(B, steps, P*P*E, H', W'), beside it and its own frames."""
    observed: Observed | None
    """What was observed up to it."""


class FrameCodec(nn.Module):
    """Encodes raw frames for a network, in patches, and decodes its own.

    Args:
        spec: what a frame is.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that it and the stride of the network do not divide are padded and cropped.
        fill: what the network sees at missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        value_range: what the network can answer, network units; None for any.

    Raises:
        UsageError: a value range for a normalizer that has none.
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
        if value_range is not None and not normalizer.to_unit_range:
            got, expected = f"{normalizer.kind}, whose values have no ends", "one from and to the value range"
            fix = f"this network answers in {list(value_range)}: choose range, log or dbz"
            raise UsageError("normalize", got=got, expected=expected, fix=fix)
        self.spec, self.normalizer, self.patch = spec, normalizer, patch
        self.fill, self.mask_channel = fill, mask_channel
        self.value_range = value_range or UNIT

    @property
    def extra_channels(self) -> int:
        """How many of a frame the network is given beside its own: covariates and the mask."""
        return len(self.spec.covariates) + self.mask_channel

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the map of a frame of so many pixels, multiples of the network's stride."""
        edge = self.patch * self.network.stride
        return -(-height // edge) * self.network.stride, -(-width // edge) * self.network.stride

    def encode(self, frames: Tensor, valid: Tensor | None = None, before: Observed | None = None) -> Tensor:
        """Raw frames (B, T, C, H, W) to patches in network units (B, T, P*P*C, H', W')."""
        frames, valid = self._here(frames, valid)
        if valid is not None:
            frames = fill_missing(frames, valid, self.fill, channel_lows(frames, self.spec), before)
        return self._patchified(self.normalize(frames))

    def _patchified(self, frames: Tensor) -> Tensor:
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
        """What the network is given beside its own frames, (B, steps, P*P*E, H', W'); None if it takes nothing.

        Args:
            frames: (B, T, C, H, W).
            valid: (B, T, C, H, W), False where missing; None where nothing is.
            steps: of the rollout.
            covariates: (B, steps, E, H, W), of the frames that are predicted, raw units, NaN where missing: the network
                sees the low end of their range there.
            before: what was observed before these frames.
            known: (B, steps), which steps are fed true frames; by default while frames last.
        """
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
        return self._patchified(torch.cat(parts, 2)) if parts else None

    def normalize(self, frames: Tensor) -> Tensor:
        """Raw frames (B, T, C, H, W) to network units: targets by the normalizer, the others from their own range."""
        cut = self.spec.targets
        if cut == self.spec.channels:
            units = self.normalizer.normalize(frames)
        else:
            targets = self.normalizer.normalize(frames[:, :, :cut])
            units = torch.cat([targets, to_unit(frames[:, :, cut:], self.spec.past)], 2)
        low, high = self.value_range
        return units if (low, high) == UNIT else low + (high - low) * units

    def decode(self, patches: Tensor, size: tuple[int, int]) -> Tensor:
        """Patches in network units to raw frames of the targets (B, T, targets, *size), of members (B, M, T, ...)."""
        if patches.ndim == 6:
            return self.decode(patches.flatten(0, 1), size).unflatten(0, patches.shape[:2])
        frames = unpatchify(patches, self.patch)[:, :, : self.spec.targets, : size[0], : size[1]]
        low, high = self.value_range
        return self.normalizer.denormalize(frames if (low, high) == UNIT else (frames - low) / (high - low))

    def _here(self, frames: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """In the place and the dtype of the weights."""
        weight = next(self.network.parameters())
        return to_device(frames, weight.device).to(weight.dtype), None if valid is None else to_device(
            valid, weight.device
        )

    def observed(self, frames: Tensor, valid: Tensor | None, before: Observed | None) -> Observed | None:
        """What was observed up to these frames, see `encode`; None where neither fill nor mask ask for it."""
        if self.fill != "last" and not self.mask_channel:
            return None
        frames, mask = self._here(frames, valid)
        mask = torch.ones_like(frames, dtype=torch.bool) if mask is None else mask
        return update_observed(frames, mask, channel_lows(frames, self.spec), before)
