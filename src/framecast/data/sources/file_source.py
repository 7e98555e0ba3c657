"""File source: sequences of frames in files of any format, as windows in raw units with their mask and times."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.addresses import find_path
from framecast.data.config import DataConfig
from framecast.data.decode import coarsen, coarsen_size, scale_values
from framecast.data.fingerprint import DIGITS, fingerprint
from framecast.data.formats.base import StoredArray
from framecast.data.missing_values import replace_codes
from framecast.data.sources.base import Place
from framecast.data.sources.channels import (
    append_calendar,
    make_calendar_channels,
    name_channels,
    resolve_roles,
    resolve_units,
)
from framecast.data.sources.file_series import fingerprint_files
from framecast.data.sources.footprint import find_footprint
from framecast.data.sources.frame_cache import FrameCache
from framecast.data.sources.layout import infer_layout
from framecast.data.sources.open import open_stored
from framecast.data.sources.sequences import SequenceSelection, cut_pieces
from framecast.data.sources.value_scan import ValueScan, scan_latest_values, scan_nothing, scan_values, widen_range
from framecast.data.times import Timeline
from framecast.data.units import DBZ_UNITS, canonical_units, choose_z_r
from framecast.data.usual_ranges import find_usual_ranges, name_units
from framecast.errors import InputError
from framecast.types import Area, Channel, FrameSpec, Grid, Window

DBZ_RANGE = (0.0, 70.0)
"""Value range of reflectivity unless the user gives one."""
BYTE_RANGE = (0.0, 255.0)
"""Value range of unsigned bytes as they are stored."""
SERIES: dict[str, Any] = {"whole": 5 << 28, "samples": 16, "block": 1 << 20}
"""Limits of the scan of packed files: bytes up to which all is read, blocks of larger files, values of a block."""


class FileSource:
    """Sequences in one array or in many files: raw value = stored value x scale + offset, in raw units.

    A .npy is mapped, an .npz is unpacked into memory, everything else is read when frames are asked for. Pixels that
    hold the missing code, NaN or infinity are missing. Where files know their times, each stretch without a gap is a
    sequence of its own; a frame that is missing as a whole is a gap, too.

    Args:
        config: source (the path) and the options of the user.
        stored: the array that the path holds, where it has been opened already.
        last: frames at the end of each sequence to scan, and earlier ones if some are missing; None for all, 0 for none.
        constant: value range where all values are equal, as on a dry day; None to refuse such data.

    Raises:
        InputError: a file that cannot be used, and why.
    """

    def __init__(
        self,
        config: DataConfig,
        stored: StoredArray | None = None,
        *,
        last: int | None = None,
        constant: tuple[float, float] | None = None,
    ) -> None:
        self._path, name = find_path(config.path), config.path
        stored = stored or open_stored(config)
        attributes = stored.attributes
        self.about: str = stored.about
        self.timeline: Timeline | None = stored.timeline
        self._files, self._array, self._shrink = stored.files, stored.array, config.shrink
        self._cache = FrameCache() if stored.files else None
        self._layout, notes = infer_layout(stored, config.dims, name)
        self.notes: list[str] = [*stored.notes, *notes]
        self._roles = resolve_roles(config, stored.grid, self._layout.size("c"))
        self._targets = range(self._layout.size("c")) if self._roles is None else self._roles.targets
        self._factors: NDArray[np.float32] | None = None
        self._missing = replace_codes(attributes.missing, config.missing)
        units = self._calibrate(config.units, stored)
        step = attributes.step_minutes if config.step_minutes is None else config.step_minutes
        self._selection = SequenceSelection(self._layout, self.timeline, attributes, step, name)
        named = name_units(stored.grid, units, self._layout.size("c"))
        usual = find_usual_ranges(named, self._scale, self._offset, self._factors)
        self._scan = self._scan_values(stored.grain, config, last, usual)
        self.notes += [] if self._scan is None else self._scan.describe_unusual(named)
        self._reflectivity = None if config.scale is None else choose_z_r(units, config.z_r, name)
        if self._reflectivity is not None:
            a, b = self._reflectivity.coefficients
            self.notes.append(f"scale: {units} turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {DBZ_RANGE[1]:g} dBZ")
            units = DBZ_UNITS
        self.is_range_found = False
        low, high = self._choose_range(config.range, constant, units, name)
        self.has_missing: bool = self._scan is not None and self._scan.may_miss(self._array.dtype, self._missing)
        self.missing_frames = 0
        self._select(config)
        self._is_part, selection = config.frames is not None, self._selection
        self.pieces, self.lengths, self.labels = selection.pieces, selection.lengths, selection.labels
        self.latest, self.groups, self.origins = selection.latest, selection.groups, selection.origins
        area = find_footprint(stored.grid)
        self.places = [Place(group, area) for group in self.groups]
        self.channel_names = name_channels(stored.grid, self._layout.size("c"), self._roles)
        self.grid = self._make_grid(stored.grid, config)
        self.spec = FrameSpec(
            channels=self._layout.size("c") - (len(self._roles.covariates) if self._roles else 0),
            height=coarsen_size(self._layout.size("h"), config.shrink, "rows", name, self.notes),
            width=coarsen_size(self._layout.size("w"), config.shrink, "columns", name, self.notes),
            units=units,
            low=low,
            high=high,
            ranges=self._find_target_ranges((low, high), name),
            step_minutes=step,
            step_months=attributes.step_months if step == attributes.step_minutes else None,
            **self._describe_channels(name),
        )
        self.sizes: Sequence[tuple[int, int]] = [(self.spec.height, self.spec.width)] * len(self.lengths)

    def _make_grid(self, stored: Grid, config: DataConfig) -> Grid:
        """Make the grid of the targets, coarsened, with the units that the user gives."""
        grid = stored.coarse(config.shrink)
        grid = grid if self._roles is None else grid.of(self._roles.targets)
        return grid if config.units is None else grid.model_copy(update={"units": (config.units,) * len(grid.units)})

    def read(self, sequence: int, start: int, stop: int, area: Area | None = None) -> Window:
        """Frames start..stop-1 of a sequence, raw units: all pixels, or an area.

        Raises:
            InputError: no such frames, or they cannot be read.
        """
        if not (0 <= sequence < len(self.lengths) and 0 <= start < stop <= self.lengths[sequence]):
            length = self.lengths[sequence] if 0 <= sequence < len(self.lengths) else None
            expected = f"sequences 0..{len(self.lengths) - 1}" if length is None else f"frames 0..{length - 1}"
            raise InputError(str(self._path), got=f"sequence {sequence}, frames {start}..{stop - 1}", expected=expected)
        piece = self.pieces[sequence]
        load = self._load if self._cache is None else partial(self._cache.read, load=self._load)
        frames = load(piece.sequence, piece.first + start, piece.first + stop, area)
        if self._roles is not None and self._roles.calendar:
            moments = self._selection.find_times(sequence, start, start + len(frames))
            frames = append_calendar(frames, moments, self._roles.calendar, str(self._path))
        valid = np.isfinite(frames) if self.has_missing else None
        return Window(frames, valid, self._selection.find_times(sequence, start, stop))

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        return self._selection.find_times(sequence)

    @property
    def dims(self) -> str:
        """The array's axes in order, letters of n t c h w; n first where several sequences share one axis of time."""
        dims = self._layout.dims
        return dims if "n" in dims or len(self.latest) == 1 else f"n{dims}"

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the contents of the file or files, and the frames of them that are used."""
        if not self._is_part:
            return self._fingerprint
        return hashlib.sha256(f"{self._fingerprint} {[tuple(p) for p in self.pieces]}".encode()).hexdigest()[:DIGITS]

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_files(self._files, self._path) if self._files else fingerprint(self._path)

    def _load(self, sequence: int, start: int, stop: int, area: Area | None = None) -> NDArray[np.float32]:
        """Read frames from the file: raw units, NaN where missing."""
        # an area counts coarse pixels, the file fine ones
        fine = None if area is None else area.times(self._shrink)
        stored = self._layout.read(self._array, sequence, start, stop, fine)
        frames = scale_values(stored, self._scale, self._offset)
        if self.has_missing:
            marked = np.False_ if self._missing is None else self._missing.find(stored)
            frames[~np.isfinite(frames) | marked] = np.nan
        if self._factors is not None:
            order = list(range(len(self._factors))) if self._roles is None else self._roles.order
            frames = frames[:, order] * self._factors[order][:, None, None]
        frames = coarsen(frames, self._shrink) if self._shrink > 1 else frames
        if self._reflectivity is not None:
            targets = slice(None) if self._roles is None else slice(len(self._roles.targets))
            frames[:, targets] = self._reflectivity.as_dbz(frames[:, targets])
        return frames

    @property
    def _has_plain_bytes(self) -> bool:
        return self._array.dtype == np.uint8 and (self._scale, self._offset) == (1.0, 0.0)

    @property
    def _has_unscaled_targets(self) -> bool:
        """Whether no factor changes the units of the targets."""
        return self._factors is None or all(self._factors[channel] == 1 for channel in self._targets)

    def _calibrate(self, requested: str | None, stored: StoredArray) -> str:
        """Set scale, offset and factors of the channels; return the units of the targets."""
        attributes, count = stored.attributes, self._layout.size("c")
        units = resolve_units(requested, attributes.units, stored.grid.units, self._roles, count)
        self.notes += units.notes
        self._scale, self._offset, self._factors = attributes.scale, attributes.offset, None
        if self._roles is None and len(set(units.factors)) == 1:
            # one factor for all channels goes into scale and offset: one multiplication less for each frame
            self._scale, self._offset = attributes.scale * units.factors[0], attributes.offset * units.factors[0]
        else:
            self._factors = np.array(units.factors, np.float32)
        return units.name

    def _scan_values(
        self, grain: tuple[int, ...], config: DataConfig, last: int | None, usual: Sequence[tuple[float, float]]
    ) -> ValueScan | None:
        """Scan the values, unless they are plain bytes without a missing code, of which none can be missing."""
        if self._has_plain_bytes and self._missing is None:
            return None
        counting = None if self._roles is None else self._roles.targets
        if last == 0:
            return scan_nothing(self._layout)
        if last is None:
            limits = dict(SERIES) if self._files else {}
            limits |= {"whole": sys.maxsize} if config.max_missing is not None else {}
            scan = scan_values(self._array, grain, self._missing, self._layout.dims, counting, usual, **limits)
        else:
            groups = self._selection.select_frames(config.frames).pieces_by_group
            scan = scan_latest_values(
                self._array, self._layout, groups, last, self._missing, counting, config.max_missing, usual
            )
        self.notes += scan.describe_missing(self._missing)
        if scan.low > scan.high:
            got = f"no valid value {scan.part}".rstrip()
            raise InputError(config.path, got=got, expected="some pixels that are not missing")
        return scan

    def _choose_range(
        self, requested: tuple[float, float] | None, constant: tuple[float, float] | None, units: str, name: str
    ) -> tuple[float, float]:
        """Choose the value range of the targets: that of the user, of dBZ, of bytes, or of the data."""
        unit = "" if units == "1" else f" {units}"
        low, high = self._find_range(name)  # refuses data that float32 cannot hold, whatever range is requested
        if requested is not None:
            return requested
        if units == DBZ_UNITS:
            self.notes.append(f"range: {DBZ_RANGE[0]:g} to {DBZ_RANGE[1]:g} dBZ, usual for radar")
            return DBZ_RANGE
        if self._has_plain_bytes and self._has_unscaled_targets:
            self.notes.append("range: 0 to 255, as values are unsigned 8-bit")
            return BYTE_RANGE
        if low >= high and constant is not None:
            ends = min(low, constant[0]), max(high, constant[1])
            self.notes.append(f"range: all values are {low:g}; {ends[0]:g} to {ends[1]:g}{unit} is used")
            return ends
        if low >= high:
            raise InputError(name, got=f"the value {low:g} only", expected="values that differ", fix="give a range")
        self.is_range_found, part = True, "" if self._scan is None else self._scan.part and f", {self._scan.part}"
        self.notes.append(f"range: {low:g} to {high:g}{unit}, found in the data{part}")
        return low, high

    def _find_range(self, name: str, channels: Sequence[int] | None = None) -> tuple[float, float]:
        """Find the range of the raw values of some channels, by default the targets, rounded to float32."""
        ends: list[float] = []
        for channel in self._targets if channels is None else channels:
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
        """Find the range of each target where units differ: of dBZ, else of the data; `shared` where none is valid."""
        units = [canonical_units(unit)[0] for unit in self.grid.units]
        if len(set(units)) < 2 or len(units) != len(self._targets):
            return ()
        scan = self._scan
        return tuple(
            DBZ_RANGE
            if unit == DBZ_UNITS
            else widen_range(*self._find_range(name, [channel]))
            if scan is None or scan.ranges[channel][0] <= scan.ranges[channel][1]
            else shared
            for unit, channel in zip(units, self._targets, strict=True)
        )

    def _describe_channels(self, name: str) -> dict[str, Any]:
        """Describe the channels as fields of a FrameSpec, where not all are targets without names."""
        roles = self._roles
        if roles is None:
            return {}

        def describe(channel: int) -> Channel:
            low, high = widen_range(*self._find_range(name, [channel]))
            return Channel(name=roles.names[channel], low=low, high=high)

        return {
            "names": tuple(roles.names[channel] for channel in roles.targets),
            "past": tuple(map(describe, roles.past)),
            "covariates": (*map(describe, roles.covariates), *make_calendar_channels(roles.calendar)),
        }

    def _select(self, config: DataConfig) -> None:
        """Leave out frames that are missing as a whole, and frames that the configuration does not request."""
        scan, selection = self._scan, self._selection
        if scan is not None and scan.extent == "sample" and self.has_missing:
            self.notes.append("gaps: not all frames were looked at for missing ones; data.max_missing=0.99 does so")
        if scan is not None and scan.extent != "sample":
            cut = cut_pieces(self._layout, selection.latest, scan.lost, config.max_missing)
            if cut is not None:
                self.notes.append(cut.note)
                self._selection = selection = selection.drop_missing(cut)
                self.missing_frames = len(cut.missing)
        if config.frames is not None:
            self._selection = selection.select_frames(config.frames)
            self.notes.append(f"frames: {sum(self._selection.lengths)} of {sum(selection.lengths)} are used")
