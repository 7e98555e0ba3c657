"""The order of frames in time: sorted, duplicates dropped, cut where a frame is missing, so that no window crosses."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError

TOLERANCE = 0.25
"""Share of a step by which a frame may come early or late without being a gap: instruments jitter, months differ."""
REGULAR = 0.5
"""Least share of steps that are alike, for numbers and clocks of videos to count as regular at all."""
ALIKE = 0.01
"""Share by which the steps of groups may differ."""
TOLD = 5
"""So many gaps are told one by one."""


class Timeline(NamedTuple):
    """Frames in order."""

    order: NDArray[np.int64]
    """Number of each frame to use, as it lies in the files."""
    times: NDArray[Any] | None
    """Of each of these, UTC; None where unknown."""
    runs: list[tuple[int, int]]
    """(first, length) of stretches without a gap, places in `order`."""
    latest: list[int]
    """The last run of each group of files: what a forecast goes on from."""
    step_minutes: float | None
    duplicates: int
    disorder: int
    """Frames that lay after a later one."""
    gaps: list[str]
    """One line each."""
    missing: int
    """Frames that would fill the gaps."""

    @property
    def notes(self) -> list[str]:
        """What was found, one line each."""
        lines = []
        if self.duplicates:
            lines.append(f"times: {self.duplicates} frames of a time that was there already are left out")
        if self.disorder:
            lines.append(f"times: {self.disorder} frames were not in order; sorted")
        if self.gaps:
            more = f" and {len(self.gaps) - TOLD} more" if len(self.gaps) > TOLD else ""
            lines.append(f"gaps: {len(self.gaps)}, no window crosses one: {'; '.join(self.gaps[:TOLD])}{more}")
        return lines


class _Group(NamedTuple):
    order: NDArray[np.int64]
    breaks: NDArray[np.int64]
    """Places after which a run begins anew."""
    steps: NDArray[np.float64]
    """Length of each break, steps."""
    step: float
    duplicates: int
    disorder: int


def timeline(
    groups: Sequence[int], times: NDArray[Any] | None, clock: NDArray[np.float64] | None, step: float | None
) -> Timeline:
    """Put frames in order.

    Args:
        groups: frames in each group (a folder, a video); windows never cross from one to the next.
        times: of each frame, or None.
        clock: in place of times, numbers that grow with time (a counter in names, seconds in a video), or None.
        step: minutes between frames where it is known; found from the times where it is not.

    Raises:
        InputError: groups of different steps.
    """
    seconds = None if times is None else (times - times.min()).astype("timedelta64[ms]").astype(np.float64) / 1000
    usual = None if step is None else step * 60
    if seconds is not None and usual is None:
        usual = _common(np.split(seconds, np.cumsum(groups)[:-1]))
    order, runs, latest, gaps = [], [], [], []
    found: list[_Group] = []
    at, place = 0, 0
    for count in groups:
        if seconds is not None:
            group = _sorted(seconds[at : at + count], usual, strict=True)
        elif clock is not None:
            group = _sorted(clock[at : at + count], None, strict=False)
        else:
            group = _Group(np.arange(count), np.empty(0, np.int64), np.empty(0), 0.0, 0, 0)
        found.append(group)
        order.append(group.order + at)
        edges = [0, *(group.breaks + 1).tolist(), len(group.order)]
        runs += [(place + begin, end - begin) for begin, end in itertools.pairwise(edges)]
        latest.append(len(runs) - 1)
        for after, length in zip(group.breaks.tolist(), group.steps.tolist(), strict=True):
            first = order[-1][after]
            where = f"after {_told(times[first])}" if times is not None else f"after frame {place + after + 1}"
            gaps.append(f"{where} ({length:.3g} steps)")
        at, place = at + count, place + len(group.order)
    whole = np.concatenate(order)
    steps = [group.step for group in found if group.step > 0]
    minutes = float(np.median(steps)) / 60 if steps and times is not None else None
    return Timeline(
        order=whole,
        times=None if times is None else times[whole].astype("datetime64[ms]"),
        runs=runs,
        latest=latest,
        step_minutes=step if step is not None else minutes,
        duplicates=sum(group.duplicates for group in found),
        disorder=sum(group.disorder for group in found),
        gaps=gaps,
        missing=sum(max(0, round(float(length)) - 1) for group in found for length in group.steps),
    )


def _sorted(clock: NDArray[np.float64], step: float | None, *, strict: bool) -> _Group:
    order = np.argsort(clock, kind="stable")
    sorted_clock = clock[order]
    fresh = np.concatenate([[True], np.diff(sorted_clock) > 0])
    disorder = int((np.diff(clock) < 0).sum())
    order, steps = order[fresh], np.diff(sorted_clock[fresh])
    duplicates = int((~fresh).sum())
    if not len(steps):
        return _Group(order, np.empty(0, np.int64), np.empty(0), step or 0.0, duplicates, disorder)
    usual = step or _usual(steps)
    alike = np.abs(steps - usual) <= TOLERANCE * usual
    if not strict and alike.mean() < REGULAR:
        return _Group(order, np.empty(0, np.int64), np.empty(0), usual, duplicates, disorder)
    breaks = np.flatnonzero(~alike)
    return _Group(order, breaks, steps[breaks] / usual, usual, duplicates, disorder)


def _common(groups: Sequence[NDArray[np.float64]]) -> float | None:
    """The step of all groups, seconds; None where there is none. Those that are short or irregular have no say in it.

    Raises:
        InputError: groups of different steps.
    """
    found, sure = [], []
    for clock in groups:
        steps = np.diff(np.unique(clock))
        if len(steps):
            found.append(_usual(steps))
            near = np.abs(steps - found[-1]) <= ALIKE * found[-1]
            sure += [found[-1]] * bool(near.sum() > 1 and near.mean() >= REGULAR)
    if sure and max(sure) > (1 + ALIKE) * min(sure):
        got = f"frames {min(sure) / 60:g} to {max(sure) / 60:g} min apart in different folders"
        fix = "give folders of one step together, or say which step is meant with --step-minutes"
        raise InputError("times", got=got, expected="one step", fix=fix)
    return float(np.median(sure or found)) if found else None


def _usual(steps: NDArray[np.float64]) -> float:
    """The commonest step, to a thousandth; where all differ the median, or the least if they are far apart."""
    values, counts = np.unique(steps.round(3), return_counts=True)
    if counts.max() > 1:
        return float(values[counts.argmax()])
    return float(np.median(steps)) if values[-1] < (1 + 2 * TOLERANCE) * values[0] else float(values[0])


def _told(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ")
