"""Raw units in, raw units out: a network with everything that it needs to be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from framecast.devices import to_device
from framecast.errors import InputError, UsageError
from framecast.forecast import UNNAMED, ModelOrigin
from framecast.forecasting.predictor import TensorPredictor
from framecast.forecasting.validation import Values, as_tensor, check_covariates, check_frames, check_size
from framecast.models import ModelConfig, build_network
from framecast.nn.network import Aux, Network, NetworkState
from framecast.nn.rollout import Rollout, rollout
from framecast.nn.tiled_network import TiledNetwork, TileLayout, check_tile
from framecast.transforms.channels import channel_lows, to_unit
from framecast.transforms.missing import Fill, Observed, fill_missing, mask_channel, update_observed
from framecast.transforms.normalize import Normalizer
from framecast.transforms.patches import pad, patchify, unpatchify
from framecast.types import FrameSpec


class StreamState(NamedTuple):
    """All that a forecaster remembers of a stream. A value: keep it, copy it, branch from it."""

    network: NetworkState
    observed: Observed | None
    """What was observed so far, where the network is told."""


class PredictedFrame(NamedTuple):
    """One predicted frame."""

    frame: Tensor
    """(B, C, H, W), raw units."""
    aux: Aux
    """What the step reported."""


class Forecaster(nn.Module, TensorPredictor):
    """A network, the frames it was made for, and the way from raw units to its own and back.

    Args:
        config: the network's configuration.
        spec: what a frame is. Other sizes are welcome unless the network has parameters of the map's shape.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that it does not divide are padded and cropped.
        fill: what the network sees at missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        context: how many frames it was trained to see, for information.
        network: the one that the configuration built; None to build it with fresh weights.
        origin: where the weights come from; None for weights that are in no folder.

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
        network: Network | None = None,
        origin: ModelOrigin | None = None,
    ) -> None:
        super().__init__()
        self.config, self.spec, self.normalizer = config, spec, normalizer
        self.patch, self.fill, self.context, self.mask_channel = patch, fill, context, mask_channel
        self.origin = origin or ModelOrigin(str(getattr(config, "name", UNNAMED)))
        size = spec.channels * patch**2, *self.cells(spec.height, spec.width)
        self.network = network or build_network(config, *size, self.extra_channels * patch**2)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the map of a frame of so many pixels."""
        return -(-height // self.patch), -(-width // self.patch)

    @property
    def extra_channels(self) -> int:
        """How many of a frame the network is given beside its own: covariates and the mask."""
        return len(self.spec.covariates) + self.mask_channel

    def tiled(self, layout: TileLayout) -> Forecaster:
        """The same forecaster, same weights, computing in tiles; a network of one size then takes larger frames."""
        network = TiledNetwork(self.network, layout, lambda patches: self.decode(patches, (self.patch, 2**62)))
        alike = {name: getattr(self, name) for name in ("patch", "fill", "mask_channel", "context", "origin")}
        return Forecaster(self.config, self.spec, self.normalizer, **alike, network=network).train(self.training)

    def train(self, mode: bool = True) -> Forecaster:
        """Weights that may change from now on are no longer those of a folder."""
        self.origin = ModelOrigin(self.origin.name) if mode else self.origin
        return super().train(mode)

    def predict(
        self, frames: Values, horizon: int, valid: Values | None = None, covariates: Values | None = None
    ) -> Values:
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
            return torch.as_tensor(self.predict(as_tensor(frames), horizon, valid, covariates)).cpu().numpy()
        mask = None if valid is None else torch.as_tensor(valid)
        self.check(frames, mask)
        context, size = frames.shape[1], frames.shape[-2:]
        beside = check_covariates(covariates, frames, context + horizon, self.spec)
        with torch.inference_mode():
            patches, steps = self.encode(frames, mask), context + horizon - 1
            extra = self.extra(frames, mask, steps, None if beside is None else beside[:, 1:])
            predicted = self._rollout(patches, steps, extra=extra).frames[:, context - 1 :]
            return self.decode(predicted, (size[0], size[1]))

    def ahead(
        self, past: Iterable[tuple[Tensor, Tensor | None]], horizon: int, covariates: Iterable[Tensor] | None = None
    ) -> Iterator[PredictedFrame]:
        """Predict frame by frame: what `predict` gives, with one frame and the state in memory at a time.

        Args:
            past: J frames (B, C, H, W), raw units, oldest first, each with what is valid of it, see `step`; one or more.
            horizon: K.
            covariates: of the J + K frames, (B, E, H, W) each, if the model has any; see `predict`.

        Raises:
            InputError: frames that do not fit the model's contract.
        """
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        beside = iter(() if covariates is None else covariates)
        next(beside, None)  # the first frame's have no say
        found, stream, frames, mask = None, None, torch.empty(0), None
        for frame, valid in past:
            frames, mask = frame[:, None], None if valid is None else valid[:, None]
            found, stream = self._taken(frames, stream, 1, mask, _single(beside))
        if found is None:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        size, before = (frames.shape[-2], frames.shape[-1]), None if stream is None else stream.observed
        own = torch.zeros(len(frames), 1, dtype=torch.bool)
        for lead in range(horizon):
            yield PredictedFrame(self.decode(found.frames, size)[:, 0], found.aux[0] if found.aux else {})
            if lead + 1 < horizon:
                given = check_covariates(_single(beside), frames, 1, self.spec)
                extra = self.extra(frames, mask, 1, given, before, own)
                found = self._rollout(found.frames, 1, found.state, extra)

    def _rollout(
        self, patches: Tensor, steps: int, state: NetworkState | None = None, extra: Tensor | None = None
    ) -> Rollout:
        """With reports where there are tiles: their seams."""
        with torch.inference_mode():
            aux = isinstance(self.network, TiledNetwork)
            return rollout(self.network, patches, steps, state=state, extra=extra, aux=aux)

    def step(
        self,
        frame: Tensor,
        state: StreamState | None = None,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> tuple[Tensor, StreamState]:
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
        state: StreamState | None,
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
        self, frame: Tensor, state: StreamState | None, horizon: int, valid: Tensor | None, covariates: Tensor | None
    ) -> tuple[Tensor, StreamState]:
        """`horizon` frames from one real one, and the state after the last of them."""
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        mask = None if valid is None else valid[:, None]
        result, stream = self._taken(frame[:, None], state, horizon, mask, covariates)
        with torch.inference_mode():
            return self.decode(result.frames, (frame.shape[-2], frame.shape[-1])), stream

    def _taken(
        self, frames: Tensor, state: StreamState | None, steps: int, valid: Tensor | None, covariates: Tensor | None
    ) -> tuple[Rollout, StreamState]:
        """Steps from one real frame (B, 1, C, H, W) on, of which the others are fed what is predicted."""
        self.check(frames, valid)
        covariates = check_covariates(covariates, frames, steps, self.spec)
        network, before = (None, None) if state is None else state
        with torch.inference_mode():
            patches, extra = self.encode(frames, valid, before), self.extra(frames, valid, steps, covariates, before)
            result = self._rollout(patches, steps, network, extra)
            return result, StreamState(result.state, self._observed(frames, valid, before))

    def encode(self, frames: Tensor, valid: Tensor | None = None, before: Observed | None = None) -> Tensor:
        """Raw frames (B, T, C, H, W) to patches in network units (B, T, P*P*C, H', W')."""
        frames, valid = self._here(frames, valid)
        if valid is not None:
            frames = fill_missing(frames, valid, self.fill, channel_lows(frames, self.spec), before)
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
            scaled = to_unit(to_device(covariates, weight.device).to(weight.dtype), self.spec.covariates)
            parts.append(torch.where(torch.isfinite(scaled), scaled, 0))
        if self.mask_channel:
            valid = torch.ones_like(frames, dtype=torch.bool) if valid is None else valid
            if known is None:
                known = (torch.arange(steps) < frames.shape[1]).expand(len(frames), steps)
            mask = mask_channel(to_device(valid, weight.device), to_device(known, weight.device), before)
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
        frames = to_device(frames, weight.device).to(weight.dtype)
        return frames, None if valid is None else to_device(valid, weight.device)

    def _observed(self, frames: Tensor, valid: Tensor | None, before: Observed | None) -> Observed | None:
        if self.fill != "last" and not self.mask_channel:  # nobody asks
            return None
        frames, mask = self._here(frames, valid)
        mask = torch.ones_like(frames, dtype=torch.bool) if mask is None else mask
        return update_observed(frames, mask, channel_lows(frames, self.spec), before)

    def check(self, frames: Tensor, valid: Tensor | None) -> None:
        """Refuse by an InputError frames, (B, T, C, H, W) in raw units, that the network does not take."""
        check_frames(frames, valid, self.spec)
        if self.config.fixed_size and isinstance(self.network, TiledNetwork):
            check_tile(self.network.layout.tile, self.cells(*frames.shape[-2:]))
        elif self.config.fixed_size:
            check_size(frames, self.spec)


def _single(frames: Iterator[Tensor]) -> Tensor | None:
    """The next one, (B, 1, ...); None if there is none left."""
    frame = next(frames, None)
    return None if frame is None else frame[:, None]
