"""Fit of error tables: forecasts of the windows of data sets, and how wrong they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from framecast.data import DataSet
from framecast.ensembles.error_tables import ErrorStatistics, ErrorTables
from framecast.ensembles.tracks import moves, track
from framecast.ensembles.windows import forecast_windows
from framecast.forecasting.predictor import Predictor

USUAL_WINDOWS = 200
"""Windows of each data set that errors are measured on, at most."""


def fit_error_tables(
    predictor: Predictor,
    datasets: Sequence[tuple[DataSet, str]],
    *,
    name: str,
    limit: int = USUAL_WINDOWS,
    moving: bool | None = None,
    progress: Callable[[int], None] | None = None,
) -> ErrorTables:
    """Measure the errors of a predictor on windows, spread evenly over each split.

    Args:
        predictor: a single forecast; of a network that moves frames the raw one.
        datasets: data with the same units, horizon and step, and the split of each; frames that the predictor did not
            learn from, or errors come out too small.
        name: of the predictor, for the tables.
        limit: windows of each data set, at most.
        moving: whether errors move with the frames; None to see it in the predictor.
        progress: called with the number of windows that are done.

    Raises:
        InputError: data sets that differ, or without windows.
    """
    first = datasets[0][0]
    statistics = ErrorStatistics(first.spec, first.horizon, name)
    moving = moves(predictor) if moving is None else moving
    for done, window in enumerate(forecast_windows(predictor, datasets, limit=limit), 1):
        motion = None if window.past.motion is None else window.past.motion[:, -1]
        tracked = track(window.forecast, first.horizon, motion, moving=moving)
        known = torch.stack([moved.known for moved in tracked], 1)
        statistics.update(window.forecast.frames[:, 0].float().cpu(), window.truth, window.seen, known)
        if progress is not None:
            progress(done)
    return statistics.close()
