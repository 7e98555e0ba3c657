"""Baselines, what a forecast must beat: persistence, mean, blank, the day before, extrapolation of the motion."""

from __future__ import annotations

import importlib
import io
import warnings
from abc import abstractmethod
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.forecast import ModelOrigin
from framecast.forecasting.predictor import TensorPredictor
from framecast.forecasting.validation import Values, as_tensor
from framecast.types import Frames, FrameSpec, Valid

DAY = 24 * 60
"""Minutes."""
TRACKED = 4
"""Frames, the last ones, from which `extrapolation` takes the motion."""
USUAL_CONTEXT = 10
"""Frames that a baseline is given of a file, unless it is said how many; as many as a recipe has by default."""

Array = NDArray[np.float64]


class Baseline(TensorPredictor):
    """A forecast without a network.

    Args:
        spec: the frames, of which it sees the targets; `spec.low` stands for what is missing.
    """

    context: int | None = USUAL_CONTEXT

    def __init__(self, spec: FrameSpec) -> None:
        self.spec, self.origin = spec, ModelOrigin(type(self).__name__.lower())

    def predict(
        self, frames: Values, horizon: int, valid: Values | None = None, covariates: Values | None = None
    ) -> Values:
        """Predict the frames that follow.

        Args:
            frames: (B, J, C, H, W), raw units, any real dtype.
            horizon: K, how many frames to predict; any number.
            valid: (B, J, C, H, W), False where a pixel is missing; without it none is.
            covariates: not looked at.

        Returns:
            (B, K, targets, H, W), raw units; an array if an array was given.

        Raises:
            InputError: frames of another shape, or too few of them.
            UsageError: a horizon below 1.
        """
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        if isinstance(frames, np.ndarray):
            return torch.as_tensor(self.predict(as_tensor(frames), horizon, valid)).cpu().numpy()
        if frames.ndim != 5 or frames.shape[1] < 1 or frames.shape[2] != self.spec.channels:
            expected = f"(batch, time >= 1, {self.spec.channels}, height, width)"
            raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected=expected)
        frames = frames if frames.is_floating_point() else frames.float()
        cut = self.spec.targets
        return self.future(frames[:, :, :cut], horizon, None if valid is None else torch.as_tensor(valid)[:, :, :cut])

    @abstractmethod
    def future(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """The predicted frames, (B, K, C, H, W)."""


class _Still(Baseline):
    """One frame for all lead times."""

    def future(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """The same frame at all lead times."""
        return self.frame(frames, valid)[:, None].expand(-1, horizon, -1, -1, -1)

    @abstractmethod
    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """That frame, (B, C, H, W)."""


class Persistence(_Still):
    """The last frame stays.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2)
        >>> frames = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Persistence(spec).predict(frames, horizon=3)[0, :, 0, 0, 0]
        array([3., 3., 3.])
    """

    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """The last frame; `spec.low` where it is missing."""
        return frames[:, -1] if valid is None else torch.where(valid[:, -1], frames[:, -1], self.spec.low)


class Mean(_Still):
    """The mean of all given frames stays.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2, high=5.0)
        >>> frames = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Mean(spec).predict(frames, horizon=3)[0, :, 0, 0, 0]
        array([2., 2., 2.])
    """

    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """The mean over time of values cut to the value range; missing pixels count as `spec.low`, for rain none."""
        frames = frames if valid is None else torch.where(valid, frames, self.spec.low)
        return frames.clamp(self.spec.low, self.spec.high).mean(1)


class Blank(_Still):
    """Nothing: the low end of the value range everywhere.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2)
        >>> frames = np.array([1.0, 3.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 1, 2, 2))
        >>> framecast.Blank(spec).predict(frames, horizon=3)[0, :, 0, 0, 0]
        array([0., 0., 0.])
    """

    def frame(self, frames: Frames, valid: Valid | None) -> Tensor:
        """All `spec.low`."""
        return torch.full_like(frames[:, -1], self.spec.low)


class Diurnal(Baseline):
    """The day before repeats itself, hour by hour: what a forecast of temperature must beat.

    Raises:
        UsageError: the time step is unknown, or does not divide a day.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=2, width=2, step_minutes=360)
        >>> day = np.arange(4.0).reshape(1, 4, 1, 1, 1) * np.ones((1, 4, 1, 2, 2))
        >>> framecast.Diurnal(spec).predict(day, horizon=6)[0, :, 0, 0, 0]
        array([0., 1., 2., 3., 0., 1.])
    """

    def __init__(self, spec: FrameSpec) -> None:
        super().__init__(spec)
        step = spec.step_minutes
        if step is None or DAY % step:
            got = "an unknown time step" if step is None else f"a time step of {step:g} minutes"
            fix = "name it with --step-minutes, or leave this baseline out"
            raise UsageError("baseline diurnal", got=got, expected="one that divides a day", fix=fix)
        self._day = round(DAY / step)
        self.context = max(USUAL_CONTEXT, self._day)

    def future(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """The frames of the last day given, again and again; `spec.low` where one is missing.

        Raises:
            InputError: less than a day is given.
        """
        if frames.shape[1] < self._day:
            got, fix = f"{frames.shape[1]} frames", "give more context, or leave this baseline out"
            raise InputError("baseline diurnal", got=got, expected=f"{self._day} or more, a day", fix=fix)
        seen = frames if valid is None else torch.where(valid, frames, self.spec.low)
        hours = torch.arange(horizon, device=frames.device) % self._day
        return seen[:, -self._day :][:, hours]


@final
class Extrapolation(Baseline):
    """The last frame moves on: Lucas-Kanade motion and semi-Lagrangian advection.

    The motion is that of the last four frames, at most, cut to the value range; where nothing can be tracked, none.
    Channels move together, by the motion of their mean. Missing pixels are not tracked, and move as `spec.low`. What
    comes in over the border of the frame is unknown: there stands the pixel's mean over the given frames, as `Mean` has
    it.

    Needs pysteps and OpenCV, the extra `radar`. Runs on the CPU.

    Raises:
        UsageError: if they are not installed.

    Source: Germann, Zawadzki 2002, Monthly Weather Review 130; pysteps (Pulkkinen et al. 2019, Geosci. Model Dev. 12).

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

    def __init__(self, spec: FrameSpec) -> None:
        super().__init__(spec)
        self._advection = _advection()

    def future(self, frames: Frames, horizon: int, valid: Valid | None) -> Tensor:
        """Move the last frame of each sequence on.

        Raises:
            InputError: a single frame, which shows no motion.
        """
        if frames.shape[1] < 2:
            fix = "give more context, or leave this baseline out"
            raise InputError("baseline extrapolation", got="1 frame", expected="2 or more, to see motion", fix=fix)
        mean = Mean(self.spec).frame(frames, valid).cpu().double().numpy()
        values = frames.cpu().double().clamp(self.spec.low, self.spec.high)
        tracked = values if valid is None else torch.where(valid.cpu(), values, torch.nan)
        moved = np.stack([self._moved(one, horizon) for one in tracked.numpy()])
        filled = np.where(np.isnan(moved), mean[:, None], moved)
        return torch.from_numpy(filled).to(frames.dtype).to(frames.device)

    def _moved(self, frames: Array, horizon: int) -> Array:
        """One sequence (J, C, H, W), NaN where missing, to (K, C, H, W), NaN where unknown."""
        low = self.spec.low
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where little can be tracked, that outliers cannot be told from it
            motion = self._advection.motion(_trackable(frames[-TRACKED:], low))
        last = np.where(np.isnan(frames[-1]), low, frames[-1])
        return np.stack([self._advection.extrapolate(channel, motion, horizon) for channel in last], axis=1)


class _Advection(NamedTuple):
    motion: Callable[[Array], Array]
    """(T, H, W) to (2, H, W), pixels per frame in x and y."""
    extrapolate: Callable[..., Array]


def _advection() -> _Advection:
    """Those of pysteps, which is slow to import and prints where its configuration lies."""
    try:
        with redirect_stdout(io.StringIO()):
            importlib.import_module("cv2")
            motion: Any = importlib.import_module("pysteps.motion.lucaskanade")
            advection: Any = importlib.import_module("pysteps.extrapolation.semilagrangian")
    except ImportError as error:
        got, fix = f"no package {error.name}", "pip install framecast[radar]"
        raise UsageError("baseline extrapolation", got=got, expected="pysteps and OpenCV", fix=fix) from error
    return _Advection(motion.dense_lucaskanade, advection.extrapolate)


def _trackable(frames: Array, low: float) -> Array:
    """Mean over channels, (T, H, W), NaN where all are missing; a frame that is missing as a whole is all `low`."""
    seen = np.isfinite(frames)
    count = seen.sum(1)
    mean = np.where(seen, frames, 0).sum(1) / np.maximum(count, 1)
    nothing = count.sum((1, 2), keepdims=True) == 0
    return np.where(count > 0, mean, np.where(nothing, low, np.nan))


BASELINES: dict[str, type[Baseline]] = {
    "persistence": Persistence,
    "mean": Mean,
    "blank": Blank,
    "diurnal": Diurnal,
    "extrapolation": Extrapolation,
}
USUAL = ("persistence", "mean", "blank")
"""Those that need nothing installed, and stand beside a model where nothing else is asked for."""
