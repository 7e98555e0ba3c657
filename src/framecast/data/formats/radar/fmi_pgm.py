"""PGM pictures of 8 or 16 bits, gzipped or not; with FMI's header of comments they are radar composites."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.decode import decode_values
from framecast.data.formats.base import FileHeader, ReaderOptions
from framecast.data.formats.guards import as_input_error, check_frame
from framecast.data.formats.variable_names import check_no_variable
from framecast.data.timestamps import parse_stamp
from framecast.errors import InputError
from framecast.types import Grid

SUFFIXES = (".pgm", ".pgm.gz")
HEADER_LIMIT = 64 << 10
"""Bytes of the header, comments included."""
GZIP = b"\x1f\x8b"
"""First bytes of a gzipped file."""
GAIN, OFFSET = 0.5, -32.0
"""dBZ = 0.5 code - 32; code 0 is no echo."""
SUOMI1 = "+proj=stere +lon_0=25 +lat_0=90 +lat_ts=60 +a=6371288 +x_0=380886.310 +y_0=3395677.920 +units=m +no_defs"
"""Projection of the national composite, whose lower left corner is (0, 0); files only name it. Source: pysteps."""

_WORDS = "a PGM picture (P5), gzipped or not"
_GAP = rb"(?:#[^\n]*\n|\s)"
_SIZES = re.compile(_GAP + rb"*(\d{1,9})" + _GAP + rb"+(\d{1,9})" + _GAP + rb"+(\d{1,5})\s")


class _Header(NamedTuple):
    height: int
    width: int
    start: int
    """Bytes before the pixels, once unpacked."""
    comments: dict[str, str]
    """Values by key: obstime, param, projection_name, metersperpixel_x ..."""
    missing: int
    """Greatest value; of FMI's composites the code of missing pixels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored pixels: a byte, or two with the high one first."""
        return np.dtype(np.uint8 if self.missing < 256 else ">u2")


class PGMReader:
    """FMI's composites in dBZ; other PGM in grey levels.

    Args:
        files: all of the source.
        options: none of which concerns PGM.

    Raises:
        InputError: a variable is named.
    """

    name = "PGM"

    def __init__(self, files: Sequence[Path], options: ReaderOptions) -> None:
        check_no_variable(options, "PGM files")

    def read_header(self, path: Path) -> FileHeader:
        """Read size, time and grid."""
        header, _ = _unpack(path, whole=False)
        shape = (1, header.height, header.width)
        if not _is_radar(header):
            units = "grey level" if header.dtype == np.uint8 else None
            return FileHeader(shape, header.dtype.newbyteorder("="), units=units, grid=Grid(variables=("grey",)))
        stamp = header.comments.get("obstime")
        times = None if stamp is None else np.array([parse_stamp(stamp, f"{path}: obstime")])
        return FileHeader(shape, np.dtype(np.float32), times=times, units="dBZ", grid=_make_grid(header, str(path)))

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Unpack the picture."""
        header, codes = _unpack(path, whole=True)
        if not _is_radar(header):
            return codes[None, None].astype(header.dtype.newbyteorder("="), copy=False)
        return decode_values(codes, GAIN, OFFSET, (float(header.missing),))[None, None]


def _is_radar(header: _Header) -> bool:
    return header.comments.get("param") == "CorrectedReflectivity"


def _make_grid(header: _Header, name: str) -> Grid:
    comments = header.comments
    y: tuple[float, ...] = ()
    x: tuple[float, ...] = ()
    crs = None
    if comments.get("projection_name") == "SUOMI1" and {"metersperpixel_x", "metersperpixel_y"} <= set(comments):
        with as_input_error(f"{name}: metersperpixel_x, metersperpixel_y", "numbers", fix=None):
            across, up = float(comments["metersperpixel_x"]), float(comments["metersperpixel_y"])
        crs = SUOMI1
        y = tuple((header.height - 0.5 - row) * up for row in range(header.height))
        x = tuple((column + 0.5) * across for column in range(header.width))
    return Grid(
        variables=("reflectivity",),
        units=("dBZ",),
        standard_names=("equivalent_reflectivity_factor",),
        y=y,
        x=x,
        axis_units="m",
        crs=crs,
        missing=f"code {header.missing}, outside coverage; code 0 is no echo, -32 dBZ",
    )


def _unpack(path: Path, *, whole: bool) -> tuple[_Header, NDArray[Any]]:
    with as_input_error(str(path), _WORDS), path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        head = file.read(HEADER_LIMIT)
        header = _parse_header(head, str(path))
        size = header.height * header.width * header.dtype.itemsize
        check_frame((header.height, header.width), header.dtype.itemsize, path.stat().st_size, str(path))
        if not whole:
            return header, np.empty((0, 0), np.uint8)
        # one byte more than the picture has, so that a longer file is noticed
        content = head[header.start :][: size + 1]
        content += file.read(max(0, size + 1 - len(content)))
        if len(content) != size:
            got = "more" if len(content) > size else f"only {len(content)}"
            raise InputError(
                str(path), got=got, expected=f"{size} bytes of pixels as in the header", fix="get the file again"
            )
        return header, np.frombuffer(content, header.dtype).reshape(header.height, header.width)


def _parse_header(head: bytes, name: str) -> _Header:
    sizes = _SIZES.match(head, 2) if head[:2] == b"P5" else None
    if sizes is None or not 0 < int(sizes[3]) < 1 << 16:
        raise InputError(name, got=f"a header that begins {head[:12]!r}", expected=_WORDS)
    pairs = re.findall(rb"#[ \t]*(\S+)[ \t]+([^\n]*)", sizes[0])
    comments = {key.decode("latin-1"): value.decode("latin-1").strip() for key, value in pairs}
    # FMI writes the code of missing pixels where other PGM have the greatest value: 255 means both
    return _Header(int(sizes[2]), int(sizes[1]), sizes.end(), comments, int(sizes[3]))
