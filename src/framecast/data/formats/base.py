"""The contract of a file format, and what an opened file is: an array, its attributes, its notes."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import SPLITS, are_valid_dims
from framecast.data.times import Timeline
from framecast.errors import InputError
from framecast.types import Grid


class FileHeader(NamedTuple):
    """What one file says of its frames, before any of them is read."""

    shape: tuple[int, int, int]
    """Channels, rows, columns."""
    dtype: np.dtype[Any]
    """Of what `read` gives: bytes and integers as they are stored, or floats in `units` with NaN at missing pixels."""
    frames: int = 1
    """Frames in the file."""
    times: NDArray[Any] | None = None
    """Of each frame, UTC."""
    clock: NDArray[np.float64] | None = None
    """Seconds since the first frame, where only those are known."""
    step_minutes: float | None = None
    units: str | None = None
    missing: float | None = None
    """Value of missing pixels in files of plain numbers."""
    grid: Grid = Grid()
    grain: int = 1
    """Frames that are unpacked together."""
    notes: tuple[str, ...] = ()


@runtime_checkable
class Reader(Protocol):
    """One kind of file. A new one is a class with these members and one line in `opening.py`."""

    @property
    def name(self) -> str:
        """For people: "KNMI HDF5"."""

    def read_header(self, path: Path) -> FileHeader:
        """Read headers only.

        Raises:
            InputError: not such a file, damaged, or of a size that cannot be meant.
            UsageError: the library that it takes is not installed.
        """

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of a file by their numbers, ascending: (n, C, H, W).

        Raises:
            InputError: the file is damaged.
        """


class ReaderOptions(NamedTuple):
    """What a user says about files, as far as a family can heed it."""

    variable: str | None = None
    """A variable, a quantity, a path inside the file; several with commas between them become channels."""
    colour: str = "auto"
    """"auto", "grey" or "rgb": of pictures and videos."""


class AbsentError(InputError):
    """A file does not hold the variable that is wanted; in a folder it is left out."""


def check_no_variable(wish: ReaderOptions, what: str) -> None:
    """Check that no variable is named where there is none to choose.

    Raises:
        InputError: one is.
    """
    if wish.variable is not None:
        raise InputError("variable", got=wish.variable, expected=f"none: {what} have no variables", fix="leave it out")


NUMBERS = "fiub"
"""Kinds of dtype that can be frames: floats, integers, booleans. Never objects, which could be pickled code."""


@runtime_checkable
class ArrayLike(Protocol):
    """What numpy arrays, memory maps and zarr arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""

    @property
    def dtype(self) -> Any:
        """A numpy dtype."""

    def __getitem__(self, key: Any) -> Any:
        """Read a part."""


class FileAttributes(NamedTuple):
    """What a file may say about its array."""

    dims: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    missing: float | None = None
    """Stored value of missing pixels."""
    units: str | None = None
    split: list[str] | None = None
    """Label of each sequence."""
    step_minutes: float | None = None
    start_time: NDArray[Any] | None = None
    """Time of the first frame of each sequence."""


class StoredArray(NamedTuple):
    """An array in a file, not yet read where it is large."""

    array: ArrayLike
    grain: tuple[int, ...]
    """Sizes of the pieces that are read at once."""
    attributes: FileAttributes
    clips: NDArray[np.int64] | None
    """(sequences, 2, 2): start and length of the input and of the output of each; None in all layouts but one."""
    own_layout: bool
    """Whether it is an npz with an array called frames, whose axes are n t h w or n t c h w."""
    notes: list[str]
    about: str = "array"
    """What kind of file it is, for people."""
    grid: Grid = Grid()
    timeline: Timeline | None = None
    """Of files that know their times; `clips` are then its runs."""
    files: tuple[Path, ...] = ()
    """Files of a series, each of which costs time to read; empty for arrays."""


def read_file_attributes(raw: Mapping[str, Any], name: str) -> FileAttributes:
    """Read what is known among the keys of a file; unknown keys are left alone.

    Args:
        raw: values by key: arrays of an npz, or the JSON values of zarr attributes.
        name: the file, for errors.

    Raises:
        InputError: a known key has a value that cannot be used.
    """
    scale = _first(raw, name, "scale", "scale_factor")
    if scale == 0:
        raise InputError(f"{name}: scale", got=0, expected="a number that is not 0")
    step = _first(raw, name, "step_minutes")
    if step is not None and step <= 0:
        raise InputError(f"{name}: step_minutes", got=step, expected="more than 0")
    return FileAttributes(
        dims=_dims(raw, name),
        scale=1.0 if scale is None else scale,
        offset=_first(raw, name, "offset", "add_offset") or 0.0,
        missing=_first(raw, name, "missing_code", "_FillValue", finite=False),
        units=_text(raw["units"], name, "units") if "units" in raw else None,
        split=_labels(raw, name),
        step_minutes=step,
        start_time=_times(raw, name),
    )


KEYS = {
    "dims": "U",
    "scale": NUMBERS,
    "scale_factor": NUMBERS,
    "offset": NUMBERS,
    "add_offset": NUMBERS,
    "missing_code": NUMBERS,
    "_FillValue": NUMBERS,
    "units": "U",
    "split": "U",
    "step_minutes": NUMBERS,
    "start_time": "M",
}
"""Keys that `attributes` knows, with the kinds of dtype that an npz may hold there."""


def _first(raw: Mapping[str, Any], name: str, *keys: str, finite: bool = True) -> float | None:
    key = next((key for key in keys if key in raw), None)
    if key is None:
        return None
    value = raw[key]
    if isinstance(value, str) and not finite:
        value = _unpacked(value)
    try:
        number = float(np.asarray(value, np.float64).reshape(()))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: {key}", got=_short(value), expected="one number") from error
    if finite and not math.isfinite(number):
        raise InputError(f"{name}: {key}", got=number, expected="a finite number")
    return number


def _unpacked(text: str) -> str | float:
    """Decode a fill value of a float as xarray writes it into zarr attributes: base64 of a little-endian double."""
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
    return struct.unpack("<d", packed)[0] if len(packed) == 8 else text


def _text(value: Any, name: str, key: str) -> str:
    array = np.asarray(value) if isinstance(value, (str, np.ndarray)) else np.empty(0)
    if array.dtype.kind != "U" or array.size != 1:
        raise InputError(f"{name}: {key}", got=_short(value), expected="one text")
    return str(array.reshape(())[()])


def _texts(value: Any) -> list[str] | None:
    if isinstance(value, np.ndarray):
        return [str(v) for v in value] if value.dtype.kind == "U" and value.ndim == 1 else None
    return list(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def _dims(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get("dims")
    if value is None or (isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS):
        return None  # the PredRNN group's files keep sizes under this key
    letters = _texts(value)
    dims = "".join(letters) if letters is not None else _text(value, name, "dims")
    if not are_valid_dims(dims):
        raise InputError(f"{name}: dims", got=_short(dims), expected="t, h, w and if need be n, c, as in nthw")
    return dims


def _labels(raw: Mapping[str, Any], name: str) -> list[str] | None:
    if "split" not in raw:
        return None
    labels = _texts(raw["split"])
    wrong = sorted(set(labels or [_short(raw["split"])]) - set(SPLITS))
    if labels is None or wrong:
        raise InputError(
            f"{name}: split",
            got=", ".join(wrong)[:60],
            expected="a label for each sequence: train, val or test",
        )
    return labels


def _times(raw: Mapping[str, Any], name: str) -> NDArray[Any] | None:
    if "start_time" not in raw:
        return None
    value = raw["start_time"]
    try:
        times = np.atleast_1d(np.asarray(value, "datetime64[s]"))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: start_time", got=_short(value), expected="times as in 2016-09-28T14:45") from error
    if times.ndim != 1:
        raise InputError(f"{name}: start_time", got=f"shape {times.shape}", expected="one time for each sequence")
    return times


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
