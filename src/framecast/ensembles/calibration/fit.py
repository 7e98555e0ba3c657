"""Fit of a calibration to the windows of data sets, and its check on windows that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.data import DataSet
from framecast.ensembles.calibration.calibration_file import EnsembleCalibration
from framecast.ensembles.calibration.intervals import USUAL_LEVELS, IntervalStatistics
from framecast.ensembles.calibration.reliability import Reliability, fit_event
from framecast.ensembles.dressing import DressedPredictor
from framecast.ensembles.windows import forecast_windows
from framecast.metrics.ensemble.probabilities import EventTable


def fit_calibration(
    predictor: DressedPredictor,
    datasets: Sequence[tuple[DataSet, str]],
    thresholds: Sequence[float],
    *,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> EnsembleCalibration:
    """Fit probabilities and intervals of an ensemble.

    Args:
        predictor: the ensemble, with the number of members whose shares are calibrated.
        datasets: data that the errors were measured on, or others; and the split of each.
        thresholds: of events, raw units; none for no probabilities.
        limit: windows of each data set, at most.
        progress: called with the number of windows that are done.
    """
    spec, tables, horizon = datasets[0][0].spec, predictor.tables, datasets[0][0].horizon
    intervals = IntervalStatistics(USUAL_LEVELS, horizon)
    events = [EventTable(threshold, predictor.members + 1) for threshold in thresholds]
    sums = [torch.zeros(horizon, table.size, dtype=torch.float64) for table in events]
    done = 0
    for window in forecast_windows(predictor, datasets, limit=limit):
        for lead in range(horizon):
            members, truth, seen = window.at(lead)
            for table, total in zip(events, sums, strict=True):
                total[lead] += _tabulate(table, members, truth, seen)
            intervals.update(lead, tables.scale.normalize(members), tables.scale.normalize(truth), seen)
        done += 1
        if progress is not None:
            progress(done)
    fitted = [fit_event(*parts) for parts in zip(thresholds, events, sums, strict=True)]
    shares = tuple(share / predictor.members for share in range(predictor.members + 1))
    return EnsembleCalibration(
        model=tables.model,
        units=spec.units,
        step_minutes=spec.step_minutes,
        scale=tables.scale,
        bounded=tables.bounded,
        windows=done,
        reliability=Reliability(shares=shares, events=tuple(fitted)) if fitted else None,
        intervals=intervals.close(),
    )


class Check(NamedTuple):
    """How a calibration does on windows that it was not fitted on, means over lead times."""

    windows: int
    brier: dict[float, tuple[float, float]]
    """By threshold, raw units: the Brier score of the shares of members, and of the calibrated probabilities."""
    coverage: dict[float, float]
    """By level: share of the pixels whose truth the interval holds, each window weighing the same."""
    width: dict[float, float]
    """By level: mean width of the interval, raw units."""


def check_calibration(
    calibration: EnsembleCalibration,
    predictor: DressedPredictor,
    datasets: Sequence[tuple[DataSet, str]],
    *,
    limit: int | None = None,
) -> Check:
    """Check a calibration on other windows.

    Args:
        calibration: fitted to the ensemble.
        predictor: the ensemble.
        datasets: data, and the split of each, that it was not fitted on.
        limit: windows of each data set, at most.
    """
    levels = calibration.intervals.levels
    reliability = calibration.reliability
    thresholds = [] if reliability is None else [event.threshold for event in reliability.events]
    errors = {threshold: torch.zeros(2, dtype=torch.float64) for threshold in thresholds}
    held, widths = ({level: torch.zeros(2, dtype=torch.float64) for level in levels} for _ in range(2))
    pixels, done = 0, 0
    for window in forecast_windows(predictor, datasets, limit=limit):
        for lead in range(datasets[0][0].horizon):
            members, truth, seen = window.at(lead)
            count = int(seen.sum())
            if not count:
                continue
            pixels += count
            for threshold in thresholds:
                share, event = (members >= threshold).double().mean(0), (truth >= threshold).double()
                better = reliability.calibrate(share, threshold, lead)  # type: ignore[union-attr]
                for number, probability in enumerate((share, better)):
                    errors[threshold][number] += (probability - event).square()[seen].sum()
            # no rain may have any value below 0 dBZ
            value = calibration.scale.denormalize(calibration.scale.normalize(truth)) if calibration.bounded else truth
            for level in levels:
                low, high = calibration.find_interval(members, level, lead)
                inside = (value >= low) & (value <= high) | low.isnan()
                held[level] += torch.tensor([float(inside[seen].double().mean()), 1.0])
                width = (high - low)[seen].nan_to_num(torch.inf).double().mean()
                widths[level] += torch.tensor([float(width), 1.0])
        done += 1
    brier = {threshold: tuple((one / max(pixels, 1)).tolist()) for threshold, one in errors.items()}
    coverage, width_of = ({level: float(a / n) for level, (a, n) in sums.items()} for sums in (held, widths))
    return Check(done, brier, coverage, width_of)


def _tabulate(table: EventTable, members: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """Tabulate an event of one window and lead time, (S,)."""
    return table.tabulate(members[None].double(), truth[None].double(), seen[None])[0]
