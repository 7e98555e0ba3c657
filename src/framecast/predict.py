"""A file of frames in, frames that nobody has seen yet out; `writers` write them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from framecast.channels import divided
from framecast.data import ArraySource, DataConfig, FutureCovariates
from framecast.data.duration import in_frames
from framecast.data.fingerprint import DIGITS
from framecast.errors import InputError, UsageError
from framecast.forecaster import Forecaster
from framecast.missing import knowable
from framecast.model_folder import describe
from framecast.types import Forecast, FrameSpec, Window

TOLD = ("step", "source", "converted_from")
"""Of what model.json says of a training."""


def forecast(
    forecaster: Forecaster,
    source: ArraySource,
    horizon: int | str,
    *,
    context: int | str | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    covariates: DataConfig | None = None,
    progress: Callable[[int], None] | None = None,
) -> Forecast:
    """Predict what follows each sequence of a source; where its times have gaps, what follows the last frame.

    Args:
        forecaster: the model.
        source: frames, raw units.
        horizon: K, frames to predict, any number; or a time as in 90min.
        context: J, how many of the last frames are used, or how much time; by default as many as in training, or all.
        batch_size: sequences at a time.
        device: where to compute.
        covariates: a file of covariates of the future, for a model whose covariates nothing else tells.
        progress: called with the number of sequences done.

    Raises:
        InputError: frames that the model was not made for, or too few of them; covariates that nothing tells.
        UsageError: no frame to predict, or a time that is no whole number of steps.
    """
    check_values(forecaster.spec, source.spec)
    spec = _spec(forecaster.spec, source.spec)
    latest, step = source.latest, spec.step_minutes
    horizon = in_frames(horizon, step, "horizon")
    shortest = min(source.lengths[n] for n in latest)
    used = min(forecaster.context or shortest, shortest) if context is None else in_frames(context, step, "context")
    if not 1 <= used <= shortest:
        raise InputError(
            "context", got=f"{used} frames", expected=f"1 to {shortest}, the frames of the shortest sequence"
        )
    forecaster = forecaster.to(device)
    pasts, futures, times = [], [], []
    beside = _beside(forecaster.spec, source, used, horizon, covariates)
    for first in range(0, len(latest), batch_size):
        numbers = latest[first : first + batch_size]
        windows = [_context(source, n, used) for n in numbers]
        starts = [_after(window.time, used, spec) for window in windows]
        known = None if beside is None else np.stack([beside.of(first + n, start) for n, start in enumerate(starts)])
        past, future = _followed(forecaster, windows, horizon, known)
        futures.append(future)
        pasts.append(past)
        times += starts
        if progress is not None:
            progress(first + len(windows))
    start = None if None in times else np.array(times, dtype="datetime64[ms]")
    notes = () if beside is None else tuple(beside.notes)
    return Forecast(np.concatenate(pasts), np.concatenate(futures), start, source.dims, source.grid, spec, notes)


def _context(source: ArraySource, sequence: int, used: int) -> Window:
    return source.read(sequence, source.lengths[sequence] - used, source.lengths[sequence])


def _beside(
    spec: FrameSpec, source: ArraySource, used: int, horizon: int, file: DataConfig | None
) -> FutureCovariates | None:
    """The covariates of a model; None if it has none."""
    if not spec.covariates:
        if file is not None:
            raise UsageError("--covariates", got=file.path, expected="nothing: this model has no covariates")
        return None
    contexts = [_context(source, n, used) for n in source.latest]
    return FutureCovariates(spec, contexts, horizon, source.spec.step_minutes, file)


def _followed(
    forecaster: Forecaster, windows: list[Window], horizon: int, beside: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Targets of the contexts and of what is predicted to follow, NaN where missing."""
    spec = forecaster.spec
    valid = np.stack([w.valid if w.valid is not None else np.isfinite(w.frames) for w in windows])
    whole = torch.from_numpy(np.stack([window.frames for window in windows]))
    past, observed, _ = divided(whole, torch.from_numpy(valid), spec)
    assert observed is not None
    covariates = None if beside is None else torch.from_numpy(beside)
    future = torch.as_tensor(forecaster.predict(past, horizon, observed, covariates)).float().cpu()
    known = knowable(observed)[:, :, : spec.targets]
    return past[:, :, : spec.targets].numpy(), torch.where(known, future, torch.nan).numpy()


def clipped(result: Forecast) -> Forecast:
    """A forecast of which values beyond the model's value range have become its ends; NaN stays.

    The range is what the user said in training; else what the units are taken to span (0 to 70 dBZ, 0 to 255 of bytes);
    else what was found in the data then.

    Args:
        result: what was predicted.
    """
    return result._replace(frames=result.frames.clip(result.spec.low, result.spec.high))


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


def provenance(run: Path, result: Forecast) -> dict[str, str]:
    """Where a forecast comes from, name to text, for those who write it.

    Args:
        run: the folder of the run or the model.
        result: the forecast.

    Returns:
        framecast's version, the network, its weights' sha256, how long it was trained on what, and a fingerprint of the
        frames that were used.
    """
    about = describe(run / "model" if (run / "model" / "model.json").is_file() else run)
    told = {name: str(about["about"][name]) for name in TOLD if name in about.get("about", {})}
    return {
        "framecast_version": version("framecast"),
        "model": str(about["model"].get("name", "of one's own")),
        "model_sha256": str(about["sha256"]),
        **told,
        "input_fingerprint": hashlib.sha256(np.ascontiguousarray(result.context).data).hexdigest()[:DIGITS],
    }


def _spec(model: FrameSpec, data: FrameSpec) -> FrameSpec:
    """What the predicted frames are; a single frame has no step of its own, and is taken to have the model's."""
    return data.model_copy(
        update={
            "low": model.low,
            "high": model.high,
            "units": model.units if data.units == "1" else data.units,
            "step_minutes": model.step_minutes if data.step_minutes is None else data.step_minutes,
        }
    )


def _after(time: np.datetime64 | None, frames: int, spec: FrameSpec) -> np.datetime64 | None:
    if time is None or spec.step_minutes is None:
        return None
    return time + np.timedelta64(round(frames * spec.step_minutes * 60_000), "ms")
