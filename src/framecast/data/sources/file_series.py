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

from framecast.data.addresses import StoreAddress
from framecast.data.file_names import counters_from_names, times_from_names, times_from_pattern
from framecast.data.fingerprint import DIGITS, digest_file, list_contents
from framecast.data.formats.base import AbsentError, FileAttributes, FileHeader, Reader, StoredArray
from framecast.data.formats.geotiff import find_mask_file
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.data.missing_values import MissingValues
from framecast.data.sources.footprint import are_one_grid, describe_corners
from framecast.data.sources.forecast_runs import separate_runs
from framecast.data.times import ALIKE, Timeline, order_frames
from framecast.data.units import canonical_units
from framecast.errors import InputError
from framecast.types import Grid

Groups = Sequence[Sequence[Path]]
"""Files by group; within a group they follow one another in time."""
COMPARED = 200
"""Largest number of duplicates whose values are compared, spread evenly."""
DOUBTFUL = 0.25
"""Share of all frames from which on duplicates of other values are no copies, but other data."""
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
    runs = separate_runs(groups, headers)
    timeline, time_notes = _order_by_time(runs.groups, runs.headers, pattern, step, root)
    grain = max(1, min(first.grain, len(timeline.order), TOGETHER // math.prod(first.shape)))
    if grain < min(first.grain, len(timeline.order)):
        slow = f"chunks: {first.grain} frames are packed together; each reading unpacks all of them, which is slow"
        notes.append(f"{slow}: rechunk to fewer")
    numbers = {path: number for number, path in enumerate(files)}
    parts = zip((path for group in runs.groups for path in group), runs.entries, strict=True)
    indices = np.array([(numbers[path], index) for path, entries in parts for index in entries], np.int64)
    frames = FrameStack(reader, files, indices, first)
    names = [f"{files[file].name}{_number(headers[file], index)}" for file, index in indices.tolist()]
    copy_notes = _check_copies(frames, timeline, names, root)
    # a run is one part along t; the second part of a clip is empty
    clips = np.array([[[begin, length], [begin + length, 0]] for begin, length in timeline.runs], np.int64)
    summary = _describe(reader, files, len(timeline.order), len(groups))
    notes = [summary, *notes, *_gather_notes(files, headers), *runs.notes, *time_notes, *timeline.notes, *copy_notes]
    attributes = first.stored
    if attributes is None:
        attributes = FileAttributes(missing=None if first.missing is None else MissingValues((first.missing,)))
    return StoredArray(
        array=FrameStack(reader, files, indices[timeline.order], first),
        grain=(grain, *first.shape),
        attributes=attributes._replace(
            dims="tchw",
            units=first.units,
            step_minutes=timeline.step_minutes,
            step_months=timeline.step_months,
        ),
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


def _number(header: FileHeader, index: int) -> str:
    """Number of a frame in words, where its file has several."""
    return f" frame {index + 1}" if header.frames > 1 else ""


def _check_copies(frames: FrameStack, timeline: Timeline, names: Sequence[str], root: Path) -> list[str]:
    """Compare frames that are left out with those of the same time that are used; name the first two that differ.

    Raises:
        InputError: so many differ that they are other data: another camera, height or sum.
    """
    pairs = timeline.copies[:: -(-timeline.duplicates // COMPARED) or 1].tolist()
    differing = [
        (names[used], names[left])
        for used, left in pairs
        if not np.array_equal(frames[used : used + 1], frames[left : left + 1], equal_nan=frames.dtype.kind == "f")
    ]
    if not differing:
        return []
    used, left = differing[0]
    part = f"{len(differing)} of {len(pairs)}" + (" that were compared" if len(pairs) < timeline.duplicates else "")
    if len(differing) / len(pairs) * timeline.duplicates > DOUBTFUL * len(names):
        got = f"frames of one time with other values: {part}, as {used} and {left}"
        fix = "put each kind of frames into a folder of its own, and delete what is not wanted"
        fix = "cut out one of each time first" if root.is_file() else fix
        raise InputError(str(root), got=got, expected="one frame for each time", fix=fix)
    return [f"times: of these duplicates {part} have other values; {used} is used, {left} is not: look which is right"]


def fingerprint_files(files: Sequence[Path], root: Path) -> str:
    """Compute 16 hex digits of a sha256 over the names and contents of files.

    Args:
        files: the files, or folders of them, in order.
        root: file or folder from which names count, or the address of a store.
    """
    if isinstance(root, StoreAddress):
        return root.fingerprint()
    total = hashlib.sha256()
    for path in files:
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix().encode("utf-8", "surrogateescape")
        for part in [path] if path.is_file() else list_contents(path):
            inner = part.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
            total.update(len(name).to_bytes(8, "little") + name + inner + digest_file(part))
        mask = find_mask_file(path)
        if mask is not None:
            total.update(b"mask" + digest_file(mask))
    return total.hexdigest()[:DIGITS]


def _gather_notes(files: Sequence[Path], headers: Sequence[FileHeader]) -> list[str]:
    """Gather the notes of all files, each once, with the name of the first that has it where not all files do."""
    holders: dict[str, list[str]] = {}
    for path, header in zip(files, headers, strict=True):
        for note in header.notes:
            holders.setdefault(note, []).append(path.name)
    notes = []
    for note, names in holders.items():
        others = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        notes.append(note if len(names) == len(files) else f"{note} ({names[0]}{others})")
    return notes


def _describe(reader: Reader, files: Sequence[Path], frames: int, groups: int) -> str:
    counted = f"{len(files)} files" if len(files) > 1 else "one file"
    grouped = f" in {groups} groups" if groups > 1 else ""
    return f"read as: {reader.name}, {counted}{grouped}, {frames} frames"


def _check_compatible(first_path: Path, first: FileHeader, path: Path, header: FileHeader) -> None:
    is_one_grid = are_one_grid(first.grid, header.grid)
    faults = [
        ("frames", "x".join(map(str, first.shape)), "x".join(map(str, header.shape))),
        ("units", first.units, header.units),
        ("units by channel", *([canonical_units(unit) for unit in grid.units] for grid in (first.grid, header.grid))),
        ("variables", first.grid.variables, header.grid.variables),
        ("a missing code", first.missing, header.missing),
        ("scale, offset and missing code", *(each.stored and each.stored[1:4] for each in (first, header))),
        ("a grid", *map(describe_corners, (first.grid, first.grid if is_one_grid else header.grid))),
        ("values of", first.dtype, header.dtype),
        ("times of the calendar", _name_calendar(first.grid), _name_calendar(header.grid)),
    ]
    for what, expected, got in faults:
        if got != expected:
            fix = "put files of one kind into one folder"
            if what == "variables" and set(first.grid.variables) != set(header.grid.variables):
                got, expected = (", ".join(names) for names in (header.grid.variables, first.grid.variables))
                fix += ", or name the one to read with --var"
            raise InputError(str(path), got=f"{what} {got}", expected=f"{expected}, as in {first_path.name}", fix=fix)


def _name_calendar(grid: Grid) -> str:
    """Name a calendar; "standard" for all whose times numpy can hold."""
    return "standard" if grid.time_origin is None else grid.calendar


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
    grid = headers[0].grid
    if pattern is not None:
        found = times_from_pattern(names, pattern)
        timeline = order_frames(sizes, _spread_times(found.values, counts, step), None, step, grid)
        return timeline, [f"times: from the names, {pattern}", *found.notes]
    if all(header.times is not None for header in headers):
        times = np.concatenate([header.times for header in headers if header.times is not None])
        return order_frames(sizes, times, None, step, grid), ["times: from the files"]
    name_times = times_from_names(names, sizes) if is_one_frame_each else None
    if name_times is not None:
        timeline = order_frames(sizes, name_times.values, None, step, grid)
        return timeline, ["times: from the names of the files", *name_times.notes]
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
        raise InputError("--times", got="files of several frames", expected="a known step", fix="give --step-minutes")
    interval = np.timedelta64(round(step * 60_000), "ms")
    return np.concatenate([time + interval * np.arange(count) for time, count in zip(times, counts, strict=True)])


def _read_counters(groups: Groups) -> NDArray[np.float64] | None:
    counters = [counters_from_names([path.name for path in group]) for group in groups]
    if any(part is None for part in counters):
        return None
    return np.concatenate([part for part in counters if part is not None])
