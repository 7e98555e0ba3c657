"""Blocks of splits without leakage: sequences grouped in events, blocks trimmed until `gap` frames lie between splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from framecast.calendars import month_numbers
from framecast.data.sources.base import Source
from framecast.errors import InputError


class SplitBlock(NamedTuple):
    """Frames begin..end-1 of a sequence, which belong to one split."""

    sequence: int
    begin: int
    end: int


Blocks = dict[str, list[SplitBlock]]
"""Blocks by split."""


def find_block_times(source: Source, block: SplitBlock) -> tuple[Any, Any] | None:
    """Find the times of the first and the last frame of a block, UTC; None where unknown."""
    times = source.frame_times(block.sequence)
    return None if times is None else (times[block.begin], times[block.end - 1])


def group_events(source: Source, usable: Sequence[int], gap: int) -> list[list[int]]:
    """Group sequences into events: those that are fewer than `gap` frames apart in time; each alone without a gap.

    Args:
        source: the sequences.
        usable: numbers of the sequences to group.
        gap: least number of frames between two events.

    Raises:
        InputError: a gap, but no times.
    """
    if not gap:
        return [[sequence] for sequence in usable]
    spans = {
        sequence: find_block_times(source, SplitBlock(sequence, 0, source.lengths[sequence])) for sequence in usable
    }
    if source.spec.step_minutes is None or any(ends is None for ends in spans.values()):
        fix = "use split_by: sequence, or say when frames are with --times and --step-minutes"
        raise InputError("split by event", got="data whose times are unknown", expected="times for a gap", fix=fix)
    events: list[list[int]] = []
    latest: Any = None
    for sequence in sorted(usable, key=lambda number: spans[number]):  # type: ignore[arg-type,return-value]
        first, last, step = count_positions(source, spans[sequence])
        if latest is not None and (first - latest) / step < gap + 1:
            events[-1].append(sequence)
            latest = max(latest, last)  # a sequence may lie within another
        else:
            events.append([sequence])
            latest = last
    return events


def enforce_gap(source: Source, blocks: Blocks, gap: int) -> Blocks:
    """Shorten blocks at their beginning until `gap` frames lie between those of different splits.

    Where times are not known, the gap holds between pieces of one recording only, and is a lower bound: an unknown
    number of frames is missing between two pieces.

    Args:
        source: the sequences.
        blocks: blocks by split; those of one sequence have the gap already.
        gap: least number of frames between blocks of different splits; 0 leaves all as they are.
    """
    if not gap:
        return blocks
    spans = [(_find_span(source, block), name, block) for name, members in blocks.items() for block in members]
    trimmed: Blocks = {name: [] for name in blocks}
    ends: dict[tuple[object, str], int] = {}
    spans.sort(key=lambda entry: (entry[0].first, entry[0].last, entry[1]))
    for (axis, first, last, step), name, block in spans:
        others = [ends[axis, other] for other in blocks if other != name and (axis, other) in ends]
        begin = block.begin + max([0, *(math.ceil(gap + 1 - (first - end) / step) for end in others)])
        if begin < block.end:
            trimmed[name].append(block._replace(begin=begin))
            ends[axis, name] = max(ends.get((axis, name), last), last)
    return {name: sorted(members) for name, members in trimmed.items()}


def is_within_recordings(source: Source, blocks: Blocks) -> bool:
    """Whether a gap holds within each recording only: there are several, at an unknown distance from one another."""
    axes = {_find_span(source, block).axis for members in blocks.values() for block in members}
    return len(axes) > 1


class _Span(NamedTuple):
    """First and last frame of a block along an axis on which distances are known."""

    axis: object
    """None for time, else the recording that the sequence is a piece of, in a tuple."""
    first: int
    """Position of the first frame: time in milliseconds or months, or index in the recording."""
    last: int
    """Position of the last frame."""
    step: int
    """Distance of two frames: milliseconds, months, or 1."""


def _find_span(source: Source, block: SplitBlock) -> _Span:
    ends = find_block_times(source, block)
    if ends is None or source.spec.step_minutes is None:
        recording, offset = source.origins[block.sequence]
        return _Span((recording,), offset + block.begin, offset + block.end - 1, 1)
    return _Span(None, *count_positions(source, ends))


def count_positions(source: Source, ends: Any) -> tuple[int, int, int]:
    """Express the times of a first and a last frame, and the step, in milliseconds, or in months where it is of those."""
    spec, times = source.spec, np.array(ends, "datetime64[ms]")
    assert spec.step_minutes is not None
    if spec.step_months is not None:
        first, last = month_numbers(times, source.grid).tolist()
        return first, last, spec.step_months
    first, last = times.astype(np.int64).tolist()
    return first, last, round(spec.step_minutes * 60_000)
