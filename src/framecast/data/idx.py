"""The idx format of MNIST and Fashion-MNIST images (yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError

IMAGES = 0x00000803
"""Magic number: unsigned bytes, three axes."""
LIMIT = 1 << 30
GZIP = b"\x1f\x8b"


def read_idx(path: Path, *, limit: int = LIMIT) -> NDArray[np.uint8]:
    """Read the images of an idx file, gzipped or not.

    Args:
        path: the file.
        limit: largest number of pixels to accept; the header is checked before anything is read.

    Returns:
        (images, height, width), 0..255.

    Raises:
        InputError: no such file, not an idx file of images, truncated, too long or beyond the limit.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            if not packed:
                return _images(raw, path, limit)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _images(unpacked, path, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(str(path), got=str(error), expected="an idx file of images, gzipped or not") from error


def _images(file: BufferedIOBase, path: Path, limit: int) -> NDArray[np.uint8]:
    header = file.read(16)
    magic, *shape = (int.from_bytes(header[at : at + 4], "big") for at in range(0, 16, 4))
    if len(header) < 16 or magic != IMAGES:
        raise InputError(
            str(path),
            got=f"magic number {magic:#010x}",
            expected=f"{IMAGES:#010x}, an idx file of images",
            fix="give the file of images, not the one of labels",
        )
    size = math.prod(shape)
    if not 0 < size <= limit:
        raise InputError(str(path), got=f"{size} pixels in the header", expected=f"1 to {limit}")
    content = file.read(size + 1)
    if len(content) != size:
        got = "more" if len(content) > size else f"only {len(content)}"
        raise InputError(str(path), got=got, expected=f"{size} pixels as in the header", fix="get the file again")
    return np.frombuffer(content, np.uint8).reshape(shape)
