"""Many files as one array of frames, read when asked for."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.fingerprint import DIGITS, file_digest
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
"""Values that are read at once, about, however many frames a file packs together."""


class FrameStack:
    """Frames of files as an array (T, C, H, W); nothing is held.

    Args:
        family: reads a file.
        files: all of them.
        places: (T, 2), the file of each frame and its number therein.
        leaf: what the files have in common.
    """

    def __init__(self, family: Reader, files: Sequence[Path], places: NDArray[np.int64], leaf: FileHeader) -> None:
        self.shape: tuple[int, ...] = (len(places), *leaf.shape)
        self.dtype = leaf.dtype
        self._family, self._files, self._places = family, list(files), places

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part; the first of four slices is of time."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        wanted = self._places[first]
        parts = []
        for file, members in itertools.groupby(wanted.tolist(), key=lambda place: place[0]):
            indices = [index for _, index in members]
            path = self._files[file]
            frames = self._family.read(path, indices)
            expected = (len(indices), *self.shape[1:])
            if frames.shape != expected:
                raise InputError(str(path), got=f"shape {frames.shape}", expected=f"{expected} as its header says")
            parts.append(frames[(slice(None), *rest)])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_series(family: Reader, groups: Groups, root: Path, pattern: str | None, step: float | None) -> StoredArray:
    """Look at all files and put their frames in order of time.

    Args:
        family: of the files.
        groups: the files.
        root: what the user named, for errors.
        pattern: of times in the names of files, or None.
        step: minutes between frames as the user says, or None.

    Raises:
        InputError: files that do not fit together, or one that cannot be used.
    """
    groups, leaves, found = _looked(family, groups)
    files = [path for group in groups for path in group]
    first = leaves[0]
    if pattern is None:
        groups, apart = _by_file(groups, leaves)
        found += apart
    for path, leaf in zip(files[1:], leaves[1:], strict=True):
        _check_alike(files[0], first, path, leaf)
    if sum(leaf.frames for leaf in leaves) > SERIES_LIMIT:
        raise InputError(str(root), got="too many frames", expected=f"at most {SERIES_LIMIT}")
    line, clue = _timeline(groups, leaves, pattern, step, root)
    grain = max(1, min(first.grain, len(line.order), TOGETHER // math.prod(first.shape)))
    if grain < min(first.grain, len(line.order)):
        slow = f"chunks: {first.grain} frames are packed together; each reading unpacks all of them, which is slow"
        found.append(f"{slow}: rechunk to fewer")
    places = np.array([(f, i) for f, leaf in enumerate(leaves) for i in range(leaf.frames)], np.int64)[line.order]
    clips = np.array([[[begin, length], [begin + length, 0]] for begin, length in line.runs], np.int64)
    notes = [_described(family, files, len(places), len(groups)), *found, *first.notes, *clue, *line.notes]
    return StoredArray(
        array=FrameStack(family, files, places, first),
        grain=(grain, *first.shape),
        attributes=FileAttributes("tchw", missing=first.missing, units=first.units, step_minutes=line.step_minutes),
        clips=clips,
        own_layout=False,
        notes=notes,
        about=family.name,
        grid=first.grid,
        timeline=line,
        files=tuple(files),
    )


def _looked(family: Reader, groups: Groups) -> tuple[Groups, list[FileHeader], list[str]]:
    """Headers of all files; those without the variable that is wanted are left out, unless that leaves none."""
    kept: list[list[Path]] = []
    leaves = []
    lacking: list[AbsentError] = []
    for group in groups:
        kept.append([])
        for path in group:
            try:
                leaves.append(family.read_header(path))
                kept[-1].append(path)
            except AbsentError as error:
                lacking.append(error)
    if not leaves:
        raise lacking[0]
    notes = [f"left out: {len(lacking)} files without the variable that is wanted"] if lacking else []
    return [group for group in kept if group], leaves, notes


def _by_file(groups: Groups, leaves: Sequence[FileHeader]) -> tuple[Groups, list[str]]:
    """Groups, of which those of films become one for each file: nothing says that one film goes on where another ends."""
    found: list[list[Path]] = []
    remaining = iter(leaves)
    for group in groups:
        own = [next(remaining) for _ in group]
        films = any(leaf.frames > 1 and leaf.times is None for leaf in own)
        found += [[path] for path in group] if films else [list(group)]
    several = len(found) > len(groups)
    return found, ["sequences: each file is one, as its frames have no times"] if several else []


def fingerprint_files(files: Sequence[Path], root: Path) -> str:
    """16 hex digits over the names and contents of files."""
    total = hashlib.sha256()
    for path in files:
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix().encode("utf-8", "surrogateescape")
        for part in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            inner = part.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
            total.update(len(name).to_bytes(8, "little") + name + inner + file_digest(part))
    return total.hexdigest()[:DIGITS]


def _described(family: Reader, files: Sequence[Path], frames: int, groups: int) -> str:
    counted = f"{len(files)} files" if len(files) > 1 else "one file"
    several = f" in {groups} groups" if groups > 1 else ""
    return f"read as: {family.name}, {counted}{several}, {frames} frames"


def _check_alike(one: Path, first: FileHeader, other: Path, leaf: FileHeader) -> None:
    faults = [
        ("frames", "x".join(map(str, first.shape)), "x".join(map(str, leaf.shape))),
        ("units", first.units, leaf.units),
        ("units by channel", *([canonical_units(unit) for unit in grid.units] for grid in (first.grid, leaf.grid))),
        ("variables", first.grid.variables, leaf.grid.variables),
        ("a missing code", first.missing, leaf.missing),
        ("a grid", _corners(first.grid), _corners(leaf.grid)),
        ("values of", first.dtype, leaf.dtype),
        ("times of the calendar", _calendar(first.grid), _calendar(leaf.grid)),
    ]
    for what, expected, got in faults:
        if got != expected:
            fix = "put files of one kind into one folder, or name a variable with --var"
            raise InputError(str(other), got=f"{what} {got}", expected=f"{expected}, as in {one.name}", fix=fix)


def _calendar(grid: Grid) -> str:
    """All calendars that numpy has are as one."""
    return "standard" if grid.time_origin is None else grid.calendar


def _corners(grid: Grid) -> tuple[object, ...]:
    ends = [tuple(float(f"{value:.6g}") for value in (axis[0], axis[-1])) if axis else () for axis in (grid.y, grid.x)]
    return (*ends, grid.crs)


def _timeline(
    groups: Groups, leaves: Sequence[FileHeader], pattern: str | None, step: float | None, root: Path
) -> tuple[Timeline, list[str]]:
    """Times from the pattern, else from the files, else from their names; else the counter in the names."""
    names = [path.name for group in groups for path in group]
    counts = [leaf.frames for leaf in leaves]
    single = set(counts) == {1}
    sizes, at = [], 0
    for group in groups:
        sizes.append(sum(counts[at : at + len(group)]))
        at += len(group)
    said = step if step is not None else _step(leaves, root)
    if pattern is not None:
        times = times_from_pattern(names, pattern)
        return order_frames(sizes, _spread(times, counts, said), None, said), [f"times: from the names, {pattern}"]
    if all(leaf.times is not None for leaf in leaves):
        times = np.concatenate([leaf.times for leaf in leaves if leaf.times is not None])
        return order_frames(sizes, times, None, said), ["times: from the files"]
    found = times_from_names(names, sizes) if single else None
    if found is not None:
        return order_frames(sizes, found, None, said), ["times: from the names of the files"]
    if all(leaf.clock is not None for leaf in leaves):
        clock = np.concatenate([leaf.clock for leaf in leaves if leaf.clock is not None])
        regular = [len(group) == 1 for group in groups]
        return order_frames(sizes, None, clock if all(regular) else None, said), ["times: seconds in the file, no date"]
    count = _counters(groups) if single else None
    how = "order: by the number in the names" if count is not None else "order: by name"
    return order_frames(sizes, None, count, said), [f"times: none found; {how}"]


def _step(leaves: Sequence[FileHeader], root: Path) -> float | None:
    """Minutes between frames as all files say that say anything."""
    steps = [leaf.step_minutes for leaf in leaves if leaf.step_minutes is not None]
    if steps and max(steps) > (1 + ALIKE) * min(steps):
        got = f"frames {60 * min(steps):.4g} to {60 * max(steps):.4g} s apart"
        fix = "put films of one frame rate into one folder, or say --step-minutes where the files are wrong"
        raise InputError(str(root), got=got, expected="one step", fix=fix)
    return steps[0] if steps else None


def _spread(times: NDArray[Any], counts: Sequence[int], step: float | None) -> NDArray[Any]:
    """Times of files as times of their frames."""
    if set(counts) == {1}:
        return times
    if step is None:
        raise InputError(
            "--times", got="files of several frames", expected="a known step", fix="give data.step_minutes"
        )
    each = np.timedelta64(round(step * 60_000), "ms")
    return np.concatenate([time + each * np.arange(count) for time, count in zip(times, counts, strict=True)])


def _counters(groups: Groups) -> NDArray[np.float64] | None:
    found = [counters_from_names([path.name for path in group]) for group in groups]
    if any(part is None for part in found):
        return None
    return np.concatenate([part for part in found if part is not None]).astype(np.float64)
