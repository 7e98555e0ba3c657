"""Videos through PyAV (FFmpeg): mp4, mov, avi, mkv, webm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import FileHeader, ReaderOptions
from framecast.data.formats.guards import as_input_error, check_frame
from framecast.data.formats.pictures.film import Film, FilmLayout, KeyFrame, collect_frames, survey_film
from framecast.data.formats.pictures.orientation import UPRIGHT, turn_upright
from framecast.data.formats.pictures.pace import describe_pace, find_step
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
_PICTURES = ("attached_pic", "timed_thumbnails", "still_image")
"""Dispositions of video streams that are no film: covers, thumbnails."""
_HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of ITU-T H.273 that displays of 8 bits cannot show as they are."""


class VideoReader:
    """Videos of one size, upright. Those stored as grey have one channel, others red, green and blue.

    Values have the depth of the file: bytes up to 8 bits, else 0 to 2^bits - 1. All frames are decoded once when the
    header is read, so that what cannot be decoded is known from the start.

    Args:
        files: all of the source.
        options: colour "auto" as stored, "grey" one channel, "rgb" three; variable, the number of the film, from 1 on,
            in files that have several.

    Raises:
        InputError: the variable is no number.
    """

    name = "video"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        number = options.variable
        if number is not None and not (number.isdecimal() and int(number) > 0):
            fix = "leave it out where there is one only"
            raise InputError("variable", got=number, expected="the number of a film in the file, 1 or more", fix=fix)
        self._colour, self._number = options.colour, None if number is None else int(number)
        self._films: dict[Path, Film] = {}

    def read_header(self, path: Path) -> FileHeader:
        """Decode all frames, and read size, frame rate and the time of each."""
        with self._opened(path) as (container, stream):
            context, packed = stream.codec_context, path.stat().st_size
            check_frame((3, max(context.height, 1), max(context.width, 1)), 1, max(packed, 1 << 20), str(path))
            film = survey_film(container, stream, str(path), packed)
            step = find_step(film.seconds, float(stream.average_rate or 0))
            notes = [*film.notes, *_describe_pixels(film.layout, stream)]
        layout = film.layout
        if layout.floating and not layout.grey:
            raise InputError(str(path), got=f"floats of {layout.format}", expected="integers, or grey floats")
        self._films[path] = film
        seconds = film.seconds
        if seconds is None:
            seconds = np.arange(len(film.checksums), dtype=np.float64) * (step or 1.0)
            notes.append("times: the film has none that are in order; its frames are counted")
        else:
            notes += describe_pace(seconds)
        grey = self._is_grey(layout)
        dtype = _choose_dtype(layout)
        return FileHeader(
            (1 if grey else 3, *layout.size),
            dtype,
            len(film.checksums),
            clock=seconds,
            step_minutes=step and step / 60,
            units="grey level" if dtype == np.uint8 else None,
            grid=Grid(variables=("grey",) if grey else ("red", "green", "blue")),
            notes=tuple(notes),
        )

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Decode from the key frame before the first one that is asked for; from the beginning where that misleads."""
        film = self._films[path]
        for key in dict.fromkeys((film.find_key(min(indices)), KeyFrame(0, None))):
            with self._opened(path) as (container, stream):
                frames = collect_frames(container, stream, film, set(indices), key)
                if frames is not None:
                    grey = self._is_grey(film.layout)
                    return np.stack([_to_values(frames[index], film.layout, grey) for index in indices])
        fix = "leave the file alone while it is used"
        raise InputError(str(path), got="other frames than when it was opened", expected="the same", fix=fix)

    def _is_grey(self, layout: FilmLayout) -> bool:
        return self._colour == "grey" or (self._colour == "auto" and layout.grey)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[tuple[Any, Any]]:
        av = require("av", "video")
        kind = CONTAINERS[path.suffix.lower()]
        with as_input_error(str(path), _WORDS, av.FFmpegError), av.open(str(path), format=kind) as container:
            yield container, self._choose_stream(container, path)

    def _choose_stream(self, container: Any, path: Path) -> Any:
        """Choose the film among the streams; one of several must be named."""
        films = [stream for stream in container.streams.video if not _is_picture(stream)]
        if not films:
            raise InputError(str(path), got="no film" if container.streams.video else "no pictures", expected=_WORDS)
        if self._number is None and len(films) > 1:
            listed = ", ".join(f"{number} ({_describe_stream(stream)})" for number, stream in enumerate(films, 1))
            fix = "name one with --var, as in --var 1"
            raise InputError(str(path), got=f"{len(films)} films: {listed}", expected="one", fix=fix)
        number = self._number or 1
        if number > len(films):
            raise InputError(f"{path}: variable", got=number, expected=f"a film from 1 to {len(films)}")
        return films[number - 1]


def _is_picture(stream: Any) -> bool:
    flags = type(stream.disposition)
    return any(stream.disposition & flags[kind] for kind in _PICTURES)


def _describe_stream(stream: Any) -> str:
    context = stream.codec_context
    title = stream.metadata.get("title") or stream.metadata.get("handler_name")
    return f"{context.width}x{context.height} {context.name}" + (f", {title[:40]!r}" if title else "")


def _choose_dtype(layout: FilmLayout) -> np.dtype[Any]:
    if layout.floating:
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if layout.depth <= 8 else np.uint16)


def _to_values(frame: Any, layout: FilmLayout, grey: bool) -> NDArray[Any]:
    """Convert a frame of PyAV to upright values of the depth of the file, (C, H, W)."""
    shift = 0
    if layout.floating:
        kind = "grayf32le"
    elif layout.depth <= 8:
        kind = "gray" if grey else "rgb24"
    elif layout.format.startswith("gray"):
        kind = f"gray{layout.depth}le"  # as stored: FFmpeg would stretch 10 bits to 16
    else:
        kind, shift = "gray16le" if grey else "rgb48le", 16 - layout.depth
    values = frame.to_ndarray(format=kind) >> shift if shift else frame.to_ndarray(format=kind)
    if values.ndim == 2 and not grey:
        values = np.repeat(values[..., None], 3, -1)
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return turn_upright(values, layout.orientation or UPRIGHT)


def _describe_pixels(layout: FilmLayout, stream: Any) -> Iterator[str]:
    """Describe what is done to the pixels, and what the file says of them that is not done."""
    if layout.orientation is None:
        yield "orientation: the film asks to be turned by no right angle, or to be scaled; it is left as it is stored"
    elif layout.orientation != UPRIGHT:
        yield "orientation: frames are turned upright, as the file says"
    if layout.depth > 8 and not layout.floating:
        yield f"depth: {layout.depth} bits, values 0 to {2**layout.depth - 1}"
    if layout.alpha:
        yield "alpha: left out; what is transparent keeps its colour"
    context, ratio = stream.codec_context, stream.sample_aspect_ratio
    if ratio and ratio != 1:
        yield f"pixels: {float(ratio):.4g} times as wide as high, kept as stored"
    if context.color_trc in _HDR:
        yield f"colour: high dynamic range ({_HDR[context.color_trc]}), values as stored"
