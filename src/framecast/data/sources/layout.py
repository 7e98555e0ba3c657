"""Layout of a stored array: the meaning of its axes, and the frames of its sequences."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import ArrayLike, StoredArray
from framecast.errors import InputError
from framecast.types import Area

FRAMES_LIMIT = 10_000_000
"""Largest number of frames, all sequences together."""
PIXELS_LIMIT = 1 << 28
"""Largest number of pixels of a frame, all channels together."""
COLOURS = (1, 3, 4)
"""Sizes of a last axis that is likely to be channels."""


class ArrayLayout(NamedTuple):
    """The axes of a stored array and its sequences."""

    dims: str
    """Letters of n t c h w in the array's order."""
    shape: tuple[int, ...]
    clips: NDArray[np.int64] | None
    """(sequences, 2, 2): start and length of two parts along t, where sequences share one axis of time."""

    def size(self, letter: str) -> int:
        """Length of an axis; 1 for an axis that is not there."""
        return self.shape[self.dims.index(letter)] if letter in self.dims else 1

    @property
    def lengths(self) -> list[int]:
        """Frames in each sequence."""
        if self.clips is not None:
            return [int(n) for n in self.clips[:, :, 1].sum(1)]
        return [self.size("t")] * self.size("n")

    def find_row(self, sequence: int) -> int:
        """Find the index of a sequence along n; 0 where sequences share one axis of time."""
        return sequence if self.clips is None else 0

    def make_key(self, row: int, begin: int, end: int) -> tuple[slice, ...]:
        """Make the array's key of whole frames begin..end-1 along t, in one row along n."""
        key = {"n": slice(row, row + 1), "t": slice(begin, end)}
        return tuple(key.get(letter, slice(0, size)) for letter, size in zip(self.dims, self.shape, strict=True))

    def list_frames(self, sequence: int) -> NDArray[np.int64]:
        """List the index along t of each frame of a sequence."""
        if self.clips is None:
            return np.arange(self.size("t"))
        return np.concatenate([np.arange(first, first + length) for first, length in self.clips[sequence].tolist()])

    def read(self, array: ArrayLike, sequence: int, start: int, stop: int, area: Area | None = None) -> NDArray[Any]:
        """Read stored values of frames start..stop-1 of a sequence, (T, C, H, W): all pixels, or an area."""
        if self.clips is None:
            return self._read_part(array, sequence, start, stop, area)
        (first, first_length), (second, second_length) = self.clips[sequence].tolist()
        # frames before first_length lie in the first part, the others in the second; empty parts are skipped
        parts = [(first + start, first + min(stop, first_length))]
        parts += [(second + max(0, start - first_length), second + min(stop - first_length, second_length))]
        return np.concatenate([self._read_part(array, 0, begin, end, area) for begin, end in parts if begin < end])

    def _read_part(self, array: ArrayLike, sequence: int, start: int, stop: int, area: Area | None) -> NDArray[Any]:
        key = {"n": sequence, "t": slice(start, stop)}
        if area is not None:
            key |= {"h": area.rows, "w": area.columns}
        values = np.asarray(array[tuple(key.get(letter, slice(None)) for letter in self.dims)])
        axes = self.dims.replace("n", "")
        if "c" not in axes:
            values, axes = values[None], "c" + axes
        return values.transpose([axes.index(letter) for letter in "tchw"])


def infer_layout(stored: StoredArray, dims: str | None, name: str) -> tuple[ArrayLayout, list[str]]:
    """Decide the axes: those that the user or the file states, or by rule where only one reading is usual.

    Args:
        stored: the array.
        dims: axes that the user gives, or None.
        name: the file, for errors.

    Returns:
        the layout, and a note for each assumption.

    Raises:
        InputError: the axes can be read in several ways, do not fit, are empty or too large.
    """
    shape, notes = stored.array.shape, []
    dims = None if dims == stored.file_dims else dims
    chosen = dims or stored.attributes.dims
    if chosen is None:
        chosen = _infer_dims(shape, stored.own_layout, name)
        notes = [f"dims: {chosen}, from shape {shape}"]
    if len(chosen) != len(shape):
        raise InputError(f"{name}: dims", got=f"{chosen} for shape {shape}", expected=f"{len(shape)} letters")
    if stored.clips is not None and dims is not None and dims != stored.attributes.dims:
        raise InputError(f"{name}: dims", got=dims, expected=f"{stored.attributes.dims}, the layout of this file")
    layout = ArrayLayout(chosen, shape, stored.clips)
    if math.prod(shape) == 0:
        raise InputError(name, got=f"shape {shape}", expected="no axis of size 0")
    pixels = layout.size("c") * layout.size("h") * layout.size("w")
    frames = layout.size("n") * layout.size("t")
    if pixels > PIXELS_LIMIT or frames > FRAMES_LIMIT:
        got = f"{frames} frames of {pixels} pixels"
        raise InputError(name, got=got, expected=f"at most {FRAMES_LIMIT} frames of {PIXELS_LIMIT} pixels")
    return layout, notes


def _infer_dims(shape: tuple[int, ...], is_framecast: bool, name: str) -> str:
    """Infer the axes from a shape; `is_framecast` for files whose default is sequences first."""
    colours = len(shape) > 3 and shape[-1] in COLOURS
    if len(shape) == 3:
        return "thw"
    if is_framecast and not colours and len(shape) in (4, 5):
        return "nthw" if len(shape) == 4 else "ntchw"
    candidates = {4: ["nthw", "tnhw", "tchw", "thwc"], 5: ["ntchw", "tnchw", "nthwc"]}.get(len(shape))
    if candidates is None:
        raise InputError(name, got=f"shape {shape}", expected="3 to 5 axes: time, rows, columns at least")
    if colours:
        candidates = candidates[-1:] + candidates[:-1]
    raise InputError(
        name,
        got=f"shape {shape}, which can be read in several ways",
        expected=f"dims, for example {', '.join(candidates)}",
        fix="say which axis is what with --dims (n sequences, t time, c channels, h rows, w columns)",
    )
