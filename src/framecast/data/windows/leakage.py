"""Leakage across files: no two splits share a moment, or a frame, of different files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.sources.base import Source
from framecast.data.windows.split_blocks import Blocks, SplitBlock, count_positions

VALUES = 1 << 26
"""Number of values up to which all frames are compared; of more the ends of each sequence, which shows whole copies."""
PIECE = 16
"""Frames that are read at once."""


class Stretch(NamedTuple):
    """Place of a sequence on an axis that it shares with all sequences that could hold the same frames."""

    axis: object
    """Grid, where positions are times; else the recording that the frames are from."""
    first: int
    """Position of the first frame: milliseconds, months, or its number in the recording."""
    step: int
    """Distance of two frames: milliseconds, months, or 1."""
    file: object
    """File, or folder, or video that the sequence comes from."""


class Overlap(NamedTuple):
    """Result of `separate_files`."""

    blocks: Blocks
    lost: int
    """Frames that were taken out of their split."""
    is_unknown: bool
    """Whether files overlap in time and differ in their values, but have no coordinates to tell their places."""


def separate_files(source: Source, blocks: Blocks) -> Overlap:
    """Shorten blocks at their beginning until no two splits share a moment, or a frame, of different files.

    Sequences of one grid are compared by their times, others by their values: two frames in a row that are equal to two
    of another file are the same recording. Sequences of one file are left as they are: an array may hold several places
    at one time.

    Args:
        source: the sequences.
        blocks: blocks by split.
    """
    used = sorted({block.sequence for members in blocks.values() for block in members})
    is_split = sum(bool(members) for members in blocks.values()) > 1
    if not is_split or len({source.places[sequence].file for sequence in used}) < 2:
        return Overlap(blocks, 0, is_unknown=False)
    stretches = locate_sequences(source, used)
    trimmed: Blocks = {name: [] for name in blocks}
    lost = 0
    # by axis and split: the furthest end, and the furthest one of another file
    ends: dict[tuple[object, str], list[tuple[int, object]]] = {}
    for first, _, name, block in sorted(_position(stretches, blocks), key=lambda entry: entry[:3]):
        stretch = stretches[block.sequence]
        others = [
            end
            for other in blocks
            for end, file in ends.get((stretch.axis, other), [])
            if other != name and file != stretch.file
        ]
        begin = block.begin + max([0, *((end - first) // stretch.step + 1 for end in others)])
        lost += min(begin, block.end) - block.begin
        if begin < block.end:
            trimmed[name].append(block._replace(begin=begin))
            end = stretch.first + (block.end - 1) * stretch.step
            ends[stretch.axis, name] = _keep_furthest([*ends.get((stretch.axis, name), []), (end, stretch.file)])
    blocks = {name: sorted(members) for name, members in trimmed.items()} if lost else blocks
    return Overlap(blocks, lost, _overlap_at_unknown_places(source, used, stretches))


def locate_sequences(source: Source, used: Sequence[int]) -> dict[int, Stretch]:
    """Find the place of sequences on axes of time, where grid and times are known, else on those of their recordings."""
    has_step, stretches, rest = source.spec.step_minutes is not None, {}, []
    for sequence in used:
        place = source.places[sequence]
        times = source.frame_times(sequence) if place.corners is not None and has_step else None
        if times is None:
            rest.append(sequence)
        else:
            first, _, step = count_positions(source, (times[0], times[-1]))
            stretches[sequence] = Stretch(place.corners, first, step, place.file)
    several = len({source.places[sequence].file for sequence in rest}) > 1
    recordings = _match_values(source, rest) if several else {sequence: (sequence, 0) for sequence in rest}
    for sequence, (recording, first) in recordings.items():
        stretches[sequence] = Stretch(("recording", recording), first, 1, source.places[sequence].file)
    return stretches


def _position(stretches: dict[int, Stretch], blocks: Blocks) -> Iterator[tuple[int, int, str, SplitBlock]]:
    """Iterate over (first position, last position, split, block)."""
    for name, members in blocks.items():
        for block in members:
            stretch = stretches[block.sequence]
            ends = (stretch.first + frame * stretch.step for frame in (block.begin, block.end - 1))
            yield (*ends, name, block)  # type: ignore[misc]


def _keep_furthest(ends: list[tuple[int, object]]) -> list[tuple[int, object]]:
    """Keep the furthest end, and the furthest one of another file."""
    furthest = max(ends, key=lambda pair: pair[0])
    others = [pair for pair in ends if pair[1] != furthest[1]]
    return [furthest, max(others, key=lambda pair: pair[0])] if others else [furthest]


def _match_values(source: Source, sequences: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Find (recording, number of the first frame in it) of each sequence; those with equal frames share a recording."""
    height, width = source.spec.height, source.spec.width
    values = sum(source.lengths[sequence] for sequence in sequences) * source.spec.targets * height * width
    seen: dict[tuple[bytes, bytes], tuple[int, int]] = {}
    found: dict[int, tuple[int, int]] = {}
    for sequence in sequences:
        pairs = list(_digest_pairs(source, sequence, whole=values <= VALUES))
        file = source.places[sequence].file
        twins = [(seen[pair], frame) for frame, pair in pairs if pair in seen]
        twins = [(twin, frame) for twin, frame in twins if source.places[twin[0]].file != file]
        if twins:
            (other, at), frame = twins[0]
            recording, first = found[other]
            found[sequence] = recording, first + at - frame
        else:
            found[sequence] = sequence, 0
        for frame, pair in pairs:
            seen.setdefault(pair, (sequence, frame))
    return found


def _digest_pairs(source: Source, sequence: int, *, whole: bool) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
    """Iterate over (number, digests) of two frames in a row that differ, neither of them of one value only."""
    length = source.lengths[sequence]
    parts = [(0, length)] if whole or length <= 4 else [(0, 2), (length - 2, length)]
    for begin, end in parts:
        before = None
        for at in range(begin, end, PIECE):
            frames = source.read(sequence, at, min(at + PIECE, end)).frames[:, : source.spec.targets]
            for number, frame in enumerate(frames, at):
                digest = _digest(frame)
                if before is not None and digest is not None and before != digest:
                    yield number - 1, (before, digest)
                before = digest


def _digest(frame: NDArray[np.float32]) -> bytes | None:
    """Compute 16 bytes that tell a frame from others; None of a frame of one value, of which there are many."""
    values = frame[np.isfinite(frame)]
    if not values.size or values.min() == values.max():
        return None
    return hashlib.blake2b(np.nan_to_num(frame, nan=np.inf).tobytes(), digest_size=16).digest()


def _overlap_at_unknown_places(source: Source, used: Sequence[int], stretches: dict[int, Stretch]) -> bool:
    """Whether sequences of different files without coordinates overlap in time, but not in their values."""
    spans = []
    for sequence in used:
        times = source.frame_times(sequence) if source.places[sequence].corners is None else None
        if times is not None:
            spans.append((times[0], times[-1], stretches[sequence]))
    spans.sort(key=lambda span: (span[0], span[1]))
    latest: tuple[np.datetime64, Stretch] | None = None
    for first, last, stretch in spans:
        if (
            latest is not None
            and first <= latest[0]
            and stretch.axis != latest[1].axis
            and stretch.file != latest[1].file
        ):
            return True
        latest = max(latest or (last, stretch), (last, stretch), key=lambda pair: pair[0])
    return False
