"""Windows of data sets with their forecasts, which errors are measured on, and calibrations fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.data import DataSet, evaluation_batches
from framecast.errors import InputError
from framecast.forecast import Forecast
from framecast.forecasting.predictor import PastFrames, Predictor
from framecast.transforms.missing import observed_in_context


class ForecastWindow(NamedTuple):
    """One window with its forecast."""

    forecast: Forecast
    past: PastFrames
    truth: Tensor
    """(1, K, C, H, W), raw units."""
    seen: Tensor
    """(1, K, C, H, W), whether the pixel was observed, and could be forecast."""

    def at(self, lead: int) -> tuple[Tensor, Tensor, Tensor]:
        """Members (M, C, H, W), truth and where it counts (C, H, W) at a lead time, raw units; 0 where it does not."""
        members, truth = self.forecast.frames[0, :, lead].float().cpu(), self.truth[0, lead]
        seen = self.seen[0, lead] & members.isfinite().all(0)
        return torch.where(seen, members, 0.0), torch.where(seen, truth, 0.0), seen


def forecast_windows(
    predictor: Predictor, datasets: Sequence[tuple[DataSet, str]], *, limit: int | None = None
) -> Iterator[ForecastWindow]:
    """Forecast windows, spread evenly over each split, one by one.

    Args:
        predictor: of one member or many.
        datasets: data with the same units, horizon and step, and the split of each.
        limit: windows of each data set, at most.

    Raises:
        InputError: data sets that differ, or without windows.
    """
    first = datasets[0][0]
    for dataset, split in datasets:
        same = (dataset.spec.units, dataset.spec.step_minutes, dataset.spec.targets, dataset.horizon)
        expected = (first.spec.units, first.spec.step_minutes, first.spec.targets, first.horizon)
        if same != expected or not dataset.count(split):
            got = "no window" if same == expected else str(same)
            raise InputError(f"data to calibrate on, split {split}", got=got, expected=f"windows of {expected}")
        for batch in evaluation_batches(dataset, split, 1, limit=limit):
            frames, valid, context = batch.frames, batch.valid, dataset.context
            past = PastFrames.from_windows(
                frames, valid, context, dataset.spec, batch.times, dataset.grid, batch.motion
            )
            with torch.inference_mode():
                forecast = predictor.forecast(past, dataset.horizon)
            targets = dataset.spec.targets
            truth = frames[:, context:, :targets].float()
            seen = torch.isfinite(truth)
            if valid is not None:
                seen &= valid[:, context:, :targets] & observed_in_context(valid[:, :context, :targets])
            yield ForecastWindow(forecast, past, truth, seen)
