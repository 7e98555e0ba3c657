"""Registry of file formats: who reads a file, by its suffix and, where formats share one, by its contents.

A new format is one class with the members of `base.Reader` in a module of this folder, one line in READERS, and a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from framecast.data.formats import cf, cf_files, geotiff, hdf5, numpy_files
from framecast.data.formats.base import Reader, ReaderOptions, StoredArray
from framecast.data.formats.grib import messages as grib
from framecast.data.formats.grib.reader import GRIBReader
from framecast.data.formats.pictures import images, picture, video
from framecast.data.formats.radar import fmi_pgm, knmi_hdf5, odim_hdf5
from framecast.data.formats.zarr.reader import is_zarr


class FileFormat(NamedTuple):
    """Entry of the registry."""

    kind: str
    """For people. Files of one kind may lie together in a folder, and one reader reads them all."""
    suffixes: tuple[str, ...]
    """In lower case."""
    reader: Callable[[Sequence[Path], ReaderOptions], Reader]
    """Class, made for all files of a source."""
    recognizes: Callable[[Path], bool] | None = None
    """Whether a file is of this format, by its contents; None where the suffix is enough."""


READERS = (
    # the first that recognizes a file reads it, so of those that share a suffix the particular ones stand first
    FileFormat("pictures", geotiff.SUFFIXES, geotiff.GeoTIFFReader, geotiff.is_geotiff),
    FileFormat("pictures", picture.SUFFIXES, images.ImageReader),
    FileFormat("video", tuple(video.CONTAINERS), video.VideoReader),
    FileFormat("PGM", fmi_pgm.SUFFIXES, fmi_pgm.PGMReader),
    FileFormat("HDF5", hdf5.SUFFIXES, odim_hdf5.ODIMReader, odim_hdf5.is_odim),
    FileFormat("HDF5", hdf5.SUFFIXES, knmi_hdf5.KNMIReader, knmi_hdf5.is_knmi),
    FileFormat("HDF5", hdf5.SUFFIXES, cf.CFReader, cf_files.is_netcdf4),
    FileFormat("NetCDF", cf.SUFFIXES, cf.CFReader),
    FileFormat("GRIB", grib.SUFFIXES, GRIBReader),
    FileFormat("zarr", (), cf.CFReader),
)
ARRAYS = {"arrays": (".npy", ".npz"), "HDF5": hdf5.SUFFIXES}
"""Suffixes of files that may hold a single array, by kind: `open_array` opens those that no reader recognizes."""
KNOWN = (
    "a .npy, .npz, .zarr, .nc, .h5, .grib2, .pgm, .mp4, .avi, .gif, or a folder of PNG, JPEG, WebP, TIFF or such files"
)
"""All of these, for messages."""


def file_kind(path: Path) -> str | None:
    """Name the kind of a file by its suffix, or of a zarr store; None if it is none that is known."""
    name = path.name.lower()
    known = [*((entry.kind, entry.suffixes) for entry in READERS), *ARRAYS.items()]
    kind = next((kind for kind, suffixes in known if name.endswith(suffixes)), None)
    if kind is None and is_zarr(path):
        return "zarr"
    # names of models' output end in lead times: gfs.t00z.pgrb2.0p25.f003
    return kind or ("GRIB" if path.is_file() and grib.is_grib(path) else None)


def make_reader(kind: str, files: Sequence[Path], options: ReaderOptions) -> Reader | None:
    """Make the reader of files of one kind; None where they hold single arrays.

    Raises:
        InputError: the first is damaged, or an option does not fit them.
        UsageError: the library for this kind is not installed.
    """
    for entry in READERS:
        if entry.kind == kind and (entry.recognizes is None or entry.recognizes(files[0])):
            return entry.reader(files, options)
    return None


def open_array(
    path: Path, variable: str | None, *, mapped_limit: int, unpack_limit: int | None = None, least_axes: int = 3
) -> StoredArray:
    """Open a file that holds a single array: .npy, .npz or plain HDF5.

    Args:
        path: the file.
        variable: key of the array in an .npz, path in an HDF5; None where there is one only.
        mapped_limit: largest .npy to accept, bytes.
        unpack_limit: bytes that may be unpacked at once; None to judge by the memory at hand.
        least_axes: of the array that is taken from an HDF5 where nobody names one; of three or more first.

    Raises:
        InputError: damaged, not such a file, or without such an array.
    """
    match path.suffix.lower():
        case ".npy":
            return numpy_files.open_npy(path, variable, limit=mapped_limit)
        case ".npz":
            return numpy_files.open_npz(path, variable, limit=unpack_limit)
        case _:
            return hdf5.open_hdf5(path, variable, unpack_limit, least_axes)
