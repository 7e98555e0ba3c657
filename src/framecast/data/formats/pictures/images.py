"""PNG, JPEG, GIF, WebP and TIFF pictures, also of several frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.base import FileHeader, ReaderOptions
from framecast.data.formats.pictures.deep import read_deep
from framecast.data.formats.pictures.orientation import turn_upright
from framecast.data.formats.pictures.pace import describe_pace, find_step
from framecast.data.formats.pictures.picture import GREY, RGB, SRGB, PictureLayout, opened, read_layout
from framecast.data.formats.variable_names import check_no_variable
from framecast.errors import InputError
from framecast.types import Grid

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey. Source: ITU-R BT.601."""


class ImageReader:
    """Pictures of one size, upright. Grey ones have one channel, others three; what is transparent keeps its colour.

    Args:
        files: all pictures, so that grey ones among coloured ones become coloured.
        options: colour "auto" as they are, "grey" luma (ITU-R BT.601), "rgb" three channels. Values keep the depth of the
            file; grey ones of more than 8 bits stay grey.

    Raises:
        InputError: a file is no such picture, or pictures differ in depth or colour space.
        UsageError: 16 bits of colour take rasterio, which is not installed.
    """

    name = "pictures"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        check_no_variable(options, "pictures")
        self._layouts = {path: read_layout(path) for path in files}
        for what, kinds in (
            ("values of", {str(layout.dtype) for layout in self._layouts.values()}),
            ("the colours of", {layout.colours for layout in self._layouts.values()}),
        ):
            if len(kinds) > 1:
                got = f"pictures with {what} {' and '.join(sorted(kinds))}"
                fix = "convert them to one, or put each kind into a folder of its own"
                raise InputError(str(files[0].parent), got=got, expected="one", fix=fix)
        stored = {layout.channels for layout in self._layouts.values()}
        self._is_mixed = stored == {GREY, RGB}
        self._channels = RGB if self._is_mixed else next(iter(stored))
        byte = all(layout.dtype == np.uint8 for layout in self._layouts.values())
        if options.colour == "rgb" and not byte and self._channels != RGB:
            fix = "leave colour out"
            raise InputError("colour", got="rgb of grey pictures of more than 8 bits", expected="auto or grey", fix=fix)
        if options.colour != "auto" and self._channels in (GREY, RGB):
            self._channels = GREY if options.colour == "grey" else RGB

    def read_header(self, path: Path) -> FileHeader:
        """Tell size, channels, depth, and the frames that can be decoded."""
        layout = self._layouts[path]
        notes = [*layout.notes]
        if layout.colours != SRGB:
            turned = (
                ", turned into red, green and blue without a profile" if layout.colours == "CMYK" else ", as stored"
            )
            notes.append(f"colour: values of {layout.colours}{turned}")
        if layout.channels == GREY and self._channels == RGB and self._is_mixed:
            notes.append("colour: grey; its level is taken for red, green and blue, as other pictures are coloured")
        if _is_jpeg(path) and not all(map(_is_jpeg, self._layouts)):
            notes.append("format: JPEG among others; its values are not those that were there before it was packed")
        if layout.seconds is not None:
            notes += describe_pace(layout.seconds)
        step = find_step(layout.seconds)
        return FileHeader(
            (len(self._channels), layout.height, layout.width),
            layout.dtype,
            len(layout.frames),
            clock=layout.seconds,
            step_minutes=step and step / 60,
            units="grey level" if layout.dtype == np.uint8 else None,
            grid=Grid(variables=self._channels),
            notes=tuple(notes),
        )

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Decode frames, upright."""
        layout = self._layouts[path]
        numbers = [layout.frames[index] for index in indices]
        if layout.is_deep:
            stored = [read_deep(path, number) for number in numbers]
        else:
            stored = self._decode(path, numbers, layout)
        if layout.white is not None:
            stored = [layout.white - values for values in stored]
        frames = [turn_upright(_to_channels(values, self._channels), layout.orientation) for values in stored]
        return np.stack(frames).astype(layout.dtype, copy=False)

    def _decode(self, path: Path, numbers: Sequence[int], layout: PictureLayout) -> list[NDArray[Any]]:
        frames = []
        with opened(path) as picture:
            for number in numbers:
                picture.seek(number)
                if layout.dtype != np.uint8:
                    values = np.asarray(picture)
                else:
                    values = np.asarray(picture.convert("L" if self._channels == GREY else "RGB"))
                frames.append(values[None] if values.ndim == 2 else values.transpose(2, 0, 1))
        return frames


def _is_jpeg(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg")


def _to_channels(values: NDArray[Any], channels: tuple[str, ...]) -> NDArray[Any]:
    """Convert between grey and colours, at the depth of the values: (C, H, W) to (channels, H, W)."""
    if len(values) == len(channels):
        return values
    if channels == GREY:
        grey = np.tensordot(LUMA, values.astype(np.float64), 1)[None]
        return grey.astype(values.dtype) if values.dtype.kind == "f" else np.rint(grey).astype(values.dtype)
    return np.repeat(values, len(channels), 0)
