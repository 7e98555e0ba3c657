"""Arrays in .npz form: framecast's own layout, the PredRNN group's, or any archive with a key given."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.npy import GIB, read_array
from framecast.data.stored import KEYS, NUMBERS, Stored, attributes
from framecast.errors import InputError

CONTENT_LIMIT = 8 * GIB
"""Bytes of an .npz's array once unpacked, unless told."""
SIDE_LIMIT = 64 << 20
"""Bytes of each of the other arrays once unpacked."""
RATIO_LIMIT = 300
"""Unpacked over packed bytes, for arrays of more than SIDE_LIMIT. Deflate cannot pass 1032."""

OWN = "frames"
PREDRNN = ("clips", "input_raw_data")

_DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
)
_DAMAGE += (ValueError, KeyError, IndexError, OverflowError, MemoryError)


def open_npz(path: Path, variable: str | None, *, limit: int = CONTENT_LIMIT, ratio: int = RATIO_LIMIT) -> Stored:
    """Read an .npz into memory.

    Args:
        path: the file.
        variable: key of the frames; None for "frames", or the only array that can be frames.
        limit: largest unpacked size of the frames to accept, bytes.
        ratio: largest ratio of unpacked to packed bytes to accept in a large array.

    Raises:
        InputError: not an .npz, damaged, no or several candidates, objects inside, or beyond a limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, str(path), limit, ratio).stored(variable)
    except _DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), got=f"damage ({error})", expected="an .npz that can be read") from error


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, name: str, limit: int, ratio: int) -> None:
        self.archive = archive
        self.name = name
        self.limit = limit
        self.ratio = ratio
        self.members = {
            info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")
        }

    def stored(self, variable: str | None) -> Stored:
        key, notes = self._key(variable)
        array = self._read(key, self.limit, NUMBERS)
        raw = {name: self._read(name, SIDE_LIMIT, NUMBERS + KEYS[name]) for name in KEYS if name in self.members}
        if key == PREDRNN[1] and variable is None:
            clips = self._clips(array)
            raw["dims"] = np.array("tchw" if array.ndim == 4 else "thw")
            found = attributes(raw, self.name)
            return Stored(array, (1,) * array.ndim, found, clips, False, notes)
        own = key == OWN
        return Stored(array, (1,) * array.ndim, attributes(raw, self.name), None, own, notes)

    def _key(self, variable: str | None) -> tuple[str, list[str]]:
        keys = sorted(self.members)
        if variable is not None:
            if variable not in self.members:
                raise InputError(f"{self.name}: variable", got=variable, expected=f"one of {', '.join(keys) or 'none'}")
            return variable, []
        if OWN in self.members:
            return OWN, []
        if set(PREDRNN) <= set(keys):
            return PREDRNN[1], ["layout of the PredRNN group: clips of input_raw_data"]
        others = [key for key in keys if key not in KEYS]
        if len(others) != 1:
            expected = "an array called frames, or one array only"
            got = f"arrays {', '.join(keys)}" if keys else "no arrays"
            raise InputError(self.name, got=got, expected=expected, fix="name one with variable")
        return others[0], [f"variable: {others[0]}, the only array"]

    def _read(self, key: str, limit: int, kinds: str) -> NDArray[Any]:
        info, name = self.members[key], f"{self.name}: {key}"
        size = info.file_size
        if size > limit:
            raise InputError(name, got=f"{size} bytes unpacked", expected=f"at most {limit}", fix="save it as .npy")
        if size > SIDE_LIMIT and size > self.ratio * max(1, info.compress_size):
            got = f"{size} bytes out of {info.compress_size}"
            expected = f"at most {self.ratio} times as many"
            raise InputError(name, got=got, expected=expected, fix="save it as .npy if you trust it")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                name, got=f"compression {info.compress_type}", expected="stored or deflated, as numpy does"
            )
        with self.archive.open(info) as file:
            return read_array(file, size, name, kinds=kinds)

    def _clips(self, array: NDArray[Any]) -> NDArray[np.int64]:
        name = f"{self.name}: clips"
        clips = self._read("clips", SIDE_LIMIT, "iu")
        if clips.ndim != 3 or clips.shape[0] != 2 or clips.shape[1] < 1 or clips.shape[2] != 2:
            raise InputError(name, got=f"shape {clips.shape}", expected="(2, sequences, 2): start, length")
        if array.ndim not in (3, 4):
            got = f"input_raw_data of shape {array.shape}"
            raise InputError(self.name, got=got, expected="(frames, 1, height, width)")
        parts = clips.astype(np.int64).swapaxes(0, 1)
        start, length = parts[..., 0], parts[..., 1]
        inside = (start >= 0) & (length >= 0) & (length <= len(array)) & (start <= len(array) - length)
        if not inside.all() or (length.sum(1) < 1).any():
            raise InputError(name, got="clips beyond the frames", expected=f"starts and lengths inside {len(array)}")
        used = length > 0
        order = np.argsort(start[used], kind="stable")
        begin, end = start[used][order], (start + length)[used][order]
        if (begin[1:] < end[:-1]).any():
            fix = "read it as one sequence: variable input_raw_data, dims tchw"
            raise InputError(name, got="clips that share frames", expected="clips apart, so that splits are", fix=fix)
        return parts
