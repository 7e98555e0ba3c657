"""Sequences of a source: pieces between missing frames, and a selection of frames within them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.calendars import count_steps
from framecast.data.formats.base import FileAttributes
from framecast.data.sources.layout import ArrayLayout
from framecast.data.times import Timeline
from framecast.errors import InputError
from framecast.types import Grid

LISTED = 5
"""Largest number of missing frames that a note lists one by one."""


class Piece(NamedTuple):
    """Consecutive frames first..first+length-1 of a stored sequence."""

    sequence: int
    first: int
    length: int


class Pieces(NamedTuple):
    """Sequences cut into pieces at their missing frames."""

    pieces: list[Piece]
    latest: list[int]
    """Index in `pieces` of the last piece of each group, which a forecast of the future continues."""
    missing: list[tuple[int, int]]
    """(sequence, frame) of the frames that are missing as a whole."""

    @property
    def note(self) -> str:
        """Number and position of the missing frames, one line."""
        several = len({piece.sequence for piece in self.pieces}) > 1
        listed = [f"{f + 1} of sequence {s}" if several else str(f + 1) for s, f in self.missing[:LISTED]]
        more = f" and {len(self.missing) - LISTED} more" if len(self.missing) > LISTED else ""
        return (
            f"gaps: {len(self.missing)} frames are missing as a whole, no window crosses one: {', '.join(listed)}{more}"
        )


def are_frames_missing(lost: NDArray[np.float64], max_missing: float | None) -> NDArray[np.bool_]:
    """Whether frames count as missing as a whole.

    Args:
        lost: share of missing values of each frame, 0 to 1, of any shape.
        max_missing: share of missing values above which a frame counts as missing; None for frames without any value.
    """
    return lost >= 1 if max_missing is None else (lost > max_missing) | (lost >= 1)


def cut_pieces(
    layout: ArrayLayout, latest: Sequence[int], lost: NDArray[np.float64], max_missing: float | None
) -> Pieces | None:
    """Cut sequences at missing frames; None where there is no such frame.

    A sequence without any valid frame is dropped, unless it is all that a forecast of its group could continue.

    Args:
        layout: axes and sequences of the array.
        latest: last sequence of each group, ascending; sequences between two of them belong to the group of the second.
        lost: (rows along n, T), share of missing values of each frame, 0 to 1.
        max_missing: share of missing values above which a frame counts as missing; None for frames without any value.
    """
    is_missing = are_frames_missing(lost, max_missing)
    if not is_missing.any():
        return None
    pieces: list[Piece] = []
    last_pieces: list[int] = []
    missing: list[tuple[int, int]] = []
    first_of_group = 0
    ends_group = set(latest)
    for sequence in range(len(layout.lengths)):
        lacking = is_missing[layout.find_row(sequence), layout.list_frames(sequence)]
        missing += [(sequence, int(frame)) for frame in np.flatnonzero(lacking)]
        pieces += [Piece(sequence, first, length) for first, length in _find_runs(~lacking)]
        if sequence in ends_group:
            if len(pieces) == first_of_group:  # else the piece before, of another group, would be its last
                pieces.append(Piece(sequence, 0, len(lacking)))
            last_pieces.append(len(pieces) - 1)
            first_of_group = len(pieces)
    # frames between the sequences of one axis of time may be missing too: then nothing is cut
    return Pieces(pieces, last_pieces, missing) if missing else None


def _find_runs(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Find (first, length) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(begin), int(end - begin)) for begin, end in edges.reshape(-1, 2)]


Extent = tuple[int, int] | tuple[datetime, datetime]
"""First frame, and the frame after the last: numbers, or times in UTC."""


class SequenceSelection:
    """Selection of the sequences of a file that are used, as pieces; at first each sequence is one piece.

    Args:
        layout: axes and sequences of the array.
        timeline: order and times of the frames, of files that know their times; else None.
        attributes: labels and start times of the sequences of an array.
        step_minutes: minutes between frames, where known.
        name: the source, for errors.

    Raises:
        InputError: another number of labels or start times than of sequences, and not one for all.
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
        is_by_months = step_minutes == attributes.step_minutes
        self._months = attributes.step_months if is_by_months else None
        self._labels = self._check_number(attributes.split, "split")
        self._starts = self._check_number(attributes.start_time, "start_time")
        self.pieces = [Piece(number, 0, length) for number, length in enumerate(self._lengths)]
        self.latest: Sequence[int] = timeline.latest if timeline else range(len(self._lengths))
        """Index of the last piece of each group, ascending; pieces between two belong to the group of the second."""

    @property
    def lengths(self) -> list[int]:
        """Number of frames in each piece."""
        return [piece.length for piece in self.pieces]

    @property
    def pieces_by_group(self) -> list[list[Piece]]:
        """Pieces by group; within a group they follow one another in time."""
        begins = [0, *(last + 1 for last in self.latest)]
        return [self.pieces[begin:end] for begin, end in itertools.pairwise(begins)]

    @property
    def labels(self) -> list[str] | None:
        """Split of each piece, if the file states it."""
        return None if self._labels is None else [self._labels[piece.sequence] for piece in self.pieces]

    @property
    def groups(self) -> list[int]:
        """Number of the file (or folder, or video) of each piece; 0 for all sequences of an array."""
        ends = self._timeline.latest if self._timeline else [len(self._lengths)]
        return [int(group) for group in np.searchsorted(ends, [piece.sequence for piece in self.pieces])]

    @property
    def origins(self) -> list[tuple[int, int]]:
        """(stored sequence or group of files, index of the first frame in it) of each piece."""
        parents = [piece.sequence for piece in self.pieces] if self._timeline is None else self.groups
        return [(parent, self._find_first(piece)) for parent, piece in zip(parents, self.pieces, strict=True)]

    def drop_missing(self, cut: Pieces) -> SequenceSelection:
        """Leave out frames that are missing as a whole; no window crosses one."""
        return self._with_pieces(cut.pieces, cut.latest)

    def select_frames(self, frames: Extent | None) -> SequenceSelection:
        """Select some frames, or all for None.

        Args:
            frames: first, and the one after the last; numbers count in order of time in a file with times, else in each
                sequence.

        Raises:
            InputError: times where none are known, or an extent without any frame.
        """
        if frames is None:
            return self
        pieces: list[Piece] = []
        last_of_group: dict[int, int] = {}
        groups = np.searchsorted(self.latest, range(len(self.pieces))).tolist()
        for number, (piece, group) in enumerate(zip(self.pieces, groups, strict=True)):
            begin, end = self._find_edges(number, frames)
            if begin < end:
                last_of_group[group] = len(pieces)
                pieces.append(Piece(piece.sequence, piece.first + begin, end - begin))
        if not pieces:
            last = max(self._find_first(piece) + piece.length for piece in self.pieces) - 1
            got = " to ".join(str(edge) for edge in frames)
            expected = f"some of frames 0 to {last}, or their times"
            raise InputError(f"{self._name}: frames", got=got, expected=expected)
        return self._with_pieces(pieces, list(last_of_group.values()))

    def _with_pieces(self, pieces: list[Piece], latest: list[int]) -> SequenceSelection:
        selection = copy.copy(self)
        selection.pieces, selection.latest = pieces, latest
        return selection

    def find_times(self, sequence: int, first: int = 0, stop: int | None = None) -> NDArray[Any] | None:
        """Find the times of frames first..stop-1 of a piece, by default all, milliseconds, UTC; None where unknown."""
        piece = self.pieces[sequence]
        begin, end = piece.first + first, piece.first + (piece.length if stop is None else stop)
        if self._timeline is not None:
            run = self._timeline.runs[piece.sequence][0]
            return None if self._timeline.times is None else self._timeline.times[run + begin : run + end]
        if self._starts is None or np.isnat(start := self._starts[piece.sequence]):
            return None
        if end > 1 and self._step is None:
            return None
        return count_steps(start[None], np.arange(begin, end), self._step or 0.0, self._months, Grid())

    def _find_edges(self, sequence: int, frames: Extent) -> tuple[int, int]:
        """Find the first requested frame and the one after the last, counted in the piece."""
        piece = self.pieces[sequence]
        if not isinstance(frames[0], datetime):
            begin, end = (min(max(int(edge) - self._find_first(piece), 0), piece.length) for edge in frames)
            return begin, end
        moments = self.find_times(sequence)
        if moments is None:
            fix = "give the numbers of frames, as in frames: [0, 20]"
            expected = "data that know their times"
            raise InputError(f"{self._name}: frames", got="a span of time", expected=expected, fix=fix)
        begin, end = np.searchsorted(moments, np.array(frames, "datetime64[ms]")).tolist()
        return begin, end

    def _find_first(self, piece: Piece) -> int:
        """Find the index of a piece's first frame in its file's timeline, else in its stored sequence."""
        return piece.first + (self._timeline.runs[piece.sequence][0] if self._timeline else 0)

    def _check_number(self, values: Any, key: str) -> Any:
        count = len(self._lengths)
        if values is None or len(values) == count:
            return values
        if len(values) == 1:  # tiles of one recording
            return values * count if isinstance(values, list) else np.repeat(values, count)
        expected = f"{count}, one for each sequence, or one for all"
        raise InputError(f"{self._name}: {key}", got=f"{len(values)} values", expected=expected)
