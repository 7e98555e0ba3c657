"""Copies of frames: digests of their values, and the recordings that sequences with equal frames are parts of."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.sources.base import Source
from framecast.types import Area

VALUES = 1 << 29
"""Number of values up to which all frames are compared, the shortest sequences first; of others their ends."""
ROWS = 64
"""Rows in the middle of a frame of which the digest is made."""
PIECE = 16
"""Frames that are read at once."""
LEAST = 2
"""Equal frames from which on two sequences are parts of one recording."""
LISTED = 4096
"""Largest number of digests that `list_digests` keeps."""


class Recordings(NamedTuple):
    """Places of sequences in recordings: those that have equal frames share one."""

    positions: dict[int, tuple[int, NDArray[np.float64]]]
    """By sequence: number of its recording, and the position of each frame in it, in frames of one of its parts."""
    is_whole: bool
    """Whether all frames were compared."""


def digest_frame(frame: NDArray[Any]) -> bytes | None:
    """Compute 8 bytes that tell a frame from others, by its middle rows; None of rows of one value, of which many are.

    Args:
        frame: targets of a frame in raw units, (C, H, W), NaN where missing.
    """
    height = frame.shape[-2]
    rows = frame[:, _find_middle(height)]
    values = rows[np.isfinite(rows)]
    if not values.size or values.min() == values.max():
        return None
    plain = np.nan_to_num(rows.astype(np.float32, copy=False), nan=np.inf) + np.float32(0)  # -0 becomes 0
    return hashlib.blake2b(plain.tobytes(), digest_size=8).digest()


def list_digests(pieces: Iterable[NDArray[Any]], targets: int) -> list[str]:
    """List the digests of frames, hexadecimal, each once; of very many the least, which are an even sample of all.

    Args:
        pieces: frames in raw units, (T, C, H, W) each.
        targets: number of the first channels that count.
    """
    digests = {digest_frame(frame[:targets]) for frames in pieces for frame in frames} - {None}
    return sorted(digest.hex() for digest in digests if digest is not None)[:LISTED]


def find_recordings(source: Source, sequences: Sequence[int]) -> Recordings:
    """Find which sequences have equal frames: copies of the whole, of a part, of every other frame, in any order.

    A frame that a sequence shows more than once, as a picture that stands still, tells nothing.

    Args:
        source: the frames.
        sequences: numbers of the sequences to compare.
    """
    digests, is_whole = _digest_sequences(source, sequences)
    repeated = _find_repeated(source, digests)
    first_of: dict[bytes, tuple[int, int]] = {}
    found: dict[int, tuple[int, NDArray[np.float64]]] = {}
    members: dict[int, list[int]] = {}
    for sequence in sequences:
        matches: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for frame, digest in digests[sequence]:
            if digest in repeated:
                continue
            other, at = first_of.setdefault(digest, (sequence, frame))
            if other != sequence:
                recording, positions = found[other]
                matches[recording].append((float(frame), float(positions[at])))
        joined = sorted((key for key in matches if len(matches[key]) >= LEAST), key=lambda key: -len(matches[key]))
        home, numbers = joined[0] if joined else sequence, np.arange(source.lengths[sequence], dtype=np.float64)
        own = _extend(numbers, matches[home]) if joined else numbers
        found[sequence] = home, own
        members.setdefault(home, []).append(sequence)
        for recording in joined[1:]:  # the sequence shows that two recordings are one
            pairs = [(position, float(own[int(frame)])) for frame, position in matches[recording]]
            for member in members.pop(recording):
                found[member] = home, _extend(found[member][1], pairs)
                members[home].append(member)
    return Recordings(found, is_whole)


def _find_middle(height: int) -> slice:
    top = max(0, (height - ROWS) // 2)
    return slice(top, top + min(height, ROWS))


def _digest_sequences(source: Source, sequences: Sequence[int]) -> tuple[dict[int, list[tuple[int, bytes]]], bool]:
    """Compute (number, digest) of the frames of each sequence, and whether that was done for all frames."""
    digests, is_whole, values = {}, True, VALUES

    def count_values(sequence: int) -> int:
        height, width = source.sizes[sequence]
        return source.lengths[sequence] * source.spec.targets * height * width

    for sequence in sorted(sequences, key=count_values):
        values -= count_values(sequence)
        length = source.lengths[sequence]
        ends = [(0, 2), (length - 2, length)] if values < 0 and length > 4 else [(0, length)]
        is_whole &= len(ends) == 1
        digests[sequence] = list(_digest_parts(source, sequence, ends))
    return digests, is_whole


def _digest_parts(source: Source, sequence: int, parts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    height, width = source.sizes[sequence]
    rows = _find_middle(height)
    area = Area(rows.start, 0, rows.stop - rows.start, width)
    for begin, end in parts:
        for at in range(begin, end, PIECE):
            frames = source.read(sequence, at, min(at + PIECE, end), area).frames[:, : source.spec.targets]
            for number, frame in enumerate(frames, at):
                if (digest := digest_frame(frame)) is not None:
                    yield number, digest


def _find_repeated(source: Source, digests: dict[int, list[tuple[int, bytes]]]) -> set[bytes]:
    """Find the digests that a recording has more than once."""
    seen: dict[object, set[bytes]] = defaultdict(set)
    repeated: set[bytes] = set()
    for sequence, frames in digests.items():
        parent = seen[source.origins[sequence][0]]
        for _, digest in frames:
            if digest in parent:
                repeated.add(digest)
            parent.add(digest)
    return repeated


def _extend(numbers: NDArray[np.float64], pairs: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Map numbers along a line through (number, position) pairs; beyond their ends it goes on at its mean slope."""
    known, positions = np.array(sorted(pairs), np.float64).T
    span = known[-1] - known[0]
    slope = (positions[-1] - positions[0]) / span if span else 1.0
    beyond = np.minimum(numbers - known[0], 0) + np.maximum(numbers - known[-1], 0)
    # rounded: equal frames have equal positions
    return np.round(np.interp(numbers, known, positions) + slope * beyond, 6)
