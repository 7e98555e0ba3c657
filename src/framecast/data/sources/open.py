"""Opening of a path: which files belong together, and which reader makes them an array of frames."""

from __future__ import annotations

from functools import partial

from framecast.data.addresses import StoreAddress, find_path
from framecast.data.config import DataConfig
from framecast.data.formats import KNOWN, cf, make_reader, open_array
from framecast.data.formats.base import Reader, ReaderOptions, StoredArray
from framecast.data.formats.numpy_files import MAPPED_LIMIT
from framecast.data.formats.pictures import images, video
from framecast.data.formats.zarr.reader import MARKS, has_named_axes, is_zarr, open_zarr
from framecast.data.sources.array_files import ArrayFilesReader
from framecast.data.sources.file_series import open_series
from framecast.data.sources.folder import find_kind, list_groups
from framecast.errors import InputError, UsageError


def open_stored(config: DataConfig, *, mapped_limit: int = MAPPED_LIMIT) -> StoredArray:
    """Open the file or folder of a configuration, whatever its format.

    Args:
        config: source (the path), variable, colour, times, step_minutes and unpack_limit.
        mapped_limit: largest .npy to accept, bytes.

    Raises:
        InputError: no file that can be read, or files that do not belong together.
        UsageError: the library for this format is not installed.
    """
    path = find_path(config.path)
    options = ReaderOptions(config.variable, config.colour, config.unpack_limit, tuple(config.axes.items()))
    if isinstance(path, StoreAddress):
        return _open_remote(path, options, config)
    try:
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(str(path)[:200], got=str(error), expected="a path") from error
    if not exists:
        raise InputError(str(path), got="no such file", expected=f"{KNOWN}; or the word moving-mnist")
    if folder and is_zarr(path) and not has_named_axes(path, config.variable):
        return _note_unused_options(open_zarr(path, config.variable, config.unpack_limit), None, config)
    groups, notes = list_groups(path) if folder and not is_zarr(path) else ([[path]], [])
    kind = find_kind(groups, path)
    reader = make_reader(kind, [file for group in groups for file in group], options)
    if reader is None:
        open_one = partial(
            open_array,
            variable=config.variable,
            least_axes=2 if folder else 3,
            mapped_limit=mapped_limit,
            unpack_limit=config.unpack_limit,
        )
        if not folder:
            return _note_unused_options(open_one(path), None, config)
        reader = ArrayFilesReader(open_one, config.dims)
    stored = open_series(reader, groups, path, config.times, config.step_minutes)
    file_dims = config.dims if isinstance(reader, ArrayFilesReader) else None
    return _note_unused_options(stored._replace(notes=[*stored.notes, *notes], file_dims=file_dims), reader, config)


def _open_remote(address: StoreAddress, options: ReaderOptions, config: DataConfig) -> StoredArray:
    """Open a Zarr store at an address; of other formats whole files would have to be fetched."""
    address.check(MARKS)
    if not has_named_axes(address, config.variable):
        stored = open_zarr(address, config.variable, config.unpack_limit)
        return _note_unused_options(stored._replace(files=(address,)), None, config)
    reader = cf.CFReader([address], options)
    stored = open_series(reader, [[address]], address, config.times, config.step_minutes)
    return _note_unused_options(stored, reader, config)


def _note_unused_options(stored: StoredArray, reader: Reader | None, config: DataConfig) -> StoredArray:
    """Add a note for each option that has no effect on such a file.

    Raises:
        UsageError: axes by name, which are given for one file only, and it has none.
    """
    if config.axes and not isinstance(reader, cf.CFReader):
        got = ", ".join(f"{name}={what}" for name, what in config.axes.items())
        fix = "name the axes of an array with --dims" if reader is None or config.dims else "leave it out"
        raise UsageError("--axis", got=got, expected="NetCDF or Zarr, whose axes have names", fix=fix)
    # no errors: colour is taken over from training to whatever a model is used on
    notes = []
    if reader is None and config.times is not None:
        notes.append(f"times: {config.times} has no say, as the times of arrays are not in the names of files")
    if config.colour != "auto" and not isinstance(reader, images.ImageReader | video.VideoReader):
        notes.append(f"colour: {config.colour} has no say, as these are neither pictures nor videos")
    return stored._replace(notes=[*stored.notes, *notes])
