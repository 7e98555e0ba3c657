"""Contracts of file formats: `Reader` for files of frames, `StoredArray` for files of one array.

There are two kinds, as the files differ. Files of frames (pictures, radar composites, CF grids, GRIB) say which axis is
what, and many of them in a folder follow one another in time: a Reader reads one file at a time, and
`sources.file_series` makes one StoredArray of all. Files of one array (.npy, .npz, plain HDF5 and zarr) hold all
sequences at once, often without a word on their axes, which the user or a rule must name: `formats.open_array` and
`zarr.open_zarr` give such a file as a StoredArray themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import SPLITS, are_valid_dims
from framecast.data.missing_values import CODE_KEYS, RANGE_KEYS, MissingValues, decode_fill, read_missing
from framecast.data.times import Timeline
from framecast.errors import InputError
from framecast.formatting import shorten
from framecast.types import Grid


class FileHeader(NamedTuple):
    """Facts about the frames of one file, known before any of them is read."""

    shape: tuple[int, int, int]
    """Channels, rows, columns."""
    dtype: np.dtype[Any]
    """Type that `read` gives: bytes and integers as they are stored, or floats in `units` with NaN at missing pixels."""
    frames: int = 1
    """Frames in the file."""
    times: NDArray[Any] | None = None
    """(frames,) datetime64[ms], UTC."""
    clock: NDArray[np.float64] | None = None
    """(frames,) seconds since the first frame, where only those are known."""
    step_minutes: float | None = None
    """Minutes between frames, as the file says."""
    units: str | None = None
    """Units of all channels; None where they are not known or differ, see `grid.units`."""
    missing: float | None = None
    """Value of missing pixels in files of plain numbers."""
    grid: Grid = Grid()
    grain: int = 1
    """Frames that are unpacked together."""
    notes: tuple[str, ...] = ()
    """Assumptions that a user should know of."""
    stored: FileAttributes | None = None
    """How stored values become raw ones, in files of plain arrays; None for formats whose reader does so."""
    runs: NDArray[Any] | None = None
    """(frames,) datetime64[ms], UTC: start of the forecast that each frame is of; None where the file does not say."""


@runtime_checkable
class Reader(Protocol):
    """Interface of a file format whose files hold frames; registered in `formats.READERS`.

    A class of this kind is made of the files of a source, all of them, and of ReaderOptions. The headers of all files are
    read before the frames of any.
    """

    @property
    def name(self) -> str:
        """Name for people: "KNMI HDF5"."""

    def read_header(self, path: Path) -> FileHeader:
        """Read what precedes the values.

        Raises:
            InputError: not such a file, damaged, or of a size that cannot be meant.
            UsageError: the library that it takes is not installed.
        """

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Read frames.

        Args:
            path: a file whose header has been read.
            indices: numbers of the frames in the file, ascending.

        Returns:
            (indices, C, H, W).

        Raises:
            InputError: the file is damaged.
        """


class ReaderOptions(NamedTuple):
    """Choices of the user that concern how files are read; a format takes those that it has a use for."""

    variable: str | None = None
    """A variable, a quantity, a path inside the file; several with commas between them become channels."""
    colour: str = "auto"
    """"auto", "grey" or "rgb", for pictures and videos."""
    unpack_limit: int | None = None
    """Bytes that may be unpacked at once; None to judge by the memory at hand."""
    axes: tuple[tuple[str, str], ...] = ()
    """(name of an axis, its meaning or the entry of it that is chosen), for formats whose axes have names."""


class AbsentError(InputError):
    """The variable that is asked for is not in a file; in a folder such a file is left out."""


NUMBERS = "fiub"
"""Kinds of dtype that can be frames: floats, integers, booleans. Never objects, which could be pickled code."""


@runtime_checkable
class ArrayLike(Protocol):
    """Interface that numpy arrays, memory maps and zarr arrays share."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> Any:
        """Type of the values, as numpy has it."""

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""


class FileAttributes(NamedTuple):
    """Attributes that a file may give to its array."""

    dims: str | None = None
    """Letters of the axes in order: n sequences, t time, c channels, h rows, w columns."""
    scale: float = 1.0
    """Physical units per stored unit."""
    offset: float = 0.0
    """Physical value of a stored 0."""
    missing: MissingValues | None = None
    """Marks of missing pixels among the stored values; None where the file states none."""
    units: str | None = None
    split: list[str] | None = None
    """Split of each sequence: train, val or test."""
    step_minutes: float | None = None
    """Minutes between frames."""
    start_time: NDArray[Any] | None = None
    """(sequences,) datetime64[ms], UTC: time of the first frame."""
    step_months: int | None = None
    """Calendar months between frames, where they lie whole months apart."""


class StoredArray(NamedTuple):
    """Array of frames in a file, or in a series of files; not yet read where it is large."""

    array: ArrayLike
    grain: tuple[int, ...]
    """Lengths along each axis of the pieces that are read at once."""
    attributes: FileAttributes
    clips: NDArray[np.int64] | None
    """(sequences, 2, 2): start and length of the two parts of each sequence along t; None where all of t is a sequence.

    The two parts are the input and the output of a sequence in the layout of the PredRNN group; a series of files has one
    part, and an empty one.
    """
    own_layout: bool
    """Whether it is an npz with an array called frames, whose axes are n t h w or n t c h w."""
    notes: list[str]
    """Facts and assumptions that a user should know of."""
    about: str = "array"
    """Kind of file, for people."""
    grid: Grid = Grid()
    timeline: Timeline | None = None
    """Times, order and gaps of a series of files; `clips` are then its runs."""
    files: tuple[Path, ...] = ()
    """Files of a series, each of which costs time to read; empty for arrays."""
    file_dims: str | None = None
    """Axes that the user states of each file of a series of arrays, by which its frames have been read."""


def read_file_attributes(raw: Mapping[str, Any], dtype: np.dtype[Any], name: str) -> FileAttributes:
    """Read the attributes that framecast knows; other keys are left alone.

    Args:
        raw: values by key: arrays of an npz, attributes of an HDF5 array, JSON values of zarr.
        dtype: of the stored values.
        name: the file, for errors.

    Raises:
        InputError: a known key has a value that cannot be used.
    """
    scale = _read_number(raw, name, "scale", "scale_factor")
    if scale == 0:
        raise InputError(f"{name}: scale", got=0, expected="a number that is not 0")
    step = _read_number(raw, name, "step_minutes")
    if step is not None and step <= 0:
        raise InputError(f"{name}: step_minutes", got=step, expected="more than 0")
    scale, offset = 1.0 if scale is None else scale, _read_number(raw, name, "offset", "add_offset") or 0.0
    marks = {key: decode_fill(raw[key]) for key in (*CODE_KEYS, *RANGE_KEYS) if key in raw}
    return FileAttributes(
        dims=_read_dims(raw, name),
        scale=scale,
        offset=offset,
        missing=read_missing(marks, dtype, scale, offset, name),
        units=_read_text(raw["units"], name, "units") if "units" in raw else None,
        split=_read_labels(raw, name),
        step_minutes=step,
        start_time=_read_times(raw, name),
        step_months=_read_months(raw, name),
    )


KEYS = {
    "dims": "U",
    "scale": NUMBERS,
    "scale_factor": NUMBERS,
    "offset": NUMBERS,
    "add_offset": NUMBERS,
    **dict.fromkeys((*CODE_KEYS, *RANGE_KEYS), NUMBERS),
    "units": "U",
    "split": "U",
    "step_minutes": NUMBERS,
    "step_months": NUMBERS,
    "start_time": "M",
}
"""Keys that `read_file_attributes` knows, with the kinds of dtype that an npz may hold there."""


def _read_number(raw: Mapping[str, Any], name: str, *keys: str) -> float | None:
    key = next((key for key in keys if key in raw), None)
    if key is None:
        return None
    value = raw[key]
    try:
        numbers = np.asarray(value, np.float64)
        # steps of the sequences are one where they are equal
        number = float((np.unique(numbers) if key == "step_minutes" else numbers).reshape(()))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: {key}", got=_shorten(value), expected="one number") from error
    if not math.isfinite(number):
        raise InputError(f"{name}: {key}", got=number, expected="a finite number")
    return number


def _read_text(value: Any, name: str, key: str) -> str:
    array = np.asarray(value) if isinstance(value, (str, np.ndarray)) else np.empty(0)
    if array.dtype.kind != "U" or len(texts := np.unique(array)) != 1:
        raise InputError(f"{name}: {key}", got=_shorten(value), expected="one text")
    return str(texts[0])


def _list_texts(value: Any) -> list[str] | None:
    if isinstance(value, np.ndarray):
        return [str(v) for v in value] if value.dtype.kind == "U" and value.ndim == 1 else None
    return list(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def _read_dims(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get("dims")
    if value is None or (isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS):
        return None  # the PredRNN group's files keep sizes under this key
    letters = _list_texts(value)
    dims = "".join(letters) if letters is not None else _read_text(value, name, "dims")
    if not are_valid_dims(dims):
        raise InputError(f"{name}: dims", got=_shorten(dims), expected="t, h, w and if need be n, c, as in nthw")
    return dims


def _read_labels(raw: Mapping[str, Any], name: str) -> list[str] | None:
    if "split" not in raw:
        return None
    labels = _list_texts(raw["split"])
    wrong = sorted(set(labels or [_shorten(raw["split"])]) - set(SPLITS))
    if labels is None or wrong:
        raise InputError(
            f"{name}: split",
            got=shorten(", ".join(wrong), 60),
            expected="a label for each sequence: train, val or test",
        )
    return labels


def _read_months(raw: Mapping[str, Any], name: str) -> int | None:
    months = _read_number(raw, name, "step_months")
    if months is not None and not (months >= 1 and months.is_integer()):
        raise InputError(f"{name}: step_months", got=f"{months:g}", expected="a whole number of months, 1 or more")
    return None if months is None else int(months)


def _read_times(raw: Mapping[str, Any], name: str) -> NDArray[Any] | None:
    if "start_time" not in raw:
        return None
    value = raw["start_time"]
    try:
        times = np.atleast_1d(np.asarray(value, "datetime64[ms]"))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: start_time", got=_shorten(value), expected="times as in 2016-09-28T14:45") from error
    if times.ndim != 1:
        raise InputError(f"{name}: start_time", got=f"shape {times.shape}", expected="one time for each sequence")
    return times


def _shorten(value: object) -> str:
    return shorten(repr(value), 60)
