"""Observed frames of the newest window, beside the forecasts: what a page shows before the line of the present."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast import files
from framecast.live.publish import STATE
from framecast.live.slots import Instant, format_slot, parse_file_slot
from framecast.live.window import LiveWindow

FOLDER = "observed"
"""Folder of the frames within `STATE`."""


class ObservedFrame(NamedTuple):
    """File of one frame."""

    slot: Instant
    path: Path

    def load(self) -> NDArray[np.float32]:
        """Load the targets (C, H, W), raw units, NaN where missing.

        Raises:
            OSError: the frame has left the window.
        """
        with np.load(self.path) as stored:
            frame: NDArray[np.float32] = stored["frame"]
        return frame


def keep_observed(out: Path, window: LiveWindow) -> None:
    """Write the frames of a window that are not there yet, and remove those that left it.

    Args:
        out: folder of the output; the caller holds its lock.
        window: frames by slot; absent ones have no file.
    """
    folder, wanted = out / STATE / FOLDER, set[str]()
    for slot, frame in zip(window.slots, window.frames, strict=True):
        if frame is None:
            continue
        name = f"{format_slot(slot)}-{frame.digest[:8]}.npz"
        wanted.add(name)
        if not (folder / name).exists():
            arrays: dict[str, Any] = {"frame": frame.values[: frame.spec.targets]}
            files.write(folder / name, lambda file, arrays=arrays: np.savez_compressed(file, **arrays))  # type: ignore[misc]
    for path in folder.glob("*.npz"):
        if path.name not in wanted:
            path.unlink(missing_ok=True)


def list_observed(out: Path) -> list[ObservedFrame]:
    """List the frames of the newest window of an output, oldest first."""
    return sorted(_iterate_observed(out / STATE / FOLDER))


def _iterate_observed(folder: Path) -> Iterator[ObservedFrame]:
    for path in folder.glob("*.npz"):
        with suppress(ValueError):  # a name that is not ours
            yield ObservedFrame(parse_file_slot(path.stem.partition("-")[0]), path)
