"""Pieces of stored sequences, cut where a frame is missing as a whole, so that no window crosses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.layout import Layout

TOLD = 5
"""So many frames are told one by one."""


class Piece(NamedTuple):
    """Frames first..first + length - 1 of a sequence as it lies in the file."""

    sequence: int
    first: int
    length: int


class Missing(NamedTuple):
    """Frames that are taken as missing."""

    frames: list[tuple[int, int]]
    """(sequence, frame) as they lie in the file."""
    several: bool
    """Whether there are several sequences."""

    @property
    def notes(self) -> list[str]:
        """One line, if there are any."""
        if not self.frames:
            return []
        told = [f"{f + 1} of sequence {s}" if self.several else str(f + 1) for s, f in self.frames[:TOLD]]
        more = f" and {len(self.frames) - TOLD} more" if len(self.frames) > TOLD else ""
        told_all = f"{', '.join(told)}{more}"
        return [f"gaps: {len(self.frames)} frames are missing as a whole, no window crosses one: {told_all}"]


def cut(
    pieces: Sequence[Piece], layout: Layout, latest: Sequence[int], lost: NDArray[np.float64], most: float | None
) -> tuple[list[Piece], Missing]:
    """Cut pieces at missing frames.

    A piece is dropped if all of it is missing, but for one that a forecast would have to go on from.

    Args:
        pieces: in order.
        layout: where sequences lie.
        latest: stored sequences that a forecast goes on from, ascending; those between two belong to the second.
        lost: (sequences of the array, T), share of missing values of each frame.
        most: a frame of which a larger share is missing counts as missing; None for one of which nothing is there.
    """
    gone = lost >= 1 if most is None else (lost > most) | (lost >= 1)
    left: list[Piece] = []
    missing: list[tuple[int, int]] = []
    ends = set(last_of_groups(pieces, latest))
    group = 0
    for number, piece in enumerate(pieces):
        places = layout.places(piece.sequence)[piece.first : piece.first + piece.length]
        bad = gone[piece.sequence if layout.clips is None else 0][places]
        missing += [(piece.sequence, piece.first + int(frame)) for frame in np.flatnonzero(bad)]
        left += [Piece(piece.sequence, piece.first + first, length) for first, length in _runs(~bad)]
        if number in ends:
            if len(left) == group:
                left.append(piece)
            group = len(left)
    return left, Missing(missing, len({piece.sequence for piece in pieces}) > 1)


def last_of_groups(pieces: Sequence[Piece], latest: Sequence[int]) -> list[int]:
    """Of each group of stored sequences, the ends of which are `latest`, the last piece that is left."""
    groups = np.searchsorted(latest, [piece.sequence for piece in pieces]).tolist()
    return [at for at, group in enumerate(groups) if at + 1 == len(groups) or groups[at + 1] != group]


def _runs(good: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, length) of stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [(int(begin), int(end - begin)) for begin, end in edges.reshape(-1, 2)]
