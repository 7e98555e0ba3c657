"""Evaluation loop: scores of a predictor on a data set, by lead time, in constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from framecast.data import Batch, DataSet, evaluation_batches
from framecast.devices import to_device, to_float64
from framecast.ensembles.tracks import track
from framecast.forecast import Forecast
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.metrics import Metric, Scores
from framecast.transforms.channels import target_ends
from framecast.transforms.missing import observed_in_context
from framecast.types import FrameSpec


class EvaluationStopped(Exception):
    """An evaluation was given up, as its caller wished."""


def to_unit_range(frames: Tensor, spec: FrameSpec) -> Tensor:
    """Scale frames so that the value range [low, high] becomes [0, 1], the scale of all scores.

    Args:
        frames: any shape, raw units.
        spec: value range, raw units; of targets of several units each its own, and then frames are (..., C, H, W).

    Returns:
        float64, not clipped.
    """
    frames = to_float64(frames)
    if not spec.ranges:
        return (frames - spec.low) / (spec.high - spec.low)
    low, high = target_ends(frames, spec)
    return (frames - low) / (high - low)


def scoring_mask(valid: Tensor, context: int) -> Tensor:
    """Make the mask of the pixels that are scored: observed in the future, and in at least one frame of the context.

    Where no frame of the context was observed, forecasts are NaN.

    Args:
        valid: (B, J + K, C, H, W), False where missing.
        context: J.

    Returns:
        (B, K, C, H, W), True where scored.
    """
    return valid[:, context:] & observed_in_context(valid[:, :context])


def evaluate(
    predictor: Predictor,
    dataset: DataSet,
    split: str,
    metrics: Sequence[Metric],
    *,
    context: int,
    horizon: int,
    batch_size: int = 8,
    limit: int | None = None,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world_size: int = 1,
    all_reduce: Callable[[Tensor], Tensor] | None = None,
    progress: Callable[[int], None] | None = None,
    keep: bool = False,
    known_only: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> Scores:
    """Score forecasts of every window of a split: scores of ensembles take all members, the others their mean.

    Args:
        predictor: gets frames on the CPU, where pixels are checked at once; its forecast may be on any device.
        dataset: windows of `context` + `horizon` frames.
        split: "train", "val" or "test".
        metrics: metrics to compute.
        context: J, frames of input.
        horizon: K, lead times.
        batch_size: sequences at a time.
        limit: number of windows, at most; None for all.
        device: device of the metrics.
        rank: index of this process, which scores every `world_size`-th window.
        world_size: number of processes.
        all_reduce: sum of a tensor over all processes; None for a single one.
        progress: called with the number of sequences scored so far.
        keep: whether to keep the statistics of each sequence, for confidence intervals.
        known_only: whether pixels are left out whose air flows in from beyond the frame or from missing pixels.
        should_stop: asked before each batch, as often in every process.

    Returns:
        scores of all processes together.

    Raises:
        EvaluationStopped: `should_stop` said so.
    """
    total = min(dataset.count(split), limit or dataset.count(split))
    scores, done = Scores(list(metrics), horizon, device, keep=total if keep else 0), 0
    batches = evaluation_batches(dataset, split, batch_size, rank=rank, world_size=world_size, limit=limit)
    with torch.inference_mode():
        for batch in _stop_between(batches, -(-total // (batch_size * world_size)), should_stop):
            windows = [rank + world_size * number for number in range(done, done + len(batch.frames))]
            forecast = forecast_batch(predictor, batch, dataset, context, horizon)
            scored = make_pair(forecast, batch, dataset, context, device, known_only=known_only)
            scores.update(*scored, windows if keep else None)
            done += len(batch.frames)
            if progress is not None:
                progress(done)
    if all_reduce is not None:
        scores.reduce(all_reduce)
    return scores


def _stop_between(batches: Iterator[Batch], rounds: int, should_stop: Callable[[], bool] | None) -> Iterator[Batch]:
    """Give batches, and ask before each of `rounds`, the number in the process with the most, whether to stop."""
    for _ in range(rounds):
        if should_stop is not None and should_stop():
            raise EvaluationStopped
        yield from itertools.islice(batches, 1)


def forecast_batch(predictor: Predictor, batch: Batch, dataset: DataSet, context: int, horizon: int) -> Forecast:
    """Forecast the windows of a batch from their first frames.

    Args:
        predictor: network or baseline.
        batch: windows of `context` + `horizon` frames of the data set.
        dataset: whose frames they are.
        context: J.
        horizon: K.
    """
    given = (batch.valid, context, dataset.spec, batch.times, dataset.grid, batch.motion)
    return predictor.forecast(PastFrames.from_windows(batch.frames, *given), horizon)


def make_pair(
    forecast: Forecast,
    batch: Batch,
    dataset: DataSet,
    context: int,
    device: torch.device | str,
    *,
    known_only: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Make what `Scores.update` takes: prediction with its members, truth, and the mask of what is scored.

    Args:
        forecast: of the windows of the batch.
        batch: the windows, with their future.
        dataset: whose frames they are.
        context: J.
        device: of the three.
        known_only: whether pixels count only that the motion of the frames brings from within the domain.
    """
    targets, valid = dataset.spec.targets, batch.valid
    future = None if valid is None else to_device(scoring_mask(valid, context)[:, :, :targets], device)
    truth = to_unit_range(to_device(batch.frames[:, context:, :targets], device), dataset.spec)
    if known_only:
        motion = None if batch.motion is None else batch.motion[:, -1]
        # by the motion of the frames, whatever forecasts: the same pixels for all
        reached = [moved.known for moved in track(forecast, forecast.frames.shape[2], motion, moving=True)]
        known = to_device(torch.stack(reached, 1), device).expand_as(truth)
        future = known if future is None else future & known
    return to_unit_range(to_device(forecast.frames, device), dataset.spec), truth, future
