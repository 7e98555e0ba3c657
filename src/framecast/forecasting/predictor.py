"""Predictor: the one protocol of all that forecasts, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Real
from numpy.typing import NDArray
from torch import Tensor

from framecast.devices import to_device
from framecast.forecast import UNNAMED, Forecast, ModelOrigin, Provenance
from framecast.forecasting.validation import Values, as_tensor
from framecast.transforms.channels import divide_channels
from framecast.transforms.missing import observed_in_context
from framecast.types import FrameSpec, Grid


@dataclass(frozen=True, eq=False)
class PastFrames:
    """What is known when a forecast is made: B sequences of J frames, and what belongs to them.

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
    """What the frames are."""
    valid: Bool[Tensor, "B J C H W"] | None = None
    """False where a pixel is missing; None where none is."""
    times: NDArray[Any] | None = None
    """(B, J), time of each frame, UTC; None where unknown."""
    covariates: Real[Tensor, "B S E H W"] | None = None
    """Of the J frames and of those that are predicted, S = J + K, raw units, NaN where missing; None without any."""
    grid: Grid = field(default_factory=Grid)
    """Where the pixels lie and what the channels are, where that is known."""

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
        """Take what NumPy or torch holds, in any order of bytes and axes; arguments as the fields.

        Raises:
            InputError: frames that are no real numbers.
        """
        mask, beside = (None if part is None else as_tensor(part) for part in (valid, covariates))
        return cls(as_tensor(frames), spec, mask, times, beside, grid or Grid())

    @classmethod
    def from_windows(
        cls,
        frames: Tensor,
        valid: Tensor | None,
        context: int,
        spec: FrameSpec,
        times: NDArray[Any] | None = None,
        grid: Grid | None = None,
    ) -> PastFrames:
        """Take the first frames of windows, and the covariates of all of them.

        Args:
            frames: (B, T, C + E, H, W), raw units, as data give them: T - context are the future.
            valid: (B, T, C + E, H, W), False where missing, or None.
            context: J.
            spec: what the channels are.
            times: (B, T), UTC, or None.
            grid: of the data, where known.
        """
        parts = divide_channels(frames, valid, spec)
        mask = None if parts.valid is None else parts.valid[:, :context]
        known = None if times is None else times[:, :context]
        return cls(parts.frames[:, :context], spec, mask, known, parts.covariates, grid or Grid())

    def make_forecast(self, predicted: Values, model: ModelOrigin) -> Forecast:
        """The Forecast that predicted frames are: NaN where nobody can know.

        Args:
            predicted: (B, K, targets, H, W) of a deterministic model, or (B, M, K, targets, H, W), raw units.
            model: what predicted them.
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


@runtime_checkable
class Predictor(Protocol):
    """All that forecasts: a network, a baseline, an ensemble, an exported model.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=4, width=4)
        >>> past = framecast.PastFrames.from_arrays(np.ones((2, 3, 1, 4, 4)), spec)
        >>> predictor: framecast.Predictor = framecast.Persistence(spec)
        >>> predictor.forecast(past, horizon=5).values.shape
        (2, 1, 5, 1, 4, 4)
    """

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict `horizon` frames of the targets that follow each sequence: M members (1 if deterministic) of K frames.

        It may compute on any device, and leave its frames there. A sequence alone gives what it gives in a batch.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        ...


class TensorPredictor(ABC):
    """A predictor that is one function of tensors, `predict`; `forecast` is that function, answered by a Forecast."""

    context: int | None = None
    """How many frames it is given where nobody says how many; None for all that there are."""

    origin: ModelOrigin = ModelOrigin(UNNAMED)
    """Its name, and where its weights come from."""

    @abstractmethod
    def predict(
        self, frames: Values, horizon: int, valid: Values | None = None, covariates: Values | None = None
    ) -> Values:
        """Predict the frames that follow: (B, J, C, H, W) to (B, K, targets, H, W), raw units; see `PastFrames`."""

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict, see `Predictor`."""
        return past.make_forecast(self.predict(past.frames, horizon, past.valid, past.covariates), self.origin)
