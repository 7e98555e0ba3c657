"""open_frames: the frames of any file or folder as a lazy xarray.DataArray."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from framecast.api.keywords import READING, resolve_reading
from framecast.cf.lazy_frames import make_lazy
from framecast.data import MOVING_MNIST, DataConfig, FileSource
from framecast.errors import InputError
from framecast.recipe.parsing import parse_config

if TYPE_CHECKING:
    import xarray

_UNIT = (0.0, 1.0)
_NAMES = tuple(name for name in READING if name != "range")  # no value is scaled here


def open_frames(path: str | PathLike[str], *, sequence: int | None = None, **reading: Any) -> xarray.DataArray:
    """Open the frames of a file or folder that the command line reads; no value is read before it is needed.

    Only an .npz, whose arrays are packed, is unpacked at once.

    Args:
        path: a film, a folder of pictures, NetCDF, Zarr, HDF5, GRIB, GeoTIFF, .npy, ...
        sequence: number of the one sequence to open; None for all.
        reading: how the file is read, where it does not say so itself, as in `variable="t2m"`, `dims="tnhw"`,
            `shrink=4`, `colour="grey"`, `frames=(0, 20)`: fields of `DataConfig` that are options of the command line.

    Returns:
        (time, channel, y, x), float32 in raw units, NaN where missing; of several sequences of one length
        (sequence, frame, channel, y, x). It has the file's coordinates, `time` (UTC) where known, `crs` with the
        attributes of the CF grid mapping, `units` among its attributes, and in `comment` what was assumed in reading.

    Raises:
        InputError: a file that cannot be read, or several sequences of different lengths.
        UsageError: an unknown keyword, or a library for this format that is not installed.

    Example:
        >>> import framecast, numpy as np
        >>> np.save("rain.npy", np.zeros((12, 64, 64), np.float32))
        >>> frames = framecast.open_frames("rain.npy", units="mm/h")
        >>> dict(frames.sizes), frames.units
        ({'time': 12, 'channel': 1, 'y': 64, 'x': 64}, 'mm/h')
    """
    if not isinstance(path, str | PathLike):
        raise InputError("path", got=type(path).__name__, expected="the path of a file or a folder")
    if path == MOVING_MNIST:
        fix = "framecast data moving-mnist --out digits.npz"
        raise InputError("path", got=MOVING_MNIST, expected="a file or a folder", fix=f"write some: {fix}")
    fields = resolve_reading(reading, ["sequence"], _NAMES)
    config = parse_config(DataConfig, {**fields, "source": fspath(path)}, "open_frames")
    return make_lazy(FileSource(config, last=0, constant=_UNIT), sequence, config.path)
