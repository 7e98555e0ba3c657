"""Forecaster: a network with its normalizer and patches, a predictor in raw units; whole, by frame, or as a stream."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from framecast.bases import NO_BASE, BaseConfig, Head, build_against_base, make_encoder
from framecast.errors import UsageError
from framecast.forecast import UNNAMED, Forecast, ModelOrigin
from framecast.forecasting.predictor import PastFrames, TensorPredictor
from framecast.forecasting.stream import Stream
from framecast.forecasting.validation import (
    Values,
    as_frames,
    check_covariates,
    check_forecast,
    check_horizon,
)
from framecast.models import BaseAlone, ModelConfig
from framecast.nn.base_head import BaseStep
from framecast.nn.network import Network, SequenceNetwork
from framecast.nn.rollout import rollout
from framecast.nn.tiled_network import TiledNetwork, TileLayout
from framecast.transforms.missing import Fill
from framecast.transforms.normalize import Normalizer
from framecast.types import FrameSpec


class Forecaster(Stream, TensorPredictor):
    """Predictor by a network: encodes raw frames, rolls the network out, decodes its predictions to raw units.

    Args:
        config: the network's configuration.
        spec: contract of the frames; other sizes are welcome unless the network has parameters of the map's shape.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that P and the stride of the network do not divide are padded and cropped.
        fill: value that stands for missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        context: J of the training; a training of a network that does not feed back, or with a base, needs it.
        base: forecast that the network stands on; none by default, as in the papers.
        head: how the network betters its base: "change", a change that it adds; "mix", fields of the base that it mixes.
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
        base: BaseConfig = NO_BASE,
        head: Head = "change",
        network: SequenceNetwork | None = None,
        origin: ModelOrigin | None = None,
    ) -> None:
        values = config.value_range
        super().__init__(spec, normalizer, patch, fill=fill, mask_channel=mask_channel, value_range=values)
        self.config, self.context = config, context
        self.ignores_extra = isinstance(config, BaseAlone)
        self.name = base.kind if isinstance(config, BaseAlone) else str(getattr(config, "name", UNNAMED))
        self.origin = origin or ModelOrigin(self.name)
        size = spec.channels * patch**2, -(-spec.height // patch), -(-spec.width // patch)
        self.base_config, self.head = base, head
        self.base = make_encoder(base, head, spec, normalizer, patch)
        extra = self.extra_channels * patch**2
        self.network = network or build_against_base(config, *size, extra, self.base)
        if self.base is not None:
            self.base.bind(self.network)

    def tiled(self, layout: TileLayout) -> Forecaster:
        """Make a forecaster that shares the weights and computes in tiles; a network of one size takes larger frames so.

        Raises:
            UsageError: a network with maps of other sizes than the frame's.
        """
        if not isinstance(self.network, Network) or not self.network.tileable:
            expected = "a network whose maps all have the size of the frame"
            raise UsageError("tiles", got=type(self.config).__name__, expected=expected, fix="compute the whole")
        # the cells at a seam, compared in raw units, come as one row of the map, of which no column is cropped
        # what a network with a base gives in tiles are no frames yet: those are made of the whole map, without a seam
        network = TiledNetwork(
            self.network,
            layout,
            lambda patches: patches if self.base else self.decode(patches, (self.patch, 2**62)),
        )
        return self._copy(network=network)

    def at_pace(self, pace: float) -> Forecaster:
        """Make a forecaster that shares the weights, for frames whose step is `pace` times that of the training."""
        copy = self._copy(network=self.network)
        copy.pace = pace
        return copy

    def with_matching(self, matched: bool) -> Forecaster:
        """Make a forecaster that shares the weights, whose forecasts take the values of the base by rank, or do not."""
        copy = self._copy(network=self.network)
        copy.matched = matched and self.base is not None
        return copy

    def _copy(self, network: SequenceNetwork) -> Forecaster:
        names = ("patch", "fill", "mask_channel", "context", "head", "origin")
        settings = {name: getattr(self, name) for name in names}
        copy = Forecaster(
            self.config, self.spec, self.normalizer, **settings, base=self.base_config, network=network
        ).train(self.training)
        copy.pace, copy.matched = self.pace, self.matched
        return copy

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
        motion: Tensor | None = None,
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
            motion: (B, J, 2, H, W), at each frame, pixels per frame, for a base that needs it; None to estimate it.

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
            run, leads = self.run_base(frames, mask, motion=motion), list[BaseStep]()
            base = None if run is None else run.steps(of_context=self.network.feeds_back, leads=leads)
            result = rollout(self.network, patches, steps, extra=extra, drive=noise, base=base)
            predicted = result.frames[..., -horizon:, :, :, :]
            frames = self.decode_members(predicted, (size[0], size[1]), noise, members)
            return self._finish(check_forecast(frames, self.spec), leads)

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, as a Forecast of one member.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        predicted = self.predict(past.frames, horizon, past.valid, past.covariates, motion=past.motion)
        return past.make_forecast(predicted, self.origin)
