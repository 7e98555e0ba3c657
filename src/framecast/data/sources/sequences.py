"""Sequences of a source: pieces between missing frames, and a selection of frames within them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import FileAttributes
from framecast.data.sources.layout import ArrayLayout
from framecast.data.times import Timeline
from framecast.errors import InputError

LISTED = 5
"""Missing frames that a note lists one by one."""


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
        listed = [f"{f + 1} of sequence {s}" if several else str(f + 1) for s, f in self.missing[:LISTED]]
        more = f" and {len(self.missing) - LISTED} more" if len(self.missing) > LISTED else ""
        return (
            f"gaps: {len(self.missing)} frames are missing as a whole, no window crosses one: {', '.join(listed)}{more}"
        )


def are_frames_missing(lost: NDArray[np.float64], max_missing: float | None) -> NDArray[np.bool_]:
    """Whether frames count as missing as a whole.

    Args:
        lost: share of missing values of each frame, of any shape.
        max_missing: a frame of which a larger share is missing counts as missing; None for one of which nothing is there.
    """
    return lost >= 1 if max_missing is None else (lost > max_missing) | (lost >= 1)


def cut_pieces(
    layout: ArrayLayout, latest: Sequence[int], lost: NDArray[np.float64], max_missing: float | None
) -> Pieces | None:
    """Cut sequences at missing frames; None where there is no such frame.

    A sequence is dropped if all of it is missing, but for one that a forecast would have to go on from.

    Args:
        layout: where sequences lie.
        latest: sequences that a forecast goes on from, ascending; those between two of them belong to the second.
        lost: (sequences of the array, T), share of missing values of each frame.
        max_missing: see `are_frames_missing`.
    """
    gone = are_frames_missing(lost, max_missing)
    if not gone.any():
        return None
    pieces: list[Piece] = []
    ends: list[int] = []
    missing: list[tuple[int, int]] = []
    group, open_ended = 0, set(latest)
    for sequence in range(len(layout.lengths)):
        bad = gone[layout.row(sequence), layout.frame_indices(sequence)]
        missing += [(sequence, int(frame)) for frame in np.flatnonzero(bad)]
        pieces += [Piece(sequence, first, length) for first, length in _runs(~bad)]
        if sequence in open_ended:
            if len(pieces) == group:
                pieces.append(Piece(sequence, 0, len(bad)))
            ends.append(len(pieces) - 1)
            group = len(pieces)
    return Pieces(pieces, ends, missing) if missing else None


def _runs(good: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, length) of stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [(int(begin), int(end - begin)) for begin, end in edges.reshape(-1, 2)]


Extent = tuple[int, int] | tuple[datetime, datetime]
"""From the first up to, not with, the last: numbers, or times in UTC."""


class SequenceSelection:
    """The sequences of a file: at first all, each whole.

    Args:
        layout: where they lie.
        timeline: of files that know their times.
        attributes: labels and times of the sequences of an array.
        step_minutes: minutes between frames, where known.
        name: the source, for errors.

    Raises:
        InputError: labels or times of another number than the sequences.
    """

    def __init__(
        self,
        layout: ArrayLayout,
        timeline: Timeline | None,
        attributes: FileAttributes,
        step_minutes: float | None,
        name: str,
    ) -> None:
        self._lengths, self._timeline, self._step, self._name = layout.lengths, timeline, step_minutes, name
        self._labels = self._check_number(attributes.split, "split")
        self._starts = self._check_number(attributes.start_time, "start_time")
        self.pieces = [Piece(number, 0, length) for number, length in enumerate(self._lengths)]
        self.latest: Sequence[int] = timeline.latest if timeline else range(len(self._lengths))
        """Sequences after which nothing more is known; those between two of them belong to the second."""

    @property
    def lengths(self) -> list[int]:
        """Frames that are used of each."""
        return [piece.length for piece in self.pieces]

    @property
    def pieces_by_group(self) -> list[list[Piece]]:
        """Pieces that follow one another in time, up to one after which nothing more is known."""
        begins = [0, *(last + 1 for last in self.latest)]
        return [self.pieces[begin:end] for begin, end in itertools.pairwise(begins)]

    @property
    def labels(self) -> list[str] | None:
        """Split of each, if the file says so."""
        return None if self._labels is None else [self._labels[piece.sequence] for piece in self.pieces]

    @property
    def groups(self) -> list[int]:
        """Number of the file (or folder, or video) of each; one for all sequences of an array."""
        ends = self._timeline.latest if self._timeline else [len(self._lengths)]
        return [int(group) for group in np.searchsorted(ends, [piece.sequence for piece in self.pieces])]

    @property
    def origins(self) -> list[tuple[int, int]]:
        """(stored sequence or group of files that it is a piece of, index of its first frame there) of each."""
        parents = [piece.sequence for piece in self.pieces] if self._timeline is None else self.groups
        return [(parent, self._first(piece)) for parent, piece in zip(parents, self.pieces, strict=True)]

    def without(self, cut: Pieces) -> SequenceSelection:
        """Leave out frames that are missing as a whole; no window crosses one."""
        return self._with_pieces(cut.pieces, cut.latest)

    def with_only(self, frames: Extent | None) -> SequenceSelection:
        """Use some frames only, or all for None; counted in the order of time of a file with times, else by sequence.

        Raises:
            InputError: times where none are known, or no frame that is wanted.
        """
        if frames is None:
            return self
        pieces: list[Piece] = []
        last_of_group: dict[int, int] = {}
        groups = np.searchsorted(self.latest, range(len(self.pieces))).tolist()
        for number, (piece, group) in enumerate(zip(self.pieces, groups, strict=True)):
            begin, end = self._edges(number, frames)
            if begin < end:
                last_of_group[group] = len(pieces)
                pieces.append(Piece(piece.sequence, piece.first + begin, end - begin))
        if not pieces:
            last = max(self._first(piece) + piece.length for piece in self.pieces) - 1
            got = " to ".join(str(edge) for edge in frames)
            expected = f"some of frames 0 to {last}, or their times"
            raise InputError(f"{self._name}: frames", got=got, expected=expected)
        return self._with_pieces(pieces, list(last_of_group.values()))

    def _with_pieces(self, pieces: list[Piece], latest: list[int]) -> SequenceSelection:
        selection = copy.copy(self)
        selection.pieces, selection.latest = pieces, latest
        return selection

    def time(self, sequence: int, frame: int) -> np.datetime64 | None:
        """Time of a frame, UTC; None where unknown."""
        piece = self.pieces[sequence]
        number, index = piece.sequence, piece.first + frame
        if self._timeline is not None:
            times = self._timeline.times
            return None if times is None else times[self._timeline.runs[number][0] + index]
        if self._starts is None or np.isnat(self._starts[number]) or (index and self._step is None):
            return None
        first: np.datetime64 = self._starts[number]
        return first + np.timedelta64(round(index * (self._step or 0) * 60), "s")

    def times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        times = [self.time(sequence, frame) for frame in range(self.pieces[sequence].length)]
        known = [time for time in times if time is not None]
        return np.array(known, "datetime64[ms]") if len(known) == len(times) else None

    def _edges(self, sequence: int, frames: Extent) -> tuple[int, int]:
        """First frame that is wanted, and the one after the last, counted in the piece."""
        piece = self.pieces[sequence]
        if not isinstance(frames[0], datetime):
            begin, end = (min(max(int(edge) - self._first(piece), 0), piece.length) for edge in frames)
            return begin, end
        moments = self.times(sequence)
        if moments is None:
            fix = "give the numbers of frames, as in frames: [0, 20]"
            expected = "data that know their times"
            raise InputError(f"{self._name}: frames", got="a span of time", expected=expected, fix=fix)
        begin, end = np.searchsorted(moments, np.array(frames, "datetime64[ms]")).tolist()
        return begin, end

    def _first(self, piece: Piece) -> int:
        return piece.first + (self._timeline.runs[piece.sequence][0] if self._timeline else 0)

    def _check_number(self, values: Any, key: str) -> Any:
        count = len(self._lengths)
        if values is not None and len(values) != count:
            expected = f"{count}, one for each sequence"
            raise InputError(f"{self._name}: {key}", got=f"{len(values)} values", expected=expected)
        return values
