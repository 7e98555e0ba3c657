"""Opening of a path: which files belong together, and which reader makes them an array of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framecast.data.config import DataConfig
from framecast.data.file_names import natural_key
from framecast.data.formats import KNOWN, file_kind, images, make_reader, open_array, video
from framecast.data.formats.base import Reader, ReaderOptions, StoredArray
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.data.formats.numpy_files import CONTENT_LIMIT, MAPPED_LIMIT
from framecast.data.formats.zarr import has_named_axes, is_zarr, open_zarr
from framecast.data.sources.file_series import open_series
from framecast.errors import InputError


def open_stored(
    config: DataConfig, *, mapped_limit: int = MAPPED_LIMIT, content_limit: int = CONTENT_LIMIT
) -> StoredArray:
    """Open the file or folder of a configuration, whatever its format.

    Args:
        config: source (the path), variable, colour, times and step_minutes.
        mapped_limit: largest .npy to accept, bytes.
        content_limit: largest array in an .npz to accept, bytes once unpacked.

    Raises:
        InputError: no file that can be read, or files that do not belong together.
        UsageError: the library for this format is not installed.
    """
    path, options = Path(config.path), ReaderOptions(config.variable, config.colour)
    try:
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(str(path)[:200], got=str(error), expected="a path") from error
    if not exists:
        raise InputError(str(path), got="no such file", expected=f"{KNOWN}; or the word moving-mnist")
    if folder and is_zarr(path) and not has_named_axes(path, config.variable):
        return _note_unused_options(open_zarr(path, config.variable), None, config)
    groups = _list_groups(path) if folder and not is_zarr(path) else [[path]]
    kind = _find_kind(groups, path)
    reader = make_reader(kind, [file for group in groups for file in group], options)
    if reader is not None:
        return _note_unused_options(
            open_series(reader, groups, path, config.times, config.step_minutes), reader, config
        )
    if folder:
        raise InputError(str(path), got=f"a folder of {kind}", expected="one file of them", fix="name it")
    stored = open_array(path, config.variable, mapped_limit=mapped_limit, content_limit=content_limit)
    return _note_unused_options(stored, None, config)


def _note_unused_options(stored: StoredArray, reader: Reader | None, config: DataConfig) -> StoredArray:
    """Add a note for each option that has no effect on such a file."""
    # no errors: colour is taken over from training to whatever a model is used on
    notes = []
    if reader is None and config.times is not None:
        notes.append(f"times: {config.times} has no say, as the times of arrays are not in the names of files")
    if config.colour != "auto" and not isinstance(reader, images.ImageReader | video.VideoReader):
        notes.append(f"colour: {config.colour} has no say, as these are neither pictures nor videos")
    return stored._replace(notes=[*stored.notes, *notes])


def _list_groups(root: Path) -> list[list[Path]]:
    """List the files of a folder, or of its folders, by group; files of unknown formats are left out."""
    try:
        inside = sorted((p for p in root.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name))
        files = [p for p in inside if p.is_file() and file_kind(p)]
        if files:
            # nothing says that one video goes on where another ends: each is a group of its own
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


def _find_kind(groups: Sequence[Sequence[Path]], root: Path) -> str:
    """Find the one format that all files share."""
    kinds = sorted({str(file_kind(path)) for group in groups for path in group})
    if kinds == ["None"]:
        raise InputError(str(root), got=f"suffix {root.suffix or 'none'}", expected=KNOWN)
    if len(kinds) > 1:
        fix = "put each kind into a folder of its own"
        raise InputError(str(root), got=f"{' and '.join(kinds)} in one folder", expected="files of one kind", fix=fix)
    return kinds[0]
