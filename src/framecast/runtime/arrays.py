"""Frames in and out of an exported model, as arrays; the names are those of `PastFrames` and `Forecast`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.runtime.description import Description, ExportOrigin


@dataclass(frozen=True, eq=False)
class PastArrays:
    """Input of a forecast: B sequences of J frames with their mask, times and covariates.

    Example:
        >>> import numpy as np
        >>> from framecast.runtime import PastArrays
        >>> PastArrays(np.zeros((1, 3, 1, 8, 8), np.float32)).frames.shape
        (1, 3, 1, 8, 8)
    """

    frames: NDArray[Any]
    """(B, J, C, H, W), raw units."""
    valid: NDArray[np.bool_] | None = None
    """(B, J, C, H, W), False where a pixel is missing; None where none is."""
    times: NDArray[Any] | None = None
    """(B, J), datetime64, UTC; None where unknown."""
    covariates: NDArray[Any] | None = None
    """(B, J + K, E, H, W), raw units, NaN where missing; None without any."""
    motion: NDArray[Any] | None = None
    """(B, J, 2, H, W), at each frame, pixels per frame in x and y; None to estimate it."""

    def make_forecast(self, predicted: NDArray[np.float32], origin: ExportOrigin, about: Description) -> ForecastArrays:
        """Make a forecast from predicted frames (B, K, targets, H, W); NaN where no frame of the context was observed."""
        targets = predicted.shape[2]
        shape = (len(self.frames), targets, *self.frames.shape[-2:])
        valid = np.ones((1, 1, *shape[1:]), np.bool_) if self.valid is None else self.valid[:, :, :targets]
        mask: NDArray[np.bool_] = np.broadcast_to(np.asarray(valid.any(1)), shape)
        frames = np.where(mask[:, None], predicted, np.float32(np.nan))[:, None]
        last = None if self.times is None else self.times[:, -1].astype("datetime64[ms]")
        return ForecastArrays(frames, mask, origin, about.units, last, _count_times(last, predicted.shape[1], about))


@dataclass(frozen=True, eq=False)
class ForecastArrays:
    """Prediction of the K frames that follow each of N sequences."""

    values: NDArray[np.float32]
    """(N, M, K, targets, H, W) of M = 1 members, raw units, NaN where `mask` is False."""
    mask: NDArray[np.bool_]
    """(N, targets, H, W), False where a pixel was missing in all frames of the context."""
    origin: ExportOrigin
    """Identity of the model."""
    units: str
    reference_times: NDArray[Any] | None = None
    """(N,), time of the last input frame of each sequence, milliseconds, UTC; None where unknown."""
    times: NDArray[Any] | None = None
    """(N, K), valid time of each predicted frame, milliseconds, UTC; None where times or their step are unknown."""


def _count_times(last: NDArray[Any] | None, horizon: int, about: Description) -> NDArray[Any] | None:
    """Count the times of predicted frames, (N, K), on from those of the last frames."""
    minutes, months = about.spec.get("step_minutes"), about.spec.get("step_months")
    if last is None or minutes is None:
        return None
    ahead = np.arange(1, horizon + 1)
    if months is None:
        return last[:, None] + np.round(ahead * minutes * 60_000).astype("timedelta64[ms]")
    begun = last.astype("datetime64[M]")
    within = last - begun.astype("datetime64[ms]")
    return (begun[:, None] + ahead * months).astype("datetime64[ms]") + within[:, None]
