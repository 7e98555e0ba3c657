"""Sequences of frames in files of any kind: windows in raw units with their mask and their times."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import DataConfig
from framecast.data.decode import coarsen
from framecast.data.fingerprint import DIGITS, fingerprint
from framecast.data.formats.base import StoredArray
from framecast.data.sources.channels import calendar_channels, calendar_values, resolve_roles, resolve_units
from framecast.data.sources.file_series import fingerprint_files
from framecast.data.sources.frame_cache import FrameCache
from framecast.data.sources.layout import infer_layout
from framecast.data.sources.open import open_stored
from framecast.data.sources.sequences import SequenceSelection, cut_pieces
from framecast.data.sources.value_scan import ValueScan, is_code, nonempty_range, scan_latest_values, scan_values
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
        stored: the array that the path holds, where it has been opened already.
        last: a forecast is to be made from so many frames at the end of each sequence: no values are looked at but theirs
            and, where frames are missing there, those before them. None for all.

    Raises:
        InputError: a file that cannot be used, and why.
    """

    def __init__(self, config: DataConfig, stored: StoredArray | None = None, *, last: int | None = None) -> None:
        self._path, name = Path(config.path), config.path
        stored = stored or open_stored(config)
        attributes = stored.attributes
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
        self._missing = attributes.missing if config.missing is None else config.missing
        units = self._calibrate(config.units, stored)
        step = attributes.step_minutes if config.step_minutes is None else config.step_minutes
        self._selection = SequenceSelection(self._layout, self.timeline, attributes, step, name)
        self._scan = self._scan_values(stored.grain, config, last)
        self._reflectivity = None if config.scale is None else reflectivity_relation(units, config.z_r, name)
        if self._reflectivity is not None:
            a, b = self._reflectivity.coefficients
            self.notes.append(f"scale: {units} turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {DBZ_RANGE[1]:g} dBZ")
            units = DBZ_UNITS
        low, high = self._choose_range(config.range, units, name)
        self.has_missing: bool = self._may_be_missing()
        self.missing_frames = 0
        self._select(config)
        self._is_part = config.frames is not None
        self.pieces, self.lengths, self.labels = self._selection.pieces, self._selection.lengths, self._selection.labels
        self.latest, self.groups = self._selection.latest, self._selection.groups
        self.origins: Sequence[tuple[object, int]] = self._selection.origins
        self.grid: Grid = stored.grid.coarse(config.shrink)
        if self._roles is not None:
            self.grid = self.grid.of(self._roles.targets)
        if config.units is not None and self.grid.units:
            self.grid = self.grid.model_copy(update={"units": (config.units,) * len(self.grid.units)})
        self.spec = FrameSpec(
            channels=self._layout.size("c") - (len(self._roles.covariates) if self._roles else 0),
            height=self._shrink_size("h", name),
            width=self._shrink_size("w", name),
            units=units,
            low=low,
            high=high,
            ranges=self._find_target_ranges((low, high), name),
            step_minutes=step,
            **self._find_channels(name),
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
        stored, first = self.pieces[sequence].sequence, self.pieces[sequence].first
        load = self._load if self._cache is None else partial(self._cache.read, load=self._load)
        frames = load(stored, first + start, first + stop, area)
        if self._roles is not None and self._roles.calendar:
            frames = self._add_calendar(frames, sequence, start)
        valid = np.isfinite(frames) if self.has_missing else None
        return Window(frames, valid, self._selection.time(sequence, start))

    def _add_calendar(self, frames: NDArray[np.float32], sequence: int, start: int) -> NDArray[np.float32]:
        """Frames with the channels that are computed from the times beside the others."""
        assert self._roles is not None
        moments = [self._selection.time(sequence, start + t) for t in range(len(frames))]
        if any(moment is None for moment in moments):
            fix = "give their pattern with --times, or leave data.calendar out"
            raise InputError(str(self._path), got="frames without times", expected="times, for data.calendar", fix=fix)
        waves = calendar_values(np.array(moments, "datetime64[ms]"), self._roles.calendar)[:, :, None, None]
        return np.concatenate([frames, np.broadcast_to(waves, (*waves.shape[:2], *frames.shape[2:]))], 1)

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        return self._selection.times(sequence)

    @property
    def dims(self) -> str:
        """The array's axes in order, letters of n t c h w; n first where several sequences share one axis of time."""
        dims = self._layout.dims
        return dims if "n" in dims or len(self.latest) == 1 else f"n{dims}"

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the contents of the file or files, and which frames of them are asked for."""
        if not self._is_part:
            return self._fingerprint
        return hashlib.sha256(f"{self._fingerprint} {[tuple(p) for p in self.pieces]}".encode()).hexdigest()[:DIGITS]

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_files(self._files, self._path) if self._files else fingerprint(self._path)

    def _load(self, sequence: int, start: int, stop: int, area: Area | None = None) -> NDArray[np.float32]:
        """Frames out of the file, raw units, NaN where missing."""
        part = None if area is None else area.times(self._shrink)
        stored = self._layout.read(self._array, sequence, start, stop, part)
        frames = self._to_raw(stored)
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

    def _shrink_size(self, letter: str, name: str) -> int:
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

    def _to_raw(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        if (self._scale, self._offset) == (1.0, 0.0):
            with np.errstate(over="ignore"):
                return stored.astype(np.float32, order="C")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(stored * np.float64(self._scale) + self._offset, np.float32)

    def _calibrate(self, given: str | None, stored: StoredArray) -> str:
        """Take in scale, offset and units; the units of the targets."""
        attributes, count = stored.attributes, self._layout.size("c")
        units = resolve_units(given, attributes.units, stored.grid.units, self._roles, count)
        self.notes += units.notes
        self._scale, self._offset, self._factors = attributes.scale, attributes.offset, None
        if self._roles is None and len(set(units.factors)) == 1:
            self._scale, self._offset = attributes.scale * units.factors[0], attributes.offset * units.factors[0]
        else:
            self._factors = np.array(units.factors, np.float32)
        return units.name

    def _scan_values(self, grain: tuple[int, ...], config: DataConfig, last: int | None) -> ValueScan | None:
        """Look at the values, unless they are plain bytes, of which none can be missing."""
        if self._plain_bytes and self._missing is None:
            return None
        counting = None if self._roles is None else self._roles.targets
        if last is None:
            limits: dict[str, Any] = (
                dict(zip(("whole", "samples", "block"), SERIES, strict=True)) if self._files else {}
            )
            limits |= {"whole": sys.maxsize} if config.max_missing is not None else {}
            scan = scan_values(self._array, grain, self._missing, self._layout.dims, counting, **limits)
        else:
            groups = self._selection.with_only(config.frames).pieces_by_group
            scan = scan_latest_values(
                self._array, self._layout, groups, last, self._missing, counting, config.max_missing
            )
        self.notes += scan.describe_missing(self._missing)
        if scan.low > scan.high:
            part = scan.part and f" {scan.part}"
            raise InputError(config.path, got=f"no valid value{part}", expected="some pixels that are not missing")
        return scan

    def _may_be_missing(self) -> bool:
        if self._scan is None:
            return False
        can_be = self._missing is not None or self._array.dtype.kind == "f"
        return self._scan.coded + self._scan.not_finite > 0 or (can_be and not self._scan.whole)

    def _choose_range(self, given: tuple[float, float] | None, units: str, name: str) -> tuple[float, float]:
        low, high = self._find_range(name)
        if given is not None:
            return given
        if units == DBZ_UNITS:
            self.notes.append(f"range: {DBZ_RANGE[0]:g} to {DBZ_RANGE[1]:g} dBZ, usual for radar")
            return DBZ_RANGE
        if self._plain_bytes and self._unscaled:
            self.notes.append("range: 0 to 255, as values are unsigned 8-bit")
            return BYTE_RANGE
        if low >= high:
            raise InputError(name, got=f"the value {low:g} only", expected="values that differ", fix="or give a range")
        part = "" if self._scan is None else self._scan.part
        self.notes.append(f"range: {low:g} to {high:g} {units}, found in the data{part and f', {part}'}")
        return low, high

    def _find_range(self, name: str, channels: Sequence[int] | None = None) -> tuple[float, float]:
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

    def _find_target_ranges(self, shared: tuple[float, float], name: str) -> tuple[tuple[float, float], ...]:
        """Range of each target, where units differ: that of dBZ, else as found; where nothing is valid the shared one."""
        units = [canonical_units(unit)[0] for unit in self.grid.units]
        targets = range(self._layout.size("c")) if self._roles is None else self._roles.targets
        if len(set(units)) < 2 or len(units) != len(targets):
            return ()
        scan = self._scan
        return tuple(
            DBZ_RANGE
            if unit == DBZ_UNITS
            else nonempty_range(*self._find_range(name, [channel]))
            if scan is None or scan.ranges[channel][0] <= scan.ranges[channel][1]
            else shared
            for unit, channel in zip(units, targets, strict=True)
        )

    def _find_channels(self, name: str) -> dict[str, Any]:
        """Fields of a FrameSpec about the channels, where they play different parts."""
        roles = self._roles
        if roles is None:
            return {}

        def describe(channel: int) -> Channel:
            low, high = nonempty_range(*self._find_range(name, [channel]))
            return Channel(name=roles.names[channel], low=low, high=high)

        return {
            "names": tuple(roles.names[channel] for channel in roles.targets),
            "past": tuple(map(describe, roles.past)),
            "covariates": (*map(describe, roles.covariates), *calendar_channels(roles.calendar)),
        }

    def _select(self, config: DataConfig) -> None:
        """Take out frames that are missing as a whole, and those that are not asked for."""
        scan, selection = self._scan, self._selection
        if scan is not None and scan.extent == "sample" and self.has_missing:
            self.notes.append("gaps: not all frames were looked at for missing ones; data.max_missing=0.99 does so")
        if scan is not None and scan.extent != "sample":
            cut = cut_pieces(self._layout, selection.latest, scan.lost, config.max_missing)
            if cut is not None:
                self.notes.append(cut.note)
                self._selection = selection = selection.without(cut)
                self.missing_frames = len(cut.missing)
        if config.frames is not None:
            count = sum(selection.lengths)
            self._selection = selection.with_only(config.frames)
            self.notes.append(f"frames: {sum(self._selection.lengths)} of {count} are used")
