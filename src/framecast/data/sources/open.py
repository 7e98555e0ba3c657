"""From a path to an array of frames: which kind of file it is, and which files belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from framecast.data.config import DataConfig
from framecast.data.formats import cf, fmi_pgm, geotiff, grib, hdf5, images, video
from framecast.data.formats.base import Reader, ReaderOptions, StoredArray
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.data.formats.knmi_hdf5 import KNMIReader
from framecast.data.formats.numpy_files import CONTENT_LIMIT, MAPPED_LIMIT, open_npy, open_npz
from framecast.data.formats.odim_hdf5 import ODIMReader
from framecast.data.formats.zarr import has_named_axes, is_zarr, open_zarr
from framecast.data.sources.file_series import open_series
from framecast.data.times import natural_key
from framecast.errors import InputError

KINDS = {
    "pictures": images.SUFFIXES,
    "video": tuple(video.CONTAINERS),
    "PGM": fmi_pgm.SUFFIXES,
    "NetCDF": cf.SUFFIXES,
    "HDF5": hdf5.SUFFIXES,
    "GRIB": grib.SUFFIXES,
    "arrays": (".npy", ".npz"),
}
KNOWN = "a .npy, .npz, .zarr, .nc, .h5, .grib2, .pgm, .mp4, .avi, .gif, or a folder of PNG, JPEG, TIFF or such files"


def file_kind(path: Path) -> str | None:
    """Kind of a file by its suffix, one of KINDS; None if it has no known one."""
    name = path.name.lower()
    return next((kind for kind, suffixes in KINDS.items() if name.endswith(suffixes)), None)


def open_stored(
    config: DataConfig, *, mapped_limit: int = MAPPED_LIMIT, content_limit: int = CONTENT_LIMIT
) -> StoredArray:
    """Open whatever the path of a configuration holds.

    Args:
        config: source (the path), variable, colour, times and step_minutes.
        mapped_limit: largest .npy to accept, bytes.
        content_limit: largest array in an .npz to accept, bytes once unpacked.

    Raises:
        InputError: nothing there that can be read, or files that do not belong together.
        UsageError: the library for this kind is not installed.
    """
    path, wish = Path(config.path), ReaderOptions(config.variable, config.colour)
    try:
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(str(path)[:200], got=str(error), expected="a path") from error
    if not exists:
        raise InputError(str(path), got="no such file", expected=f"{KNOWN}; or the word moving-mnist")
    if folder and is_zarr(path) and not has_named_axes(path, config.variable):
        return _with_unheeded(open_zarr(path, config.variable), None, config)
    if folder:
        groups = [[path]] if is_zarr(path) else _groups(path)
    else:
        groups = [[path]]
    family = _family(groups, path, wish)
    if family is not None:
        return _with_unheeded(open_series(family, groups, path, config.times, config.step_minutes), family, config)
    if folder:
        raise InputError(
            str(path), got=f"a folder of {_kind(groups, path)}", expected="one file of them", fix="name it"
        )
    return _with_unheeded(_array(path, config.variable, mapped_limit, content_limit), None, config)


def _with_unheeded(stored: StoredArray, family: Reader | None, config: DataConfig) -> StoredArray:
    """The same with a note for each option that has no say in such a file.

    They are no errors: colour is taken over from training to whatever a model is used on.
    """
    notes = []
    if family is None and config.times is not None:
        notes.append(f"times: {config.times} has no say, as the times of arrays are not in the names of files")
    if config.colour != "auto" and not isinstance(family, images.ImageReader | video.VideoReader):
        notes.append(f"colour: {config.colour} has no say, as these are neither pictures nor videos")
    return stored._replace(notes=[*stored.notes, *notes])


def _array(path: Path, variable: str | None, mapped_limit: int, content_limit: int) -> StoredArray:
    if path.suffix == ".npz":
        return open_npz(path, variable, limit=content_limit)
    if path.suffix == ".npy":
        return open_npy(path, variable, limit=mapped_limit)
    return hdf5.open_hdf5(path, variable)


def _groups(root: Path) -> list[list[Path]]:
    """Files of a folder, or of its folders; files that are not known are left alone."""
    try:
        inside = sorted((p for p in root.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name))
        files = [p for p in inside if p.is_file() and file_kind(p)]
        if files:
            groups = [[file] for file in files] if file_kind(files[0]) == "video" else [files]
        else:
            folders = [p for p in inside if p.is_dir() and not is_zarr(p)]
            listed = [sorted(folder.iterdir(), key=lambda p: natural_key(p.name)) for folder in folders]
            groups = [[p for p in members if p.is_file() and file_kind(p)] for members in listed]
    except OSError as error:
        raise InputError(str(root), got=str(error), expected="a folder that can be read") from error
    groups = [group for group in groups if group]
    if not groups:
        raise InputError(str(root), got="a folder without frames", expected=KNOWN)
    if sum(map(len, groups)) > SERIES_LIMIT:
        raise InputError(str(root), got="too many files", expected=f"at most {SERIES_LIMIT}")
    return groups


def _kind(groups: Sequence[Sequence[Path]], root: Path) -> str:
    kinds = sorted({str(file_kind(path)) for group in groups for path in group})
    if kinds == ["None"]:
        suffix = root.suffix or "none"
        if root.is_dir():
            return "zarr"
        raise InputError(str(root), got=f"suffix {suffix}", expected=KNOWN)
    if len(kinds) > 1:
        fix = "put each kind into a folder of its own"
        raise InputError(str(root), got=f"{' and '.join(kinds)} in one folder", expected="files of one kind", fix=fix)
    return kinds[0]


def _family(groups: Sequence[Sequence[Path]], root: Path, wish: ReaderOptions) -> Reader | None:
    """The reader of the files; None for single arrays."""
    kind = _kind(groups, root)
    files = [path for group in groups for path in group]
    if kind == "HDF5":
        kind = _kind_of_hdf5(files[0])
    if kind == "pictures":
        if geotiff.is_geotiff(files[0]):
            return geotiff.GeoTIFFReader(wish)
        return images.ImageReader(files, wish)
    made: dict[str, Callable[[ReaderOptions], Reader]] = {
        "video": video.VideoReader,
        "PGM": fmi_pgm.PGMReader,
        "NetCDF": cf.CFReader,
        "zarr": cf.CFReader,
        "GRIB": grib.GRIBReader,
        "ODIM": ODIMReader,
        "KNMI": KNMIReader,
    }
    return made[kind](wish) if kind in made else None


def _kind_of_hdf5(path: Path) -> str:
    with hdf5.open_file(path) as file:
        attributes = hdf5.read_attributes(file)
        what = hdf5.read_attributes(hdf5.find_member(file, "what", str(path)))
        if str(attributes.get("Conventions", "")).startswith("ODIM") or "object" in what:
            return "ODIM"
        if "image1" in file and "overview" in file:
            return "KNMI"
        if "_NCProperties" in attributes or str(attributes.get("Conventions", "")).startswith("CF"):
            return "NetCDF"
        return "HDF5"
