"""Decoding of films: every frame once, in the decoder's order; where seeking is right, and what cannot be decoded."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.guards import SERIES_LIMIT, check_frame
from framecast.data.formats.pictures.orientation import UPRIGHT, orientation_of_matrix, swaps_sides
from framecast.errors import InputError
from framecast.optional_imports import require

LEADING = 64
"""Frames that a decoder may give before the key frame to which it was sent."""
CUT = 1.75
"""Steps from the last frame to the end that the file states, above which the film counts as cut; 1 is usual."""


class FilmLayout(NamedTuple):
    """Size and kind of the pixels of a film's frames."""

    height: int
    """Stored rows, before frames are turned upright."""
    width: int
    format: str
    """FFmpeg's name of the pixel format."""
    depth: int
    """Bits of a value."""
    grey: bool
    floating: bool
    alpha: bool
    orientation: int | None
    """As in EXIF; None for one that is no turn by right angles."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of upright frames."""
        sides = (self.height, self.width)
        return sides[::-1] if swaps_sides(self.orientation or UPRIGHT) else sides


class KeyFrame(NamedTuple):
    """Place from which frames can be decoded."""

    number: int
    """Number of the frame in the film."""
    timestamp: int | None
    """Where to seek, in the stream's time base; None for the beginning of the file."""


class Film(NamedTuple):
    """Frames of a film, as all of them were decoded once."""

    layout: FilmLayout
    checksums: NDArray[np.uint32]
    """(frames,), which tell whether a decoder that was sent to a key frame gives the same frames."""
    keys: tuple[KeyFrame, ...]
    """Ascending; the first is the beginning."""
    seconds: NDArray[np.float64] | None
    """(frames,) from the first frame on; None where the file's times are absent or not in order."""
    notes: tuple[str, ...]
    """What cannot be decoded, and what is left out."""

    def find_key(self, number: int) -> KeyFrame:
        """Find the last key frame up to a frame."""
        return max((key for key in self.keys if key.number <= number), key=lambda key: key.number)


class _Packets:
    """Packets of a film, counted by what became of them."""

    def __init__(self) -> None:
        self.failed = self.corrupt = self.hidden = self.early = 0
        self.began = False
        self.broke_off = False
        """Whether the container ends in an error."""
        self.first_loss: int | None = None
        """Number of frames before the first that was lost."""


def decode_frames(container: Any, stream: Any, packets: _Packets | None = None) -> Iterator[Any]:
    """Decode frames in the order in which they are shown; those that are damaged are left out, and counted.

    Args:
        container: an open file of PyAV.
        stream: the film in it.
        packets: counts.
    """
    av = require("av", "video")
    packets = packets or _Packets()
    number = 0
    for packet in _list_packets(container, stream, packets):
        try:
            frames = packet.decode() if packet is not None else stream.codec_context.decode(None)
        except av.FFmpegError:
            packets.failed += 1
            packets.first_loss = number if packets.first_loss is None else packets.first_loss
            continue
        for frame in frames:
            if frame.is_corrupt:
                packets.corrupt += 1
                packets.first_loss = number if packets.first_loss is None else packets.first_loss
                continue
            number += 1
            yield frame


def _list_packets(container: Any, stream: Any, packets: _Packets) -> Iterator[Any]:
    """Iterate over the packets; None, after an error of the container, asks for what the decoder still holds."""
    av = require("av", "video")
    try:
        for packet in container.demux(stream):
            packets.began |= packet.is_keyframe
            packets.early += not packets.began and packet.size > 0
            packets.hidden += packet.is_discard or (not packet.size and packet.dts is not None)
            yield packet
    except av.FFmpegError:
        packets.broke_off = True
        yield None


def survey_film(container: Any, stream: Any, name: str, packed: int) -> Film:
    """Decode all frames of a film, and keep of each what it takes to find it again.

    Args:
        container: an open file of PyAV.
        stream: the film in it.
        name: the file, for errors.
        packed: its size, bytes.

    Raises:
        InputError: no frame can be decoded, or frames are too many or too large.
    """
    packets = _Packets()
    checksums: list[int] = []
    timestamps: list[int | None] = []
    keys = [KeyFrame(0, None)]
    layout: FilmLayout | None = None
    change: str | None = None
    interlaced = 0
    for frame in decode_frames(container, stream, packets):
        found = _read_layout(frame)
        if layout is None:
            layout = found
            check_frame((3, *layout.size), 1 + (layout.depth > 8), max(packed, 1 << 20), name)
        if found != layout:
            change = _describe_change(layout, found, len(checksums))
            break
        if frame.key_frame and frame.pts is not None and checksums:
            keys.append(KeyFrame(len(checksums), frame.pts))
        interlaced += frame.interlaced_frame
        checksums.append(compute_checksum(frame))
        timestamps.append(frame.pts)
        if len(checksums) > SERIES_LIMIT:
            raise InputError(name, got="too many frames", expected=f"at most {SERIES_LIMIT}")
    if layout is None:
        raise InputError(name, got="no frame that can be decoded", expected="a film", fix="get it again")
    count, loss = len(checksums), packets.first_loss
    seconds = _read_seconds(timestamps, stream)
    notes = [change] if change else _describe_losses(packets, timestamps, seconds, container, stream)
    if interlaced:
        notes.append(f"interlaced: {interlaced} frames hold two moments each, in odd and even rows; kept as stored")
    if seconds is None and loss and loss < count:
        notes.append(
            f"frames: those after the first {loss} are left out, as the file has no times that say what is lost"
        )
        count = loss
    return Film(
        layout,
        np.array(checksums[:count], np.uint32),
        tuple(key for key in keys if key.number < count),
        None if seconds is None else seconds[:count],
        tuple(notes),
    )


def collect_frames(
    container: Any, stream: Any, film: Film, numbers: Collection[int], key: KeyFrame
) -> dict[int, Any] | None:
    """Decode some frames of a film that has been surveyed.

    Args:
        container: an open file of PyAV, from which nothing has been read.
        stream: the film in it.
        film: what all of its frames were.
        numbers: of the frames.
        key: where to begin.

    Returns:
        Frames of PyAV by number; None where seeking led elsewhere, or some do not come.
    """
    if key.timestamp is not None:
        container.seek(key.timestamp, stream=stream, backward=True)
    found: dict[int, Any] = {}
    number, leading = key.number, LEADING if key.timestamp is not None else 0
    for frame in decode_frames(container, stream):
        same = key.timestamp is None or compute_checksum(frame) == film.checksums[number]
        if not same and not leading:
            return None
        if not same:
            leading -= 1
            continue
        leading = 0
        if number in numbers:
            found[number] = frame
        number += 1
        if len(found) == len(set(numbers)) or number == len(film.checksums):
            break
    return found if len(found) == len(set(numbers)) else None


def compute_checksum(frame: Any) -> int:
    """Compute the CRC-32 of the pixels of a frame of PyAV, without what pads its rows, which is arbitrary."""
    total = 0
    for index, plane in enumerate(frame.planes):
        bits = [component.bits for component in frame.format.components if component.plane == index]
        active = min(plane.line_size, plane.width * sum(-(-number // 8) for number in bits) or plane.line_size)
        rows = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
        total = zlib.crc32(rows[:, :active].tobytes(), total)
    return total


def _read_layout(frame: Any) -> FilmLayout:
    components = frame.format.components
    name = frame.format.name
    return FilmLayout(
        height=frame.height,
        width=frame.width,
        format=name,
        depth=max(component.bits for component in components if not component.is_alpha),
        grey=name.startswith(("gray", "ya", "mono")),
        floating="f32" in name or "f16" in name,
        alpha=any(component.is_alpha for component in components),
        orientation=_read_orientation(frame),
    )


def _read_orientation(frame: Any) -> int | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return orientation_of_matrix(np.frombuffer(memoryview(data)[:36], np.int32).tolist())
    return UPRIGHT


def _describe_change(layout: FilmLayout, found: FilmLayout, count: int) -> str:
    old, new = ("{}x{} pixels of {}, orientation {}".format(*kind[:3], kind.orientation) for kind in (layout, found))
    return f"frames: the first {count} are used, of {old}; what follows has {new}: cut it there to use the rest"


def _read_seconds(timestamps: list[int | None], stream: Any) -> NDArray[np.float64] | None:
    known = [timestamp for timestamp in timestamps if timestamp is not None]
    if len(known) < len(timestamps) or (np.diff(known) <= 0).any():
        return None
    return np.asarray((np.array(known, np.int64) - known[0]) * float(stream.time_base), np.float64)


def _describe_losses(
    packets: _Packets, timestamps: list[int | None], seconds: NDArray[np.float64] | None, container: Any, stream: Any
) -> list[str]:
    notes, count = [], len(timestamps)
    if packets.early:
        notes.append(
            f"frames: the film begins between key frames; {packets.early} packets before the first are left out"
        )
    announced = stream.frames - packets.hidden - packets.early
    lost = packets.failed + packets.corrupt
    if announced > count:
        notes.append(f"frames: {count} of {announced} that the file announces can be decoded; only these are used")
    elif lost:
        notes.append(f"frames: {lost} that cannot be decoded are left out")
    elif packets.broke_off or _ends_early(seconds, timestamps, container, stream):
        notes.append(f"frames: the film is cut off; the {count} that can be decoded are used")
    return notes


def _ends_early(seconds: NDArray[np.float64] | None, timestamps: list[int | None], container: Any, stream: Any) -> bool:
    """Whether a file says that its film is longer than its frames; with sound it says the longer of both, so nothing."""
    if seconds is None or len(seconds) < 2 or not container.duration or len(container.streams) > 1:
        return False
    # the duration counts from 0 in Matroska, from the first frame in MP4
    end = max(seconds[-1], (timestamps[-1] or 0) * float(stream.time_base))
    step = float(np.median(np.diff(seconds)))
    return bool(container.duration / 1e6 - end > max(CUT * step, 0.01 * seconds[-1]))
