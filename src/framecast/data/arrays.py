"""Sequences of frames in .npy, .npz and .zarr files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import DataConfig
from framecast.data.fingerprint import fingerprint
from framecast.data.layout import layout
from framecast.data.npy import MAPPED_LIMIT, open_npy
from framecast.data.npz import CONTENT_LIMIT, open_npz
from framecast.data.scan import Scan, is_code, scan
from framecast.data.stored import Stored
from framecast.data.units import DBZ_UNITS, canonical
from framecast.data.zarr_store import is_zarr, open_zarr
from framecast.errors import InputError
from framecast.types import FrameSpec, Window

DBZ_RANGE = (0.0, 70.0)
BYTE_RANGE = (0.0, 255.0)


class ArraySource:
    """Sequences in one array: raw value = stored value x scale + offset, in the file's or the user's units.

    A .npy is mapped and a .zarr read by chunks when frames are asked for; an .npz is unpacked into memory. Pixels that
    hold the missing code, NaN or infinity are missing.

    Args:
        config: source (the path) and what the user says about it.
        mapped_limit: largest .npy to accept, bytes.
        content_limit: largest array in an .npz to accept, bytes once unpacked.

    Raises:
        InputError: a file that cannot be used, and why.
    """

    def __init__(
        self, config: DataConfig, *, mapped_limit: int = MAPPED_LIMIT, content_limit: int = CONTENT_LIMIT
    ) -> None:
        self._path = Path(config.source)
        stored = _opened(self._path, config.variable, mapped_limit, content_limit)
        name, said = config.source, stored.attributes
        self._array = stored.array
        self._layout, notes = layout(stored, config.dims, name)
        self.notes: list[str] = [*stored.notes, *notes]
        self._missing = said.missing if config.missing is None else config.missing
        units, self._scale, self._offset = self._units(config.units, stored)
        self._scan = self._scanned(stored.grain, name)
        low, high = self._range(config.range, units, name)
        self.has_missing: bool = self._finds_missing()
        self.lengths: Sequence[int] = self._layout.lengths
        self.labels: Sequence[str] | None = self._per_sequence(said.split, "split", name)
        self._times = self._per_sequence(said.start_time, "start_time", name)
        self.spec = FrameSpec(
            channels=self._layout.size("c"),
            height=self._layout.size("h"),
            width=self._layout.size("w"),
            units=units,
            low=low,
            high=high,
            step_minutes=said.step_minutes if config.step_minutes is None else config.step_minutes,
        )

    def read(self, sequence: int, start: int, stop: int) -> Window:
        """Frames start..stop-1 of a sequence, raw units.

        Raises:
            InputError: no such frames, or they cannot be read.
        """
        if not (0 <= sequence < len(self.lengths) and 0 <= start < stop <= self.lengths[sequence]):
            length = self.lengths[sequence] if 0 <= sequence < len(self.lengths) else None
            expected = f"sequences 0..{len(self.lengths) - 1}" if length is None else f"frames 0..{length - 1}"
            raise InputError(str(self._path), got=f"sequence {sequence}, frames {start}..{stop - 1}", expected=expected)
        stored = self._layout.read(self._array, sequence, start, stop)
        frames = self._raw(stored)
        if not self.has_missing:
            return Window(frames, None, self._time(sequence, start))
        valid = np.isfinite(frames) & ~is_code(stored, self._missing)
        frames[~valid] = np.nan
        return Window(frames, valid, self._time(sequence, start))

    @property
    def dims(self) -> str:
        """The array's axes in order, letters of n t c h w; n first where several sequences share one axis of time."""
        dims = self._layout.dims
        return dims if "n" in dims or len(self.lengths) == 1 else f"n{dims}"

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the file's contents."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._path)

    @property
    def _plain_bytes(self) -> bool:
        return self._array.dtype == np.uint8 and (self._scale, self._offset) == (1.0, 0.0)

    def _raw(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        if (self._scale, self._offset) == (1.0, 0.0):
            with np.errstate(over="ignore"):
                return stored.astype(np.float32, order="C")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(stored * np.float64(self._scale) + self._offset, np.float32)

    def _time(self, sequence: int, start: int) -> np.datetime64 | None:
        if self._times is None or np.isnat(self._times[sequence]):
            return None
        if start and self.spec.step_minutes is None:
            return None
        return self._times[sequence] + np.timedelta64(round(start * (self.spec.step_minutes or 0) * 60), "s")

    def _units(self, given: str | None, stored: Stored) -> tuple[str, float, float]:
        """Units, scale and offset in those units."""
        said = stored.attributes
        spelled = given or said.units or "1"
        units, factor = canonical(spelled)
        if not (given or said.units):
            self.notes.append("units: not said, taken as 1")
        if given and said.units and canonical(given) != canonical(said.units):
            self.notes.append(f"units: {given} as given; the file says {said.units}")
        if factor != 1:
            self.notes.append(f"units: {spelled} turned into {units}, values times {factor:g}")
        return units, said.scale * factor, said.offset * factor

    def _scanned(self, grain: tuple[int, ...], name: str) -> Scan | None:
        """Look at the values, unless they are plain bytes, of which none can be missing."""
        if self._plain_bytes and self._missing is None:
            return None
        found = scan(self._array, grain, self._missing)
        part = "" if found.whole else f" in a sample of {found.seen} values"
        if found.not_finite:
            self.notes.append(f"missing: {found.not_finite} values are NaN or infinite{part}")
        if found.coded:
            share = 100 * found.coded / found.seen
            self.notes.append(f"missing: {found.coded} values ({share:.3g} %) hold the code {self._missing:g}{part}")
        if found.low > found.high:
            raise InputError(name, got=f"no valid value{part}", expected="some pixels that are not missing")
        if not part and not found.coded and self._missing is not None:
            self.notes.append(f"missing: no value holds the code {self._missing:g}")
        return found

    def _finds_missing(self) -> bool:
        found = self._scan
        if found is None:
            return False
        may = self._missing is not None or self._array.dtype.kind == "f"
        return found.coded + found.not_finite > 0 or (may and not found.whole)

    def _range(self, given: tuple[float, float] | None, units: str, name: str) -> tuple[float, float]:
        found = self._found_range(name)
        if given is not None:
            return given
        if units == DBZ_UNITS:
            self.notes.append(f"range: {DBZ_RANGE[0]:g} to {DBZ_RANGE[1]:g} dBZ, usual for radar")
            return DBZ_RANGE
        if self._plain_bytes:
            self.notes.append("range: 0 to 255, as values are unsigned 8-bit")
            return BYTE_RANGE
        low, high = found
        if low >= high:
            raise InputError(name, got=f"the value {low:g} only", expected="values that differ", fix="or give a range")
        part = "" if self._scan is None or self._scan.whole else ", in a sample"
        self.notes.append(f"range: {low:g} to {high:g} {units}, found in the data{part}")
        return low, high

    def _found_range(self, name: str) -> tuple[float, float]:
        """Range of the raw values as float32 holds them."""
        stored = BYTE_RANGE if self._scan is None else (self._scan.low, self._scan.high)
        with np.errstate(over="ignore"):
            ends = sorted(float(np.float32(value * self._scale + self._offset)) for value in stored)
        if not (math.isfinite(ends[0]) and math.isfinite(ends[1])):
            raise InputError(name, got="values beyond 3.4e38", expected="values that float32 can hold")
        return ends[0], ends[1]

    def _per_sequence(self, values: Any, key: str, name: str) -> Any:
        if values is not None and len(values) != len(self.lengths):
            raise InputError(
                f"{name}: {key}", got=f"{len(values)} values", expected=f"{len(self.lengths)}, one for each sequence"
            )
        return values


def _opened(path: Path, variable: str | None, mapped_limit: int, content_limit: int) -> Stored:
    try:
        if is_zarr(path):
            return open_zarr(path, variable)
        exists, is_file = path.exists(), path.is_file()
    except (OSError, ValueError) as error:
        raise InputError(str(path)[:200], got=str(error), expected="a path") from error
    if not exists:
        raise InputError(str(path), got="no such file", expected="a .npy, .npz or .zarr, or the word moving-mnist")
    if not is_file:
        raise InputError(str(path), got="a folder", expected="a .npy, a .npz or a folder that is a zarr store")
    if path.suffix == ".npz":
        return open_npz(path, variable, limit=content_limit)
    if path.suffix != ".npy":
        raise InputError(str(path), got=f"suffix {path.suffix or 'none'}", expected=".npy, .npz or .zarr")
    if variable is not None:
        raise InputError(f"{path}: variable", got=variable, expected="none: a .npy holds one array")
    return open_npy(path, limit=mapped_limit)
