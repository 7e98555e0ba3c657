"""Lazy frames: the sequences of a source as one xarray.DataArray, of which only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from framecast.cf.labels import FRAME, SEQUENCE, TIME, make_labels, make_times
from framecast.data import FileSource
from framecast.errors import InputError, UsageError
from framecast.types import Area

LISTED = 6
"""Lengths of sequences that an error lists."""


class SourceFrames(BackendArray):
    """Array of frames in a source, read when it is indexed.

    Args:
        source: the opened file or folder.
        table: (T, 2) or (N, T, 2), sequence and number therein of each frame.
    """

    def __init__(self, source: FileSource, table: NDArray[np.int64]) -> None:
        self._source, self._table = source, table
        spec = source.spec
        self.shape: tuple[int, ...] = (*table.shape[:-1], spec.channels, spec.height, spec.width)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Any:
        """Read a part, as xarray asks for it."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[np.float32]:
        """Read the frames, channels, rows and columns that integers, slices and arrays choose, each for its axis."""
        chosen = [np.arange(size)[part] for size, part in zip(self.shape, key, strict=True)]
        *outer, channels, rows, columns = (np.atleast_1d(numbers) for numbers in chosen)
        table = self._table[np.ix_(*outer)]
        values = np.empty((*table.shape[:-1], len(channels), len(rows), len(columns)), np.float32)
        if values.size:
            area = _cover(rows, columns, self.shape[-2:])
            is_whole = (area.height, area.width) == self.shape[-2:]
            frames = np.concatenate(list(self._read_runs(table.reshape(-1, 2), None if is_whole else area)))
            within = np.ix_(np.arange(len(frames)), channels, rows - area.top, columns - area.left)
            values = frames[within].reshape(values.shape)
        # an axis of which one entry is chosen by its number is dropped
        return values[tuple(0 if numbers.ndim == 0 else slice(None) for numbers in chosen)]

    def _read_runs(self, pairs: NDArray[np.int64], area: Area | None) -> Iterator[NDArray[np.float32]]:
        """Read frames (T, C, H, W), those that follow one another together."""
        breaks = np.flatnonzero((np.diff(pairs[:, 0]) != 0) | (np.diff(pairs[:, 1]) != 1)) + 1
        for run in np.split(pairs, breaks):
            (sequence, first), (_, last) = run[0].tolist(), run[-1].tolist()
            yield self._source.read(sequence, first, last + 1, area).frames


def _cover(rows: NDArray[np.int64], columns: NDArray[np.int64], size: tuple[int, ...]) -> Area:
    """Find the least rectangle that holds rows and columns."""
    (top, bottom), (left, right) = ((int(axis.min()), int(axis.max()) + 1) for axis in (rows, columns))
    return Area(top, left, bottom - top, right - left)


def make_lazy(source: FileSource, sequence: int | None, name: str) -> xarray.DataArray:
    """Make the DataArray of a source; nothing is read before it is asked for.

    Args:
        source: the opened file or folder.
        sequence: the one to take; None for all.
        name: the file, for errors.

    Returns:
        (time, channel, y, x) of one recording, gaps and all; (sequence, frame, channel, y, x) of several sequences of
        one length, with their times as a coordinate of two axes.

    Raises:
        InputError: several sequences of different lengths.
        UsageError: no such sequence.
    """
    numbers = _choose_sequences(source, sequence)
    lengths = [source.lengths[number] for number in numbers]
    moments = [source.frame_times(number) for number in numbers]
    if _is_one_recording(source, numbers, moments):
        table = np.concatenate([_list_frames(*pair) for pair in zip(numbers, lengths, strict=True)])
        outer: tuple[str, ...] = (TIME,)
        times = None if moments[0] is None else np.concatenate([part for part in moments if part is not None])
    else:
        if len(set(lengths)) > 1:
            listed = ", ".join(map(str, lengths[:LISTED])) + (" ..." if len(lengths) > LISTED else "")
            fix = f"choose one of them: sequence=0 to {len(source.lengths) - 1}"
            got = f"{len(lengths)} sequences of {listed} frames"
            raise InputError(name, got=got, expected="one sequence, or several of one length", fix=fix)
        table = np.stack([_list_frames(*pair) for pair in zip(numbers, lengths, strict=True)])
        outer = SEQUENCE, FRAME
        known = [part for part in moments if part is not None]
        times = np.stack(known) if len(known) == len(moments) else None
    return _label(source, SourceFrames(source, table), outer, times)


def _label(
    source: FileSource, frames: SourceFrames, outer: tuple[str, ...], times: NDArray[Any] | None
) -> xarray.DataArray:
    labels = make_labels(source.spec, source.grid)
    lazy: Any = indexing.LazilyIndexedArray(frames)
    lazy = indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))
    coordinates = dict(labels.coordinates)
    if times is not None:
        coordinates[TIME] = outer, make_times(times, source.grid), {"standard_name": TIME}
    # the range is found only where values are looked at
    notes = "; ".join(note for note in source.notes if not note.startswith("range: "))
    attributes = {**labels.attributes, **({"comment": notes} if notes else {})}
    variable = xarray.Variable((*outer, *labels.dims), lazy, attributes)
    return xarray.Dataset({labels.name: variable}, coordinates)[labels.name]


def _choose_sequences(source: FileSource, sequence: int | None) -> Sequence[int]:
    if sequence is None:
        return range(len(source.lengths))
    if not 0 <= sequence < len(source.lengths):
        raise UsageError("sequence", got=sequence, expected=f"0 to {len(source.lengths) - 1}")
    return [sequence]


def _list_frames(sequence: int, length: int) -> NDArray[np.int64]:
    """List the frames of a sequence, (length, 2)."""
    return np.stack([np.full(length, sequence), np.arange(length)], 1)


def _is_one_recording(source: FileSource, numbers: Sequence[int], moments: Sequence[NDArray[Any] | None]) -> bool:
    """Whether sequences are one, or follow one another in the times of one file or folder, with gaps between them."""
    if len(numbers) == 1:
        return True
    known = [part for part in moments if part is not None]
    if len(known) < len(moments) or len({source.origins[number][0] for number in numbers}) > 1:
        return False
    return bool((np.diff(np.concatenate(known)) > np.timedelta64(0, "ms")).all())
