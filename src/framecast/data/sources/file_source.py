"""Sequences of frames in files of any kind: windows in raw units with their mask and their times."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import DataConfig
from framecast.data.decode import coarsen
from framecast.data.fingerprint import DIGITS, fingerprint
from framecast.data.formats.base import FileAttributes, StoredArray
from framecast.data.formats.numpy_files import CONTENT_LIMIT, MAPPED_LIMIT
from framecast.data.sources.channels import calendar_channels, calendar_values, resolve_roles, resolve_units
from framecast.data.sources.file_series import fingerprint_files
from framecast.data.sources.frame_cache import FrameCache
from framecast.data.sources.layout import infer_layout
from framecast.data.sources.open import open_stored
from framecast.data.sources.sequences import SequenceSelection, cut_pieces
from framecast.data.sources.value_scan import ValueScan, is_code, nonempty_range, scan_values
from framecast.data.times import Timeline
from framecast.data.units import DBZ_UNITS, canonical_units, reflectivity_relation
from framecast.errors import InputError
from framecast.types import Area, Channel, FrameSpec, Grid, Window

DBZ_RANGE = (0.0, 70.0)
BYTE_RANGE = (0.0, 255.0)
SIDES = {"h": "rows", "w": "columns"}
SERIES = (5 << 28, 16, 1 << 20)
"""Of files that are unpacked: bytes up to which all are looked at, how many blocks of larger ones, values of a block."""


class FileSource:
    """Sequences in one array or in many files: raw value = stored value x scale + offset, in raw units.

    A .npy is mapped, an .npz is unpacked into memory, everything else is read when frames are asked for. Pixels that
    hold the missing code, NaN or infinity are missing. Where files know their times, each stretch without a gap is a
    sequence of its own; a frame that is missing as a whole is a gap, too.

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
        self._layout, notes = infer_layout(stored, config.dims, name)
        self.notes: list[str] = [*stored.notes, *notes]
        self._roles = resolve_roles(config, stored.grid, self._layout.size("c"))
        self._factors: NDArray[np.float32] | None = None
        self._missing = said.missing if config.missing is None else config.missing
        units = self._calibrate(config.units, stored)
        self._scan = self._scanned(stored.grain, name, everything=config.max_missing is not None)
        self._reflectivity = None if config.scale is None else reflectivity_relation(units, config.z_r, name)
        if self._reflectivity is not None:
            a, b = self._reflectivity.coefficients
            self.notes.append(f"scale: {units} turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {DBZ_RANGE[1]:g} dBZ")
            units = DBZ_UNITS
        low, high = self._range(config.range, units, name)
        self.has_missing: bool = self._finds_missing()
        self.missing_frames = 0
        self._chosen = config.frames is not None
        self._placement = placement = self._placed(config, said, name)
        self.pieces, self.lengths, self.labels = placement.pieces, placement.lengths, placement.labels
        self.latest, self.groups, self.places = placement.latest, placement.groups, placement.places
        self.grid: Grid = stored.grid.coarse(config.shrink)
        if self._roles is not None:
            self.grid = self.grid.of(self._roles.targets)
        if config.units is not None and self.grid.units:
            self.grid = self.grid.model_copy(update={"units": (config.units,) * len(self.grid.units)})
        self.spec = FrameSpec(
            channels=self._layout.size("c") - (len(self._roles.covariates) if self._roles else 0),
            height=self._shrunk_size("h", name),
            width=self._shrunk_size("w", name),
            units=units,
            low=low,
            high=high,
            ranges=self._ranges((low, high), name),
            step_minutes=said.step_minutes if config.step_minutes is None else config.step_minutes,
            **self._beside(name),
        )
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
        at, begin, end = self.pieces[sequence].sequence, *self._placement.stored(sequence, start, stop)
        if self._cache is None:
            frames = self._load(at, begin, end, area)
        else:
            frames = self._cache.read(at, begin, end, area, self._load)
        if self._roles is not None and self._roles.calendar:
            frames = self._dated(frames, sequence, start)
        valid = np.isfinite(frames) if self.has_missing else None
        return Window(frames, valid, self._placement.time(sequence, start))

    def _dated(self, frames: NDArray[np.float32], sequence: int, start: int) -> NDArray[np.float32]:
        """The same with the channels that are computed from the times."""
        assert self._roles is not None
        moments = [self._placement.time(sequence, start + t) for t in range(len(frames))]
        if any(moment is None for moment in moments):
            fix = "give their pattern with --times, or leave data.calendar out"
            raise InputError(str(self._path), got="frames without times", expected="times, for data.calendar", fix=fix)
        waves = calendar_values(np.array(moments, "datetime64[ms]"), self._roles.calendar)[:, :, None, None]
        return np.concatenate([frames, np.broadcast_to(waves, (*waves.shape[:2], *frames.shape[2:]))], 1)

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        return self._placement.times(sequence)

    @property
    def dims(self) -> str:
        """The array's axes in order, letters of n t c h w; n first where several sequences share one axis of time."""
        dims = self._layout.dims
        return dims if "n" in dims or len(self.latest) == 1 else f"n{dims}"

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the contents of the file or files, and which frames of them are asked for."""
        if not self._chosen:
            return self._fingerprint
        return hashlib.sha256(f"{self._fingerprint} {[tuple(p) for p in self.pieces]}".encode()).hexdigest()[:DIGITS]

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_files(self._files, self._path) if self._files else fingerprint(self._path)

    def _load(self, sequence: int, start: int, stop: int, area: Area | None = None) -> NDArray[np.float32]:
        """Frames out of the file, raw units, NaN where missing."""
        part = None if area is None else area.times(self._shrink)
        stored = self._layout.read(self._array, sequence, start, stop, part)
        frames = self._raw(stored)
        if self.has_missing:
            frames[~np.isfinite(frames) | is_code(stored, self._missing)] = np.nan
        if self._factors is not None:
            order = list(range(len(self._factors))) if self._roles is None else self._roles.order
            frames = frames[:, order] * self._factors[order][:, None, None]
        frames = coarsen(frames, self._shrink) if self._shrink > 1 else frames
        if self._reflectivity is not None:
            targets = slice(None) if self._roles is None else slice(len(self._roles.targets))
            frames[:, targets] = self._reflectivity.as_dbz(frames[:, targets])
        return frames

    def _shrunk_size(self, letter: str, name: str) -> int:
        size = self._layout.size(letter)
        if size < self._shrink:
            raise InputError(f"{name}: shrink", got=self._shrink, expected=f"at most {size}, the pixels of a side")
        if left := size % self._shrink:
            self.notes.append(f"shrink: the last {left} of {size} {SIDES[letter]} are left out")
        return size // self._shrink

    @property
    def _plain_bytes(self) -> bool:
        return self._array.dtype == np.uint8 and (self._scale, self._offset) == (1.0, 0.0)

    @property
    def _unscaled(self) -> bool:
        """Whether the targets are as they are stored."""
        if self._factors is None:
            return True
        targets = slice(None) if self._roles is None else list(self._roles.targets)
        return bool((self._factors[targets] == 1).all())

    def _raw(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        if (self._scale, self._offset) == (1.0, 0.0):
            with np.errstate(over="ignore"):
                return stored.astype(np.float32, order="C")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(stored * np.float64(self._scale) + self._offset, np.float32)

    def _calibrate(self, given: str | None, stored: StoredArray) -> str:
        """Take in scale, offset and units; the units of the targets."""
        said, count = stored.attributes, self._layout.size("c")
        units = resolve_units(given, said.units, stored.grid.units, self._roles, count)
        self.notes += units.notes
        self._scale, self._offset, self._factors = said.scale, said.offset, None
        if self._roles is None and len(set(units.factors)) == 1:
            self._scale, self._offset = said.scale * units.factors[0], said.offset * units.factors[0]
        else:
            self._factors = np.array(units.factors, np.float32)
        return units.name

    def _scanned(self, grain: tuple[int, ...], name: str, *, everything: bool) -> ValueScan | None:
        """Look at the values, unless they are plain bytes, of which none can be missing."""
        if self._plain_bytes and self._missing is None:
            return None
        whole, samples, block = SERIES if self._files else (None, None, None)
        whole = sys.maxsize if everything else whole
        counting = None if self._roles is None else self._roles.targets
        dims = self._layout.dims
        found = scan_values(
            self._array, grain, self._missing, dims, counting, whole=whole, samples=samples, block=block
        )
        part = "" if found.whole else f" in a sample of {found.seen} values"
        if found.not_finite:
            share = 100 * found.not_finite / found.seen
            self.notes.append(f"missing: {found.not_finite} values ({share:.3g} %) are NaN or infinite{part}")
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
        if self._plain_bytes and self._unscaled:
            self.notes.append("range: 0 to 255, as values are unsigned 8-bit")
            return BYTE_RANGE
        low, high = found
        if low >= high:
            raise InputError(name, got=f"the value {low:g} only", expected="values that differ", fix="or give a range")
        part = "" if self._scan is None or self._scan.whole else ", in a sample"
        self.notes.append(f"range: {low:g} to {high:g} {units}, found in the data{part}")
        return low, high

    def _found_range(self, name: str, channels: Sequence[int] | None = None) -> tuple[float, float]:
        """Range of the raw values of some channels, by default the targets, as float32 holds them."""
        if channels is None:
            channels = range(self._layout.size("c")) if self._roles is None else self._roles.targets
        ends: list[float] = []
        for channel in channels:
            stored = BYTE_RANGE if self._scan is None else self._scan.ranges[channel]
            if stored[0] > stored[1]:
                continue
            factor = 1.0 if self._factors is None else float(self._factors[channel])
            with np.errstate(over="ignore"):
                ends += [float(np.float32((value * self._scale + self._offset) * factor)) for value in stored]
        if not ends:
            raise InputError(name, got="a channel without a valid value", expected="some pixels that are not missing")
        if not (math.isfinite(min(ends)) and math.isfinite(max(ends))):
            raise InputError(name, got="values beyond 3.4e38", expected="values that float32 can hold")
        return min(ends), max(ends)

    def _ranges(self, shared: tuple[float, float], name: str) -> tuple[tuple[float, float], ...]:
        """Of each target, where units differ: that of dBZ, else as found; where nothing is valid the shared one."""
        units = [canonical_units(unit)[0] for unit in self.grid.units]
        targets = range(self._layout.size("c")) if self._roles is None else self._roles.targets
        if len(set(units)) < 2 or len(units) != len(targets):
            return ()
        seen = [self._scan is None or self._scan.ranges[place][0] <= self._scan.ranges[place][1] for place in targets]
        found = [
            nonempty_range(*self._found_range(name, [place])) if seen[n] else shared for n, place in enumerate(targets)
        ]
        return tuple(DBZ_RANGE if unit == DBZ_UNITS else ends for unit, ends in zip(units, found, strict=True))

    def _beside(self, name: str) -> dict[str, Any]:
        """What a FrameSpec says of the channels where they play different parts."""
        if self._roles is None:
            return {}

        def channel(place: int) -> Channel:
            low, high = nonempty_range(*self._found_range(name, [place]))
            return Channel(name=found.names[place], low=low, high=high)

        found = self._roles
        return {
            "names": tuple(found.names[place] for place in found.targets),
            "past": tuple(map(channel, found.past)),
            "covariates": (*map(channel, found.covariates), *calendar_channels(found.calendar)),
        }

    def _placed(self, config: DataConfig, said: FileAttributes, name: str) -> SequenceSelection:
        """Find where sequences lie, once frames that are missing as a whole and those not asked for are taken out."""
        step = said.step_minutes if config.step_minutes is None else config.step_minutes
        placement, found = SequenceSelection(self._layout, self.timeline, said, step, name), self._scan
        if found is not None and not found.whole and self.has_missing:
            self.notes.append("gaps: not all frames were looked at for missing ones; data.max_missing=0.99 does so")
        whole = found is not None and found.whole
        cut = cut_pieces(self._layout, placement.latest, found.lost, config.max_missing) if found and whole else None
        if cut is not None:
            self.notes.append(cut.note)
            placement.without(cut)
            self.missing_frames = len(cut.missing)
        if config.frames is not None:
            before = sum(placement.lengths)
            placement.only(config.frames)
            self.notes.append(f"frames: {sum(placement.lengths)} of {before} are used")
        return placement
