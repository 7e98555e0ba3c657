"""PNG, JPEG, GIF and TIFF pictures, also of several frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from framecast.data.formats.base import FileHeader, ReaderOptions, check_no_variable
from framecast.data.formats.guards import SERIES_LIMIT, as_input_error, check_frame
from framecast.errors import InputError
from framecast.types import Grid

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "TIFF")
"""Readers of Pillow; its others are never tried."""

_WORDS = "a PNG, JPEG, GIF or TIFF picture"
_BYTE = np.dtype(np.uint8)
_DEEP: dict[str, np.dtype[Any]] = {  # by Pillow's mode, of more than 8 bits
    "I;16": np.dtype(np.uint16),
    "I;16B": np.dtype(np.uint16),
    "I": np.dtype(np.int32),
    "F": np.dtype(np.float32),
}
_GREY = ("1", "L", "LA", "La")
_BOMBS = (Image.DecompressionBombError,)


class ImageReader:
    """Pictures of one size. Grey ones have one channel, others three; what is transparent keeps its colour.

    Args:
        files: all pictures, so that grey ones among coloured ones become coloured.
        options: colour "auto" as they are, "grey" luma (ITU-R 601), "rgb" three channels. Those of 16 bits or floats are
            grey as they are, and keep their values.

    Raises:
        InputError: a file is no such picture.
    """

    name = "pictures"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        check_no_variable(options, "pictures")
        modes = {_read_mode(path) for path in files}
        deep = modes & set(_DEEP)
        if deep and options.colour == "rgb":
            fix = "leave colour out"
            raise InputError("colour", got="rgb of grey pictures of more than 8 bits", expected="auto or grey", fix=fix)
        if options.colour != "auto" and not deep:
            modes = {options.colour}
        self.mode: str | None = "rgb" if modes == {"grey", "rgb"} else modes.pop() if len(modes) == 1 else None
        if self.mode is None:
            raise InputError(str(files[0].parent), got=f"pictures of kinds {', '.join(sorted(modes))}", expected="one")

    def read_header(self, path: Path) -> FileHeader:
        """Read size, colour and number of frames."""
        with _opened(path) as picture:
            shape = (3 if self.mode == "rgb" else 1, picture.height, picture.width)
            count = getattr(picture, "n_frames", 1)
            if count > SERIES_LIMIT:
                raise InputError(str(path), got=f"{count} frames", expected=f"at most {SERIES_LIMIT}")
            milliseconds = picture.info.get("duration") if count > 1 else None
        step = milliseconds / 60_000 if isinstance(milliseconds, int | float) and milliseconds > 0 else None
        dtype = _DEEP.get(str(self.mode), _BYTE)
        channels = ("red", "green", "blue") if self.mode == "rgb" else ("grey",)
        units = "grey level" if dtype == np.uint8 else None
        return FileHeader(shape, dtype, count, step_minutes=step, units=units, grid=Grid(variables=channels))

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Decode frames."""
        frames = []
        with _opened(path) as picture:
            for index in indices:
                picture.seek(index)
                mode = {"grey": "L", "rgb": "RGB"}.get(str(self.mode))
                values = np.asarray(picture.convert(mode) if mode else picture)
                frames.append(values[None] if values.ndim == 2 else values.transpose(2, 0, 1))
            return np.stack(frames).astype(_DEEP.get(str(self.mode), _BYTE), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with as_input_error(str(path), _WORDS, *_BOMBS), Image.open(path, formats=FORMATS) as picture:
        size = _DEEP.get(picture.mode, _BYTE).itemsize
        channels = 3 if picture.mode == "P" else len(picture.getbands())
        check_frame((picture.height, picture.width, channels), size, path.stat().st_size, str(path))
        yield picture


def _read_mode(path: Path) -> str:
    """Read the kind of colours: grey, rgb, or Pillow's name of a mode of more than 8 bits."""
    with _opened(path) as picture:
        mode = picture.mode
        if mode in _GREY or (mode == "P" and _is_grey_palette(picture)):
            return "grey"
        return mode if mode in _DEEP else "rgb"


def _is_grey_palette(picture: Image.Image) -> bool:
    palette = np.asarray(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    animated = getattr(picture, "n_frames", 1) > 1  # each of the later frames may have another palette
    return not animated and bool((palette == palette[:, :1]).all())
