"""Score a predictor on a data set, by lead time, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from framecast.data import DataSet, evaluation_batches
from framecast.devices import to_device
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.metrics import Metric, Scores
from framecast.transforms.missing import observed_in_context
from framecast.types import FrameSpec


def to_unit_range(frames: Tensor, spec: FrameSpec) -> Tensor:
    """Raw units to the scale of the scores, on which the value range is [0, 1]; float64, not clipped."""
    frames = frames.cpu() if frames.device.type == "mps" else frames  # which has no float64
    return (frames.double() - spec.low) / (spec.high - spec.low)


def scoring_mask(valid: Tensor, context: int) -> Tensor:
    """Which pixels of the future count: those that were observed, then and in some frame of the context.

    What nobody can know is missing in a forecast, and not scored.

    Args:
        valid: (B, J + K, C, H, W), False where missing.
        context: J.

    Returns:
        (B, K, C, H, W).
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
) -> Scores:
    """Score forecasts of every window of a split.

    Truth and predictions are cut to the value range, or are not, as each metric says. Of several members the mean is
    scored.

    Args:
        predictor: what forecasts; it gets frames on the CPU, where their pixels can be checked without waiting for a
            device, and may answer on any.
        dataset: windows of `context` + `horizon` frames.
        split: "train", "val" or "test".
        metrics: what to score.
        context: J.
        horizon: K.
        batch_size: sequences at a time.
        limit: how many windows; None for all.
        device: where to compute.
        rank: of this process; it scores every `world_size`-th window.
        world_size: number of processes.
        all_reduce: sums a tensor over processes.
        progress: called with the number of sequences done.
        keep: whether to keep the statistics of each sequence, for intervals.

    Returns:
        the scores of all processes together.
    """
    total = min(dataset.count(split), limit or dataset.count(split))
    scores = Scores(list(metrics), horizon, device, keep=total if keep else 0)
    done, targets = 0, dataset.spec.targets
    with torch.inference_mode():
        for batch in evaluation_batches(dataset, split, batch_size, rank=rank, world_size=world_size, limit=limit):
            frames, valid = batch.frames, batch.valid
            past = PastFrames.from_windows(frames, valid, context, dataset.spec, batch.times, dataset.grid)
            prediction = to_device(predictor.forecast(past, horizon).mean().frames[:, 0], device)
            future = None if valid is None else to_device(scoring_mask(valid, context)[:, :, :targets], device)
            truth = to_unit_range(to_device(frames[:, context:, :targets], device), dataset.spec)
            places = [rank + world_size * place for place in range(done, done + len(frames))]
            scores.update(to_unit_range(prediction, dataset.spec), truth, future, places if keep else None)
            done += len(frames)
            if progress is not None:
                progress(done)
    if all_reduce is not None:
        scores.reduce(all_reduce)
    return scores
