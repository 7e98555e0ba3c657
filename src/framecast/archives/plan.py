"""Plan of a hindcast: which windows are forecast, in which rows of the store, and which task does which of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data import DataSet
from framecast.data.windows.windows import FrameWindows
from framecast.errors import InputError, UsageError

TASK = 16
"""Forecasts of one task."""


class HindcastTask(NamedTuple):
    """Forecasts that are made and written together: consecutive ones of one calendar month."""

    month: str
    """Month of the reference times, as in 2016-09."""
    number: int
    """Number of the task in its month, from 0."""
    row: int
    """Row of its first forecast in the store."""
    windows: tuple[int, ...]
    """Indices of the windows in the split."""
    reference_times: tuple[str, ...]
    """Time of the last frame of each context, ISO 8601, UTC."""

    @property
    def name(self) -> str:
        """Name of the task, as in 2016-09/0003."""
        return f"{self.month}/{self.number:04}"


class Chosen(NamedTuple):
    """Windows that are forecast, in the order of their reference times."""

    windows: NDArray[np.int64]
    """(R,), indices in the split."""
    context_times: NDArray[Any]
    """(R, J), datetime64[ms], UTC."""

    @property
    def reference_times(self) -> list[str]:
        """Time of the last frame of each context, ISO 8601, UTC."""
        return np.datetime_as_string(self.context_times[:, -1], unit="ms").tolist()


def choose_windows(dataset: DataSet, split: str, every: float | None, limit: int | None = None) -> Chosen:
    """Choose the windows of an archive: all, or the first in each interval of the clock.

    Args:
        dataset: of whole frames with times.
        split: that holds the windows.
        every: length of the intervals, minutes, which begin at midnight, UTC; None for all windows.
        limit: number of windows at most, the first ones; None for all.

    Raises:
        InputError: frames without times, or none at all.
        UsageError: several windows of one time.
    """
    windows = dataset.windows
    assert isinstance(windows, FrameWindows)
    times = [windows.times(split, index) for index in range(windows.count(split))]
    known = [one for one in times if one is not None]
    if len(known) < len(times) or not times:
        fix = "name their pattern with --times, or give --step-minutes and files with dates"
        raise InputError("archive", got="frames without times" if times else "no window", expected="times", fix=fix)
    dated = np.stack(known)[:, : dataset.context].astype("datetime64[ms]")
    order = np.argsort(dated[:, -1], kind="stable")
    dated = dated[order]
    if (dated[1:, -1] == dated[:-1, -1]).any():
        fix = "make a hindcast of each place"
        raise UsageError("archive", got="several forecasts of one time", expected="one place", fix=fix)
    if every is not None:
        interval = dated[:, -1].astype(np.int64) // round(every * 60_000)
        is_first = np.diff(interval, prepend=interval[0] - 1) > 0
        order, dated = order[is_first], dated[is_first]
    return Chosen(order.astype(np.int64)[:limit], dated[:limit])


def divide_tasks(chosen: Chosen, size: int = TASK) -> list[HindcastTask]:
    """Divide the forecasts into tasks; months do not share one, so that a month that is over changes no more.

    Args:
        chosen: the windows.
        size: forecasts of a task, at most.
    """
    months = np.datetime_as_string(chosen.context_times[:, -1], unit="M")
    return [task for month in dict.fromkeys(months.tolist()) for task in _divide_month(chosen, months, month, size)]


def _divide_month(chosen: Chosen, months: NDArray[Any], month: str, size: int) -> Iterator[HindcastTask]:
    rows = np.flatnonzero(months == month)
    times = chosen.reference_times
    for number, at in enumerate(range(0, len(rows), size)):
        part = rows[at : at + size]
        windows = tuple(int(chosen.windows[row]) for row in part)
        yield HindcastTask(month, number, int(part[0]), windows, tuple(times[row] for row in part))


def check_continued(before: Sequence[str], now: Sequence[str], where: str) -> None:
    """Check that an archive has grown at its end only, so that each forecast keeps its row.

    Args:
        before: reference times of the store.
        now: those that are asked for.
        where: name of the store, for the error.

    Raises:
        UsageError: it has not.
    """
    if list(now[: len(before)]) == list(before):
        return
    lost = next((time for time in before if time not in set(now)), None)
    got = "an archive with earlier frames than before" if lost is None else f"no forecast of {lost} any more"
    raise UsageError(where, got=got, expected="the same forecasts, and later ones", fix="choose another --out")
