"""Motion of the frames of a window, estimated on whole frames and then cut like them; kept in memory and on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framecast import files
from framecast.data.sources.base import Source
from framecast.data.windows.starts import WindowStart
from framecast.motion import TRACKED_FRAMES, estimate_motion, expand_motion
from framecast.types import Area

VERSION = 1
"""Version of the estimation: motion on disk of another one is not used."""

Convert = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(T, C, H, W), raw units, NaN where missing, to the maps that are tracked, (T, H, W), NaN where missing."""


class MotionReader:
    """Reader of the motion at some frames of a context, from the frames of the window up to there.

    Args:
        source: the frames.
        frames: the N frames of a window, counted from its first, whose motion is needed.
        convert: the maps that are tracked.
        key: text that changes when `convert` does.
        folder: where motion is kept for later runs; None to keep it in memory only.
    """

    def __init__(self, source: Source, frames: range, convert: Convert, key: str, folder: Path | None) -> None:
        self._source, self._frames, self._convert = source, frames, convert
        text = f"{source.fingerprint()} {key} {VERSION} {TRACKED_FRAMES}"
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._folder = None if folder is None else folder / name
        self._kept: dict[tuple[int, int, int, int], NDArray[np.float32]] = {}

    def read(self, at: WindowStart, area: Area | None = None) -> NDArray[np.float32]:
        """Read the motion at these frames of a window, (N, 2, H, W), pixels per frame of the window in x and y."""
        height, width = self._source.sizes[at.sequence]
        area = area or Area(0, 0, height, width)
        fields = []
        for number in self._frames:
            there = number - at.absent
            tracked = min(there + 1, TRACKED_FRAMES)
            nodes = torch.from_numpy(self._find(at.sequence, at.first + there * at.every, tracked, at.every))
            fields.append(expand_motion(nodes[None], height, width)[0, :, area.rows, area.columns].numpy())
        return np.stack(fields)

    def _find(self, sequence: int, last: int, tracked: int, every: int) -> NDArray[np.float32]:
        """Find the motion at frame `last`, from so many frames up to there, on the nodes of its grid."""
        key = sequence, last, tracked, every
        if key not in self._kept:
            path = None if self._folder is None else self._folder / "{}-{}-{}-{}.npy".format(*key)
            nodes = _load(path)
            if nodes is None:
                frames = self._source.read(sequence, last - (tracked - 1) * every, last + 1).frames[::every]
                nodes = estimate_motion(self._convert(frames))
                if path is not None:
                    with suppress(OSError):  # a full or read-only disk costs time only
                        files.write(path, _saver(nodes))
            self._kept[key] = nodes
        return self._kept[key]


def _load(path: Path | None) -> NDArray[np.float32] | None:
    """Load motion that was kept; None where there is none, or a damaged one."""
    with suppress(OSError, ValueError, EOFError):
        if path is not None:
            nodes: NDArray[np.float32] = np.load(path, allow_pickle=False)
            return nodes if nodes.ndim == 3 and nodes.dtype == np.float32 else None
    return None


def _saver(nodes: NDArray[Any]) -> Callable[[Any], object]:
    return lambda file: np.save(file, nodes, allow_pickle=False)


def cache_folder() -> Path:
    """Folder in which motion is kept for later runs, by the conventions of the system's desktop."""
    return Path(os.path.expanduser("~")) / ".cache" / "framecast" / "motion"
