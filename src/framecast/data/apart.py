"""Events, and blocks of frames kept apart from those of other splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from framecast.data.source import Source
from framecast.errors import InputError


class Block(NamedTuple):
    """Frames begin..end-1 of a sequence, which belong to one split."""

    sequence: int
    begin: int
    end: int


Blocks = dict[str, list[Block]]


def span(source: Source, block: Block) -> tuple[Any, Any] | None:
    """Times of the first and the last frame of a block; None where unknown."""
    times = source.frame_times(block.sequence)
    return None if times is None else (times[block.begin], times[block.end - 1])


def events(source: Source, usable: Sequence[int], gap: int) -> list[list[int]]:
    """Sequences that are fewer than `gap` frames apart in time, together; each alone where its times are unknown.

    Args:
        source: the sequences.
        usable: which of them.
        gap: frames that must be missing between two events.

    Raises:
        InputError: a gap, but no times.
    """
    if not gap:
        return [[sequence] for sequence in usable]
    spans = {sequence: span(source, Block(sequence, 0, source.lengths[sequence])) for sequence in usable}
    step = _step(source)
    if step is None or any(ends is None for ends in spans.values()):
        fix = "use split_by: sequence, or say when frames are with --times and --step-minutes"
        raise InputError("split by event", got="data whose times are unknown", expected="times for a gap", fix=fix)
    found: list[list[int]] = []
    latest: Any = None
    for sequence in sorted(usable, key=lambda number: spans[number]):  # type: ignore[arg-type,return-value]
        first, last = spans[sequence]  # type: ignore[misc]
        if latest is not None and (first - latest) / step < gap + 1:
            found[-1].append(sequence)
            latest = max(latest, last)
        else:
            found.append([sequence])
            latest = last
    return found


def kept_apart(source: Source, blocks: Blocks, gap: int) -> Blocks:
    """Blocks shortened at their beginning until `gap` frames lie between those of different splits.

    Blocks of sequences whose times are unknown are left as they are, as are all without a gap.

    Args:
        source: the sequences.
        blocks: by split; those of one sequence are apart already.
        gap: frames.
    """
    step = _step(source)
    if not gap or step is None:
        return blocks
    placed = [(span(source, block), name, block) for name, members in blocks.items() for block in members]
    known = [(ends, name, block) for ends, name, block in placed if ends is not None]
    kept: Blocks = {name: [] for name in blocks}
    for ends, name, block in placed:
        if ends is None:
            kept[name].append(block)
    last: dict[str, Any] = {}
    for (first, final), name, block in sorted(known, key=lambda entry: (entry[0], entry[1])):
        lacking = [math.ceil(gap + 1 - (first - end) / step) for other, end in last.items() if other != name]
        begin = block.begin + max([0, *lacking])
        if begin < block.end:
            kept[name].append(block._replace(begin=begin))
            last[name] = max(last.get(name, final), final)
    return {name: sorted(members) for name, members in kept.items()}


def _step(source: Source) -> Any:
    minutes = source.spec.step_minutes
    return None if minutes is None else np.timedelta64(round(minutes * 60_000), "ms")
