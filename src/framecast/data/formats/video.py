"""Videos through PyAV (FFmpeg): mp4, mov, avi, mkv, webm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import FileHeader, ReaderOptions, check_no_variable
from framecast.data.formats.guards import SERIES_LIMIT, as_input_error, check_frame
from framecast.errors import InputError
from framecast.optional_imports import require
from framecast.types import Grid

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".avi": "avi",
    ".mkv": "matroska",
    ".webm": "matroska",
}
"""Suffix to FFmpeg's name: only this demuxer is tried, so that no playlist can name other files."""

_WORDS = "a video that FFmpeg can read"


class VideoReader:
    """Videos of one size. Those stored as grey have one channel, others red, green and blue.

    Args:
        files: all of the source.
        options: colour "auto" as stored, "grey" one channel, "rgb" three.
    """

    name = "video"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        check_no_variable(options, "videos")
        self._colour = options.colour
        self._timestamps: dict[Path, NDArray[np.int64]] = {}
        self._grey: dict[Path, bool] = {}

    def read_header(self, path: Path) -> FileHeader:
        """Read size, frame rate and the time of each frame, without decoding."""
        with _opened(path) as (container, stream):
            context = stream.codec_context
            grey = self._colour == "grey" or (self._colour == "auto" and str(context.pix_fmt).startswith("gray"))
            shape = (1 if grey else 3, context.height, context.width)
            check_frame(shape, 1, max(path.stat().st_size, 1 << 20), str(path))
            timestamps = _read_timestamps(container, stream, path)
            seconds = (timestamps - timestamps[0]) * float(stream.time_base)
            rate = float(stream.average_rate or 0)
        self._timestamps[path], self._grey[path] = timestamps, grey
        step = 1 / rate / 60 if rate > 0 else None
        channels = ("grey",) if grey else ("red", "green", "blue")
        header = FileHeader(
            shape, np.dtype(np.uint8), len(timestamps), clock=seconds, step_minutes=step, units="grey level"
        )
        return header._replace(grid=Grid(variables=channels))

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Decode from the key frame before the first one that is asked for."""
        requested = {int(self._timestamps[path][index]): position for position, index in enumerate(indices)}
        last, kind = max(requested), "gray" if self._grey[path] else "rgb24"
        frames: dict[int, NDArray[np.uint8]] = {}
        with _opened(path) as (container, stream):
            container.seek(min(requested), stream=stream, backward=True)
            for frame in container.decode(stream):
                if frame.pts in requested:
                    values = frame.to_ndarray(format=kind)
                    frames[requested[frame.pts]] = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
                if len(frames) == len(requested) or (frame.pts is not None and frame.pts > last):
                    break
        if len(frames) != len(requested):
            got = f"{len(requested) - len(frames)} of {len(requested)} frames that cannot be decoded"
            raise InputError(str(path), got=got, expected="a whole video", fix="get it again")
        sizes = sorted({f"{values.shape[1]}x{values.shape[2]}" for values in frames.values()})
        if len(sizes) > 1:
            got = f"frames of {', '.join(sizes)} pixels"
            raise InputError(str(path), got=got, expected="one size", fix="get it again, or cut it there")
        return np.stack([frames[position] for position in range(len(indices))])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    av = require("av", "video")
    kind = CONTAINERS[path.suffix.lower()]
    with as_input_error(str(path), _WORDS, av.FFmpegError), av.open(str(path), format=kind) as container:
        if not container.streams.video:
            raise InputError(str(path), got="no pictures", expected=_WORDS)
        yield container, container.streams.video[0]


def _read_timestamps(container: Any, stream: Any, path: Path) -> NDArray[np.int64]:
    """Read the presentation time of each frame, in the stream's time base, ascending."""
    timestamps = set()
    for packet in container.demux(stream):
        if packet.pts is not None and packet.size and not packet.is_discard:
            timestamps.add(packet.pts)
        if len(timestamps) > SERIES_LIMIT:
            raise InputError(str(path), got="too many frames", expected=f"at most {SERIES_LIMIT}")
    if not timestamps:
        raise InputError(str(path), got="no frame", expected=_WORDS)
    return np.array(sorted(timestamps), np.int64)
