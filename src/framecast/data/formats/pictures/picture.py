"""One file of pictures: which of its frames can be decoded, and size, depth, orientation and colours of their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from framecast.data.formats.guards import FAULTS, SERIES_LIMIT, as_input_error, check_frame
from framecast.data.formats.pictures import deep
from framecast.data.formats.pictures.orientation import UPRIGHT, swaps_sides
from framecast.errors import InputError

SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF")
"""Readers of Pillow; its others are never tried."""
WORDS = "a PNG, JPEG, GIF, WebP or TIFF picture"
RGB, GREY = ("red", "green", "blue"), ("grey",)
SRGB = "sRGB"

_BYTE = np.dtype(np.uint8)
_DEEP: dict[str, np.dtype[Any]] = {  # by Pillow's mode, of more than 8 bits
    "I;16": np.dtype(np.uint16),
    "I;16B": np.dtype(np.uint16),
    "I": np.dtype(np.int32),
    "F": np.dtype(np.float32),
}
_GREY_MODES = ("1", "L", "LA", "La")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_BITS, _PHOTOMETRIC, _MIN_IS_WHITE = 258, 262, 0
"""Tags of a TIFF: depth; what 0 stands for, and the value for white."""
_SUBFILE, _OFFSETS, _COUNTS = 254, (273, 324), (279, 325)
"""Tags of a TIFF: kind of a page; where its strips or tiles begin, and how long they are."""
_REDUCED_OR_MASK = 1 | 4
_MASTER_GAMMA, _GAMMA_TOLERANCE = 0.45455, 0.01
"""Gamma that PNGs state who hold sRGB."""
_PROFILE_FAULTS: tuple[type[Exception], ...] = (ImageCms.PyCMSError, *FAULTS)
_TAIL = 64
"""Bytes in which a whole file of a picture ends."""


class PictureLayout(NamedTuple):
    """Frames of a file of pictures, and what they hold."""

    height: int
    """Rows of upright frames."""
    width: int
    dtype: np.dtype[Any]
    channels: tuple[str, ...]
    """Names of the channels as they are stored, without alpha."""
    frames: tuple[int, ...]
    """Number in the file of each frame that is used."""
    seconds: NDArray[np.float64] | None = None
    """(frames,) from the first frame of an animation on; None where the file does not say."""
    orientation: int = UPRIGHT
    """As in EXIF, of the frames that a decoder gives."""
    colours: str = SRGB
    """Colour space as the file names it."""
    is_deep: bool = False
    """Whether GDAL reads the file, as Pillow would not keep its values."""
    white: int | None = None
    """Greatest value of a scale on which 0 is white, where the decoder leaves it so; None for others."""
    notes: tuple[str, ...] = ()


class _Pages(NamedTuple):
    frames: list[int]
    milliseconds: list[float]
    notes: list[str]


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a file of pictures with Pillow, within limits.

    Raises:
        InputError: no such file, damaged, or of a size that cannot be meant.
    """
    # by its name Pillow maps a TIFF into memory, and mixes up rows and columns of one that lies on its side
    with (
        as_input_error(str(path), WORDS, Image.DecompressionBombError),
        path.open("rb") as file,
        Image.open(file if path.suffix.lower() in deep.SUFFIXES else path, formats=FORMATS) as picture,
    ):
        _check_size(picture, path)
        yield picture


def read_layout(path: Path) -> PictureLayout:
    """Read what a file of pictures holds; animations are decoded once, as they only tell where they end in this way.

    Raises:
        InputError: no such file, damaged, or of a size that cannot be meant.
        UsageError: pictures of this depth take a library that is not installed.
    """
    try:
        with as_input_error(str(path), WORDS, Image.DecompressionBombError), Image.open(path, formats=FORMATS) as known:
            reduced = deep.is_reduced(known, path)
            orientation, colours = _read_orientation(known), _read_colours(known)
            frames = getattr(known, "n_frames", 1) if reduced else 1
    except InputError as error:
        if not isinstance(error.__cause__, UnidentifiedImageError) or path.suffix.lower() not in deep.SUFFIXES:
            raise
        reduced, orientation, colours, frames = True, UPRIGHT, SRGB, 1
    if reduced:
        if frames > 1 and path.suffix.lower() not in deep.SUFFIXES:
            got = f"an animation of {frames} frames with 16 bits of colour"
            fix = "write its frames as PNG files, or 16 bits of grey"
            raise InputError(str(path), got=got, expected="8 bits of colour in a PNG that moves", fix=fix)
        found = deep.read_deep_layout(path)
        orientation = found.orientation or orientation
        sides = found.sides[::-1] if swaps_sides(orientation) else found.sides
        notes = ("alpha: left out; what is transparent keeps its values",) if found.alpha else ()
        white, white_notes = _find_white(found.photometric, found.dtype, 8 * found.dtype.itemsize)
        return PictureLayout(
            *sides,
            found.dtype,
            found.channels,
            found.frames,
            None,
            orientation,
            colours,
            is_deep=True,
            white=white,
            notes=(*notes, *white_notes),
        )
    with opened(path) as picture:
        return _read_layout(picture, path)


def _read_layout(picture: Image.Image, path: Path) -> PictureLayout:
    orientation = _read_orientation(picture)
    sides = (picture.height, picture.width)
    animated = getattr(picture, "is_animated", False)
    mode, notes = picture.mode, []
    if mode in _ALPHA_MODES or ("transparency" in picture.info and not animated):
        notes.append("alpha: left out; what is transparent keeps its colour")
    if orientation != UPRIGHT or (picture.format == "TIFF" and 274 in _tags(picture) and _tags(picture)[274] > UPRIGHT):
        notes.append("orientation: pictures are turned upright, as the files say")
    is_grey = mode in _GREY_MODES or mode in _DEEP or (mode == "P" and not animated and _is_grey_palette(picture))
    colours, white = _read_colours(picture), None
    if picture.format == "TIFF" and mode in _DEEP:
        white, white_notes = _find_white(
            _tags(picture).get(_PHOTOMETRIC), _DEEP[mode], max(_tags(picture).get(_BITS, (1,)))
        )
        notes += white_notes
    pages = _survey_pages(picture, path) if animated else _Pages([0], [], [])
    if not animated and _looks_cut(picture, path):
        picture.load()
    if not pages.frames:
        raise InputError(str(path), got="no frame that can be decoded", expected=WORDS, fix="get it again")
    return PictureLayout(
        *(sides[::-1] if swaps_sides(orientation) else sides),
        _DEEP.get(mode, _BYTE),
        GREY if is_grey else RGB,
        tuple(pages.frames),
        _add_up(pages.milliseconds),
        orientation,
        colours,
        white=white,
        notes=(*notes, *pages.notes),
    )


def _find_white(photometric: int | None, dtype: np.dtype[Any], bits: int) -> tuple[int | None, tuple[str, ...]]:
    """Find the greatest value of a scale on which 0 is white, which a viewer turns; one that has no end is told."""
    if photometric != _MIN_IS_WHITE:
        return None, ()
    if dtype.kind == "u":
        return (1 << bits) - 1, ()
    return None, (f"colour: 0 is white, as the file says; values of {dtype} are as stored",)


def _check_size(picture: Image.Image, path: Path) -> None:
    size = _DEEP.get(picture.mode, _BYTE).itemsize
    channels = 3 if picture.mode == "P" else len(picture.getbands())
    check_frame((picture.height, picture.width, channels), size, path.stat().st_size, str(path))


def _tags(picture: Image.Image) -> Any:
    return getattr(picture, "tag_v2", {})


def _read_orientation(picture: Image.Image) -> int:
    """Read the orientation of decoded frames, by EXIF or XMP; Pillow turns those of a TIFF itself."""
    if picture.format == "TIFF":
        return UPRIGHT
    if picture.format == "PNG" and not _may_have_exif(picture):
        return UPRIGHT
    found = picture.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    return found if found in range(1, 9) else UPRIGHT


def _may_have_exif(picture: Image.Image) -> bool:
    """Whether a PNG has EXIF anywhere; Pillow would decode the whole picture to look behind the pixels."""
    if any(key in picture.info for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")):
        return True
    return any(chunk in (b"eXIf", b"iTXt", b"zTXt", b"tEXt") for chunk in _list_chunks_behind(picture))


def _list_chunks_behind(picture: Image.Image) -> Iterator[bytes]:
    """Iterate over the names of the chunks of a PNG, without the pixels' own."""
    with Path(str(picture.filename)).open("rb") as file:  # type: ignore[attr-defined]
        file.seek(8)
        while len(head := file.read(8)) == 8:
            if head[4:] != b"IDAT":
                yield head[4:]
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)


def _read_colours(picture: Image.Image) -> str:
    """Name the colour space of the values: of an ICC profile, a gamma, CMYK; sRGB where nothing else is said."""
    if picture.mode in ("CMYK", "LAB"):
        return picture.mode
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            name = " ".join(ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).split())[:60]
        except _PROFILE_FAULTS:
            return SRGB  # viewers leave a damaged profile out, too
        return SRGB if SRGB.lower() in name.lower() or not name else name
    gamma = picture.info.get("gamma")
    if picture.format != "PNG" or not gamma or "srgb" in picture.info:
        return SRGB
    return SRGB if abs(gamma - _MASTER_GAMMA) < _GAMMA_TOLERANCE else f"gamma {gamma:.4g}"


def _is_grey_palette(picture: Image.Image) -> bool:
    palette = np.asarray(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _survey_pages(picture: Any, path: Path) -> _Pages:
    """Go through an animation or the pages of a TIFF: frames that can be decoded, up to the first that cannot."""
    if picture.format == "MPO":
        return _Pages([0], [], ["pictures: the file holds several of one moment; the first is used"])
    sides, mode = picture.size, picture.mode
    pages, number = _Pages([], [], []), 0
    # a PNG that moves may begin with a picture for those who cannot show it, which is no part of it
    hidden = 1 if getattr(picture, "default_image", False) else 0
    while number <= SERIES_LIMIT:
        try:
            picture.seek(number)
            left_out = _tags(picture).get(_SUBFILE, 0) & _REDUCED_OR_MASK
            if picture.format == "TIFF":
                _check_strips(picture, path)
            elif not left_out and number >= hidden:
                picture.load()
        except EOFError:
            break
        except FAULTS as error:
            text = " ".join(str(error).split())[:80]
            pages.notes.append(f"frames: the first {len(pages.frames)} are used; the next cannot be decoded: {text}")
            return pages
        if not left_out and number >= hidden:
            # the frames of an animation have modes of their own, the pages of a TIFF would differ in depth
            if picture.size != sides or (picture.format == "TIFF" and picture.mode != mode):
                what = f"{picture.height}x{picture.width} pixels of {picture.mode}"
                pages.notes.append(f"frames: the first {len(pages.frames)} are used; the next has {what}")
                return pages
            pages.frames.append(number)
            pages.milliseconds.append(float(picture.info.get("duration") or 0))
        number += 1
    announced = getattr(picture, "n_frames", number)
    if announced > number or _looks_cut(picture, path):
        pages.notes.append(f"frames: the file is cut off; the {len(pages.frames)} that can be decoded are used")
    return pages


def _check_strips(picture: Any, path: Path) -> None:
    """Check that the pixels of a page of a TIFF lie in the file."""
    size, tags = path.stat().st_size, _tags(picture)
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        ends = [begin + length for begin, length in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)]
        if ends and max(ends) > size:
            raise ValueError(f"pixels up to byte {max(ends)} in a file of {size}")


def _looks_cut(picture: Any, path: Path) -> bool:
    """Whether a file does not end as a whole one does; it may yet be whole, and padded."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        file.seek(4)
        announced = int.from_bytes(file.read(4), "little") + 8
    match picture.format:
        case "PNG":
            return b"IEND" not in tail
        case "JPEG" | "MPO":
            return b"\xff\xd9" not in tail
        case "GIF":
            return not tail.rstrip(b"\0").endswith(b";")
        case "WEBP":
            return announced > size
    return picture.format == "TIFF" and not getattr(picture, "is_animated", False)


def _add_up(milliseconds: list[float]) -> NDArray[np.float64] | None:
    """Compute the times of frames by how long each is shown, seconds; None where some are shown for no time."""
    shown = np.array(milliseconds[:-1], np.float64)
    if not len(shown) or (shown <= 0).any():
        return None
    return np.concatenate([[0.0], np.cumsum(shown)]) / 1000
