"""File series: many files as one lazy array of frames in order of time."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.fingerprint import DIGITS, digest_file
from framecast.data.formats.base import AbsentError, FileAttributes, FileHeader, Reader, StoredArray
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.data.times import (
    ALIKE,
    Timeline,
    counters_from_names,
    order_frames,
    times_from_names,
    times_from_pattern,
)
from framecast.data.units import canonical_units
from framecast.errors import InputError
from framecast.types import Grid

Groups = Sequence[Sequence[Path]]
"""Files by group; within a group they follow one another in time."""
TOGETHER = 1 << 25
"""Approximate number of values in one read, however many frames a file packs together."""


class FrameStack:
    """Lazy array (T, C, H, W) of the frames of files: no values are kept in memory.

    Args:
        reader: of the format of the files.
        files: the files that `indices` count.
        indices: (T, 2), the file of each frame and its number therein.
        header: shape and dtype that the files have in common.
    """

    def __init__(self, reader: Reader, files: Sequence[Path], indices: NDArray[np.int64], header: FileHeader) -> None:
        self.shape: tuple[int, ...] = (len(indices), *header.shape)
        self.dtype = header.dtype
        self._reader, self._files, self._indices = reader, list(files), indices

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part; the first of four slices is of time."""
        times, *rest = key if isinstance(key, tuple) else (key,)
        parts = []
        # neighbours in one file are read together: each opening may unpack the whole file
        for file, members in itertools.groupby(self._indices[times].tolist(), key=lambda pair: pair[0]):
            within = [index for _, index in members]
            path = self._files[file]
            frames = self._reader.read(path, within)
            expected = (len(within), *self.shape[1:])
            if frames.shape != expected:
                raise InputError(str(path), got=f"shape {frames.shape}", expected=f"{expected} as its header says")
            parts.append(frames[(slice(None), *rest)])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_series(reader: Reader, groups: Groups, root: Path, pattern: str | None, step: float | None) -> StoredArray:
    """Read the headers of all files and put their frames in order of time.

    Args:
        reader: of the format of the files.
        groups: the files, by group.
        root: file or folder that the user named, for errors.
        pattern: pattern of the times in the names of files, or None.
        step: minutes between frames that the user gives, or None.

    Raises:
        InputError: files that do not fit together, or one that cannot be used.
    """
    groups, headers, notes = _read_headers(reader, groups)
    files = [path for group in groups for path in group]
    first = headers[0]
    if pattern is None:
        groups, film_notes = _separate_films(groups, headers)
        notes += film_notes
    for path, header in zip(files[1:], headers[1:], strict=True):
        _check_compatible(files[0], first, path, header)
    if sum(header.frames for header in headers) > SERIES_LIMIT:
        raise InputError(str(root), got="too many frames", expected=f"at most {SERIES_LIMIT}")
    timeline, time_notes = _order_by_time(groups, headers, pattern, step, root)
    grain = max(1, min(first.grain, len(timeline.order), TOGETHER // math.prod(first.shape)))
    if grain < min(first.grain, len(timeline.order)):
        slow = f"chunks: {first.grain} frames are packed together; each reading unpacks all of them, which is slow"
        notes.append(f"{slow}: rechunk to fewer")
    indices = np.array([(f, i) for f, header in enumerate(headers) for i in range(header.frames)], np.int64)
    # a run is one part along t; the second part of a clip is empty
    clips = np.array([[[begin, length], [begin + length, 0]] for begin, length in timeline.runs], np.int64)
    summary = _describe(reader, files, len(timeline.order), len(groups))
    notes = [summary, *notes, *first.notes, *time_notes, *timeline.notes]
    return StoredArray(
        array=FrameStack(reader, files, indices[timeline.order], first),
        grain=(grain, *first.shape),
        attributes=FileAttributes("tchw", missing=first.missing, units=first.units, step_minutes=timeline.step_minutes),
        clips=clips,
        own_layout=False,
        notes=notes,
        about=reader.name,
        grid=first.grid,
        timeline=timeline,
        files=tuple(files),
    )


def _read_headers(reader: Reader, groups: Groups) -> tuple[Groups, list[FileHeader], list[str]]:
    """Read the headers of all files; those without the requested variable are left out, unless that leaves none."""
    kept_groups: list[list[Path]] = []
    headers = []
    absent: list[AbsentError] = []
    for group in groups:
        kept_groups.append([])
        for path in group:
            try:
                headers.append(reader.read_header(path))
                kept_groups[-1].append(path)
            except AbsentError as error:
                absent.append(error)
    if not headers:
        raise absent[0]
    notes = [f"left out: {len(absent)} files without the variable that is wanted"] if absent else []
    return [group for group in kept_groups if group], headers, notes


def _separate_films(groups: Groups, headers: Sequence[FileHeader]) -> tuple[Groups, list[str]]:
    """Make each film a group of its own: nothing says that one film goes on where another ends."""
    separate: list[list[Path]] = []
    remaining = iter(headers)
    for group in groups:
        members = [next(remaining) for _ in group]
        films = any(header.frames > 1 and header.times is None for header in members)
        separate += [[path] for path in group] if films else [list(group)]
    several = len(separate) > len(groups)
    return separate, ["sequences: each file is one, as its frames have no times"] if several else []


def fingerprint_files(files: Sequence[Path], root: Path) -> str:
    """Compute 16 hex digits of a sha256 over the names and contents of files.

    Args:
        files: the files, or folders of them, in order.
        root: file or folder from which names count.
    """
    total = hashlib.sha256()
    for path in files:
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix().encode("utf-8", "surrogateescape")
        for part in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            inner = part.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
            total.update(len(name).to_bytes(8, "little") + name + inner + digest_file(part))
    return total.hexdigest()[:DIGITS]


def _describe(reader: Reader, files: Sequence[Path], frames: int, groups: int) -> str:
    counted = f"{len(files)} files" if len(files) > 1 else "one file"
    grouped = f" in {groups} groups" if groups > 1 else ""
    return f"read as: {reader.name}, {counted}{grouped}, {frames} frames"


def _check_compatible(first_path: Path, first: FileHeader, path: Path, header: FileHeader) -> None:
    faults = [
        ("frames", "x".join(map(str, first.shape)), "x".join(map(str, header.shape))),
        ("units", first.units, header.units),
        ("units by channel", *([canonical_units(unit) for unit in grid.units] for grid in (first.grid, header.grid))),
        ("variables", first.grid.variables, header.grid.variables),
        ("a missing code", first.missing, header.missing),
        ("a grid", round_corners(first.grid), round_corners(header.grid)),
        ("values of", first.dtype, header.dtype),
        ("times of the calendar", _name_calendar(first.grid), _name_calendar(header.grid)),
    ]
    for what, expected, got in faults:
        if got != expected:
            fix = "put files of one kind into one folder, or name a variable with --var"
            raise InputError(str(path), got=f"{what} {got}", expected=f"{expected}, as in {first_path.name}", fix=fix)


def _name_calendar(grid: Grid) -> str:
    """Name a calendar; "standard" for all whose times numpy can hold."""
    return "standard" if grid.time_origin is None else grid.calendar


def round_corners(grid: Grid) -> tuple[object, ...]:
    """Ends of both axes to six digits, and the CRS: files of one radar differ in the last bits of their coordinates."""
    ends = [tuple(float(f"{value:.6g}") for value in (axis[0], axis[-1])) if axis else () for axis in (grid.y, grid.x)]
    return (*ends, grid.crs)


def _order_by_time(
    groups: Groups, headers: Sequence[FileHeader], pattern: str | None, step: float | None, root: Path
) -> tuple[Timeline, list[str]]:
    """Order frames by times from the pattern, else from the files, else from their names; else by the names' counter."""
    names = [path.name for group in groups for path in group]
    counts = [header.frames for header in headers]
    is_one_frame_each = set(counts) == {1}
    sizes, at = [], 0
    for group in groups:
        sizes.append(sum(counts[at : at + len(group)]))
        at += len(group)
    step = step if step is not None else _find_common_step(headers, root)
    if pattern is not None:
        times = times_from_pattern(names, pattern)
        return order_frames(sizes, _spread_times(times, counts, step), None, step), [
            f"times: from the names, {pattern}"
        ]
    if all(header.times is not None for header in headers):
        times = np.concatenate([header.times for header in headers if header.times is not None])
        return order_frames(sizes, times, None, step), ["times: from the files"]
    name_times = times_from_names(names, sizes) if is_one_frame_each else None
    if name_times is not None:
        return order_frames(sizes, name_times, None, step), ["times: from the names of the files"]
    if all(header.clock is not None for header in headers):
        clock = np.concatenate([header.clock for header in headers if header.clock is not None])
        # the clock of a film starts at 0: it orders the frames within one file only
        is_one_file_each = all(len(group) == 1 for group in groups)
        return order_frames(sizes, None, clock if is_one_file_each else None, step), [
            "times: seconds in the file, no date"
        ]
    counters = _read_counters(groups) if is_one_frame_each else None
    how = "order: by the number in the names" if counters is not None else "order: by name"
    return order_frames(sizes, None, counters, step), [f"times: none found; {how}"]


def _find_common_step(headers: Sequence[FileHeader], root: Path) -> float | None:
    """Find the step on which the headers agree, minutes; None where no header states one."""
    steps = [header.step_minutes for header in headers if header.step_minutes is not None]
    if steps and max(steps) > (1 + ALIKE) * min(steps):
        got = f"frames {60 * min(steps):.4g} to {60 * max(steps):.4g} s apart"
        fix = "put films of one frame rate into one folder, or say --step-minutes where the files are wrong"
        raise InputError(str(root), got=got, expected="one step", fix=fix)
    return steps[0] if steps else None


def _spread_times(times: NDArray[Any], counts: Sequence[int], step: float | None) -> NDArray[Any]:
    """Turn the times of files, each that of its first frame, into times of their frames."""
    if set(counts) == {1}:
        return times
    if step is None:
        raise InputError(
            "--times", got="files of several frames", expected="a known step", fix="give data.step_minutes"
        )
    interval = np.timedelta64(round(step * 60_000), "ms")
    return np.concatenate([time + interval * np.arange(count) for time, count in zip(times, counts, strict=True)])


def _read_counters(groups: Groups) -> NDArray[np.float64] | None:
    counters = [counters_from_names([path.name for path in group]) for group in groups]
    if any(part is None for part in counters):
        return None
    return np.concatenate([part for part in counters if part is not None]).astype(np.float64)
