"""Sequences of frames in files of any kind: windows in raw units with their mask and their times."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.cache import FrameCache
from framecast.data.config import DataConfig
from framecast.data.extent import Piece, last_of_groups, pieces
from framecast.data.fingerprint import DIGITS, fingerprint
from framecast.data.layout import layout
from framecast.data.npy import MAPPED_LIMIT
from framecast.data.npz import CONTENT_LIMIT
from framecast.data.opening import open_stored
from framecast.data.scan import Scan, is_code, scan
from framecast.data.series import stack_fingerprint
from framecast.data.shrink import shrunk
from framecast.data.stored import Stored
from framecast.data.timeline import Timeline
from framecast.data.units import DBZ_UNITS, RATE_UNITS, canonical
from framecast.errors import InputError
from framecast.normalize import DBZ
from framecast.types import Area, FrameSpec, Grid, Window

DBZ_RANGE = (0.0, 70.0)
BYTE_RANGE = (0.0, 255.0)
SERIES = (512 << 20, 16, 1 << 20)
"""Of files that are unpacked: bytes up to which all are looked at, how many blocks of larger ones, values of a block."""


class _Span(NamedTuple):
    """Frames of a sequence that were not at hand."""

    begin: int
    end: int


class ArraySource:
    """Sequences in one array or in many files: raw value = stored value x scale + offset, in raw units.

    A .npy is mapped, an .npz is unpacked into memory, everything else is read when frames are asked for. Pixels that
    hold the missing code, NaN or infinity are missing. Where files know their times, each stretch without a gap is a
    sequence of its own.

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
        self._path = Path(config.path)
        stored = open_stored(config, mapped_limit=mapped_limit, content_limit=content_limit)
        name, said = config.path, stored.attributes
        self.about: str = stored.about
        self.timeline: Timeline | None = stored.timeline
        self._files = stored.files
        self._shrink = config.shrink
        self._cache = FrameCache() if stored.files else None
        self._array = stored.array
        self._layout, notes = layout(stored, config.dims, name)
        self.notes: list[str] = [*stored.notes, *notes]
        self._missing = said.missing if config.missing is None else config.missing
        units, self._scale, self._offset = self._units(config.units, stored)
        self._scan = self._scanned(stored.grain, name)
        self._reflectivity = self._to_dbz(config, units)
        units = units if self._reflectivity is None else DBZ_UNITS
        low, high = self._range(config.range, units, name)
        self.has_missing: bool = self._finds_missing()
        labels = self._per_sequence(said.split, "split", name)
        self._times = self._per_sequence(said.start_time, "start_time", name)
        self.grid: Grid = stored.grid.coarse(config.shrink)
        self.spec = FrameSpec(
            channels=self._layout.size("c"),
            height=self._shrunk_size("h", name),
            width=self._shrunk_size("w", name),
            units=units,
            low=low,
            high=high,
            step_minutes=said.step_minutes if config.step_minutes is None else config.step_minutes,
        )
        self._wanted = config.frames
        self.pieces: Sequence[Piece] = self._chosen(name)
        self.lengths: Sequence[int] = [piece.length for piece in self.pieces]
        self.labels: Sequence[str] | None = labels and [labels[piece.sequence] for piece in self.pieces]
        latest = self.timeline.latest if self.timeline else range(len(self._layout.lengths))
        self.latest: Sequence[int] = last_of_groups(self.pieces, latest)
        ends = latest if self.timeline else [len(self._layout.lengths)]
        self.groups: Sequence[int] = np.searchsorted(ends, [piece.sequence for piece in self.pieces]).tolist()
        self.sizes: Sequence[tuple[int, int]] = [(self.spec.height, self.spec.width)] * len(self.lengths)

    def read(self, sequence: int, start: int, stop: int, area: Area | None = None) -> Window:
        """Frames start..stop-1 of a sequence, raw units; of all pixels, or of an area of them.

        Raises:
            InputError: no such frames, or they cannot be read.
        """
        if not (0 <= sequence < len(self.lengths) and 0 <= start < stop <= self.lengths[sequence]):
            length = self.lengths[sequence] if 0 <= sequence < len(self.lengths) else None
            expected = f"sequences 0..{len(self.lengths) - 1}" if length is None else f"frames 0..{length - 1}"
            raise InputError(str(self._path), got=f"sequence {sequence}, frames {start}..{stop - 1}", expected=expected)
        piece = self.pieces[sequence]
        first, last = piece.first + start, piece.first + stop
        read = self._load if self._cache is None else self._at_hand
        frames = read(piece.sequence, first, last, area)
        valid = np.isfinite(frames) if self.has_missing else None
        return Window(frames, valid, self._time(piece.sequence, first))

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        piece = self.pieces[sequence]
        times = self._stored_times(piece.sequence)
        return None if times is None else times[piece.first : piece.first + piece.length]

    @property
    def dims(self) -> str:
        """The array's axes in order, letters of n t c h w; n first where several sequences share one axis of time."""
        dims = self._layout.dims
        return dims if "n" in dims or len(self.latest) == 1 else f"n{dims}"

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the contents of the file or files, and which frames of them are used."""
        if self._wanted is None:
            return self._fingerprint
        return hashlib.sha256(f"{self._fingerprint} {[tuple(p) for p in self.pieces]}".encode()).hexdigest()[:DIGITS]

    @cached_property
    def _fingerprint(self) -> str:
        return stack_fingerprint(self._files, self._path) if self._files else fingerprint(self._path)

    def _chosen(self, name: str) -> list[Piece]:
        lengths = self._layout.lengths
        firsts = [run[0] for run in self.timeline.runs] if self.timeline else [0] * len(lengths)
        found = pieces(lengths, firsts, self._stored_times, self._wanted, name)
        if self._wanted is not None:
            self.notes.append(f"frames: {sum(p.length for p in found)} of {sum(lengths)} are used")
        return found

    def _stored_times(self, sequence: int) -> NDArray[Any] | None:
        if self.timeline is not None:
            first, length = self.timeline.runs[sequence]
            return None if self.timeline.times is None else self.timeline.times[first : first + length]
        times = [self._time(sequence, at) for at in range(self._layout.lengths[sequence])]
        known = [time for time in times if time is not None]
        return np.array(known, "datetime64[ms]") if len(known) == len(times) else None

    def _load(self, sequence: int, start: int, stop: int, area: Area | None) -> NDArray[np.float32]:
        """Frames out of the file, raw units, NaN where missing."""
        part = None if area is None else area.times(self._shrink)
        stored = self._layout.read(self._array, sequence, start, stop, part)
        frames = self._raw(stored)
        if self.has_missing:
            frames[~np.isfinite(frames) | is_code(stored, self._missing)] = np.nan
        frames = shrunk(frames, self._shrink) if self._shrink > 1 else frames
        return frames if self._reflectivity is None else self._reflectivity.as_dbz(frames)

    def _at_hand(self, sequence: int, start: int, stop: int, area: Area | None) -> NDArray[np.float32]:
        """The same, with frames that were read lately taken from the cache, which holds whole ones."""
        cache = self._cache
        assert cache is not None
        area = area or Area(0, 0, self.spec.height, self.spec.width)
        out = np.empty((stop - start, self.spec.channels, area.height, area.width), np.float32)
        lacking: list[_Span] = []
        for at in range(start, stop):
            frame = cache.get((sequence, at))
            if frame is not None:
                out[at - start] = frame[:, area.rows, area.columns]
            elif lacking and lacking[-1].end == at:
                lacking[-1] = _Span(lacking[-1].begin, at + 1)
            else:
                lacking.append(_Span(at, at + 1))
        for begin, end in lacking:
            fresh = self._load(sequence, begin, end, None)
            out[begin - start : end - start] = fresh[..., area.rows, area.columns]
            for at in range(begin, end):
                cache.put((sequence, at), fresh[at - begin].copy())
        return out

    def _shrunk_size(self, letter: str, name: str) -> int:
        size = self._layout.size(letter)
        if size < self._shrink:
            raise InputError(f"{name}: shrink", got=self._shrink, expected=f"at most {size}, the pixels of a side")
        return size // self._shrink

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
        if self.timeline is not None:
            first = self.timeline.runs[sequence][0]
            return None if self.timeline.times is None else self.timeline.times[first + start]
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

    def _to_dbz(self, config: DataConfig, units: str) -> DBZ | None:
        if config.scale is None or units == DBZ_UNITS:
            return None
        if units != RATE_UNITS:
            fix = "name them, as in units: mm per 5 min"
            raise InputError(f"{config.path}: scale dBZ", got=f"units {units}", expected=RATE_UNITS, fix=fix)
        relation = DBZ(rain_rate=True, z_r=config.z_r)
        a, b = relation.coefficients
        self.notes.append(f"scale: {units} turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {relation.high:g} dBZ")
        return relation

    def _scanned(self, grain: tuple[int, ...], name: str) -> Scan | None:
        """Look at the values, unless they are plain bytes, of which none can be missing."""
        if self._plain_bytes and self._missing is None:
            return None
        whole, samples, block = SERIES if self._files else (None, None, None)
        found = scan(self._array, grain, self._missing, whole=whole, samples=samples, block=block)
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
        count = len(self._layout.lengths)
        if values is not None and len(values) != count:
            expected = f"{count}, one for each sequence"
            raise InputError(f"{name}: {key}", got=f"{len(values)} values", expected=expected)
        return values
