"""Kinds of frames that `predict` takes: tensors, arrays, DataArrays, files; each forecast comes back in its own kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.data.durations import in_frames
from framecast.errors import InputError, UsageError
from framecast.forecast import Forecast, ModelOrigin, count_times
from framecast.forecasting.filling.batch import predict_filled
from framecast.forecasting.predictor import PastFrames
from framecast.forecasting.validation import Values, as_frames
from framecast.types import FrameSpec

if TYPE_CHECKING:
    from framecast.cf.given_frames import GivenFrames

KINDS = "an array of NumPy, a tensor, an xarray.DataArray, or the path of a file or folder"


@runtime_checkable
class BatchPredictor(Protocol):
    """Interface of what forecasts batches of tensors: a network or a baseline."""

    spec: FrameSpec
    origin: ModelOrigin

    @property
    def context(self) -> int | None:
        """Frames of input from a file or a DataArray; None for all."""

    @property
    def predict_batch(self) -> Callable[..., Tensor]:
        """Predicts (B, [M,] K, targets, H, W) from (B, J, C, H, W), K, a mask and covariates."""


def predict_kind(
    predictor: BatchPredictor,
    frames: Any,
    horizon: int | str | None,
    valid: Values | None,
    covariates: Any,
    options: Mapping[str, Any],
    unknown: Mapping[str, Any],
    max_filled: int | None = None,
) -> Any:
    """Predict what follows frames of any kind, in their own kind.

    Args:
        predictor: the network or baseline.
        frames: of any kind.
        horizon: K, or a time as in "90min" where the step is known.
        valid: mask of an array or a tensor.
        covariates: of context and forecast, if the model has any; of a file the path of theirs.
        options: keywords of `predict_batch`.
        unknown: keywords that it does not have.
        max_filled: absent frames to fill, at most; None for none of an array, and the usual number of other kinds.

    Raises:
        InputError: another kind, or frames that do not fit the model.
        UsageError: no horizon, or an unknown keyword.
    """
    for keyword in unknown:
        raise UsageError.unknown(
            "keyword", keyword, ["frames", "horizon", "valid", "covariates", "max_filled", *options]
        )
    if horizon is None:
        raise UsageError("horizon", got="nothing", expected="how many frames to predict, or a time as in '90min'")
    if isinstance(frames, np.ndarray | Tensor):
        horizon = _count_horizon(horizon, predictor.spec)
        return _predict_array(predictor, frames, horizon, valid, covariates, options, max_filled or 0)
    xarray = sys.modules.get("xarray")  # whoever has a DataArray has imported it
    is_labelled = xarray is not None and isinstance(frames, xarray.DataArray)
    if not is_labelled and not isinstance(frames, str | PathLike):
        raise _refuse(frames)
    if valid is not None:
        fix = "mark missing pixels by NaN, as in frames.where(valid)"
        raise InputError("valid", got="a mask", expected="none beside a DataArray or a file", fix=fix)
    if is_labelled:
        return _predict_labelled(predictor, frames, horizon, covariates, options, max_filled)
    return _predict_file(predictor, fspath(frames), horizon, covariates, options, max_filled)


def _refuse(frames: Any) -> InputError:
    """Make the error for frames of an unknown kind, which says how to get one that is known."""
    kind, fix = type(frames).__name__, "numpy.asarray(frames)"
    if kind == "Dataset" and hasattr(frames, "data_vars"):
        names = [str(name) for name in frames.data_vars]
        fix = f"choose a variable, as in dataset[{names[0]!r}]" if names else "give one with a variable"
    elif isinstance(frames, PastFrames):
        fix = "call forecast(past, horizon)"
    elif hasattr(frames, "dask"):
        fix = "frames.compute(), or wrap them in an xarray.DataArray"
    return InputError("frames", got=kind, expected=KINDS, fix=fix)


def _count_horizon(horizon: int | str, spec: FrameSpec) -> int:
    """Count the frames of a horizon that is a time; numbers stay as they are, to be checked later."""
    if not isinstance(horizon, str):
        return horizon
    if horizon.strip().isdecimal():
        raise UsageError(
            "horizon",
            got=repr(horizon),
            expected="at least 1, a whole number of frames",
            fix="leave the quotation marks out",
        )
    return in_frames(horizon, spec.step_minutes, "horizon", spec.step_months)


def _predict_array(
    predictor: BatchPredictor,
    frames: Values,
    horizon: int,
    valid: Values | None,
    covariates: Any,
    options: Mapping[str, Any],
    max_filled: int,
) -> Values:
    """Predict from (B, J, C, H, W), (J, C, H, W), or (J, H, W) of one channel; the forecast has their axes."""
    tensor, mask = as_frames(frames, valid)
    axes, channels = tensor.ndim, predictor.spec.channels
    if axes not in (3, 4, 5):
        return predictor.predict_batch(tensor, horizon, mask, covariates, **options)  # which refuses them
    if (axes == 3 and channels != 1) or (axes == 4 and tensor.shape[1] != channels):
        forms = "(B, T, C, H, W) or (T, C, H, W)" + (" or (T, H, W)" if channels == 1 else "")
        fix = (
            "add the axis that is not there, as in frames[None] for one sequence or frames[:, :, None] for one channel"
        )
        expected = f"{forms} with C = {channels}"
        raise InputError("frames", got=f"shape {tuple(tensor.shape)}", expected=expected, fix=fix)
    if axes == 3:
        tensor, mask = tensor[:, None], None if mask is None else mask[:, None]
    if axes in (3, 4):
        tensor, mask = tensor[None], None if mask is None else mask[None]
        covariates = covariates[None] if getattr(covariates, "ndim", 0) == 4 else covariates
    past = PastFrames(tensor, predictor.spec, mask)
    result = predict_filled(predictor, past, horizon, covariates, options, max_filled).predicted
    result = result[0] if axes in (3, 4) else result
    result = result[..., 0, :, :] if axes == 3 else result
    return result.cpu().numpy() if isinstance(frames, np.ndarray) else result


def _predict_labelled(
    predictor: BatchPredictor,
    array: Any,
    horizon: int | str,
    covariates: Any,
    options: Mapping[str, Any],
    max_filled: int | None,
) -> Any:
    """Predict what follows a DataArray, from its newest frames."""
    from framecast.cf.forecast_frames import keep_labels, label_forecast
    from framecast.cf.given_frames import read_given
    from framecast.forecasting.filling.fill import MAX_FILLED

    limit = MAX_FILLED if max_filled is None else max_filled
    is_fillable = not (predictor.spec.past or predictor.spec.covariates)
    given = read_given(array, predictor.spec, predictor.context, limit if is_fillable else 0)
    values = given.values
    tensor, _ = as_frames(values, None)
    spec = _describe_given(predictor.spec, given, values)
    predictor, notes = _adapt(predictor, spec, f"drop the times, as in frames.drop_vars({given.time_name!r})")
    frames = _count_horizon(horizon, spec)
    seen = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    mask = None if seen.all() else torch.from_numpy(seen)
    times = None if spec.step_minutes is None else given.times
    past = PastFrames(tensor, spec, mask, times, None, given.grid)
    known = _find_covariates(past, covariates, frames)
    result = predict_filled(predictor, past, frames, known, options, limit if is_fillable else 0)
    forecast = past.make_forecast(result.predicted, predictor.origin)
    forecast = replace(forecast, notes=(*given.notes, *notes, *result.notes))
    return label_forecast(forecast, keep_labels(given), with_members=options.get("members") is not None)


def _describe_given(model: FrameSpec, given: GivenFrames, values: NDArray[Any]) -> FrameSpec:
    """Describe the frames of a DataArray as the model sees them; refuse those that it was not made for.

    Raises:
        InputError: other channels, other units, or values on another scale.
    """
    channels, (height, width) = values.shape[2], values.shape[-2:]
    if channels != model.channels:
        fix = f"choose them, as in frames.isel({given.axes.get('c', 'channel')}=slice({model.channels}))"
        raise InputError("frames", got=f"{channels} channels", expected=f"{model.channels}, as trained", fix=fix)
    units = given.units or "1"
    if "1" not in (units, model.units) and units != model.units:
        fix = "convert the values, or set frames.attrs['units'] if they are wrong"
        raise InputError("frames", got=f"units {units}", expected=f"{model.units}, as trained", fix=fix)
    span, targets = model.high - model.low, values[:, :, : model.targets]
    known = targets[np.isfinite(targets)] if values.dtype.kind == "f" else targets
    # the right units, by the array's own word, are scale enough: a calm hour is no fault
    if known.size and not model.ranges and (units == "1" or units != model.units):
        low, high = float(known.min()), float(known.max())
        if low > model.high or high < model.low or max(high - model.high, model.low - low) > 10 * span:
            expected = f"the model's scale, {model.low:g} to {model.high:g} {model.units}".removesuffix(" 1")
            raise InputError("frames", got=f"values from {low:g} to {high:g}", expected=expected, fix="scale them")
    step = (given.step_minutes, given.step_months)
    step = (model.step_minutes, model.step_months) if given.step_minutes is None else step
    fields = {"height": height, "width": width, "step_minutes": step[0], "step_months": step[1]}
    return model.model_copy(update=fields)


def _adapt(predictor: BatchPredictor, data: FrameSpec, go_on: str) -> tuple[BatchPredictor, list[str]]:
    """Let a network forecast at the step of the data, if it can; refuse another step of one that cannot."""
    from framecast.forecasting.data_checks import adapt_to_step, check_step
    from framecast.forecasting.forecaster import Forecaster

    if isinstance(predictor, Forecaster):
        return adapt_to_step(predictor, data, None, go_on)
    check_step(predictor.spec, data, None, go_on)
    return predictor, []


def _find_covariates(past: PastFrames, given: Any, horizon: int) -> Any:
    """Find the covariates (B, J + K, E, H, W): those that are given, or computed from the times where all can be."""
    if given is not None:
        values = getattr(given, "values", given)  # of a DataArray
        return values[None] if getattr(values, "ndim", 0) == 4 else values
    channels = past.spec.covariates
    if not channels or not all(channel.calendar for channel in channels) or past.times is None:
        return None  # a model that needs them says so
    from framecast.data.sources.channels import compute_calendar

    ahead = count_times(past.times, horizon, past.spec, past.grid)
    cycles: list[Any] = list(dict.fromkeys(channel.name.split("_")[0] for channel in channels))
    waves = [compute_calendar(np.concatenate(pair), cycles) for pair in zip(past.times, ahead, strict=True)]
    shape = (len(waves), len(waves[0]), len(channels), *past.frames.shape[-2:])
    return torch.from_numpy(np.broadcast_to(np.stack(waves)[..., None, None], shape).copy())


def _predict_file(
    predictor: BatchPredictor,
    path: str,
    horizon: int | str,
    covariates: Any,
    options: Mapping[str, Any],
    max_filled: int | None,
) -> Any:
    """Predict what follows the newest frames of each sequence of a file, read as in training."""
    from framecast.cf.forecast_frames import label_forecast, make_forecast_labels
    from framecast.forecasting.filling.forecast_file import forecast_file

    given = [name for name, value in options.items() if value not in (None, 0)]
    if given:
        fix = "open it first, as in predict(framecast.open_frames(path), ...)"
        raise InputError(given[0], got="it beside the path of a file", expected="frames", fix=fix)
    horizon = _count_horizon(horizon, predictor.spec)
    forecast: Forecast = forecast_file(predictor, path, horizon, covariates, max_filled=max_filled)
    return label_forecast(forecast, make_forecast_labels(forecast))
