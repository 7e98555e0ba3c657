"""Forecast what follows the sequences of a source: networks frame by frame, other predictors batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.data import DataConfig, FileSource, FutureCovariates
from framecast.data.durations import in_frames
from framecast.errors import InputError, UsageError
from framecast.forecast import Forecast, Provenance, join_sequences
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import ANY, READING, MemoryLimits, MemoryPlan, measure_frame_memory, plan_memory
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.nn.tiled_network import SEAM
from framecast.transforms.channels import divide_channels
from framecast.types import FrameSpec, Window

PIECE = 64 * 2**20
"""Bytes that reading takes at once for each sequence, unless a single frame takes more."""


def forecast_source(
    predictor: Predictor,
    source: FileSource,
    horizon: int | str,
    *,
    context: int | str | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    covariates: DataConfig | None = None,
    room: MemoryLimits = ANY,
    progress: Callable[[int], None] | None = None,
) -> Forecast:
    """Predict what follows each sequence of a source; where its times have gaps, what follows the last frame.

    Args:
        predictor: a network, which is fed frame by frame; or any other, which is given whole batches.
        source: frames, raw units.
        horizon: K, frames to predict, any number; or a time as in 90min.
        context: J, how many of the last frames are used, or how much time; by default the predictor's `context`, or all.
        batch_size: sequences at a time.
        device: where a network computes.
        covariates: a file of covariates of the future, for a model whose covariates nothing else tells.
        room: limit of memory, and tiles, of a network.
        progress: called with the number of sequences done.

    Raises:
        InputError: frames that the model was not made for, or too few of them; covariates that nothing tells.
        UsageError: no frame to predict, or a time that is no whole number of steps.
    """
    if not isinstance(predictor, Forecaster):
        _check_network_options(covariates, room)
        return _forecast_batches(predictor, source, horizon, context, batch_size, progress)
    spec = _spec(predictor.spec, source.spec)
    latest, step = source.latest, spec.step_minutes
    horizon = in_frames(horizon, step, "horizon")
    used = _used(predictor.context, source, context, step)
    forecaster = predictor.to(device)
    beside = _beside(forecaster.spec, source, used, horizon, step, covariates)
    size, batch_size = (spec.height, spec.width), min(batch_size, len(latest))
    at_once = min(used, max(1, PIECE // (READING * source.spec.channels * size[0] * size[1])))
    taken = measure_frame_memory(forecaster, spec, len(latest), used, horizon, at_once)
    how = plan_memory(forecaster, size, batch_size=batch_size, frames=taken, room=room)
    model = how.of(forecaster)
    pasts, futures = (torch.empty(len(latest), frames, spec.channels, *size) for frames in (used, horizon))
    observed, seams = torch.zeros(len(latest), spec.channels, *size, dtype=torch.bool), np.zeros((2, horizon))
    dated = _stacked_times([_past_times(source, n, used, spec) for n in latest])
    start = None if dated is None else dated[:, -1] + _step(spec)
    for first in range(0, len(latest), how.batch_size):
        numbers = latest[first : first + how.batch_size]
        here = slice(first, first + len(numbers))
        starts = [None] * len(numbers) if start is None else start[here]
        known = None if beside is None else np.stack([beside.of(first + n, at) for n, at in enumerate(starts)])
        read = ([_context(source, n, used, at, at + at_once) for n in numbers] for at in range(0, used, at_once))
        seams += _follow(model, read, known, pasts[here], futures[here], observed[here])
        if progress is not None:
            progress(here.stop)
    notes = (*_short(forecaster, used, context), *(() if beside is None else beside.notes))
    provenance = Provenance(predictor.origin, pasts)
    result = Forecast(futures[:, None], observed, pasts, spec, provenance, source.grid, dated, source.dims, notes)
    return _with_plan(result, how, seams)


def _check_network_options(covariates: DataConfig | None, room: MemoryLimits) -> None:
    """Refuse what has no meaning for a predictor that is no network."""
    if covariates is not None or room != ANY:
        options = "--covariates, --max-memory, --tile, --overlap"
        raise UsageError(options, got="one of them", expected="none, for a predictor that is no network")


def _forecast_batches(
    predictor: Predictor,
    source: FileSource,
    horizon: int | str,
    context: int | str | None,
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> Forecast:
    """Forecast by a predictor that takes the whole context at once, so many sequences at a time."""
    spec, latest = source.spec, source.latest
    horizon = in_frames(horizon, spec.step_minutes, "horizon")
    used = _used(getattr(predictor, "context", None), source, context, spec.step_minutes)
    parts = []
    for first in range(0, len(latest), batch_size):
        numbers = latest[first : first + batch_size]
        frames, valid = _stacked([_context(source, n, used) for n in numbers])
        times = _stacked_times([_past_times(source, n, used, spec) for n in numbers])
        past = PastFrames.from_windows(frames, valid, used, spec, times, source.grid)
        parts.append(predictor.forecast(past, horizon))
        if progress is not None:
            progress(first + len(numbers))
    return replace(join_sequences(parts), dims=source.dims)


def _stacked(windows: list[Window]) -> tuple[Tensor, Tensor]:
    """Frames of windows and their mask, (B, T, C, H, W)."""
    mask = np.stack([w.valid if w.valid is not None else np.isfinite(w.frames) for w in windows])
    return torch.from_numpy(np.stack([window.frames for window in windows])), torch.from_numpy(mask)


def _stacked_times(times: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """(N, J), None where a sequence has no times."""
    known = [one for one in times if one is not None]
    return np.stack(known) if len(known) == len(times) else None


def _used(trained: int | None, source: FileSource, context: int | str | None, step: float | None) -> int:
    """How many frames are used."""
    shortest = min(source.lengths[n] for n in source.latest)
    if context is None:
        return min(trained or shortest, shortest)
    used = in_frames(context, step, "context")
    if not 1 <= used <= shortest:
        expected = f"1 to {shortest}, the frames of the shortest sequence"
        raise InputError("context", got=f"{used} frames", expected=expected)
    return used


def _short(forecaster: Forecaster, used: int, asked: int | str | None) -> tuple[str, ...]:
    """Whether fewer frames are used than the model was trained to see, without anybody having asked for it."""
    if asked is not None or forecaster.context is None or used >= forecaster.context:
        return ()
    longest = f"the last stretch without a gap, or the shortest sequence, has {used}"
    return (f"context: {used} frames are used, and the model was trained to see {forecaster.context}: {longest}",)


def _context(source: FileSource, sequence: int, used: int, start: int = 0, stop: int | None = None) -> Window:
    """Frames start..stop-1 of the last ones that are used."""
    length = source.lengths[sequence]
    first = length - used
    return source.read(sequence, first + start, length if stop is None else min(first + stop, length))


def _beside(
    spec: FrameSpec, source: FileSource, used: int, horizon: int, step_minutes: float | None, file: DataConfig | None
) -> FutureCovariates | None:
    """The covariates of a model; None if it has none."""
    if not spec.covariates:
        if file is not None:
            raise UsageError("--covariates", got=file.path, expected="nothing: this model has no covariates")
        return None
    contexts = [_context(source, n, used) for n in source.latest]
    return FutureCovariates(spec, contexts, horizon, step_minutes, file)


def _follow(
    model: Forecaster,
    windows: Iterable[list[Window]],
    beside: NDArray[np.float32] | None,
    pasts: Tensor,
    futures: Tensor,
    observed: Tensor,
) -> NDArray[np.float64]:
    """Targets of the contexts, and of what is predicted to follow, NaN where missing, and where one was observed.

    Args:
        model: the network.
        windows: pieces of the contexts.
        beside: (B, J + K, E, H, W), covariates, if it has any.
        pasts: (B, J, targets, H, W), to be filled.
        futures: (B, K, targets, H, W), to be filled.
        observed: (B, targets, H, W), all False, to be filled.

    Returns:
        (2, K), sum of the squared differences at the seams of tiles, and how many; zeros without tiles.
    """
    horizon = futures.shape[1]
    seams = np.zeros((2, horizon))
    covariates = None if beside is None else torch.from_numpy(beside).unbind(1)
    given = _given(model.spec, windows, pasts, observed)
    for lead, ahead in enumerate(model.ahead(given, horizon, covariates)):
        futures[:, lead] = torch.where(observed, ahead.frame.float().cpu(), torch.nan)
        if SEAM in ahead.aux:
            seams[:, lead] = torch.stack(ahead.aux[SEAM]).cpu().numpy()
    return seams


def _given(
    spec: FrameSpec, windows: Iterable[list[Window]], pasts: Tensor, observed: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Frame after frame of the contexts and its mask, as windows are read.

    On the way `pasts` is filled with the targets, and `observed` becomes True where one of them was: what can be known.
    """
    done, targets = 0, spec.targets
    for piece in windows:
        frames, valid, _ = divide_channels(*_stacked(piece), spec)
        assert valid is not None
        pasts[:, done : done + frames.shape[1]] = frames[:, :, :targets]
        observed |= valid[:, :, :targets].any(1)
        done += frames.shape[1]
        yield from zip(frames.unbind(1), valid.unbind(1), strict=True)


def _with_plan(result: Forecast, how: MemoryPlan, seams: NDArray[np.float64]) -> Forecast:
    """The forecast, and how it was computed, in values and in words."""
    if how.layout is None:
        return replace(result, computation={"computed": how.as_dict(), "seam_rms": None}, computation_text=str(how))
    rms = np.sqrt(seams[0] / np.maximum(seams[1], 1))
    text = f"{how}; at the seams tiles differ by {rms[0]:.2g} to {rms.max():.2g} {result.spec.units} (rms)"
    return replace(result, computation={"computed": how.as_dict(), "seam_rms": rms.tolist()}, computation_text=text)


def check_values(model: FrameSpec, data: FrameSpec) -> None:
    """Whether data mean what a model was trained on.

    Raises:
        InputError: other channels, other units, or values on another scale.
    """
    if data.channels != model.channels:
        raise InputError(
            "data", got=f"{data.channels} channels", expected=f"{model.channels}, as the model was trained"
        )
    got, expected = ([c.name for c in spec.covariates] for spec in (data, model))
    if got != expected:
        text = ", ".join(expected) or "none"
        raise InputError(
            "data", got=f"covariates {', '.join(got) or 'none'}", expected=f"{text}, as the model was trained"
        )
    if "1" not in (data.units, model.units) and data.units != model.units:
        fix = "convert the values, or name their units with --units if the file is wrong"
        raise InputError(
            "data", got=f"units {data.units}", expected=f"{model.units}, as the model was trained", fix=fix
        )
    ratio = (data.high - data.low) / (model.high - model.low)
    apart = data.high < model.low or data.low > model.high
    # Where units are named and the same, a calm day's narrow range is no fault.
    same = data.units == model.units != "1"
    if apart or ratio > 10 or (ratio < 0.1 and not same):
        raise InputError(
            "data",
            got=f"values from {data.low:g} to {data.high:g}",
            expected=f"the model's scale, {model.low:g} to {model.high:g} {model.units}",
            fix=f"scale them, or say --range {model.low:g},{model.high:g} if they are on it",
        )


def check_step(model: FrameSpec, data: FrameSpec, said: float | None) -> None:
    """Whether frames follow each other as in training; what the user said of the step is believed.

    Args:
        model: what the model was trained on.
        data: what it is given.
        said: minutes between frames as the user has it, None if only the data say so.

    Raises:
        InputError: another step, by more than a tenth.
    """
    if said is not None or model.step_minutes is None or data.step_minutes is None:
        return
    if max(model.step_minutes, data.step_minutes) <= 1.1 * min(model.step_minutes, data.step_minutes):
        return
    raise InputError(
        "data",
        got=f"frames {data.step_minutes:g} min apart",
        expected=f"{model.step_minutes:g} min, as the model was trained",
        fix=f"give frames of that step; or say --step-minutes {data.step_minutes:g} to go on all the same",
    )


def _spec(model: FrameSpec, data: FrameSpec) -> FrameSpec:
    """What the predicted frames are, targets only; a single frame, which has no step of its own, gets the model's.

    Raises:
        InputError: data that the model was not made for, see `check_values`.
    """
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
        }
    )


def _past_times(source: FileSource, sequence: int, used: int, spec: FrameSpec) -> NDArray[Any] | None:
    """(J,), time of each frame that is used, milliseconds, UTC; None where unknown, or where no step is known."""
    times = source.frame_times(sequence)
    return None if times is None or spec.step_minutes is None else times[-used:]


def _step(spec: FrameSpec) -> np.timedelta64:
    assert spec.step_minutes is not None
    return np.timedelta64(round(spec.step_minutes * 60_000), "ms")
