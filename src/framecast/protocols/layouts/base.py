"""What the layouts share: where a file is, whether it is the published one, and the size of frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from framecast.errors import InputError
from framecast.protocols.definition import Protocol, PublishedFile

_MODES = {"bilinear": ("bilinear", False), "smooth": ("bilinear", True), "cubic": ("bicubic", False)}
"""{`Protocol.resize`: (mode of torch's interpolation, whether it averages over what it skips)}."""


class ProtocolWindows(NamedTuple):
    """Test windows of a protocol."""

    keys: Sequence[str]
    """A name for each window, in the order in which they are scored."""
    read: Callable[[int], NDArray[np.generic]]
    """Frames of a window, (T, C, H, W) in the units of the protocol, of the size that they have in the file."""
    notes: tuple[str, ...] = ()


def find_path(folder: Path, path: str) -> Path | None:
    """Find a published file in a folder that may be the one above it, or any of those that lead to it.

    Args:
        folder: that the user named.
        path: of the file as published, with slashes.

    Returns:
        where it is; None if it is nowhere.
    """
    parts = PurePosixPath(path).parts
    candidates = (folder.joinpath(*parts[skipped:]) for skipped in range(len(parts)))
    return next((candidate for candidate in candidates if candidate.exists()), None)


def need_path(folder: Path, file: PublishedFile) -> Path:
    """Find a published file.

    Raises:
        InputError: it is not there; the text says where it comes from, and what md5 it has.
    """
    found = find_path(folder, file.path)
    if found is None:
        md5 = f", md5 {file.md5}" if file.md5 else ""
        raise InputError(
            PurePosixPath(file.path).name, got=f"nothing in {folder}", expected=f"{file.path} from {file.origin}{md5}"
        )
    return found


def join_inside(folder: Path, name: str) -> Path:
    """Join a name that a list gives to a folder; backslashes count as slashes.

    Raises:
        InputError: the name leads out of the folder.
    """
    parts = PureWindowsPath(name.strip()).parts
    if not parts or ".." in parts or PureWindowsPath(name).anchor:
        raise InputError(str(folder), got=f"the name {name!r} in a list", expected="names of files inside")
    return folder.joinpath(*parts)


def check_files(folder: Path, protocol: Protocol) -> list[str]:
    """Check that the published files are there, and are what was published as far as that is documented.

    Returns:
        a note for each file with another md5.

    Raises:
        InputError: a file that is not there.
    """
    notes = []
    for file in protocol.files:
        path = need_path(folder, file)
        if file.md5 is None:
            continue
        with path.open("rb") as opened:
            md5 = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != file.md5:
            notes.append(f"{path.name}: md5 {md5}, and the published file has {file.md5}: scores cannot be compared")
    return notes


def resize(frames: NDArray[np.generic], protocol: Protocol) -> NDArray[np.float32]:
    """Bring frames to the size of a protocol.

    Args:
        frames: (T, C, H, W).
        protocol: says size and manner; cubic values are rounded and cut to the value range, as those of pictures are.

    Raises:
        InputError: frames of another size or number, where there is no way from one to the other.
    """
    values = np.asarray(frames, dtype=np.float32)
    expected = (protocol.frames, protocol.channels, *protocol.size)
    height, width = protocol.size
    if values.shape[:2] != expected[:2] or (protocol.resize == "none" and values.shape != expected):
        raise InputError(
            "a window", got=f"shape {values.shape}", expected=f"{expected}: frames, channels, rows, columns"
        )
    if values.shape == expected:
        return values
    if protocol.resize == "mean":
        blocks = values.shape[2] // height, values.shape[3] // width
        if values.shape[2:] != (height * blocks[0], width * blocks[1]):
            raise InputError("a window", got=f"frames of {values.shape[2:]}", expected=f"multiples of {protocol.size}")
        return values.reshape(*expected[:3], blocks[0], width, blocks[1]).mean(axis=(3, 5))
    mode, antialias = _MODES[protocol.resize]
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(values), size=protocol.size, mode=mode, align_corners=False, antialias=antialias
    )
    return (scaled.round().clamp(*protocol.range) if protocol.resize == "cubic" else scaled).numpy()
