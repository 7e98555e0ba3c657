"""Folders of frames: which files belong together, what is left alone, and why a folder has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framecast.data.file_names import natural_key
from framecast.data.fingerprint import LEFT_BY_SYSTEMS
from framecast.data.formats import KNOWN, file_kind
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.data.formats.signatures import describe_contents, find_suffix
from framecast.data.formats.zarr.reader import is_zarr
from framecast.errors import InputError

HIDDEN = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", *LEFT_BY_SYSTEMS)
"""What systems leave in folders, beside names that begin with a dot; in lower case."""
LISTED = 6
"""Largest number of suffixes in a message."""


def list_groups(root: Path) -> tuple[list[list[Path]], list[str]]:
    """List the files of a folder, or of its folders, by group; files of unknown formats are left out.

    Args:
        root: the folder.

    Returns:
        files by group, in natural order; notes on folders that are left out.

    Raises:
        InputError: there are none, or they cannot be listed.
    """
    try:
        inside = list_members(root)
        files, folders = _list_frames(inside), [p for p in inside if p.is_dir() and not is_zarr(p)]
        groups = [_list_frames(list_members(folder)) for folder in folders]
    except OSError as error:
        got = error.strerror or str(error)
        raise InputError(str(root), got=got, expected="a folder that can be read") from error
    beside = [folder.name for folder, group in zip(folders, groups, strict=True) if group]
    notes = []
    if files:
        # nothing says that one video goes on where another ends: each is a group of its own
        groups = [[file] for file in files] if file_kind(files[0]) == "video" else [files]
        if beside:
            more = f" and {len(beside) - LISTED} more" if len(beside) > LISTED else ""
            names = ", ".join(beside[:LISTED])
            notes.append(f"left out: the folders {names}{more}, as frames lie beside them; name one to read it")
    groups = [group for group in groups if group]
    if not groups:
        raise _explain_absence(root, inside, folders)
    if sum(map(len, groups)) > SERIES_LIMIT:
        raise InputError(str(root), got="too many files", expected=f"at most {SERIES_LIMIT}")
    return groups, notes


def list_members(folder: Path) -> list[Path]:
    """List what lies in a folder, in natural order, without what is hidden.

    Raises:
        OSError: it cannot be listed.
    """
    return sorted((path for path in folder.iterdir() if not is_hidden(path)), key=lambda path: natural_key(path.name))


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is a system's, and none of the user's: .DS_Store, ._1.png, __MACOSX, Thumbs.db."""
    return path.name.startswith(".") or path.name.lower() in HIDDEN


def find_kind(groups: Sequence[Sequence[Path]], root: Path) -> str:
    """Find the one format that all files share.

    Raises:
        InputError: an unknown format, several, or a file whose suffix says another one than its contents.
    """
    files = [path for group in groups for path in group]
    kinds = sorted({str(file_kind(path)) for path in files})
    if kinds == ["None"]:
        suffix = find_suffix(root) or "none"
        held, fix = describe_contents(root) or (None, None)
        got = f"suffix {suffix}" if held is None else f"suffix {suffix} of {held}"
        raise InputError(str(root), got=got, expected=KNOWN, fix=fix)
    if len(kinds) > 1:
        fix = "put each kind into a folder of its own"
        raise InputError(str(root), got=f"{' and '.join(kinds)} in one folder", expected="files of one kind", fix=fix)
    for path in files:
        found = describe_contents(path, kinds[0])
        # what is packed may be read as it is, by its reader
        if found is not None and "packed" not in found[0]:
            raise InputError(
                str(path), got=found[0], expected=f"{kinds[0]}, as suffix {path.suffix} says", fix=found[1]
            )
    return kinds[0]


def _list_frames(members: Sequence[Path]) -> list[Path]:
    return [path for path in members if file_kind(path) and (path.is_file() or is_zarr(path))]


def _explain_absence(root: Path, inside: Sequence[Path], folders: Sequence[Path]) -> InputError:
    """Make the error of a folder without frames: suffixes that were found, where frames lie, what could be renamed."""
    files = [path for path in inside if path.is_file()]
    try:
        below = [path for folder in folders for path in list_members(folder)]
        files += [path for path in below if path.is_file()]
        deep = next((path for path in below if path.is_dir() and _list_frames(list_members(path))), None)
    except OSError:
        deep = None
    suffixes = list(dict.fromkeys(find_suffix(path) or "none" for path in files))
    words = ", ".join(suffixes[:LISTED]) + (" ..." if len(suffixes) > LISTED else "")
    got = "a folder without frames" + (f", with files of suffix {words}" if suffixes else "")
    held = next(filter(None, map(describe_contents, files[:LISTED])), None)
    fix = f"frames lie deeper, in {deep.relative_to(root)}: name that folder or the one above it" if deep else None
    if held is not None:
        got, fix = f"{got}; among them {held[0]}", held[1]
    return InputError(str(root), got=got, expected=KNOWN, fix=fix)
