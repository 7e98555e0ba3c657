"""Baselines, which a model has to beat: persistence, mean, blank, the period before, extrapolation of the motion."""

from __future__ import annotations

from abc import abstractmethod
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor

from framecast.data.durations import count_period, usual_period
from framecast.errors import InputError, UsageError
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.frame_kinds import predict_kind
from framecast.forecasting.predictor import PastFrames, TensorPredictor
from framecast.forecasting.validation import Values, as_frames, check_finite, check_horizon
from framecast.motion import TRACKED_FRAMES, advect, average_channels, estimate_batch, name_method, trace_back
from framecast.transforms.channels import target_ends
from framecast.types import Frames, FrameSpec, Valid

USUAL_CONTEXT = 10
"""Frames of input from a file, where the user names no number: the default context of a recipe."""


class Baseline(TensorPredictor):
    """Predictor without a network, from the targets alone.

    Args:
        spec: channels, step and value ranges of the frames; a missing pixel counts as the low end of its channel's range.
    """

    context: int | None = USUAL_CONTEXT
    least_context = 1  # frames without which there is no forecast

    def __init__(self, spec: FrameSpec) -> None:
        self.spec, self.origin = spec, ModelOrigin(type(self).__name__.lower())

    def predict(
        self,
        frames: Any,
        horizon: int | str | None = None,
        valid: Values | None = None,
        covariates: Any = None,
        *,
        max_filled: int | None = None,
        **unknown: Any,
    ) -> Any:
        """Predict the frames that follow, in the kind of the frames that are given.

        Args:
            frames: raw units, any real dtype, of any kind that `Forecaster.predict` takes.
            horizon: K, how many frames to predict, any number; or a time as in "90min".
            valid: the axes of `frames`, False where a pixel is missing; None where none is.
            covariates: ignored.
            max_filled: absent frames that are filled, at most; None for 3 of a DataArray or a file, none of an array.
            unknown: each is an error that names the nearest keyword.

        Returns:
            the targets of K frames, raw units, in the kind and with the axes of `frames`.

        Raises:
            InputError: frames of another shape or kind, too few of them, or NaN or infinity where valid.
            UsageError: a horizon below 1, or an unknown keyword.
        """
        return predict_kind(self, frames, horizon, valid, None, {}, unknown, max_filled)

    def predict_batch(self, frames: Tensor, horizon: int, valid: Tensor | None = None, ignored: Any = None) -> Tensor:
        """Predict (B, K, targets, H, W) from a batch (B, J, C, H, W) and its mask, raw units.

        Raises:
            InputError: frames of another shape, too few of them, or NaN or infinity where valid.
            UsageError: a horizon below 1.
        """
        targets, mask = self._check(frames, horizon, valid)
        return self.predict_targets(targets, horizon, mask)

    def _check(self, frames: Values, horizon: int, valid: Values | None) -> tuple[Tensor, Tensor | None]:
        """Check what is given; return the targets and their mask."""
        check_horizon(horizon)
        frames, valid = as_frames(frames, valid)
        if frames.ndim != 5 or not frames.numel() or frames.shape[2] != self.spec.channels:
            expected = f"(batch, time >= 1, {self.spec.channels}, height, width)"
            raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected=expected)
        frames = frames if frames.is_floating_point() else frames.float()
        targets = frames[:, :, : self.spec.targets]
        mask = None if valid is None else valid[:, :, : self.spec.targets]
        check_finite(targets, mask)
        return targets, mask

    @abstractmethod
    def predict_targets(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """Predict (B, K, targets, H, W) from targets (B, J, targets, H, W), raw units, and their mask."""

    def fill(self, frames: Tensor, valid: Tensor | None) -> Tensor:
        """Fill missing pixels of (..., targets, H, W) with the low end of their channel's range."""
        return frames if valid is None else torch.where(valid, frames, target_ends(frames, self.spec)[0])


class _Constant(Baseline):
    """Baseline that forecasts one frame for all lead times."""

    def predict_targets(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """Repeat the frame at every lead time; without a copy."""
        return self.make_frame(frames, valid)[:, None].expand(-1, horizon, -1, -1, -1)

    @abstractmethod
    def make_frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """Make the frame that is forecast, (B, targets, H, W), from the context (B, J, targets, H, W) and its mask."""


class Persistence(_Constant):
    """Forecast of no change: the last frame at every lead time.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2)
        >>> frames = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Persistence(spec).predict(frames, horizon=3)[0, :, 0, 0, 0]
        array([3., 3., 3.])
    """

    def make_frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """Take the last frame; the low end of the range where it is missing."""
        return self.fill(frames[:, -1], None if valid is None else valid[:, -1])


class Mean(_Constant):
    """Mean of the context, pixel by pixel, at every lead time; missing pixels do not count.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2, high=5.0)
        >>> frames = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Mean(spec).predict(frames, horizon=3)[0, :, 0, 0, 0]
        array([2., 2., 2.])
    """

    def make_frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """Average what was observed over time, clipped to the value range; its low end where nothing was."""
        clipped = self.fill(frames, valid).clamp(*target_ends(frames, self.spec))
        if valid is None:
            return clipped.mean(1)
        mean = torch.where(valid, clipped, 0).sum(1) / valid.sum(1).clamp_min(1)
        return torch.where(valid.any(1), mean, target_ends(frames, self.spec)[0])


class Blank(_Constant):
    """Forecast of nothing (no rain, an empty picture): the low end of the value range everywhere.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2)
        >>> frames = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Blank(spec).predict(frames, horizon=3)[0, :, 0, 0, 0]
        array([0., 0., 0.])
    """

    def make_frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """Fill each channel of a frame with the low end of its range."""
        return target_ends(frames, self.spec)[0].expand_as(frames[:, -1])


class Seasonal(Baseline):
    """Repetition of the last period: the values of the same hour of the day before, or of the same month a year before.

    Args:
        spec: channels, step and value ranges of the frames.
        period: frames, or a time as in 24h; by default a day, of data in steps of calendar months a year.

    Raises:
        UsageError: a period that is no whole number of steps.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2, step_minutes=360)
        >>> day = np.arange(4.0).reshape(1, 4, 1, 1, 1) * np.ones((1, 4, 1, 2, 2))
        >>> framecast.Seasonal(spec).predict(day, horizon=6)[0, :, 0, 0, 0]
        array([0., 1., 2., 3., 0., 1.])
        >>> framecast.Seasonal(spec, period="12h").predict(day, horizon=3)[0, :, 0, 0, 0]
        array([2., 3., 2.])
    """

    def __init__(self, spec: FrameSpec, period: int | str | None = None) -> None:
        super().__init__(spec)
        self._what = f"baseline {self.origin.name}"
        self.period = count_period(usual_period(spec) if period is None else period, spec, self._what)
        self.context, self.least_context = max(USUAL_CONTEXT, self.period), self.period

    def predict_targets(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """Repeat the last period of the context; the low end of the range where a pixel is missing.

        Raises:
            InputError: a context of less than a period.
        """
        if frames.shape[1] < self.period:
            got, fix = f"{frames.shape[1]} frames", "give more, or another period (seasonal:12h), or leave it out"
            raise InputError(self._what, got=got, expected=f"{self.period} or more, one period", fix=fix)
        phase = torch.arange(horizon, device=frames.device) % self.period
        return self.fill(frames, valid)[:, -self.period :][:, phase]


class Diurnal(Seasonal):
    """Repetition of the last day at the same time of day: `Seasonal` with a period of a day.

    Raises:
        UsageError: the time step is unknown, or does not divide a day.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2, step_minutes=720)
        >>> day = np.arange(2.0).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Diurnal(spec).predict(day, horizon=3)[0, :, 0, 0, 0]
        array([0., 1., 0.])
    """

    def __init__(self, spec: FrameSpec) -> None:
        super().__init__(spec, "1d")


@final
class Extrapolation(Baseline):
    """Advection of the last frame: Lucas-Kanade motion and semi-Lagrangian extrapolation.

    The motion is estimated from the last four frames, at most, clipped to the value range; it is zero where nothing can
    be tracked. Channels move together, by the motion of their mean, to which each of several units adds as a share of
    its own range. Missing pixels are not tracked, and move as the low end of the range. Pixels reached from beyond the
    border of the frame are unknown: they get the forecast of `Mean`. Features are tracked by OpenCV, the extra `radar`;
    without it, blocks are correlated, which is less exact.

    Source: Germann, Zawadzki 2002, Monthly Weather Review 130; `framecast.motion`.

    Example:
        >>> import framecast, numpy as np
        >>> rain = np.zeros((1, 3, 1, 48, 48), np.float32)
        >>> for t in range(3):
        ...     rain[0, t, 0, 16:28, 8 + 4 * t : 20 + 4 * t] = np.hanning(14)[1:-1, None] * np.hanning(14)[1:-1]
        >>> spec = framecast.FrameSpec(channels=1, height=48, width=48, units="mm/h")
        >>> ahead = framecast.Extrapolation(spec).predict(rain, horizon=2)
        >>> [int(frame.sum(0).argmax()) for frame in ahead[0, :, 0]]    # columns; in the last frame it was 21
        [25, 29]
    """

    least_context = 2

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        """Predict the K frames that follow each sequence, along the motion that comes with them, if any does.

        Raises:
            InputError: frames that do not fit, or too few of them.
            UsageError: a horizon below 1.
        """
        if past.motion is None:
            return super().forecast(past, horizon)
        targets, mask = self._check(past.frames, horizon, past.valid)
        return past.make_forecast(self._move(targets, horizon, mask, past.motion[:, -1]), self.origin)

    def predict_targets(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """Move the last frame of each sequence along its motion.

        Raises:
            InputError: a context of a single frame, which shows no motion.
        """
        if frames.shape[1] < 2:
            fix = "give more frames, or take persistence"
            raise InputError("baseline extrapolation", got="1 frame", expected="2 or more, to see motion", fix=fix)
        return self._move(frames, horizon, valid, None)

    def _move(self, frames: Frames, horizon: int, valid: Valid | None, motion: Tensor | None) -> Tensor:
        """Move the last frame along a motion (B, 2, H, W); None to estimate it."""
        values = frames.to(torch.promote_types(frames.dtype, torch.float32))
        low, high = target_ends(values, self.spec)
        values = values.clamp(low, high)
        seen = torch.ones_like(values, dtype=torch.bool) if valid is None else valid
        filled = torch.where(seen, values, low)
        if motion is None:
            # of several units: the largest numbers would be all of their mean
            tracked = (values - low) / (high - low) if self.spec.ranges else values
            motion = estimate_batch(average_channels(tracked[:, -TRACKED_FRAMES:], seen[:, -TRACKED_FRAMES:]))
        mean = Mean(self.spec).make_frame(frames, valid).to(values.dtype)
        paths = islice(trace_back(motion.to(values.dtype)), horizon)
        moved = [torch.where(path.inside, advect(filled[:, -1], path), mean) for path in paths]
        return torch.stack(moved, 1).to(frames.dtype)


BASELINES: dict[str, type[Baseline]] = {
    "persistence": Persistence,
    "mean": Mean,
    "blank": Blank,
    "seasonal": Seasonal,
    "diurnal": Diurnal,
    "extrapolation": Extrapolation,
}
USUAL = ("persistence", "mean", "blank")
"""Baselines that every evaluation has by default; they need no further package."""


def is_baseline_name(name: str) -> bool:
    """Whether a text names a baseline, as in seasonal, or one with a period, as in seasonal:12h."""
    kind, colon, _ = name.partition(":")
    return kind in BASELINES and (not colon or BASELINES[kind] is Seasonal)


def make_baseline(name: str, spec: FrameSpec) -> Baseline:
    """Make a baseline by its name.

    Args:
        name: a key of `BASELINES`; of seasonal also with its period, frames or a time, as in seasonal:12h.
        spec: channels, step and value ranges of the frames.

    Raises:
        UsageError: an unknown name, or a baseline that cannot be used with the step.
    """
    if not is_baseline_name(name):
        raise UsageError.unknown("baseline", name, BASELINES)
    kind, colon, period = name.partition(":")
    baseline = Seasonal(spec, period) if colon else BASELINES[kind](spec)
    baseline.origin = ModelOrigin(name, motion=name_method() if kind == "extrapolation" else "")
    return baseline
