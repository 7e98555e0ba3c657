"""Interface of a source of sequences: what splits, windows and forecasts ask of opened data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from numpy.typing import NDArray

from framecast.data.sources.footprint import Footprint
from framecast.types import Area, FrameSpec, Grid, Window


class Place(NamedTuple):
    """Where a sequence comes from, and which part of the world it shows."""

    file: Hashable
    """File, or folder or video of a folder."""
    area: Footprint | None
    """What its grid covers; None where the file has no coordinates."""


class ChannelName(NamedTuple):
    """Name of a channel of a file."""

    name: str
    """Name of the variable, with the level in brackets where it has several; its number where the file has no names."""
    standard_name: str
    """CF standard name; empty where there is none."""
    units: str
    """Units, as the file spells them; empty where it states none."""
    number: int
    """Number in the file, from 0."""


@runtime_checkable
class Source(Protocol):
    """Interface of a source: sequences of frames in raw units, read when asked for, with their times and labels.

    A source has been opened from a DataConfig, whatever the format of its files: `FileSource` from one path,
    `MultiFileSource` from several. A new file format implements `framecast.data.formats.base.Reader`, not this.
    """

    @property
    def spec(self) -> FrameSpec:
        """Channels, size, units and value range of each frame."""

    @property
    def grid(self) -> Grid:
        """Georeference, names of channels, calendar, and what counts as missing."""

    @property
    def latest(self) -> Sequence[int]:
        """Last sequence of each group of files (or each sequence of an array): a forecast of the future continues it."""

    @property
    def lengths(self) -> Sequence[int]:
        """Frames in each sequence."""

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Rows and columns of the frames of each sequence."""

    @property
    def groups(self) -> Sequence[int]:
        """Number of the file (or folder, or video) that each sequence comes from; one for all sequences of an array."""

    @property
    def channel_names(self) -> Sequence[ChannelName]:
        """Names of the channels of a window, in its order, without calendar channels."""

    @property
    def places(self) -> Sequence[Place]:
        """File and grid of each sequence."""

    @property
    def origins(self) -> Sequence[tuple[object, int]]:
        """(parent recording, index of its first frame there) of each sequence.

        Where times are not known, pieces of one recording are at least as far apart as these indices.
        """

    @property
    def labels(self) -> Sequence[str] | None:
        """Split of each sequence ("train", "val" or "test") if the file says so."""

    @property
    def is_range_found(self) -> bool:
        """Whether the value range is that of the frames, not one that the user gives or that units have."""

    @property
    def has_missing(self) -> bool:
        """Whether any pixel may be missing; if so, every window carries its mask."""

    @property
    def notes(self) -> list[str]:
        """Properties that were read or assumed, one short line each: nothing is guessed silently."""

    def read(self, sequence: int, start: int, stop: int, area: Area | None = None) -> Window:
        """Frames start..stop-1 of a sequence, raw units: all pixels, or an area.

        Raises:
            InputError: no such frames, or they cannot be read.
        """

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame of a sequence, UTC; None where unknown."""

    def fingerprint(self) -> str:
        """16 hex digits that change when the data do."""
