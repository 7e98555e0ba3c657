"""Forecaster: a network with its normalizer and patches, a predictor in raw units; whole, by frame, or as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.forecast import UNNAMED, ModelOrigin
from framecast.forecasting.frame_codec import EncodedFrame, FrameCodec
from framecast.forecasting.predictor import TensorPredictor
from framecast.forecasting.stream import PredictedFrame, StreamState
from framecast.forecasting.validation import (
    Values,
    as_frames,
    check_covariates,
    check_forecast,
    check_frames,
    check_horizon,
    check_size,
    check_state,
)
from framecast.models import ModelConfig, build_network
from framecast.nn.network import Advance, Network, SequenceNetwork
from framecast.nn.rollout import draw_noise, observe, rollout
from framecast.nn.tiled_network import TiledNetwork, TileLayout, check_tile
from framecast.transforms.missing import Fill
from framecast.transforms.normalize import Normalizer
from framecast.types import FrameSpec


class Forecaster(FrameCodec, TensorPredictor):
    """Predictor by a network: encodes raw frames, rolls the network out, decodes its predictions to raw units.

    Args:
        config: the network's configuration.
        spec: contract of the frames; other sizes are welcome unless the network has parameters of the map's shape.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that P and the stride of the network do not divide are padded and cropped.
        fill: value that stands for missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        context: J of the training; a training of a network that does not feed back needs it.
        network: network of this configuration; None to build it with fresh weights.
        origin: name and source of the weights; None for weights that are in no folder.

    Raises:
        UsageError: covariates or a mask for a network that takes none, a normalizer that does not fit it.

    Example:
        >>> import framecast, numpy as np
        >>> from framecast.models import ConvLSTM
        >>> from framecast.transforms.normalize import Range
        >>> spec = framecast.FrameSpec(channels=1, height=16, width=20, units="mm/h", high=50.0)
        >>> forecaster = framecast.Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), spec, Range(low=0, high=50), patch=4)
        >>> forecaster.predict(np.zeros((2, 3, 1, 16, 20)), horizon=6).shape
        (2, 6, 1, 16, 20)
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
        network: SequenceNetwork | None = None,
        origin: ModelOrigin | None = None,
    ) -> None:
        values = config.value_range
        super().__init__(spec, normalizer, patch, fill=fill, mask_channel=mask_channel, value_range=values)
        self.config, self.context = config, context
        self.origin = origin or ModelOrigin(str(getattr(config, "name", UNNAMED)))
        size = spec.channels * patch**2, -(-spec.height // patch), -(-spec.width // patch)
        self.network = network or build_network(config, *size, self.extra_channels * patch**2)

    def tiled(self, layout: TileLayout) -> Forecaster:
        """Make a forecaster that shares the weights and computes in tiles; a network of one size takes larger frames so.

        Raises:
            UsageError: a network with maps of other sizes than the frame's.
        """
        if not isinstance(self.network, Network) or not self.network.tileable:
            expected = "a network whose maps all have the size of the frame"
            raise UsageError("tiles", got=type(self.config).__name__, expected=expected, fix="compute the whole")
        # the cells at a seam, compared in raw units, come as one row of the map, of which no column is cropped
        network = TiledNetwork(self.network, layout, lambda patches: self.decode(patches, (self.patch, 2**62)))
        settings = {name: getattr(self, name) for name in ("patch", "fill", "mask_channel", "context", "origin")}
        return Forecaster(self.config, self.spec, self.normalizer, **settings, network=network).train(self.training)

    def train(self, mode: bool = True) -> Forecaster:
        """Set training or evaluation mode; weights that train are no longer those of a folder."""
        self.origin = ModelOrigin(self.origin.name) if mode else self.origin
        return super().train(mode)

    def predict(
        self,
        frames: Values,
        horizon: int,
        valid: Values | None = None,
        covariates: Values | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
    ) -> Values:
        """Predict the frames that follow.

        Args:
            frames: (B, J, C, H, W), raw units, any real dtype; any J >= 1.
            horizon: K, how many frames to predict; any number.
            valid: (B, J, C, H, W), False where a pixel is missing; without it all must be finite.
            covariates: (B, J + K, E, H, W), raw units, NaN where missing; needed if the model has any. Each step gets
                those of the frame that it predicts, so that those of the first frame have no effect.
            members: M, for a network that is driven by noise; None for the first member alone.
            seed: seed of the noise, which depends on seed, lead time and member only.

        Returns:
            (B, K, targets, H, W), (B, M, K, targets, H, W) if `members` is given; raw units; an array for an array.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        check_horizon(horizon)
        if isinstance(frames, np.ndarray):
            tensor, observed = as_frames(frames, valid)
            future = self.predict(tensor, horizon, observed, covariates, members=members, seed=seed)
            return torch.as_tensor(future).cpu().numpy()
        frames, mask = as_frames(frames, valid)
        self.check(frames, mask)
        context, size = frames.shape[1], frames.shape[-2:]
        checked = check_covariates(covariates, frames, context + horizon, self.spec)
        with torch.inference_mode():
            patches, steps = self.encode(frames, mask), context + horizon - 1
            extra = self.extra(frames, mask, steps, None if checked is None else checked[:, 1:])
            noise = self._draw_noise(patches, range(horizon), members, seed)
            predicted = rollout(self.network, patches, steps, extra=extra, drive=noise).frames[..., -horizon:, :, :, :]
            return check_forecast(self.decode_members(predicted, (size[0], size[1]), noise, members), self.spec)

    def ahead(
        self,
        past: Iterable[tuple[Tensor, Tensor | None]],
        horizon: int,
        covariates: Iterable[Tensor] | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
    ) -> Iterator[PredictedFrame]:
        """Predict frame by frame, with one frame and the state in memory at a time; the values are those of `predict`.

        Args:
            past: J >= 1 frames, oldest first, each (B, C, H, W), raw units, with its mask, False where missing, or None.
            horizon: K, how many frames to predict.
            covariates: of the J + K frames, (B, E, H, W) each, raw units, NaN where missing; needed if the model has any.
            members: M, for a network that is driven by noise; None for the first member alone.
            seed: seed of the noise.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        check_horizon(horizon)
        remaining = (frame[:, None] for frame in (() if covariates is None else covariates))
        next(remaining, None)  # those of the first frame: no step predicts it
        last, stream, frames, mask, patches = None, None, torch.empty(0), None, torch.empty(0)
        for frame, valid in past:
            frames, mask = frame[:, None], None if valid is None else valid[:, None]
            encoded = self._encode_frame(frames, stream, 1, mask, next(remaining, None))
            with torch.inference_mode():
                patches = encoded.patches
                extra = None if encoded.extra is None else encoded.extra[:, 0]
                last = observe(self.network, patches[:, 0], None if stream is None else stream.network, extra=extra)
            stream = StreamState(last, encoded.observed, tuple(frame.shape))
        if last is None or stream is None:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        size, unknown = (frames.shape[-2], frames.shape[-1]), torch.zeros(len(frames), 1, dtype=torch.bool)
        for lead in range(horizon):
            noise = self._draw_noise(patches, range(lead, lead + 1), members, seed)
            # a network that steps predicts the first lead time as it observes the last frame; others begin here
            if lead > 0 or last.frame is None:
                covariate = check_covariates(next(remaining, None), frames, 1, self.spec)
                extra = self.extra(frames, mask, 1, covariate, stream.observed, unknown)
                with torch.inference_mode():
                    last = rollout(self.network, patches[:, :0], 1, state=last, extra=extra, drive=noise).state
            yield PredictedFrame(self._decode_newest(last, size, noise, members), last.aux)

    def _decode_newest(self, last: Advance, size: tuple[int, int], noise: Tensor | None, members: int | None) -> Tensor:
        """Decode the newest prediction to (B, targets, H, W), of members (B, M, targets, H, W)."""
        assert last.frame is not None
        # the network computes the M members as M times the batch
        frames = last.frame[:, None] if noise is None else last.frame[:, None].unflatten(0, noise.shape[:2])
        return check_forecast(self.decode_members(frames, size, noise, members).squeeze(-4), self.spec)

    def _draw_noise(self, patches: Tensor, leads: range, members: int | None, seed: int) -> Tensor | None:
        """Draw the noise of these lead times, (B, M, K, ...); None for a network that takes none."""
        shape = self.network.drive_shape(patches.shape[-2], patches.shape[-1])
        if shape is None and members is not None:
            raise UsageError("members", got=members, expected="none: this network takes no noise; leave it out")
        if members is not None and members < 1:
            raise UsageError("members", got=members, expected="at least 1")
        return None if shape is None else draw_noise(shape, [(seed,)] * len(patches), leads, members or 1, patches)

    def step(
        self,
        frame: Tensor,
        state: StreamState | None = None,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
        *,
        seed: int = 0,
    ) -> tuple[Tensor, StreamState]:
        """Observe one real frame of a stream, and predict the next.

        Args:
            frame: (B, C, H, W), raw units.
            state: state that the last `step` returned; None at the start.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, E, H, W), of the next frame, if the model has any.
            seed: seed of the noise.

        Returns:
            the prediction of the next frame (B, targets, H, W), raw units, and the state for the next `step`.

        Raises:
            InputError: frames that do not fit the model's contract.
        """
        following = None if covariates is None else covariates[:, None]
        frames, state = self._advance(frame, state, 1, valid, following, None, seed)
        return frames[:, 0], state

    def branch(
        self,
        frame: Tensor,
        state: StreamState | None,
        horizon: int,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
    ) -> Tensor:
        """Look ahead from the middle of a stream; `state` is a value, and the stream can go on from it.

        Args:
            frame: the newest real frame, (B, C, H, W), raw units.
            state: state that the `step` of the frame before returned; None if this frame is the first.
            horizon: K, how many frames to predict.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, K, E, H, W), of the frames that are predicted, if the model has any.
            members: M, for a network that is driven by noise; None for the first member alone.
            seed: seed of the noise.

        Returns:
            (B, K, targets, H, W), raw units, of members (B, M, K, targets, H, W): `predict` of the whole stream.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        return self._advance(frame, state, horizon, valid, covariates, members, seed)[0]

    def _advance(
        self,
        frame: Tensor,
        state: StreamState | None,
        horizon: int,
        valid: Tensor | None,
        covariates: Tensor | None,
        members: int | None,
        seed: int,
    ) -> tuple[Tensor, StreamState]:
        """Predict `horizon` frames from one real frame, and return the state after the last of them."""
        check_horizon(horizon)
        frame, valid = as_frames(frame, valid)
        mask = None if valid is None else valid[:, None]
        encoded = self._encode_frame(frame[:, None], state, horizon, mask, covariates)
        with torch.inference_mode():
            noise = self._draw_noise(encoded.patches, range(horizon), members, seed)
            before = None if state is None else state.network
            result = rollout(self.network, encoded.patches, horizon, state=before, extra=encoded.extra, drive=noise)
            frames = self.decode_members(result.frames, (frame.shape[-2], frame.shape[-1]), noise, members)
            return check_forecast(frames, self.spec), StreamState(result.state, encoded.observed, tuple(frame.shape))

    def _encode_frame(
        self, frames: Tensor, state: StreamState | None, steps: int, valid: Tensor | None, covariates: Tensor | None
    ) -> EncodedFrame:
        """Check and encode one real frame (B, 1, C, H, W), and the covariates and mask of the steps from it on."""
        self.check(frames, valid)
        if state is not None:
            check_state((len(frames), *frames.shape[2:]), state.shape)
        covariates = check_covariates(covariates, frames, steps, self.spec)
        before = None if state is None else state.observed
        with torch.inference_mode():
            patches, extra = self.encode(frames, valid, before), self.extra(frames, valid, steps, covariates, before)
            return EncodedFrame(patches, extra, self.track_observed(frames, valid, before))

    def check(self, frames: Tensor, valid: Tensor | None) -> None:
        """Refuse by an InputError frames, (B, T, C, H, W) in raw units, that do not fit the model's contract."""
        check_frames(frames, valid, self.spec)
        if self.config.fixed_size and isinstance(self.network, TiledNetwork):
            check_tile(self.network.layout.tile, self.cells(*frames.shape[-2:]))
        elif self.config.fixed_size:
            check_size(frames, self.spec)
