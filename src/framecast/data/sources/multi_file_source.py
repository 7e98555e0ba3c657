"""Multi-file source: several files, or parts of files, as one source of sequences."""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from framecast.data.config import DataConfig, FileConfig
from framecast.data.fingerprint import DIGITS
from framecast.data.formats.base import StoredArray
from framecast.data.sources.base import Place, Source
from framecast.data.sources.file_source import FileSource
from framecast.data.units import canonical_units
from framecast.errors import InputError
from framecast.types import Area, Channel, FrameSpec, Grid, Window


def open_source(
    config: DataConfig, stored: StoredArray | None = None, constant: tuple[float, float] | None = None
) -> Source:
    """Open the source of a configuration, be it one path or several files.

    Args:
        config: source and the options of the user.
        stored: the array of the one path, where it has been opened already.
        constant: value range of data whose values are all equal; None to refuse such data.

    Raises:
        InputError: a file that cannot be used, or files that do not fit together.
    """
    if isinstance(config.source, str):
        return FileSource(config, stored, constant=constant)
    return MultiFileSource(config, config.source, constant)


class MultiFileSource:
    """The sequences of several sources, one source after the other.

    Args:
        config: options for all files; `crop` lets their frames differ in size.
        files: path of each file, and options for it alone.
        constant: value range of a file whose values are all equal; None to refuse such a file.

    Raises:
        InputError: a file that cannot be used, or files that do not fit together.
    """

    def __init__(
        self, config: DataConfig, files: Sequence[FileConfig], constant: tuple[float, float] | None = None
    ) -> None:
        self._parts = [FileSource(config.of(file), constant=constant) for file in files]
        self._names = [Path(file.path).name for file in files]
        self._check_compatible(cropped=config.crop is not None)
        _check_disjoint(self._parts, files)
        self._ends = list(itertools.accumulate(len(part.lengths) for part in self._parts))
        self.lengths: Sequence[int] = [length for part in self._parts for length in part.lengths]
        self.sizes: Sequence[tuple[int, int]] = [size for part in self._parts for size in part.sizes]
        self.labels: Sequence[str] | None = self._find_labels(files)
        self.groups: Sequence[int] = [n for n, part in enumerate(self._parts) for _ in part.lengths]
        # parts of one file are pieces of one recording
        self.origins: Sequence[tuple[object, int]] = [
            ((Path(file.path).resolve(), recording), first)
            for file, part in zip(files, self._parts, strict=True)
            for recording, first in part.origins
        ]
        self.places = [
            Place((n, place.file), place.area) for n, part in enumerate(self._parts) for place in part.places
        ]
        self.channel_names = self._parts[0].channel_names
        begins = [0, *self._ends]
        self.latest: Sequence[int] = [
            begin + n for begin, part in zip(begins, self._parts, strict=False) for n in part.latest
        ]
        self.is_range_found = any(part.is_range_found for part in self._parts)
        self.has_missing = any(part.has_missing for part in self._parts)
        self.notes: list[str] = [
            f"{name}: {note}" for name, part in zip(self._names, self._parts, strict=True) for note in part.notes
        ]
        self.spec: FrameSpec = self._parts[0].spec.model_copy(
            update={
                "low": min(part.spec.low for part in self._parts),
                "high": max(part.spec.high for part in self._parts),
                "ranges": _widen_ranges([part.spec.ranges for part in self._parts]),
                "past": _widen_channels([part.spec.past for part in self._parts]),
                "covariates": _widen_channels([part.spec.covariates for part in self._parts]),
            }
        )
        grids = [part.grid for part in self._parts]
        unnamed = [grid.model_copy(update={"long_names": ()}) for grid in grids]
        is_one_grid = all(grid == unnamed[0] for grid in unnamed)
        self.grid: Grid = grids[0] if is_one_grid else grids[0].model_copy(update={"y": (), "x": (), "crs": None})

    def read(self, sequence: int, start: int, stop: int, area: Area | None = None) -> Window:
        """Frames start..stop-1 of a sequence, raw units: all pixels, or an area.

        Raises:
            InputError: no such frames, or they cannot be read.
        """
        if not 0 <= sequence < len(self.lengths):
            expected = f"0 to {len(self.lengths) - 1}"
            raise InputError("sequence", got=sequence, expected=expected)
        part, number = self._locate(sequence)
        return part.read(number, start, stop, area)

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""
        part, number = self._locate(sequence)
        return part.frame_times(number)

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the fingerprints of all files."""
        return hashlib.sha256("".join(part.fingerprint() for part in self._parts).encode()).hexdigest()[:DIGITS]

    def _locate(self, sequence: int) -> tuple[FileSource, int]:
        """Find the part that holds a sequence, and the number of the sequence there."""
        number = bisect.bisect_right(self._ends, sequence)
        return self._parts[number], sequence - (self._ends[number - 1] if number else 0)

    def _check_compatible(self, *, cropped: bool) -> None:
        first, units = self._parts[0].spec, _list_target_units(self._parts[0])
        for name, part in zip(self._names, self._parts, strict=True):
            spec = part.spec
            pairs = [
                ("units", spec.units, first.units, "name them with units, or turn rain rates into dBZ with scale: dBZ"),
                (
                    "units by channel",
                    _list_target_units(part),
                    units,
                    "name them with units, or choose variables with variable",
                ),
                ("channels", spec.channels, first.channels, "choose variables with variable"),
                ("targets", spec.names, first.names, "choose them with targets"),
                (
                    "channels beside",
                    _list_other_names(spec),
                    _list_other_names(first),
                    "choose them with variable, targets and covariates",
                ),
                ("a step in minutes", spec.step_minutes, first.step_minutes, "choose files of one step"),
            ]
            if not cropped:
                size = (f"{spec.height} x {spec.width}", f"{first.height} x {first.width}")
                pairs.append(("frames of", *size, "cut crops of one size, as in crop: 128"))
            for what, got, expected, fix in pairs:
                if got != expected:
                    expected = f"{expected}, as in {self._names[0]}"
                    raise InputError(name, got=f"{what} {got}", expected=expected, fix=fix)

    def _find_labels(self, files: Sequence[FileConfig]) -> list[str] | None:
        """Find the split of each sequence: that of its FileConfig, else the label in the file; None without any."""
        labels: list[str] = []
        for file, part in zip(files, self._parts, strict=True):
            labels += [file.split] * len(part.lengths) if file.split else part.labels or []
        if not labels:
            return None
        if len(labels) != len(self.lengths):
            raise InputError("split", got="some files without one", expected="one for each file, or for none")
        return labels


def _list_other_names(spec: FrameSpec) -> list[str]:
    """List the names of the channels that are no targets."""
    return [channel.name for channel in (*spec.past, *spec.covariates)]


def _list_target_units(part: FileSource) -> list[str]:
    """List the units of each target where they differ; empty where all have the same."""
    units = [canonical_units(unit)[0] for unit in part.grid.units]
    return units if len(set(units)) > 1 else []


def _widen_channels(channels_of_parts: Sequence[Sequence[Channel]]) -> tuple[Channel, ...]:
    """Widen the range of each channel until it holds that of every part."""
    return tuple(
        same[0].model_copy(update={"low": min(c.low for c in same), "high": max(c.high for c in same)})
        for same in zip(*channels_of_parts, strict=True)
    )


def _widen_ranges(ranges_of_parts: Sequence[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], ...]:
    """Widen each target's range until it holds that of every part."""
    by_channel = zip(*ranges_of_parts, strict=True)
    return tuple((min(low for low, _ in same), max(high for _, high in same)) for same in by_channel)


def _check_disjoint(parts: Sequence[FileSource], files: Sequence[FileConfig]) -> None:
    """Refuse parts that share a frame: it could come into two splits."""
    spans_of: dict[tuple[Path, str | None, int], list[tuple[int, int]]] = {}
    for part, file in zip(parts, files, strict=True):
        for piece in part.pieces:
            spans = spans_of.setdefault((Path(file.path).resolve(), file.variable, piece.sequence), [])
            begin, end = piece.first, piece.first + piece.length
            if any(begin < other_end and other_begin < end for other_begin, other_end in spans):
                fix = "give each part frames of its own, as in frames: [0, 20] and frames: [20, 40]"
                raise InputError(file.path, got="the same frames twice", expected="parts that share none", fix=fix)
            spans.append((begin, end))
