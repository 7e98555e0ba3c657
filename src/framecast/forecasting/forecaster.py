"""Forecaster: a network with its normalizer and patches, a predictor in raw units; whole, by frame, or as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framecast.bases import NO_BASE, BaseConfig, Head, build_against_base, make_encoder, name_base
from framecast.errors import UsageError
from framecast.forecast import UNNAMED, Forecast, ModelOrigin
from framecast.forecasting.frame_kinds import predict_kind
from framecast.forecasting.predictor import PastFrames, TensorPredictor
from framecast.forecasting.stream import Stream
from framecast.forecasting.validation import Values, as_frames, check_covariates, check_forecast, check_horizon
from framecast.formatting import describe_object, make_html
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
        spin_up: the newest frames of a context that the network runs over, while its base observes all; None for all.
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
        >>> repr(forecaster).split(", ")[:3]
        ['Forecaster(network convlstm', 'parameters 2,960', 'frames 1 x 16 x 20']
    """

    folder: Path | None
    """Folder that the weights were loaded from; None for fresh weights, and for those that have trained since."""

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
        spin_up: int | None = None,
        base: BaseConfig = NO_BASE,
        head: Head = "change",
        network: SequenceNetwork | None = None,
        origin: ModelOrigin | None = None,
    ) -> None:
        values = config.value_range
        super().__init__(spec, normalizer, patch, fill=fill, mask_channel=mask_channel, value_range=values)
        self.config, self.context, self.spin_up, self.folder = config, context, spin_up, None
        self.ignores_extra = isinstance(config, BaseAlone)
        self.name = name_base(base) if isinstance(config, BaseAlone) else str(getattr(config, "name", UNNAMED))
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
        units = partial(self.decode, size=(self.patch, 2**62)) if self.base is None else None
        network = TiledNetwork(self.network, layout, units)
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
        names = ("patch", "fill", "mask_channel", "context", "spin_up", "head", "origin")
        settings = {name: getattr(self, name) for name in names}
        copy = Forecaster(
            self.config, self.spec, self.normalizer, **settings, base=self.base_config, network=network
        ).train(self.training)
        copy.pace, copy.matched, copy.folder = self.pace, self.matched, self.folder
        return copy

    def train(self, mode: bool = True) -> Forecaster:
        """Set training or evaluation mode; weights that train are no longer those of a folder."""
        if mode:
            self.origin, self.folder = ModelOrigin(self.origin.name), None
        return super().train(mode)

    def __repr__(self) -> str:
        return describe_object("Forecaster", self._list_facts())

    def _repr_html_(self) -> str:
        return make_html(f"Forecaster: {self.name}", self._list_facts())

    def _list_facts(self) -> Sequence[tuple[str, str]]:
        """List network, parameters, frames, units, context, base and origin, each with its name."""
        spec, size = self.spec, sum(weights.numel() for weights in self.network.parameters())
        base = [] if self.base is None or self.name == self.base_config.kind else [("base", str(self.base_config.kind))]
        return [
            ("network", self.name),
            ("parameters", f"{size:,}"),
            ("frames", f"{spec.channels} x {spec.height} x {spec.width}"),
            *([] if spec.units == "1" else [("units", spec.units)]),
            ("context", "any" if self.context is None else str(self.context)),
            ("horizon", "any"),
            *base,
            ("from", "no folder" if self.folder is None else str(self.folder)),
        ]

    def predict(
        self,
        frames: Any,
        horizon: int | str | None = None,
        valid: Values | None = None,
        covariates: Any = None,
        *,
        members: int | None = None,
        seed: int = 0,
        motion: Tensor | None = None,
        max_filled: int | None = None,
        **unknown: Any,
    ) -> Any:
        """Predict the frames that follow, in the kind of the frames that are given.

        Args:
            frames: raw units, any real dtype; an array of NumPy or a tensor, (B, J, C, H, W), (J, C, H, W), or
                (J, H, W) of one channel, any J >= 1; an xarray.DataArray with axes of time, rows and columns, NaN where
                missing; or the path of a file or folder. Of a DataArray and a file the newest frames are used, as many
                as the model was trained to see.
            horizon: K, how many frames to predict, any number; or a time as in "90min".
            valid: booleans, the axes of `frames`, False where a pixel is missing; without it all must be finite.
            covariates: (B, J + K, E, H, W), raw units, NaN where missing; needed if the model has any, but for those of
                the calendar beside a DataArray with times. Each step gets those of the frame that it predicts, so that
                those of the first frame have no effect. Of a file, the path of the covariates of the future.
            members: M, for a network that is driven by noise; None for the first member alone.
            seed: seed of the noise, which depends on seed, lead time and member only.
            motion: (B, J, 2, H, W), at each frame, pixels per frame, for a base that needs it; None to estimate it.
            max_filled: absent frames in each context that are filled by the model's own forecast from those before, at
                most; what lies before more of them is left out. Absent are frames that are missing as a whole, and
                those of a gap in the times of a DataArray or a file. None for 3 of a DataArray or a file, and of an
                array or a tensor for none, whose missing frames then count as observed ones without a pixel.
            unknown: no keyword has this name; each is an error that names the nearest one.

        Returns:
            (B, K, targets, H, W), (B, M, K, targets, H, W) if `members` is given, raw units, without the axes that
            `frames` lack: an array for an array, a tensor for a tensor. For a DataArray or a path a DataArray, with
            valid times, `lead_time`, `forecast_reference_time`, units and the coordinates of the frames.

        Raises:
            InputError: frames that do not fit the model's contract, or of another kind.
            UsageError: no horizon, members of a network without noise, or an unknown keyword.
        """
        options = {"members": members, "seed": seed, "motion": motion}
        return predict_kind(self, frames, horizon, valid, covariates, options, unknown, max_filled)

    def predict_batch(
        self,
        frames: Tensor,
        horizon: int,
        valid: Tensor | None = None,
        covariates: Values | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
        motion: Tensor | None = None,
    ) -> Tensor:
        """Predict from a batch of tensors; the arguments are those of `predict`.

        Args:
            frames: (B, J, C, H, W), raw units.
            horizon: K.
            valid: (B, J, C, H, W), or None.
            covariates: (B, J + K, E, H, W), or None.
            members: M, or None.
            seed: seed of the noise.
            motion: (B, J, 2, H, W), or None.

        Returns:
            (B, K, targets, H, W), or with members (B, M, K, targets, H, W), raw units.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        check_horizon(horizon)
        self.check(frames, valid)
        context, size = frames.shape[1], frames.shape[-2:]
        checked = check_covariates(covariates, frames, context + horizon, self.spec)
        with torch.inference_mode():
            run_in = self.count_run_in(context)
            patches, steps = self.encode(frames, valid)[:, -run_in:], context + horizon - 1
            extra = self.extra(frames, valid, steps, None if checked is None else checked[:, 1:])
            extra, steps = None if extra is None else extra[:, context - run_in :], run_in + horizon - 1
            noise = self._draw_noise(patches, range(horizon), members, seed)
            run, leads = self.run_base(frames, valid, motion=motion, within=run_in), list[BaseStep]()
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
        frames, valid = as_frames(past.frames, past.valid)
        predicted = self.predict_batch(frames, horizon, valid, past.covariates, motion=past.motion)
        return past.make_forecast(predicted, self.origin)
