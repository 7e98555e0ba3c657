"""Source of the test windows of a protocol: each is a sequence of its own, of context + horizon frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.fingerprint import DIGITS
from framecast.data.sources.base import ChannelName, Place
from framecast.errors import InputError
from framecast.protocols.definition import Protocol
from framecast.protocols.layouts import LAYOUTS
from framecast.protocols.layouts.base import ProtocolWindows, check_files, resize
from framecast.types import Area, FrameSpec, Grid, Window


class WindowSource:
    """The test windows of a protocol as a `Source`; windows may share frames, as they do in the protocol.

    Args:
        protocol: says size, range and lengths.
        windows: as a layout finds them.
        notes: what a user should know of the files.
    """

    has_missing = False
    is_range_found = False

    def __init__(self, protocol: Protocol, windows: ProtocolWindows, notes: Sequence[str] = ()) -> None:
        self._protocol, self._windows = protocol, windows
        count = len(windows.keys)
        numbers = tuple(range(count))
        self.spec: FrameSpec = protocol.spec
        self.grid = Grid()
        self.notes: list[str] = [*notes, *windows.notes]
        self.lengths: Sequence[int] = [protocol.frames] * count
        self.sizes: Sequence[tuple[int, int]] = [protocol.size] * count
        self.latest: Sequence[int] = numbers
        self.groups: Sequence[int] = [0] * count
        self.channel_names = [ChannelName(str(number), "", "", number) for number in range(protocol.channels)]
        self.places = [Place(0, None)] * count
        self.origins: Sequence[tuple[object, int]] = [(number, 0) for number in numbers]
        self.labels: Sequence[str] | None = None

    def read(self, sequence: int, start: int, stop: int, area: Area | None = None) -> Window:
        """Frames start..stop-1 of a window, raw units: all pixels, or an area.

        Raises:
            InputError: no such frames, or they cannot be read.
        """
        if not (0 <= sequence < len(self.lengths) and 0 <= start < stop <= self._protocol.frames):
            got = f"window {sequence}, frames {start} to {stop - 1}"
            raise InputError(
                "frames", got=got, expected=f"{len(self.lengths)} windows of {self._protocol.frames} frames"
            )
        frames = resize(self._windows.read(sequence), self._protocol)[start:stop]
        if area is not None:
            frames = frames[..., area.rows, area.columns]
        return Window(np.ascontiguousarray(frames, dtype=np.float32), None)

    def frame_times(self, sequence: int) -> NDArray[Any] | None:
        """Time of each frame: not part of a protocol."""
        return None

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over the protocol, what its windows are called, and the first and last of them."""
        digest = hashlib.sha256(f"{self._protocol.name} {self._windows.keys}".encode())
        for number in (0, len(self.lengths) - 1):
            digest.update(np.ascontiguousarray(self._windows.read(number)).tobytes())
        return digest.hexdigest()[:DIGITS]


def open_protocol(protocol: Protocol, folder: str | Path) -> WindowSource:
    """Open the test windows of a protocol in a user's copy of its data.

    Args:
        protocol: see `find_protocol`.
        folder: folder of the published files, or the one above it.

    Raises:
        InputError: a file that is not there, with its origin; or one that is not as published.
    """
    notes = check_files(Path(folder), protocol)
    windows = LAYOUTS[protocol.layout](Path(folder), protocol)
    if not windows.keys:
        fix = "look at the layout in docs/protocols.md"
        raise InputError(
            str(folder),
            got="no test window",
            expected=f"windows of {protocol.frames} frames: {protocol.title}",
            fix=fix,
        )
    return WindowSource(protocol, windows, notes)
