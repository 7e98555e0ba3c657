"""Raw units in, raw units out: a network with everything that it needs to be used."""

from __future__ import annotations

import inspect
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framecast.channels import lows, to_unit
from framecast.errors import InputError, UsageError
from framecast.missing import Fill, Observed, filled, mask_channel, observed_after
from framecast.models import ModelConfig
from framecast.network import Network, NetworkState
from framecast.normalize import Normalizer
from framecast.patches import pad, patchify, unpatchify
from framecast.rollout import rollout
from framecast.transfer import sent
from framecast.types import FrameSpec


class Stream(NamedTuple):
    """All that a forecaster remembers of a stream. A value: keep it, copy it, branch from it."""

    network: NetworkState
    observed: Observed | None
    """What was observed so far, where the network is told."""


def _native(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """The array in an order of bytes and of axes that torch takes."""
    if frames.dtype.kind not in "fiub":
        raise InputError("frames", got=f"dtype {frames.dtype}", expected="real numbers")
    return np.ascontiguousarray(frames, dtype=frames.dtype.newbyteorder("="))


class Forecaster(nn.Module):
    """A network, the frames it was made for, and the way from raw units to its own and back.

    Args:
        config: the network's configuration.
        spec: what a frame is. Other sizes are welcome unless the network has parameters of the map's shape.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that it does not divide are padded and cropped.
        fill: what the network sees at missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        context: how many frames it was trained to see, for information.

    Raises:
        UsageError: covariates or a mask for a network that takes none.
    """

    def __init__(
        self,
        config: ModelConfig,
        spec: FrameSpec,
        normalizer: Normalizer,
        patch: int,
        *,
        fill: Fill = "low",
        mask_channel: bool = False,
        context: int | None = None,
    ) -> None:
        super().__init__()
        self.config, self.spec, self.normalizer = config, spec, normalizer
        self.patch, self.fill, self.context = patch, fill, context
        self.mask_channel = mask_channel
        self.network = _built(config, spec, patch, len(spec.covariates) + mask_channel)

    def predict(
        self,
        frames: Tensor | NDArray[np.generic],
        horizon: int,
        valid: Tensor | NDArray[np.bool_] | None = None,
        covariates: Tensor | NDArray[np.generic] | None = None,
    ) -> Tensor | NDArray[np.generic]:
        """Predict the frames that follow.

        Args:
            frames: (B, J, C, H, W), raw units, any real dtype; any J >= 1.
            horizon: K, how many frames to predict; any number.
            valid: (B, J, C, H, W), False where a pixel is missing; without it all must be finite.
            covariates: (B, J + K, E, H, W), raw units, NaN where missing: of the given frames and of those that are
                predicted; needed if the model has any (`spec.covariates`). Each step is given those of the frame that
                it predicts, so that the first frame's have no say.

        Returns:
            (B, K, targets, H, W), raw units, in the dtype of the weights; an array if an array was given.

        Raises:
            InputError: frames that do not fit the model's contract.
        """
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        if isinstance(frames, np.ndarray):
            frames = _native(frames)
            given = None if valid is None else torch.as_tensor(valid)
            beside = None if covariates is None else torch.from_numpy(_native(np.asarray(covariates)))
            return torch.as_tensor(self.predict(torch.from_numpy(frames), horizon, given, beside)).cpu().numpy()
        mask = None if valid is None else torch.as_tensor(valid)
        self._check(frames, mask)
        context, size = frames.shape[1], frames.shape[-2:]
        beside = self._checked(covariates, frames, context + horizon)
        with torch.inference_mode():
            patches, steps = self.encode(frames, mask), context + horizon - 1
            extra = self.extra(frames, mask, steps, None if beside is None else beside[:, 1:])
            predicted = rollout(self.network, patches, steps, extra=extra).frames[:, context - 1 :]
            return self.decode(predicted, (size[0], size[1]))

    def step(
        self,
        frame: Tensor,
        state: Stream | None = None,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> tuple[Tensor, Stream]:
        """Take one real frame of a stream.

        Args:
            frame: (B, C, H, W), raw units.
            state: what the last `step` gave; None at the start.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, E, H, W), of the next frame, if the model has any.

        Returns:
            the next frame (B, targets, H, W) as predicted, raw units, and the state to go on with.
        """
        beside = None if covariates is None else covariates[:, None]
        frames, state = self._ahead(frame, state, 1, valid, beside)
        return frames[:, 0], state

    def branch(
        self,
        frame: Tensor,
        state: Stream | None,
        horizon: int,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> Tensor:
        """Look ahead from the middle of a stream; `state` is a value, and the stream can go on from it.

        Args:
            frame: the newest real frame, (B, C, H, W), raw units.
            state: what the `step` before it gave; None if it is the first.
            horizon: K.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, K, E, H, W), of the frames that are predicted, if the model has any.

        Returns:
            (B, K, targets, H, W), raw units: what `predict` gives for all frames of the stream.
        """
        return self._ahead(frame, state, horizon, valid, covariates)[0]

    def _ahead(
        self, frame: Tensor, state: Stream | None, horizon: int, valid: Tensor | None, covariates: Tensor | None
    ) -> tuple[Tensor, Stream]:
        """`horizon` frames from one real one, and the state after the last of them."""
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        frames, mask = frame[:, None], None if valid is None else valid[:, None]
        self._check(frames, mask)
        covariates = self._checked(covariates, frames, horizon)
        network, before = (None, None) if state is None else state
        with torch.inference_mode():
            patches, extra = self.encode(frames, mask, before), self.extra(frames, mask, horizon, covariates, before)
            result = rollout(self.network, patches, horizon, state=network, extra=extra)
            stream = Stream(result.state, self._observed(frames, mask, before))
            return self.decode(result.frames, (frame.shape[-2], frame.shape[-1])), stream

    def encode(self, frames: Tensor, valid: Tensor | None = None, before: Observed | None = None) -> Tensor:
        """Raw frames (B, T, C, H, W) to patches in network units (B, T, P*P*C, H', W')."""
        frames, valid = self._here(frames, valid)
        if valid is not None:
            frames = filled(frames, valid, self.fill, lows(frames, self.spec), before)
        return patchify(pad(self.normalize(frames), self.patch), self.patch)

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
            scaled = to_unit(sent(covariates, weight.device).to(weight.dtype), self.spec.covariates)
            parts.append(torch.where(torch.isfinite(scaled), scaled, 0))
        if self.mask_channel:
            valid = torch.ones_like(frames, dtype=torch.bool) if valid is None else valid
            if known is None:
                known = (torch.arange(steps) < frames.shape[1]).expand(len(frames), steps)
            mask = mask_channel(sent(valid, weight.device), sent(known, weight.device), before)
            parts.append(mask.to(weight.dtype))
        return patchify(pad(torch.cat(parts, 2), self.patch), self.patch) if parts else None

    def normalize(self, frames: Tensor) -> Tensor:
        """Raw frames (B, T, C, H, W) to network units: targets by the normalizer, the others from their own range."""
        cut = self.spec.targets
        if cut == self.spec.channels:
            return self.normalizer.normalize(frames)
        targets = self.normalizer.normalize(frames[:, :, :cut])
        return torch.cat([targets, to_unit(frames[:, :, cut:], self.spec.past)], 2)

    def decode(self, patches: Tensor, size: tuple[int, int]) -> Tensor:
        """Patches in network units to raw frames of the targets (B, T, targets, *size)."""
        frames = unpatchify(patches, self.patch)[..., : size[0], : size[1]]
        return self.normalizer.denormalize(frames[:, :, : self.spec.targets])

    def _here(self, frames: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """In the place and the dtype of the weights."""
        weight = next(self.network.parameters())
        return sent(frames, weight.device).to(weight.dtype), None if valid is None else sent(valid, weight.device)

    def _observed(self, frames: Tensor, valid: Tensor | None, before: Observed | None) -> Observed | None:
        """Remember what a stream has observed, if anybody asks."""
        if self.fill != "last" and not self.mask_channel:
            return None
        frames, mask = self._here(frames, valid)
        mask = torch.ones_like(frames, dtype=torch.bool) if mask is None else mask
        return observed_after(frames, mask, lows(frames, self.spec), before)

    def _checked(self, covariates: object, frames: Tensor, times: int) -> Tensor | None:
        """Covariates of the right shape, or None where the model has none."""
        names = ", ".join(channel.name for channel in self.spec.covariates)
        shape = (len(frames), times, len(self.spec.covariates), *frames.shape[-2:])
        if not names and covariates is None:
            return None
        if not names or covariates is None:
            got = "none" if covariates is None else "some"
            raise InputError("covariates", got=got, expected=f"{names}, shape {shape}" if names else "none, as trained")
        found = torch.as_tensor(covariates)
        if found.shape != shape:
            raise InputError("covariates", got=f"shape {tuple(found.shape)}", expected=f"{shape}: {names}")
        return found

    def _check(self, frames: Tensor, valid: Tensor | None) -> None:
        spec = self.spec
        if frames.ndim != 5:
            raise InputError(
                "frames", got=f"shape {tuple(frames.shape)}", expected="(batch, time, channel, height, width)"
            )
        if frames.shape[1] < 1:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        if frames.shape[2] != spec.channels:
            raise InputError("frames", got=f"{frames.shape[2]} channels", expected=f"{spec.channels}, as trained")
        if self.config.fixed_size and frames.shape[-2:] != (spec.height, spec.width):
            raise InputError(
                "frames",
                got="x".join(map(str, frames.shape[-2:])),
                expected=f"{spec.height}x{spec.width}: this network has parameters of the map's shape",
                fix="cut or resize the frames, or train a network without full peepholes and chw norms",
            )
        if valid is not None and valid.shape != frames.shape:
            raise InputError(
                "valid", got=f"shape {tuple(valid.shape)}", expected=f"that of the frames, {tuple(frames.shape)}"
            )
        observed = frames if valid is None else torch.where(valid.to(frames.device), frames, 0)
        if frames.is_floating_point() and not torch.isfinite(observed).all():
            bad = int((~torch.isfinite(observed)).sum())
            raise InputError(
                "frames", got=f"{bad} NaN or infinite pixels", expected="finite ones", fix="mark them in valid="
            )


def _built(config: ModelConfig, spec: FrameSpec, patch: int, extra: int) -> Network:
    size = spec.channels * patch**2, -(-spec.height // patch), -(-spec.width // patch)
    if not extra:
        return config.build(*size)
    if "extra" not in inspect.signature(config.build).parameters:
        what, fix = f"model {type(config).__name__}", "give its build() an argument extra, see docs/design.md"
        raise UsageError(what, got="covariates or a mask", expected="a network that takes some", fix=fix)
    return config.build(*size, extra * patch**2)
