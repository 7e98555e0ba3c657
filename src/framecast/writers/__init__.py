"""A forecast as a file: one file of code for each format, which the suffix of the path chooses.

A format is a function `write(path, forecast) -> str`: it fills a new path, in the units of the forecast, with the
provenance of the forecast, and says in a few words what is in it. Members stand side by side where the format can hold
them (CF, arrays, a file for each frame); films and strips show their mean.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from framecast import files
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.plotting.frames import draw_strip
from framecast.types import Grid

Write = Callable[[Path, Forecast], str]


class OutputFormat(NamedTuple):
    """How a path of one suffix is written."""

    home: str
    """Module and function, imported when such a path is written."""
    folder: bool = False
    """Whether the path becomes a folder."""
    one: bool = False
    """Whether it shows one sequence only."""
    check: str | None = None
    """Module and function `check(grid)`, where not every grid can be written."""


FORMATS = {
    ".nc": OutputFormat("cf:netcdf"),
    ".zarr": OutputFormat("cf:zarr", folder=True),
    ".npy": OutputFormat("numpy_files:npy"),
    ".npz": OutputFormat("numpy_files:npz"),
    ".tif": OutputFormat("geotiff:series", folder=True, check="geotiff:check"),
    ".png": OutputFormat("png:series", folder=True),
    ".gif": OutputFormat("gif:gif", one=True),
    ".mp4": OutputFormat("mp4:film", one=True),
}
"""By suffix. A new format is a function and a line here."""


def check(paths: Sequence[Path], gif: Path | None = None, strip: Path | None = None) -> None:
    """Whether a forecast can be written, before anything is computed.

    Args:
        paths: of the forecast, suffixes as in FORMATS.
        gif: of a film, GIF, or None.
        strip: of a picture, PNG, or None.

    Raises:
        UsageError: a path twice, one that exists or cannot be written to, a folder that is not there, another suffix, or
            a format whose library is not installed.
    """
    wanted = [(path, tuple(FORMATS)) for path in paths]
    wanted += [(path, (suffix,)) for path, suffix in ((gif, ".gif"), (strip, ".png")) if path is not None]
    seen: set[Path] = set()
    for path, suffixes in wanted:
        if path.suffix not in suffixes:
            raise UsageError(str(path), got=f"suffix {path.suffix or 'none'}", expected=f"one of {', '.join(suffixes)}")
        if path.absolute() in seen:
            raise UsageError(str(path), got="the same path twice", expected="each once")
        if not path.absolute().parent.is_dir():
            got = f"the folder {path.parent}, which is not there"
            raise UsageError(str(path), got=got, expected="a folder that exists", fix="make it first, or mend its name")
        seen.add(files.check_new(path).absolute())
    for path in paths:
        _found(FORMATS[path.suffix].home)


def check_grid(paths: Sequence[Path], grid: Grid) -> None:
    """Whether a forecast that lies there can be written, before anything is computed.

    Args:
        paths: of the forecast, suffixes as in FORMATS.
        grid: of the input.

    Raises:
        UsageError: rows or columns that a format has no way to place.
    """
    for path in paths:
        check = FORMATS[path.suffix].check
        if check is not None:
            _found(check)(grid)


def write(path: Path, forecast: Forecast, *, sequence: int = 0) -> str:
    """Write a forecast; what is there in the end is whole, and nothing that was there is touched.

    Args:
        path: a new one, suffix as in FORMATS.
        forecast: of all sequences.
        sequence: which one a film shows.

    Returns:
        what was written, in a few words.

    Raises:
        UsageError: the path exists, or the forecast is not of a kind that the format can hold.
    """
    kind = FORMATS[path.suffix]
    function: Write = _found(kind.home)
    with files.staged(path, folder=kind.folder) as temporary:
        return function(temporary, forecast.only(sequence) if kind.one else forecast)


def write_all(
    paths: Sequence[Path],
    forecast: Forecast,
    *,
    gif: Path | None = None,
    strip: Path | None = None,
    sequence: int = 0,
) -> dict[str, str]:
    """Write a forecast in several forms, with a film and a strip of one sequence if asked; path to what it holds."""
    every = [*paths, *([] if gif is None else [gif])]
    said = {str(path): write(path, forecast, sequence=sequence) for path in every}
    if strip is not None:
        with files.staged(strip) as temporary:
            draw_strip(temporary, forecast.only(sequence))
    return said


def _found(home: str) -> Any:
    module, name = home.split(":")
    return getattr(importlib.import_module(f"framecast.writers.{module}"), name)
