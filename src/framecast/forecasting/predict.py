"""Forecasts from a source of sequences or a file: networks frame by frame, other predictors batch by batch; checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.data import DataConfig, FutureCovariates
from framecast.data.durations import in_frames
from framecast.devices import move_module
from framecast.errors import InputError, UsageError
from framecast.forecast import Forecast, Provenance, count_times, join_sequences
from framecast.forecasting.data_checks import check_values
from framecast.forecasting.filling.context_source import ContextSource
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import (
    NO_LIMITS,
    READING,
    MemoryLimits,
    MemoryPlan,
    measure_frame_memory,
    plan_memory,
)
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.forecasting.stream import StreamState
from framecast.nn.tiled_network import SEAM
from framecast.transforms.channels import divide_channels
from framecast.types import FrameSpec, Window

BEYOND = 0.05
"""Share of the value range of a training by which values may lie outside of it without a note."""
SkipTaken = Callable[
    [Forecaster, int, Iterator[tuple[Tensor, Tensor]]], tuple[StreamState | None, Iterator[tuple[Tensor, Tensor]]]
]
"""Takes from J frames those that a model without covariates has taken before; returns its state, and the others."""
PIECE = 64 * 2**20
"""Bytes that a read takes for each sequence, unless a single frame takes more."""


def forecast_source(
    predictor: Predictor,
    source: ContextSource,
    horizon: int | str,
    *,
    context: int | str | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    covariates: DataConfig | None = None,
    room: MemoryLimits = NO_LIMITS,
    progress: Callable[[int], None] | None = None,
    skip: SkipTaken | None = None,
) -> Forecast:
    """Forecast each sequence of a source; where times have gaps, from the frames after the last gap.

    Args:
        predictor: network, which takes frame by frame; or any other, which takes whole batches.
        source: frames, raw units.
        horizon: K, frames to predict, any number; or a time as in 90min.
        context: J, number of the last frames to use, or their time; by default the predictor's `context`, or all.
        batch_size: sequences at a time, at most.
        device: device of a network.
        covariates: file of future covariates, for a model whose covariates are neither constant nor of the calendar.
        room: limits of memory and tiles of a network.
        progress: called with the number of sequences forecast so far.
        skip: of frames that a network took before they were all there; None to take all.

    Raises:
        InputError: frames that the model was not made for, or too few of them; covariates that are not known.
        UsageError: a horizon below 1, a time that is no whole number of steps, or options that only networks have.
    """
    if not isinstance(predictor, Forecaster):
        _check_network_options(covariates, room)
        return _forecast_batches(predictor, source, horizon, context, batch_size, progress)
    spec = _make_target_spec(predictor.spec, source.spec)
    latest, horizon = source.latest, in_frames(horizon, spec.step_minutes, "horizon", spec.step_months)
    used = _choose_context(predictor.context, source, context, spec)
    forecaster = move_module(predictor, device)
    future = _open_covariates(forecaster.spec, source, used, horizon, covariates)
    size, batch_size = (spec.height, spec.width), min(batch_size, len(latest))
    piece = min(used, max(1, PIECE // (READING * source.spec.channels * size[0] * size[1])))  # frames of a read
    frame_memory = measure_frame_memory(forecaster, spec, len(latest), used, horizon, piece)
    plan = plan_memory(forecaster, size, batch_size=batch_size, frames=frame_memory, room=room)
    model = plan.apply(forecaster)
    pasts, predictions = (torch.empty(len(latest), frames, spec.channels, *size) for frames in (used, horizon))
    observed, seams = torch.zeros(len(latest), spec.channels, *size, dtype=torch.bool), np.zeros((2, horizon))
    times = _stack_times([_read_past_times(source, n, used, spec) for n in latest])
    for first in range(0, len(latest), plan.batch_size):
        numbers = latest[first : first + plan.batch_size]
        batch = slice(first, first + len(numbers))
        ahead = [None] * len(numbers) if times is None else count_times(times[batch], horizon, spec, source.grid)
        known = None if future is None else np.stack([future.of(first + n, at) for n, at in enumerate(ahead)])
        reads = ([_read_context(source, n, used, at, at + piece) for n in numbers] for at in range(0, used, piece))
        seams += _forecast_frames(model, reads, known, pasts[batch], predictions[batch], observed[batch], skip)
        if progress is not None:
            progress(batch.stop)
    notes = (*_list_notes(forecaster, source.spec, used, context), *(() if future is None else future.notes))
    provenance = Provenance(predictor.origin, pasts)
    result = Forecast(predictions[:, None], observed, pasts, spec, provenance, source.grid, times, source.dims, notes)
    return _add_computation(result, plan, seams, is_measured=forecaster.base is None)


def _check_network_options(covariates: DataConfig | None, room: MemoryLimits) -> None:
    """Refuse options that have no meaning for a predictor that is no network."""
    if covariates is not None or room != NO_LIMITS:
        options = "--covariates, --max-memory, --tile, --overlap"
        raise UsageError(options, got="one of them", expected="none, for a predictor that is no network")


def _forecast_batches(
    predictor: Predictor,
    source: ContextSource,
    horizon: int | str,
    context: int | str | None,
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> Forecast:
    """Forecast by a predictor that takes the whole context at once, `batch_size` sequences at a time."""
    spec, latest = source.spec, source.latest
    horizon = in_frames(horizon, spec.step_minutes, "horizon", spec.step_months)
    used = _choose_context(getattr(predictor, "context", None), source, context, spec)
    parts = []
    for first in range(0, len(latest), batch_size):
        numbers = latest[first : first + batch_size]
        frames, valid = _stack_windows([_read_context(source, n, used) for n in numbers])
        times = _stack_times([_read_past_times(source, n, used, spec) for n in numbers])
        past = PastFrames.from_windows(frames, valid, used, spec, times, source.grid)
        parts.append(predictor.forecast(past, horizon))
        if progress is not None:
            progress(first + len(numbers))
    return replace(join_sequences(parts), dims=source.dims)


def _stack_windows(windows: list[Window]) -> tuple[Tensor, Tensor]:
    """Stack the frames of windows and their masks, (B, T, C, H, W)."""
    mask = np.stack([w.valid if w.valid is not None else np.isfinite(w.frames) for w in windows])
    return torch.from_numpy(np.stack([window.frames for window in windows])), torch.from_numpy(mask)


def _stack_times(times: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Stack the times of sequences, (N, J); None where a sequence has none."""
    known = [dates for dates in times if dates is not None]
    return np.stack(known) if len(known) == len(times) else None


def _choose_context(trained: int | None, source: ContextSource, context: int | str | None, spec: FrameSpec) -> int:
    """Choose how many frames to use: as requested, else as trained, else all; at most those of the shortest sequence."""
    shortest = min(source.lengths[n] for n in source.latest)
    if context is None:
        return min(trained or shortest, shortest)
    used = in_frames(context, spec.step_minutes, "context", spec.step_months)
    if not 1 <= used <= shortest:
        expected = f"1 to {shortest}, the frames of the shortest sequence"
        raise InputError("context", got=f"{used} frames", expected=expected)
    return used


def _list_notes(forecaster: Forecaster, data: FrameSpec, used: int, asked: int | str | None) -> tuple[str, ...]:
    """List in what the frames differ from those of the training: in their values, or in how many are used."""
    notes, model, trained = [], forecaster.spec, forecaster.context
    margin, units = BEYOND * (model.high - model.low), "" if model.units == "1" else f" {model.units}"
    if data.low < model.low - margin or data.high > model.high + margin:
        seen, known = f"{data.low:g} to {data.high:g}{units}", f"{model.low:g} to {model.high:g}{units}"
        notes.append(f"values: {seen}, and the model was trained on {known}: what lies beyond is a guess")
    is_longer = trained is not None and used > trained and forecaster.spin_up is None
    if trained is not None and ((used < trained and asked is None) or is_longer):
        reason = (
            "as asked" if asked is not None else f"the last stretch without a gap, or the shortest sequence, has {used}"
        )
        notes.append(f"context: {used} frames are used, and the model was trained to see {trained}: {reason}")
    return tuple(notes)


def _read_context(source: ContextSource, sequence: int, used: int, start: int = 0, stop: int | None = None) -> Window:
    """Read frames start..stop-1 of the `used` last frames of a sequence; by default all of these."""
    length = source.lengths[sequence]
    first = length - used
    return source.read(sequence, first + start, length if stop is None else min(first + stop, length))


def _open_covariates(
    spec: FrameSpec, source: ContextSource, used: int, horizon: int, file: DataConfig | None
) -> FutureCovariates | None:
    """Open the covariates of context and forecast; None for a model without any."""
    if not spec.covariates:
        if file is not None:
            raise UsageError("--covariates", got=file.path, expected="nothing: this model has no covariates")
        return None
    contexts = [_read_context(source, n, used) for n in source.latest]
    return FutureCovariates(spec, contexts, horizon, file)


def _forecast_frames(
    model: Forecaster,
    reads: Iterable[list[Window]],
    covariates: NDArray[np.float32] | None,
    pasts: Tensor,
    predictions: Tensor,
    observed: Tensor,
    skip: SkipTaken | None,
) -> NDArray[np.float64]:
    """Forecast a batch frame by frame into arrays of the caller, so that no second copy of the frames is held.

    Args:
        model: the network.
        reads: the contexts, a few frames of each sequence at a time, in order.
        covariates: (B, J + K, E, H, W), raw units, if the model has any.
        pasts: (B, J, targets, H, W), filled with the contexts, raw units, NaN where missing.
        predictions: (B, K, targets, H, W), filled with the predictions, raw units, NaN where `observed` is False.
        observed: (B, targets, H, W), all False; set to True where a frame of the context was observed.
        skip: of frames that were taken before.

    Returns:
        (2, K), sum of the squared differences at the seams of tiles, and their number; zeros without tiles.
    """
    horizon = predictions.shape[1]
    seams = np.zeros((2, horizon))
    by_frame = None if covariates is None else torch.from_numpy(covariates).unbind(1)
    past = _iterate_frames(model.spec, reads, pasts, observed)
    skip = None if covariates is not None else skip
    state, past = (None, past) if skip is None else skip(model, pasts.shape[1], past)
    for lead, prediction in enumerate(model.ahead(past, horizon, by_frame, state=state)):
        # `observed` is complete: the whole context was taken before the first prediction
        predictions[:, lead] = torch.where(observed, prediction.frame.float().cpu(), torch.nan)
        if SEAM in prediction.aux:
            seams[:, lead] = torch.stack(prediction.aux[SEAM]).cpu().numpy()
    return seams


def read_past(source: ContextSource, spec: FrameSpec) -> list[tuple[Tensor, Tensor]]:
    """Read all frames of the first sequence as a network takes them: (1, C, H, W), raw units, and their masks.

    Args:
        source: frames.
        spec: contract of the network.
    """
    pairs = []
    for at in range(source.lengths[0]):
        frames, valid, _ = divide_channels(*_stack_windows([source.read(0, at, at + 1)]), spec)
        assert valid is not None
        pairs.append((frames[:, 0], valid[:, 0]))
    return pairs


def _iterate_frames(
    spec: FrameSpec, reads: Iterable[list[Window]], pasts: Tensor, observed: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over the frames of the contexts and their masks; fill `pasts` and `observed` on the way."""
    done, targets = 0, spec.targets
    for windows in reads:
        frames, valid, _ = divide_channels(*_stack_windows(windows), spec)
        assert valid is not None
        pasts[:, done : done + frames.shape[1]] = frames[:, :, :targets]
        observed |= valid[:, :, :targets].any(1)
        done += frames.shape[1]
        yield from zip(frames.unbind(1), valid.unbind(1), strict=True)


def _add_computation(result: Forecast, plan: MemoryPlan, seams: NDArray[np.float64], *, is_measured: bool) -> Forecast:
    """Add the plan and the differences at seams to a forecast, as values and as text."""
    rms, text = None, str(plan)
    if plan.layout is not None and is_measured:
        rms = np.sqrt(seams[0] / np.maximum(seams[1], 1)).tolist()
        units = "" if result.spec.units == "1" else f" {result.spec.units}"
        text = f"{plan}; at the seams tiles differ by {rms[0]:.2g} to {max(rms):.2g}{units} (rms)"
    elif plan.layout is not None:
        text = f"{plan}; the seams of tiles are not measured: what they give are no frames before it meets the base"
    return replace(result, computation={"computed": plan.as_dict(), "seam_rms": rms}, computation_text=text)


def _make_target_spec(model: FrameSpec, data: FrameSpec) -> FrameSpec:
    """Make the spec of the forecast, targets only, the step by the model for a single frame; refuse unfit data."""
    check_values(model, data)
    return data.model_copy(
        update={
            "channels": data.targets,
            "past": (),
            "covariates": (),
            "low": model.low,
            "high": model.high,
            "ranges": model.ranges,
            "units": model.units if data.units == "1" else data.units,
            "step_minutes": model.step_minutes if data.step_minutes is None else data.step_minutes,
            "step_months": model.step_months if data.step_minutes is None else data.step_months,
        }
    )


def _read_past_times(source: ContextSource, sequence: int, used: int, spec: FrameSpec) -> NDArray[Any] | None:
    """Read the times of the `used` last frames, (J,), milliseconds, UTC; None where they or their step are unknown."""
    times = source.frame_times(sequence)
    return None if times is None or spec.step_minutes is None else times[-used:]
