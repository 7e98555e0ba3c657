"""Leakage across files: no two splits share a moment of one place, or a frame, of different files."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import month_numbers
from framecast.data.sources.base import Source
from framecast.data.sources.footprint import Footprint, are_one_place
from framecast.data.times import TOLERANCE
from framecast.data.windows import copies
from framecast.data.windows.split_blocks import Blocks, SplitBlock

ONE_FILE = 1 << 25
"""Number of values that are looked at where all sequences are of one file: those that share frames are told of only."""


class SharedAxes(NamedTuple):
    """Places of the frames of a sequence on axes that it shares with all sequences that could hold the same frames."""

    axes: tuple[Hashable, ...]
    """Pairs of areas that overlap, where positions are times; else the recording that the frames are from."""
    positions: NDArray[Any]
    """Position of each frame: milliseconds, months, or its number in the recording."""


class Overlap(NamedTuple):
    """Result of `separate_files`."""

    blocks: Blocks
    lost: int
    """Frames that were taken out of their split."""
    notes: tuple[str, ...] = ()
    """What is shared, or may be, and was not taken out."""


def separate_files(source: Source, blocks: Blocks) -> Overlap:
    """Shorten blocks at their beginning until no two splits share a moment, or a frame, of different files.

    Sequences whose areas overlap, on whatever grids, are compared by their times. Where some have no coordinates or no
    times, all are compared by their values. Sequences of one file are left as they are: an array may hold several
    places at one time; that they have equal frames is said.

    Args:
        source: the sequences.
        blocks: blocks by split.
    """
    used = sorted({block.sequence for members in blocks.values() for block in members})
    parents = {sequence: source.origins[sequence][0] for sequence in used}
    if sum(map(bool, blocks.values())) < 2 or len(set(parents.values())) < 2:
        return Overlap(blocks, 0)
    files = {sequence: source.places[sequence].file for sequence in used}
    several = len(set(files.values())) > 1
    clocks, unknown = _locate_by_time(source, used) if several else ({}, set())
    step = source.spec.step_minutes
    slack = 0.0 if step is None or source.spec.step_months is not None else TOLERANCE * step * 60_000
    trimmed, lost = _trim(blocks, clocks, files, slack)
    if len(clocks) == len(used):
        return Overlap(trimmed, lost, _tell_unknown_places(source, used, clocks, {}, unknown))
    recordings = copies.find_recordings(source, used if several else _choose_first(source, used))
    paths = {number: SharedAxes((key,), positions) for number, (key, positions) in recordings.positions.items()}
    trimmed, more = _trim(trimmed, paths, files)
    _, shared = _trim(trimmed, paths, parents)
    notes = _tell_unknown_places(source, used, clocks, paths, unknown)
    if shared:
        fix = "scores are too good; give sequences without common frames, or labels"
        notes = (*notes, f"sequences of one file hold {shared} frames or more of other splits' sequences: {fix}")
    if several and not recordings.is_whole:
        notes = (*notes, "copies of parts of files were looked for in the first and last frames of large ones only")
    return Overlap(trimmed, lost + more, notes)


def _choose_first(source: Source, used: Sequence[int]) -> Sequence[int]:
    """Choose the first sequences, of at most `ONE_FILE` values, but two: neighbours are cut from one recording."""
    values = [source.lengths[n] * source.spec.targets * source.sizes[n][0] * source.sizes[n][1] for n in used]
    return used[: max(2, int(np.searchsorted(np.cumsum(values), ONE_FILE, side="right")))]


def _locate_by_time(source: Source, used: Sequence[int]) -> tuple[dict[int, SharedAxes], set[frozenset[Footprint]]]:
    """Find the positions of sequences whose area and times are known, and the areas that cannot be compared."""
    moments = {number: source.frame_times(number) for number in used if source.places[number].area is not None}
    areas = list(dict.fromkeys(source.places[number].area for number in moments))
    axes: dict[Footprint | None, list[Hashable]] = {area: [area] for area in areas}
    unknown = set()
    for one, other in itertools.combinations(areas, 2):
        assert one is not None
        assert other is not None
        is_one = are_one_place(one, other)
        if is_one:
            axes[one].append((one, other))
            axes[other].append((one, other))
        if is_one is None:
            unknown.add(frozenset((one, other)))
    paths = {
        number: SharedAxes(tuple(axes[source.places[number].area]), _count_positions(source, times))
        for number, times in moments.items()
        if times is not None
    }
    return paths, unknown


def _count_positions(source: Source, times: NDArray[Any]) -> NDArray[Any]:
    """Express times in milliseconds, or in months where frames are whole months apart."""
    if source.spec.step_months is not None:
        return np.asarray(month_numbers(times, source.grid))
    return times.astype("datetime64[ms]").astype(np.int64)


def _trim(
    blocks: Blocks, paths: dict[int, SharedAxes], owners: dict[int, Hashable], slack: float = 0.0
) -> tuple[Blocks, int]:
    """Shorten blocks until no two of different splits and owners share a position of an axis; count the frames lost.

    Args:
        blocks: blocks by split; those without a path stay.
        paths: by sequence.
        owners: file of each sequence, within which nothing is compared.
        slack: distance of positions that count as one.
    """
    trimmed: Blocks = {name: [b for b in members if b.sequence not in paths] for name, members in blocks.items()}
    entries = [(name, b) for name, members in blocks.items() for b in members if b.sequence in paths]
    lost = 0
    # by axis and split: the first and the last position of each owner
    spans: dict[tuple[Hashable, str], dict[Hashable, tuple[float, float]]] = {}

    def find_order(entry: tuple[str, SplitBlock]) -> tuple[float, float, str]:
        positions = paths[entry[1].sequence].positions[entry[1].begin : entry[1].end]
        return float(positions.min()), float(positions.max()), entry[0]

    for name, block in sorted(entries, key=find_order):
        path, owner = paths[block.sequence], owners[block.sequence]
        positions = path.positions[block.begin : block.end]
        # the least position that is left when the block begins at a frame
        least = np.minimum.accumulate(positions[::-1])[::-1]
        others = [
            last
            for axis in path.axes
            for other in blocks
            if other != name
            for key, (first, last) in spans.get((axis, other), {}).items()
            if key != owner and first - slack <= positions.max()
        ]
        cut = int(np.searchsorted(least, max(others) + slack, side="right")) if others else 0
        lost += cut
        if cut < len(positions):
            trimmed[name].append(block._replace(begin=block.begin + cut))
            left = positions[cut:]
            for axis in path.axes:
                owned = spans.setdefault((axis, name), {})
                first, last = owned.get(owner, (np.inf, -np.inf))
                owned[owner] = min(first, float(left.min())), max(last, float(left.max()))
    return ({name: sorted(members) for name, members in trimmed.items()} if lost else blocks), lost


def _tell_unknown_places(
    source: Source,
    used: Sequence[int],
    clocks: dict[int, SharedAxes],
    recordings: dict[int, SharedAxes],
    unknown: set[frozenset[Footprint]],
) -> tuple[str, ...]:
    """Say that sequences of different files overlap in time, where nobody knows whether they show one place."""
    if len(clocks) == len(used) and not unknown:
        return ()
    spans = []
    for sequence in used:
        times = source.frame_times(sequence)
        if times is not None:
            spans.append((times[0], times[-1], sequence))
    latest: tuple[Any, int] | None = None
    for first, last, sequence in sorted(spans):
        place = source.places[sequence]
        if latest is not None and first <= latest[0]:
            other = source.places[latest[1]]
            areas = frozenset(area for area in (place.area, other.area) if area is not None)
            is_unknown = place.area is None or other.area is None or areas in unknown
            paths = recordings.get(sequence), recordings.get(latest[1])
            is_copy = paths[0] is not None and paths[1] is not None and paths[0].axes == paths[1].axes
            if is_unknown and not is_copy and place.file != other.file:
                lack = "they have no coordinates" if None in (place.area, other.area) else "their projections differ"
                return (f"files overlap in time, at different places as it seems: {lack}",)
        latest = max(latest or (last, sequence), (last, sequence))
    return ()
