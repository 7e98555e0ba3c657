"""Writers of forecasts: the registry of file formats by suffix, checks before the forecast, and `write`.

A format is a function `write_format(path, forecast) -> str` in a module of its own: it fills a new path with values in
the units of the forecast and with its provenance, and describes the content in a few words. Formats that can hold
members store all of them (CF, arrays, a file for each frame); films and strips show their mean.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from framecast import files
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.plotting.arrows import MovingFrame, draw_motion
from framecast.plotting.frames import draw_strip
from framecast.types import Grid

Write = Callable[[Path, Forecast], str]


class OutputFormat(NamedTuple):
    """Writer of one suffix, and the limits of its format."""

    writer: str
    """`module:function` below framecast.writers; imported at the first use, as each needs libraries of its own."""
    folder: bool = False
    """Whether the path becomes a folder."""
    single_sequence: bool = False
    """Whether a file holds one sequence only."""
    grid_check: str | None = None
    """`module:function` of a check of the grid, for a format that cannot hold every grid."""


FORMATS = {
    ".nc": OutputFormat("cf:write_netcdf"),
    ".zarr": OutputFormat("cf:write_zarr", folder=True),
    ".npy": OutputFormat("numpy_files:write_npy"),
    ".npz": OutputFormat("numpy_files:write_npz"),
    ".tif": OutputFormat("geotiff:write_geotiffs", folder=True, grid_check="geotiff:check_grid"),
    ".png": OutputFormat("png:write_pngs", folder=True),
    ".gif": OutputFormat("gif:write_gif", single_sequence=True),
    ".mp4": OutputFormat("mp4:write_mp4", single_sequence=True),
}
"""Formats by suffix. A new format is a function and a line here."""
MOTION_SUFFIXES = (".nc", ".zarr", ".npy", ".npz", ".tif", ".png")
"""Suffixes of a motion field: a PNG shows it as arrows over the newest frame, the others hold its numbers."""


def check(
    paths: Sequence[Path],
    gif: Path | None = None,
    strip: Path | None = None,
    motion: Path | None = None,
    plume: Path | None = None,
) -> None:
    """Check that a forecast can be written to these paths, before anything is computed.

    Args:
        paths: files or folders of the forecast, suffixes as in FORMATS.
        gif: path of a film, GIF, or None.
        strip: path of a strip of frames, PNG, or None.
        motion: path of the motion, suffix as in MOTION_SUFFIXES, or None.
        plume: path of a picture of members at one place, PNG, or None.

    Raises:
        UsageError: a path twice, one that exists or cannot be written to, a folder that is not there, another suffix, or
            a format whose library is not installed.
    """
    outputs = [(path, tuple(FORMATS)) for path in paths]
    others = ((gif, (".gif",)), (strip, (".png",)), (motion, MOTION_SUFFIXES), (plume, (".png",)))
    outputs += [(path, suffixes) for path, suffixes in others if path is not None]
    previous: set[Path] = set()
    for path, suffixes in outputs:
        if path.suffix not in suffixes:
            raise UsageError(str(path), got=f"suffix {path.suffix or 'none'}", expected=f"one of {', '.join(suffixes)}")
        if path.absolute() in previous:
            raise UsageError(str(path), got="the same path twice", expected="each once")
        previous.add(files.check_new(path).absolute())
        if not path.absolute().parent.is_dir():
            got = f"the folder {path.parent}, which is not there"
            raise UsageError(str(path), got=got, expected="a folder that exists", fix="make it first, or mend its name")
    for path in (*paths, *([] if motion is None else [motion])):
        _import(FORMATS[path.suffix].writer)  # a library that is missing is missed now, not after the forecast


def check_grid(paths: Sequence[Path], grid: Grid) -> None:
    """Check that the formats of these paths can hold a grid, before anything is computed.

    Args:
        paths: files or folders of the forecast, suffixes as in FORMATS.
        grid: grid of the input.

    Raises:
        UsageError: rows or columns that a format cannot georeference.
    """
    for path in paths:
        grid_check = FORMATS[path.suffix].grid_check
        if grid_check is not None:
            _import(grid_check)(grid)


def write(path: Path, forecast: Forecast, *, sequence: int = 0) -> str:
    """Write a forecast to a new path, as a whole or not at all; nothing that exists is touched.

    Args:
        path: new file or folder, suffix as in FORMATS.
        forecast: all sequences.
        sequence: index of the sequence that a film shows.

    Returns:
        a few words about the content.

    Raises:
        UsageError: the path exists, or the format cannot hold this forecast.
    """
    output_format = FORMATS[path.suffix]
    write_format: Write = _import(output_format.writer)
    with files.staged(path, folder=output_format.folder) as temporary:
        return write_format(temporary, forecast.only(sequence) if output_format.single_sequence else forecast)


def write_all(
    paths: Sequence[Path],
    forecast: Forecast,
    *,
    gif: Path | None = None,
    strip: Path | None = None,
    sequence: int = 0,
) -> dict[str, str]:
    """Write a forecast to several paths, with a film and a strip of one sequence where they are requested.

    Args:
        paths: new files or folders, suffixes as in FORMATS.
        forecast: all sequences.
        gif: path of a film, or None.
        strip: path of a strip of frames, PNG, or None.
        sequence: index of the sequence in the film and the strip.

    Returns:
        a few words about the content of each path but the strip.

    Raises:
        UsageError: a path exists, or its format cannot hold this forecast.
    """
    outputs = [*paths, *([] if gif is None else [gif])]
    contents = {str(path): write(path, forecast, sequence=sequence) for path in outputs}
    if strip is not None:
        with files.staged(strip) as temporary:
            draw_strip(temporary, forecast.only(sequence))
    return contents


def write_motion(path: Path, motion: Forecast, forecast: Forecast, *, sequence: int = 0) -> str:
    """Write the motion behind a forecast to a new path.

    Args:
        path: new file or folder, suffix as in MOTION_SUFFIXES.
        motion: one frame of two channels, pixels per time step to the right and down, of all sequences.
        forecast: the forecast.
        sequence: index of the sequence that a picture shows.

    Returns:
        a few words about the content.

    Raises:
        UsageError: the path exists.
    """
    if path.suffix != ".png":
        return write(path, motion)
    moving = MovingFrame(forecast.past_values[sequence, -1], motion.values[sequence, 0, 0])
    with files.staged(path) as temporary:
        temporary.write_bytes(draw_motion([moving], forecast.spec, forecast.grid))
    return "arrows over the newest frame"


def _import(function: str) -> Any:
    """Import `module:function` of this package."""
    module, name = function.split(":")
    return getattr(importlib.import_module(f"framecast.writers.{module}"), name)
