"""Predictor protocol of networks, baselines, ensembles and exported models, and its input, PastFrames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Real
from numpy.typing import NDArray
from torch import Tensor

from framecast.devices import to_device
from framecast.errors import InputError
from framecast.forecast import UNNAMED, Forecast, ModelOrigin, Provenance
from framecast.forecasting.validation import Values, as_frames, as_tensor
from framecast.transforms.channels import divide_channels
from framecast.transforms.missing import observed_in_context
from framecast.types import FrameSpec, Grid


@dataclass(frozen=True, eq=False)
class PastFrames:
    """Input of a forecast: B sequences of J frames with their mask, times, covariates and grid.

    Raises:
        InputError: times of another shape than (B, J), or that are no dates.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=4, width=5)
        >>> past = framecast.PastFrames.from_arrays(np.zeros((1, 3, 1, 4, 5)), spec)
        >>> past.frames.shape
        torch.Size([1, 3, 1, 4, 5])
    """

    frames: Real[Tensor, "B J C H W"]
    """Raw units, any real dtype; any value where missing. The targets, then channels known in the past only."""
    spec: FrameSpec
    """Channels, size, units, value range and step."""
    valid: Bool[Tensor, "B J C H W"] | None = None
    """False where a pixel is missing; None where none is."""
    times: NDArray[Any] | None = None
    """(B, J), time of each frame, UTC, stored in milliseconds; None where unknown."""
    covariates: Real[Tensor, "B S E H W"] | None = None
    """Covariates of the S = J + K frames of context and forecast, raw units, NaN where missing; None without any."""
    grid: Grid = field(default_factory=Grid)
    """Coordinates of the pixels and names of the channels, where known."""
    motion: Real[Tensor, "B N 2 H W"] | None = None
    """Motion at the newest N frames, pixels per frame in x and y, where it was estimated on larger frames."""

    def __post_init__(self) -> None:
        if self.times is not None:
            object.__setattr__(self, "times", _convert_times(self.times, tuple(self.frames.shape[:2])))

    @classmethod
    def from_arrays(
        cls,
        frames: Values,
        spec: FrameSpec,
        *,
        valid: Values | None = None,
        times: NDArray[Any] | None = None,
        covariates: Values | None = None,
        grid: Grid | None = None,
    ) -> PastFrames:
        """Make the input from arrays of NumPy, of any byte order and strides, or tensors.

        Args:
            frames: (B, J, C, H, W), raw units, any real dtype: the targets, then channels known in the past only.
            spec: channels, size, units, value range and step.
            valid: (B, J, C, H, W), False where a pixel is missing; None where none is.
            times: (B, J), time of each frame, UTC; None where unknown.
            covariates: (B, J + K, E, H, W), raw units, NaN where missing; None without any.
            grid: coordinates of the pixels, where known.

        Raises:
            InputError: frames that are no real numbers, or times that do not fit.
        """
        tensor, mask = as_frames(frames, valid)
        extra = None if covariates is None else as_tensor(covariates, "covariates")
        return cls(tensor, spec, mask, times, extra, grid or Grid())

    @classmethod
    def from_windows(
        cls,
        frames: Tensor,
        valid: Tensor | None,
        context: int,
        spec: FrameSpec,
        times: NDArray[Any] | None = None,
        grid: Grid | None = None,
        motion: Tensor | None = None,
    ) -> PastFrames:
        """Make the input from windows of a data set: their first J frames, and the covariates of all T.

        Args:
            frames: (B, T, C + E, H, W), raw units, the covariates last; the T - J last frames are the future.
            valid: (B, T, C + E, H, W), False where missing, or None.
            context: J.
            spec: channels, size, units, value range and step.
            times: (B, T), UTC, or None.
            grid: coordinates of the pixels, where known.
            motion: (B, N, 2, H, W), see `motion`, or None.
        """
        parts = divide_channels(frames, valid, spec)
        mask = None if parts.valid is None else parts.valid[:, :context]
        past_times = None if times is None else times[:, :context]
        return cls(parts.frames[:, :context], spec, mask, past_times, parts.covariates, grid or Grid(), motion)

    def make_forecast(self, predicted: Values, model: ModelOrigin) -> Forecast:
        """Make a Forecast from predicted frames; NaN where no frame of the context was observed.

        Args:
            predicted: (B, K, targets, H, W) of a deterministic model, or (B, M, K, targets, H, W), raw units.
            model: identity of the model that predicted them.
        """
        frames, targets = torch.as_tensor(predicted), self.spec.targets
        frames = frames[:, None] if frames.ndim == 5 else frames
        context = self.frames[:, :, :targets].float()
        if self.valid is None:
            mask = torch.ones(len(context), *context.shape[2:], dtype=torch.bool)
        else:
            valid = self.valid[:, :, :targets]
            mask, context = observed_in_context(valid)[:, 0], torch.where(valid, context, torch.nan)
            frames = torch.where(to_device(mask, frames.device)[:, None, None], frames, torch.nan)
        spec = self.spec.model_copy(update={"channels": targets, "past": (), "covariates": ()})
        provenance = Provenance(model, context)
        return Forecast(frames, mask, context, spec, provenance, self.grid, self.times)


def _convert_times(times: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Convert times to milliseconds, after a check of their shape (B, J)."""
    if times.shape != shape:
        raise InputError("times", got=f"shape {times.shape}", expected=f"{shape}, one for each frame")
    if not np.issubdtype(times.dtype, np.datetime64):
        raise InputError(
            "times", got=f"dtype {times.dtype}", expected="datetime64", fix="times.astype('datetime64[ms]')"
        )
    return times.astype("datetime64[ms]", copy=False)


@runtime_checkable
class Predictor(Protocol):
    """Interface of whatever forecasts: a network, a baseline, an ensemble, an exported model.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=4, width=4)
        >>> past = framecast.PastFrames.from_arrays(np.ones((2, 3, 1, 4, 4)), spec)
        >>> predictor: framecast.Predictor = framecast.Persistence(spec)
        >>> predictor.forecast(past, horizon=5).values.shape
        (2, 1, 5, 1, 4, 4)
    """

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the frames of the targets that follow each sequence.

        The forecast of a sequence does not depend on the others of its batch.

        Args:
            past: B sequences of J frames, on any device.
            horizon: K, how many frames to predict; any number.

        Returns:
            M members (1 if deterministic) of K frames, on any device.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        ...


class TensorPredictor(ABC):
    """Predictor whose forecast is one function of tensors, `predict`."""

    context: int | None = None
    """Frames of input from a file, where the user names no number; None for all frames of a sequence."""

    origin: ModelOrigin = ModelOrigin(UNNAMED)
    """Name of the model, and the weights where they were loaded from a folder."""

    @abstractmethod
    def predict(
        self, frames: Values, horizon: int, valid: Values | None = None, covariates: Values | None = None
    ) -> Values:
        """Predict the frames that follow.

        Args:
            frames: (B, J, C, H, W), raw units.
            horizon: K, how many frames to predict.
            valid: (B, J, C, H, W), False where a pixel is missing; None where none is.
            covariates: (B, J + K, E, H, W), raw units, NaN where missing; None without any.

        Returns:
            (B, K, targets, H, W), raw units.
        """

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, as a Forecast of one member.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        return past.make_forecast(self.predict(past.frames, horizon, past.valid, past.covariates), self.origin)
