"""Raw units in, raw units out: a network with everything that it needs to be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.forecast import UNNAMED, ModelOrigin
from framecast.forecasting.frame_codec import FrameCodec, GivenInput
from framecast.forecasting.predictor import TensorPredictor
from framecast.forecasting.validation import Values, as_tensor, check_covariates, check_frames, check_size
from framecast.models import ModelConfig, build_network
from framecast.nn.network import Advance, Aux, Network, SequenceNetwork
from framecast.nn.rollout import draw_noise, observe, rollout
from framecast.nn.tiled_network import TiledNetwork, TileLayout, check_tile
from framecast.transforms.missing import Fill, Observed
from framecast.transforms.normalize import Normalizer
from framecast.types import FrameSpec


class StreamState(NamedTuple):
    """All that a forecaster remembers of a stream. A value: keep it, copy it, branch from it."""

    network: Advance
    observed: Observed | None
    """What was observed so far, where the network is told."""


class PredictedFrame(NamedTuple):
    """One predicted frame."""

    frame: Tensor
    """(B, C, H, W), raw units; (B, M, C, H, W) of members."""
    aux: Aux
    """What the step reported."""


class Forecaster(FrameCodec, TensorPredictor):
    """A network, the frames it was made for, and the way from raw units to its own and back.

    Args:
        config: the network's configuration.
        spec: what a frame is. Other sizes are welcome unless the network has parameters of the map's shape.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that it and the stride of the network do not divide are padded and cropped.
        fill: what the network sees at missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        context: how many frames it was trained to see; a training of a network that does not feed back needs it.
        network: the one that the configuration built; None to build it with fresh weights.
        origin: where the weights come from; None for weights that are in no folder.

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
        """The same forecaster, same weights, computing in tiles; a network of one size then takes larger frames.

        Raises:
            UsageError: a network with maps of other sizes than the frame's.
        """
        if not isinstance(self.network, Network) or not self.network.tileable:
            expected = "a network whose maps all have the size of the frame"
            raise UsageError("tiles", got=type(self.config).__name__, expected=expected, fix="compute the whole")
        network = TiledNetwork(self.network, layout, lambda patches: self.decode(patches, (self.patch, 2**62)))
        alike = {name: getattr(self, name) for name in ("patch", "fill", "mask_channel", "context", "origin")}
        return Forecaster(self.config, self.spec, self.normalizer, **alike, network=network).train(self.training)

    def train(self, mode: bool = True) -> Forecaster:
        """Weights that may change from now on are no longer those of a folder."""
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
            covariates: (B, J + K, E, H, W), raw units, NaN where missing: of the given frames and of those that are
                predicted; needed if the model has any (`spec.covariates`). Each step is given those of the frame that
                it predicts, so that the first frame's have no say.
            members: M, of a network that is driven by noise; None for the first one alone.
            seed: of the noise, which depends on it, on the lead time and on the member, but on nothing else.

        Returns:
            (B, K, targets, H, W), raw units, in the dtype of the weights; (B, M, K, targets, H, W) where members are
            asked for; an array if an array was given.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        _check_horizon(horizon)
        if isinstance(frames, np.ndarray):
            future = self.predict(as_tensor(frames), horizon, valid, covariates, members=members, seed=seed)
            return torch.as_tensor(future).cpu().numpy()
        mask = None if valid is None else torch.as_tensor(valid)
        self.check(frames, mask)
        context, size = frames.shape[1], frames.shape[-2:]
        beside = check_covariates(covariates, frames, context + horizon, self.spec)
        with torch.inference_mode():
            patches, steps = self.encode(frames, mask), context + horizon - 1
            extra = self.extra(frames, mask, steps, None if beside is None else beside[:, 1:])
            noise = self._noise(patches, range(horizon), members, seed)
            predicted = rollout(self.network, patches, steps, extra=extra, drive=noise).frames[..., -horizon:, :, :, :]
            return _chosen(self.decode(predicted, (size[0], size[1])), noise, members)

    def ahead(
        self,
        past: Iterable[tuple[Tensor, Tensor | None]],
        horizon: int,
        covariates: Iterable[Tensor] | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
    ) -> Iterator[PredictedFrame]:
        """Predict frame by frame: what `predict` gives, with one frame and the state in memory at a time.

        Args:
            past: J frames (B, C, H, W), raw units, oldest first, each with what is valid of it, see `step`; one or more.
            horizon: K.
            covariates: of the J + K frames, (B, E, H, W) each, if the model has any; see `predict`.
            members: M, see `predict`.
            seed: of the noise, see `predict`.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        _check_horizon(horizon)
        beside = iter(() if covariates is None else covariates)
        next(beside, None)  # the first frame's have no say
        last, stream, frames, mask, patches = None, None, torch.empty(0), None, torch.empty(0)
        for frame, valid in past:
            frames, mask = frame[:, None], None if valid is None else valid[:, None]
            given = self._given(frames, stream, 1, mask, _single(beside))
            with torch.inference_mode():
                patches = given.patches
                extra = None if given.extra is None else given.extra[:, 0]
                last = observe(self.network, patches[:, 0], None if stream is None else stream.network, extra=extra)
            stream = StreamState(last, given.observed)
        if last is None or stream is None:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        size, own = (frames.shape[-2], frames.shape[-1]), torch.zeros(len(frames), 1, dtype=torch.bool)
        for lead in range(horizon):
            noise = self._noise(patches, range(lead, lead + 1), members, seed)
            if lead > 0 or last.frame is None:
                covariate = check_covariates(_single(beside), frames, 1, self.spec)
                extra = self.extra(frames, mask, 1, covariate, stream.observed, own)
                with torch.inference_mode():
                    last = rollout(self.network, patches[:, :0], 1, state=last, extra=extra, drive=noise).state
            yield PredictedFrame(self._decoded(last, size, noise, members), last.aux)

    def _decoded(self, last: Advance, size: tuple[int, int], noise: Tensor | None, members: int | None) -> Tensor:
        """The newest prediction, (B, targets, H, W), of members (B, M, targets, H, W)."""
        assert last.frame is not None
        frames = last.frame[:, None] if noise is None else last.frame[:, None].unflatten(0, noise.shape[:2])
        return _chosen(self.decode(frames, size), noise, members).squeeze(-4)

    def _noise(self, patches: Tensor, leads: range, members: int | None, seed: int) -> Tensor | None:
        """What drives the network at these lead times, (B, M, K, ...); None for one that takes none."""
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
        """Take one real frame of a stream.

        Args:
            frame: (B, C, H, W), raw units.
            state: what the last `step` gave; None at the start.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, E, H, W), of the next frame, if the model has any.
            seed: of the noise, see `predict`.

        Returns:
            the next frame (B, targets, H, W) as predicted, raw units, and the state to go on with.
        """
        beside = None if covariates is None else covariates[:, None]
        frames, state = self._ahead(frame, state, 1, valid, beside, None, seed)
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
            state: what the `step` before it gave; None if it is the first.
            horizon: K.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, K, E, H, W), of the frames that are predicted, if the model has any.
            members: M, see `predict`.
            seed: of the noise, see `predict`.

        Returns:
            (B, K, targets, H, W), raw units, of members (B, M, K, targets, H, W): what `predict` gives for all frames of
            the stream.
        """
        return self._ahead(frame, state, horizon, valid, covariates, members, seed)[0]

    def _ahead(
        self,
        frame: Tensor,
        state: StreamState | None,
        horizon: int,
        valid: Tensor | None,
        covariates: Tensor | None,
        members: int | None,
        seed: int,
    ) -> tuple[Tensor, StreamState]:
        """`horizon` frames from one real one, and the state after the last of them."""
        _check_horizon(horizon)
        given = self._given(frame[:, None], state, horizon, None if valid is None else valid[:, None], covariates)
        with torch.inference_mode():
            noise = self._noise(given.patches, range(horizon), members, seed)
            before = None if state is None else state.network
            result = rollout(self.network, given.patches, horizon, state=before, extra=given.extra, drive=noise)
            frames = self.decode(result.frames, (frame.shape[-2], frame.shape[-1]))
            return _chosen(frames, noise, members), StreamState(result.state, given.observed)

    def _given(
        self, frames: Tensor, state: StreamState | None, steps: int, valid: Tensor | None, covariates: Tensor | None
    ) -> GivenInput:
        """What the network gets of one real frame (B, 1, C, H, W) and of the steps from it on."""
        self.check(frames, valid)
        covariates = check_covariates(covariates, frames, steps, self.spec)
        before = None if state is None else state.observed
        with torch.inference_mode():
            patches, extra = self.encode(frames, valid, before), self.extra(frames, valid, steps, covariates, before)
            return GivenInput(patches, extra, self.observed(frames, valid, before))

    def check(self, frames: Tensor, valid: Tensor | None) -> None:
        """Refuse by an InputError frames, (B, T, C, H, W) in raw units, that the network does not take."""
        check_frames(frames, valid, self.spec)
        if self.config.fixed_size and isinstance(self.network, TiledNetwork):
            check_tile(self.network.layout.tile, self.cells(*frames.shape[-2:]))
        elif self.config.fixed_size:
            check_size(frames, self.spec)


def _check_horizon(horizon: int) -> None:
    if horizon < 1:
        raise UsageError("horizon", got=horizon, expected="at least 1")


def _chosen(frames: Tensor, noise: Tensor | None, members: int | None) -> Tensor:
    """All members (B, M, ...) where some were asked for, else the only one (B, ...)."""
    return frames[:, 0] if noise is not None and members is None else frames


def _single(frames: Iterator[Tensor]) -> Tensor | None:
    """The next one, (B, 1, ...); None if there is none left."""
    frame = next(frames, None)
    return None if frame is None else frame[:, None]
