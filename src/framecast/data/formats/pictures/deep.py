"""Pictures of a depth that Pillow would reduce to 8 bits, or does not know: through GDAL, which keeps the values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from framecast.data.formats.geotiff import ORIENTATION, is_alpha, open_dataset, read_tag
from framecast.data.formats.guards import check_frame
from framecast.errors import InputError

SUFFIXES = (".tif", ".tiff")
"""Files that Pillow may not know, and GDAL does."""
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_UNSIGNED, _SIGNED = 1, 2
_COLOURS = ("red", "green", "blue")


class DeepLayout(NamedTuple):
    """What a file of deep pictures holds."""

    sides: tuple[int, int]
    """Stored rows and columns."""
    dtype: np.dtype[Any]
    channels: tuple[str, ...]
    frames: tuple[int, ...]
    orientation: int | None
    """As in EXIF; None where the file says nothing, or is a PNG."""
    photometric: int | None
    """What values stand for, TIFF's tag 262; None of a PNG."""
    alpha: bool


def is_reduced(picture: Image.Image, path: Path) -> bool:
    """Whether Pillow gives other values than a file holds: 16 bits of colour as 8, signed bytes as unsigned."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            depth = file.read(25)[24]  # of the header, which is the first chunk
        return depth == 16 and not picture.mode.startswith("I")
    if picture.format != "TIFF":
        return False
    tags: Any = picture.tag_v2  # type: ignore[attr-defined]
    depth, kind = max(tags.get(_BITS, (1,))), tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
    if depth <= 8:
        return kind == _SIGNED
    return not picture.mode.startswith(("I", "F")) or (depth == 32 and kind == _UNSIGNED)


def read_deep_layout(path: Path) -> DeepLayout:
    """Read what a file holds, without its pixels.

    Raises:
        InputError: damaged, several frames of a PNG, or values that are no real numbers.
        UsageError: rasterio is not installed.
    """
    tiff = path.suffix.lower() in SUFFIXES
    with _opened(path, None) as file:
        count = max(1, len(file.subdatasets))
    with _opened(path, 0) as file:
        bands = _list_bands(file)
        dtype = np.dtype(file.dtypes[bands[0] - 1])
        if dtype.kind not in "fiu":
            raise InputError(str(path), got=f"values of {dtype}", expected="real numbers")
        check_frame((len(bands), file.height, file.width), dtype.itemsize, path.stat().st_size, str(path))
        names = tuple(file.colorinterp[band - 1].name for band in bands)
        if names != _COLOURS:
            names = ("grey",) if len(bands) == 1 else tuple(f"band {band}" for band in bands)
        orientation = read_tag(path, ORIENTATION) if tiff else None
        return DeepLayout(
            (file.height, file.width),
            dtype,
            names,
            tuple(range(count)),
            orientation if orientation in range(1, 9) else None,
            read_tag(path, _PHOTOMETRIC) if tiff else None,
            alpha=len(bands) < file.count,
        )


def read_deep(path: Path, frame: int) -> NDArray[Any]:
    """Read a frame as it is stored, (C, H, W), without alpha."""
    with _opened(path, frame) as file:
        return file.read(_list_bands(file))


@contextmanager
def _opened(path: Path, frame: int | None) -> Iterator[Any]:
    tiff = path.suffix.lower() in SUFFIXES
    name = f"GTIFF_DIR:{frame + 1}:{path}" if tiff and frame is not None else str(path)
    with open_dataset(path, name, "GTiff" if tiff else "PNG") as file:
        yield file


def _list_bands(file: Any) -> list[int]:
    return [band for band in range(1, file.count + 1) if not is_alpha(file, band)]
