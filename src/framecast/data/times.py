"""Order, gaps and duplicates of frames by their times."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import count_steps, format_times, number_months, number_parts
from framecast.errors import InputError
from framecast.types import Grid

TOLERANCE = 0.25
"""Share of a step by which a frame may come early or late without being a gap: instruments jitter, months differ."""
REGULAR = 0.5
"""Share of equal steps from which on counters in names and clocks of videos count as regular."""
ALIKE = 0.01
"""Share by which the steps of groups of files may differ."""
QUANTUM = 0.0015
"""Seconds by which steps differ that are one when counted in milliseconds."""
LISTED_GAPS = 5
"""Largest number of gaps that a note lists one by one."""


class Timeline(NamedTuple):
    """Order of frames in time, and the gaps between them."""

    order: NDArray[np.int64]
    """Number of each frame that is used, counted over the files in their given order."""
    times: NDArray[Any] | None
    """Time of each frame in `order`, UTC; None where unknown."""
    runs: list[tuple[int, int]]
    """(first, length) of each stretch without a gap, as indices of `order`."""
    latest: list[int]
    """Last run of each group of files, which a forecast of the future continues; index of `runs`."""
    step_minutes: float | None
    step_months: int | None
    """Calendar months between frames, where they lie whole months apart."""
    copies: NDArray[np.int64]
    """(duplicates, 2): a frame that is used, and one of the same time that is left out; numbers as in `order`."""
    disorder: int
    """Frames that lay after a later one."""
    gaps: list[str]
    """Position and length of each gap, one line each."""
    missing: int
    """Frames that would fill the gaps."""

    @property
    def duplicates(self) -> int:
        """Frames that are left out, as another has their time."""
        return len(self.copies)

    @property
    def notes(self) -> list[str]:
        """Duplicates, disorder and gaps in words, one line each."""
        lines = []
        if self.duplicates:
            lines.append(f"times: {self.duplicates} frames of a time that was there already are left out")
        if self.disorder:
            lines.append(f"times: {self.disorder} frames were not in order; sorted")
        if self.gaps:
            more = f" and {len(self.gaps) - LISTED_GAPS} more" if len(self.gaps) > LISTED_GAPS else ""
            lines.append(f"gaps: {len(self.gaps)}, no window crosses one: {'; '.join(self.gaps[:LISTED_GAPS])}{more}")
        return lines


class _Group(NamedTuple):
    """Order of the frames of one group of files."""

    order: NDArray[np.int64]
    breaks: NDArray[np.int64]
    """Indices of `order` after which a run begins anew."""
    steps: NDArray[np.float64]
    """Length of each break, in steps."""
    step: float
    """Seconds between frames; 0 where unknown."""
    copies: NDArray[np.int64]
    disorder: int


def order_frames(
    groups: Sequence[int],
    times: NDArray[Any] | None,
    clock: NDArray[np.float64] | None,
    step: float | None,
    grid: Grid | None = None,
) -> Timeline:
    """Put frames in order of time, and find gaps and duplicates.

    Args:
        groups: frames in each group (a folder, a video); windows never cross from one to the next.
        times: time of each frame, UTC, or None.
        clock: instead of times, numbers that grow with time (a counter in names, seconds in a video), or None.
        step: minutes between frames, where known; None to derive them from the times, which may lie whole months apart.
        grid: of the data, names the calendar of the times; None for the standard calendar.

    Raises:
        InputError: groups of different steps.
    """
    seconds, months, part = _measure_times(groups, times, step, grid or Grid())
    step_seconds = None if step is None else step * 60
    if seconds is not None and step is None:
        step_seconds = _find_common_step(np.split(seconds, np.cumsum(groups)[:-1]))
    order, copies, runs, latest, gaps, at, index = [], [], [], [], [], 0, 0
    sorted_groups: list[_Group] = []
    for count in groups:
        if seconds is not None:
            group = _sort_group(seconds[at : at + count], step_seconds, strict=True)
        elif clock is not None:
            group = _sort_group(clock[at : at + count], None, strict=False)
        else:
            group = _Group(np.arange(count), np.empty(0, np.int64), np.empty(0), 0.0, np.empty((0, 2), np.int64), 0)
        sorted_groups.append(group)
        order.append(group.order + at)
        copies.append(group.copies + at)
        edges = [0, *(group.breaks + 1).tolist(), len(group.order)]
        runs += [(index + begin, end - begin) for begin, end in itertools.pairwise(edges)]
        latest.append(len(runs) - 1)
        for after, length in zip(group.breaks.tolist(), group.steps.tolist(), strict=True):
            first = order[-1][after]
            where = f"after {_format_time(times[first])}" if times is not None else f"after frame {index + after + 1}"
            gaps.append(f"{where} ({length:.3g} steps)")
        at, index = at + count, index + len(group.order)
    whole = np.concatenate(order)
    steps = [group.step for group in sorted_groups if group.step > 0]
    usual = float(np.median(steps)) if steps and times is not None else None
    return Timeline(
        order=whole,
        times=None if times is None else times[whole].astype("datetime64[ms]"),
        runs=runs,
        latest=latest,
        step_minutes=step if step or usual is None else part or _convert_step(usual, times, months) / 60,
        step_months=None if months is None or usual is None else round(usual),
        copies=np.concatenate(copies),
        disorder=sum(group.disorder for group in sorted_groups),
        gaps=gaps,
        missing=sum(max(0, round(float(length)) - 1) for group in sorted_groups for length in group.steps),
    )


def count_absent(
    before: np.datetime64,
    after: np.datetime64,
    step_minutes: float | None,
    step_months: int | None,
    grid: Grid,
    limit: int,
) -> int | None:
    """Count the frames that are absent between two frames, by their times.

    Args:
        before: time of a frame, UTC.
        after: time of the next frame that is there.
        step_minutes: minutes between frames, where known.
        step_months: calendar months between frames, where they lie whole months apart.
        grid: of the data, names the calendar.
        limit: most frames to count.

    Returns:
        0 to `limit`; None where more are absent, the step is unknown, or the frames lie no whole number of steps apart.
    """
    if step_minutes is None:
        return None
    expected = count_steps(np.array([before]), np.arange(1, limit + 2), step_minutes, step_months, grid)
    distance = np.abs(expected - after) / np.timedelta64(60_000, "ms")
    near = np.flatnonzero(distance <= TOLERANCE * step_minutes)
    return int(near[0]) if len(near) else None


def _convert_step(usual: float, times: NDArray[Any] | None, months: NDArray[np.float64] | None) -> float:
    """Convert the usual step to seconds: where it is counted in months, the commonest distance of times."""
    if months is None or times is None:
        return usual
    return _find_usual_step(np.diff(np.unique(times)) / np.timedelta64(1000, "ms"))


def _count_in_months(groups: Sequence[int], times: NDArray[Any], grid: Grid) -> NDArray[np.float64] | None:
    """Number the month of each frame where those of each group lie whole months apart; None elsewhere."""
    moments, where = np.unique(times, return_inverse=True)
    parts = [np.unique(part) for part in np.split(times, np.cumsum(groups)[:-1])]
    months = number_months(moments, grid) if max(map(len, parts)) > 1 else None
    return None if months is None else months[where.ravel()].astype(np.float64)


def _measure_times(
    groups: Sequence[int], times: NDArray[Any] | None, step: float | None, grid: Grid
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None, float | None]:
    """Measure times by numbers whose steps are equal: seconds, or months or parts of them, which differ in seconds.

    Returns:
        numbers; the same where they are months, else None; length of a part of a month in minutes, where they are those.
    """
    if times is None:
        return None, None, None
    seconds = (times - times.min()).astype("timedelta64[ms]").astype(np.float64) / 1000
    months = None if step is not None else _count_in_months(groups, times, grid)
    if step is not None or months is not None:
        return seconds if months is None else months, months, None
    moments, where = np.unique(times, return_inverse=True)
    parts = number_parts(moments, grid) if len(groups) == 1 else None
    return (seconds, None, None) if parts is None else (parts[0][where.ravel()].astype(np.float64), None, parts[1])


def _sort_group(clock: NDArray[np.float64], step: float | None, *, strict: bool) -> _Group:
    """Sort the frames of a group; an irregular clock has gaps only where `strict`, as times do."""
    order = np.argsort(clock, kind="stable")  # of frames of one time the first in the files stays
    sorted_clock = clock[order]
    fresh = np.concatenate([[True], np.diff(sorted_clock) > 0])
    disorder = int((np.diff(clock) < 0).sum())
    copies = np.stack([order[fresh][np.cumsum(fresh) - 1], order], 1)[~fresh]
    order, steps = order[fresh], np.diff(sorted_clock[fresh])
    if not len(steps):
        return _Group(order, np.empty(0, np.int64), np.empty(0), step or 0.0, copies, disorder)
    usual = step or _find_usual_step(steps)
    regular = np.abs(steps - usual) <= TOLERANCE * usual
    if not strict and regular.mean() < REGULAR:
        return _Group(order, np.empty(0, np.int64), np.empty(0), usual, copies, disorder)
    breaks = np.flatnonzero(~regular)
    return _Group(order, breaks, steps[breaks] / usual, usual, copies, disorder)


def _find_common_step(groups: Sequence[NDArray[np.float64]]) -> float | None:
    """Find the step that groups share, seconds; None where no group has two frames. Irregular groups have no say.

    Raises:
        InputError: groups of different steps.
    """
    all_steps, regular = [], []
    for clock in groups:
        steps = np.diff(np.unique(clock))
        if len(steps):
            usual = _find_usual_step(steps)
            all_steps.append(usual)
            near = np.abs(steps - usual) <= ALIKE * usual
            regular += [usual] * bool(near.sum() > 1 and near.mean() >= REGULAR)
    if regular and max(regular) > (1 + ALIKE) * min(regular):
        got = f"frames {min(regular) / 60:g} to {max(regular) / 60:g} min apart in different folders"
        fix = "give folders of one step together, or say which step is meant with --step-minutes"
        raise InputError("times", got=got, expected="one step", fix=fix)
    return float(np.median(regular or all_steps)) if all_steps else None


def _find_usual_step(steps: NDArray[np.float64]) -> float:
    """Find the commonest step, to a thousandth; where all differ the median, or the least if they are far apart."""
    values, counts = np.unique(steps.round(3), return_counts=True)
    if counts.max() > 1:
        # the mean of what clocks of milliseconds make of one step: 33, 33 and 34 ms of a film
        return float(steps[np.abs(steps - values[counts.argmax()]) < QUANTUM].mean())
    return float(np.median(steps)) if values[-1] < (1 + 2 * TOLERANCE) * values[0] else float(values[0])


def _format_time(time: np.datetime64) -> str:
    return str(format_times(np.array([time]))[0]).replace("T", " ")
