"""Accessor of framecast on xarray.DataArray: after `import framecast.xarray`, `frames.framecast.predict("rain", 12)`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray

from framecast.api.predictors import Model, find_predictor
from framecast.cf.given_frames import find_letters, read_given
from framecast.data.sources.file_source import DBZ_RANGE
from framecast.data.sources.value_scan import widen_range
from framecast.data.units import DBZ_UNITS
from framecast.errors import InputError
from framecast.forecasting.baselines import make_baseline
from framecast.types import FrameSpec


@xarray.register_dataarray_accessor("framecast")
class FramecastAccessor:
    """What framecast does with a DataArray of frames.

    Args:
        array: the frames, with axes of time, rows and columns.

    Example:
        >>> import framecast.xarray, numpy, xarray
        >>> frames = xarray.DataArray(numpy.ones((4, 16, 16)), dims=("time", "y", "x"))
        >>> frames.framecast.predict("persistence", 3).sizes["lead_time"]
        3
    """

    def __init__(self, array: xarray.DataArray) -> None:
        self._array = array

    def predict(self, model: Model, horizon: int | str | None = None, **options: Any) -> xarray.DataArray:
        """Predict the frames that follow.

        Args:
            model: a Forecaster or baseline; a run or a model's folder; or the name of a trained model, or of a baseline,
                which takes the value range of the frames.
            horizon: K, how many frames to predict; or a time as in "90min".
            options: those of `Forecaster.predict`.

        Returns:
            the forecast, with valid times, `lead_time` and `forecast_reference_time`.

        Raises:
            InputError: frames that do not fit the model.
            UsageError: no such model, or no horizon.
            CheckpointError: no model in the folder.
        """
        predictor = find_predictor(model, partial(_describe, self._array))
        predicted: xarray.DataArray = predictor.predict(self._array, horizon, **options)
        return predicted


def _describe(array: xarray.DataArray, baseline: str) -> FrameSpec:
    """Describe frames for a baseline, their newest ones for its value range."""
    axes = find_letters(array)
    channels = array.sizes[axes["c"]] if "c" in axes else 1
    size = {"channels": channels, "height": array.sizes[axes["y"]], "width": array.sizes[axes["x"]]}
    # of the newest frames the step is found first: a season is as many frames as that makes of it
    step = read_given(array, FrameSpec(**size), 1)
    spec = FrameSpec(**size, step_minutes=step.step_minutes, step_months=step.step_months)
    given = read_given(array, FrameSpec(**size), make_baseline(baseline, spec).context)
    units = given.units or "1"
    low, high = DBZ_RANGE
    if units != DBZ_UNITS:
        values = given.values
        known = values[np.isfinite(values)]
        if not known.size:
            raise InputError("frames", got="no valid value", expected="some pixels that are not missing")
        low, high = widen_range(float(known.min()), float(known.max()))
    return spec.model_copy(update={"units": units, "low": low, "high": high})
