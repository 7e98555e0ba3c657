"""Sequences cut where a frame is missing as a whole, so that no window crosses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.layout import Layout

TOLD = 5
"""So many frames are told one by one."""


class Piece(NamedTuple):
    """Consecutive frames of a sequence as it lies in the file."""

    sequence: int
    first: int
    length: int


class Pieces(NamedTuple):
    """What is left of sequences once their missing frames are taken out."""

    pieces: list[Piece]
    latest: list[int]
    """Of these, the ones after which nothing more is known."""
    missing: list[tuple[int, int]]
    """(sequence, frame) of the frames that are taken as missing."""

    @property
    def note(self) -> str:
        """One line."""
        several = len({piece.sequence for piece in self.pieces}) > 1
        told = [f"{f + 1} of sequence {s}" if several else str(f + 1) for s, f in self.missing[:TOLD]]
        more = f" and {len(self.missing) - TOLD} more" if len(self.missing) > TOLD else ""
        return (
            f"gaps: {len(self.missing)} frames are missing as a whole, no window crosses one: {', '.join(told)}{more}"
        )


def pieces(layout: Layout, latest: Sequence[int], lost: NDArray[np.float64], most: float | None) -> Pieces | None:
    """Cut sequences at missing frames; None where there is no such frame.

    A sequence is dropped if all of it is missing, but for one that a forecast would have to go on from.

    Args:
        layout: where sequences lie.
        latest: sequences that a forecast goes on from, ascending; those between two of them belong to the second.
        lost: (sequences of the array, T), share of missing values of each frame.
        most: a frame of which a larger share is missing counts as missing; None for one of which nothing is there.
    """
    gone = lost >= 1 if most is None else (lost > most) | (lost >= 1)
    if not gone.any():
        return None
    found: list[Piece] = []
    ends: list[int] = []
    missing: list[tuple[int, int]] = []
    group, open_ended = 0, set(latest)
    for sequence in range(len(layout.lengths)):
        bad = gone[sequence if layout.clips is None else 0][layout.places(sequence)]
        missing += [(sequence, int(frame)) for frame in np.flatnonzero(bad)]
        found += [Piece(sequence, first, length) for first, length in _runs(~bad)]
        if sequence in open_ended:
            if len(found) == group:
                found.append(Piece(sequence, 0, len(bad)))
            ends.append(len(found) - 1)
            group = len(found)
    return Pieces(found, ends, missing) if missing else None


def _runs(good: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, length) of stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [(int(begin), int(end - begin)) for begin, end in edges.reshape(-1, 2)]
