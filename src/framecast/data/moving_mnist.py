"""Moving MNIST generator: digits that move at constant speed and bounce; reader of the idx files of digits."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from functools import lru_cache
from importlib import resources
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from framecast.data.config import DIGIT_SIDE, SPLITS, MovingMNISTConfig
from framecast.data.fingerprint import DIGITS
from framecast.data.random import Purpose, check_seed, random_stream
from framecast.errors import InputError, UsageError
from framecast.types import FrameSpec, Window

IMAGES = 0x00000803
"""Magic number: unsigned bytes, three axes."""
LIMIT = 1 << 30
"""Largest number of pixels of an idx file."""
GZIP = b"\x1f\x8b"
"""First bytes of a gzipped file."""


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
                return _read_images(raw, path, limit)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read_images(unpacked, path, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(str(path), got=str(error), expected="an idx file of images, gzipped or not") from error


def _read_images(file: BufferedIOBase, path: Path, limit: int) -> NDArray[np.uint8]:
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
    content = file.read(size + 1)  # one byte more shows a file that is too long
    if len(content) != size:
        got = "more" if len(content) > size else f"only {len(content)}"
        raise InputError(str(path), got=got, expected=f"{size} pixels as in the header", fix="get the file again")
    return np.frombuffer(content, np.uint8).reshape(shape)


VERSION = 1
"""Version of the generator: goes up when a seed gives other sequences than before."""
STEP = 0.1
"""Free ranges per frame at fixed speed: 3.6 pixels on a 64 x 64 canvas."""
AMPLITUDE = (3.0, 5.0)
"""Least and largest speed at "uniform", pixels per frame on `FREE_RANGE`."""
FREE_RANGE = 64 - DIGIT_SIDE
"""Free range of a digit's corner on a canvas of 64 x 64, pixels."""
EMBEDDED_VALIDATION = 200
"""Number of the embedded training digits that serve for validation, the last ones."""
FILE_PART = 12
"""Equal parts of a file's digits: the last but one is for validation, the last for test."""


class Path2D(NamedTuple):
    """Digits of one sequence and their positions in each frame."""

    digit: NDArray[np.int64]
    """(D,), index into the split's digits."""
    top: NDArray[np.int64]
    """(D, T), row of the upper edge, pixels."""
    left: NDArray[np.int64]
    """(D, T), column of the left edge, pixels."""


class MovingMNIST:
    """Digits that move on straight lines at constant speed and bounce off the walls.

    With (x, y) in [0, 1) the position within the free range and (vx, vy) = (cos, sin) of a random direction, each frame
    takes one step x += bx vx s, then at a wall (x <= 0 or x >= 1) x is set on it and bx changes sign; y likewise. A
    step precedes the first frame. The corner is the position times the free range, truncated. Where digits overlap the
    brighter pixel counts. s is 0.1 ("fixed") or U[3, 5) / 36 ("uniform").

    Training, validation and test use disjoint digits. A sequence is a pure function of (seed, split, index), and a
    shorter one is the beginning of a longer one.

    Args:
        config: canvas, digits and speed.
        seed: 0 or more.

    Raises:
        InputError: the file of digits cannot be used.
        UsageError: a negative seed.
    """

    def __init__(self, config: MovingMNISTConfig, seed: int) -> None:
        self.config = config
        self.seed = check_seed(seed)
        self._digits = _load_digits(config.digits_file)
        height, width = config.canvas
        self.spec = FrameSpec(channels=1, height=height, width=width, units="grey level", low=0.0, high=255.0)

    def sequence(self, split: str, index: int, frames: int) -> Window:
        """Generate the frames of a sequence, (T, 1, H, W), grey levels 0..255.

        Args:
            split: "train", "val" or "test".
            index: number of the sequence, 0 or more.
            frames: T, number of frames.

        Raises:
            UsageError: no such split, a negative index or fewer than one frame.
        """
        return Window(self.pixels(self.path(split, index, frames), split)[:, None].astype(np.float32), None)

    def path(self, split: str, index: int, frames: int) -> Path2D:
        """Trace the digits of a sequence.

        Args:
            split: "train", "val" or "test".
            index: number of the sequence, 0 or more.
            frames: T, number of frames.

        Raises:
            UsageError: no such split, a negative index or fewer than one frame.
        """
        if split not in SPLITS:
            raise UsageError("split", got=split, expected=f"one of {', '.join(SPLITS)}")
        if index < 0 or frames < 1:
            raise UsageError("sequence", got=f"index {index}, {frames} frames", expected="index >= 0, frames >= 1")
        numbers = random_stream(Purpose.MOVING_MNIST, self.seed, SPLITS.index(split), index)
        # x, y, direction, amplitude, digit: at fixed speed too, so that both speeds have the same digits and directions
        draws = numbers.random((self.config.digits, 5)).tolist()
        rows, columns = (side - DIGIT_SIDE for side in self.config.canvas)
        top, left, digit = [], [], []
        for x, y, direction, amplitude, which in draws:
            step = STEP
            if self.config.speed == "uniform":
                step = (AMPLITUDE[0] + amplitude * (AMPLITUDE[1] - AMPLITUDE[0])) / FREE_RANGE
            angle = 2 * math.pi * direction
            top.append(_trace_axis(y, math.sin(angle) * step, frames, rows))
            left.append(_trace_axis(x, math.cos(angle) * step, frames, columns))
            digit.append(int(which * len(self._digits[split])))
        return Path2D(np.array(digit), np.array(top), np.array(left))

    def pixels(self, path: Path2D, split: str) -> NDArray[np.uint8]:
        """Draw the digits of a split along their path: (T, H, W), grey levels 0..255."""
        frames, (height, width) = path.top.shape[1], self.config.canvas
        canvas = np.zeros((frames, height, width), np.uint8)
        # patches[t, y, x] is the square of frame t with this corner: all frames of a digit are drawn at once
        shape = (frames, height - DIGIT_SIDE + 1, width - DIGIT_SIDE + 1, DIGIT_SIDE, DIGIT_SIDE)
        patches = as_strided(canvas, shape, (*canvas.strides, *canvas.strides[1:]))
        time = np.arange(frames)
        for digit, top, left in zip(path.digit, path.top, path.left, strict=True):
            corner = (time, top, left)
            patches[corner] = np.maximum(patches[corner], self._digits[split][digit])
        return canvas

    def fingerprint(self) -> str:
        """16 hex digits of a sha256 over digits and rules; seeds select sequences, and do not count."""
        config = self.config
        rules = [VERSION, config.canvas, config.digits, config.speed, *(_digest(self._digits[s]) for s in SPLITS)]
        return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:DIGITS]


def _trace_axis(position: float, velocity: float, frames: int, free: int) -> list[int]:
    """Trace the corner of one digit along one axis, pixels."""
    # plain floats: an array of two digits is too short to be faster
    corners = []
    for _ in range(frames):
        position += velocity
        if position <= 0.0:
            position, velocity = 0.0, -velocity
        elif position >= 1.0:
            position, velocity = 1.0, -velocity
        corners.append(int(free * position))
    return corners


@lru_cache(maxsize=2)
def _load_digits(digits_file: str | None) -> dict[str, NDArray[np.uint8]]:
    """Load the digits of each split, (n, 28, 28), once for all generators."""
    if digits_file is None:
        with (resources.files("framecast.data") / "digits" / "digits.npz").open("rb") as file, np.load(file) as both:
            train, test = both["train"], both["test"]
        return {"train": train[:-EMBEDDED_VALIDATION], "val": train[-EMBEDDED_VALIDATION:], "test": test}
    images = read_idx(Path(digits_file))
    part = len(images) // FILE_PART
    if images.shape[1:] != (DIGIT_SIDE, DIGIT_SIDE) or part < 1:
        expected = f"at least {FILE_PART} images of {DIGIT_SIDE} x {DIGIT_SIDE} pixels"
        raise InputError(digits_file, got=f"shape {images.shape}", expected=expected)
    return {"train": images[: -2 * part], "val": images[-2 * part : -part], "test": images[-part:]}


def _digest(images: NDArray[np.uint8]) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()
