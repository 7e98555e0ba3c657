"""Forecasts among the files of a series: the frames of each start are a sequence of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.data.file_names import forecasts_from_names
from framecast.data.formats.base import FileHeader
from framecast.data.formats.cell_methods import read_time_method
from framecast.data.formats.intervals import CELL_METHODS

_OFTEN = 0.5
"""Share of forecasts with several frames from which on lead times in names are taken as such."""


class SeparateRuns(NamedTuple):
    """Files by forecast; a file that holds several is there several times."""

    groups: list[list[Path]]
    headers: list[FileHeader]
    """In the order of the paths in `groups`, each of the frames that belong there."""
    entries: list[list[int]]
    """Numbers in the file of the frames of each header."""
    notes: list[str]


class _Part(NamedTuple):
    """Frames of one forecast in one file."""

    path: Path
    header: FileHeader
    entries: list[int]


def separate_runs(groups: Sequence[Sequence[Path]], headers: Sequence[FileHeader]) -> SeparateRuns:
    """Make each forecast a group of its own, where files or their names say when these were started.

    Forecasts of one frame each are a series of that lead time. Sums and means of short forecasts that follow one another
    without overlap are the series of these forecasts, as reanalyses have them.

    Args:
        groups: the files, by group.
        headers: in the order of the files.
    """
    remaining = iter(headers)
    separated: list[list[_Part]] = []
    forecasts, joined = 0, 0
    for group in groups:
        parts = [
            _Part(path, header, list(range(header.frames))) for path, header in zip(group, remaining, strict=False)
        ]
        runs = _split_by_run(parts) or _split_by_name(parts)
        if len(runs) > 1 and _follow_one_another(runs):
            joined += len(runs)
            runs = []
        forecasts += len(runs)
        separated += runs or [parts]
    notes = [f"runs: {forecasts} forecasts, each a sequence of its own"] if forecasts else []
    if joined:
        notes.append(f"runs: {joined} forecasts, whose sums or means follow one another, are one series")
    flat = [part for group in separated for part in group]
    return SeparateRuns(
        [[part.path for part in group] for group in separated],
        [part.header for part in flat],
        [part.entries for part in flat],
        notes,
    )


def _split_by_run(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Split frames by the start of their forecast, as the files say it; nothing where there is no reason to."""
    if any(part.header.runs is None or part.header.times is None for part in parts):
        return []
    runs: dict[int, list[_Part]] = {}
    for part in parts:
        starts = np.asarray(part.header.runs).astype("datetime64[ms]").astype(np.int64)
        for start in np.unique(starts).tolist():
            runs.setdefault(start, []).append(_select(part, np.flatnonzero(starts == start).tolist()))
    return [runs[start] for start in sorted(runs)] if len(runs) > 1 and any(map(_has_steps, runs.values())) else []


def _split_by_name(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Split files by their names without the lead time; nothing where these are not of several forecasts."""
    labels = forecasts_from_names([part.path.name for part in parts])
    if labels is None or any(part.header.runs is not None for part in parts):
        return []
    runs: dict[str, list[_Part]] = {}
    for label, part in zip(labels, parts, strict=True):
        runs.setdefault(label, []).append(part)
    often = np.mean([_has_steps(members) for members in runs.values()]) >= _OFTEN
    return list(runs.values()) if len(runs) > 1 and often else []


def _select(part: _Part, chosen: list[int]) -> _Part:
    """Select frames of a file by their numbers."""
    times, clock, runs = (
        None if values is None else values[chosen]
        for values in (part.header.times, part.header.clock, part.header.runs)
    )
    header = part.header._replace(frames=len(chosen), times=times, clock=clock, runs=runs)
    return _Part(part.path, header, [part.entries[index] for index in chosen])


def _has_steps(parts: Sequence[_Part]) -> bool:
    """Whether a forecast has several frames: of several times, where these are known."""
    times = [part.header.times for part in parts]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return sum(part.header.frames for part in parts) > 1
    return len(np.unique(np.concatenate(known))) > 1


def _follow_one_another(runs: Sequence[Sequence[_Part]]) -> bool:
    """Whether frames are sums or means, and those of each forecast begin when those of the one before have ended."""
    ends = []
    for parts in runs:
        times = [part.header.times for part in parts if part.header.times is not None]
        methods = {method for part in parts for method in part.header.grid.cell_methods or ("",)}
        if not times or not all(
            read_time_method({"cell_methods": method}, ()).kind in CELL_METHODS for method in methods
        ):
            return False
        ends.append((np.concatenate(times).min(), np.concatenate(times).max()))
    ends.sort()
    return all(first[1] < second[0] for first, second in itertools.pairwise(ends))
