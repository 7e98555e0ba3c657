"""Bodies of requests: .npy, .npz, NetCDF, a zip of PNGs; sizes are looked at before anything is unpacked.

A client names no path: what readers need as a file is written to a temporary folder under a name of ours, or, of
pictures, whose names hold their times, under the last part of the client's, letters, digits, dots and dashes only.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.numpy_files import read_npy
from framecast.errors import InputError
from framecast.serving.limits import RequestMemory, ServiceLimits

Kind = Literal["npy", "npz", "nc", "png"]
BODY = "body"
"""Name of what a client sent, in errors."""
ARRAYS = ("frames", "valid", "covariates")
"""Arrays of an .npz."""
_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.png")
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What zipfile raises on damaged archives; NotImplementedError for other packers, RuntimeError for passwords."""


@dataclass(frozen=True, eq=False)
class ArrayBody:
    """Frames that came as an array.

    Args:
        kind: npy or npz.
        frames: (B, J, C, H, W), (J, C, H, W), or (J, H, W) of one channel, raw units.
        valid: booleans of that shape; None where no pixel is missing.
        covariates: of context and forecast; None without any.
    """

    kind: Kind
    frames: NDArray[Any]
    valid: NDArray[np.bool_] | None = None
    covariates: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class FileBody:
    """Frames that came as a file, in a temporary folder.

    Args:
        kind: nc or png.
        path: a NetCDF file, or a folder of pictures.
    """

    kind: Kind
    path: Path


def read_body(content: bytes, limits: ServiceLimits, memory: RequestMemory, folder: Path) -> ArrayBody | FileBody:
    """Read a body by its first bytes, whatever the request calls it.

    Args:
        content: the bytes.
        limits: of the service.
        memory: memory of the request, which takes what is unpacked.
        folder: temporary folder of this request, for files.

    Raises:
        InputError: of another kind, damaged, or too large.
        Refusal: there is no memory for it.
    """
    if content.startswith(b"\x93NUMPY"):
        return _make_array_body("npy", read_npy(io.BytesIO(content), len(content), BODY))
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        path = folder / "body.nc"
        path.write_bytes(content)
        return FileBody("nc", path)
    if content.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return _read_archive(archive, limits, memory, folder)
        except _ZIP_FAULTS as error:
            if isinstance(error, InputError):
                raise
            raise InputError(BODY, got=f"a damaged zip ({error})", expected="one that can be unpacked") from error
    got = "nothing" if not content else f"{len(content)} bytes that begin with {content[:8]!r}"
    expected = "a .npy, an .npz, a NetCDF 4 file, or a zip of PNGs"
    raise InputError(BODY, got=got, expected=expected, fix="as in numpy.save, or to_netcdf(engine='h5netcdf')")


def _read_archive(
    archive: zipfile.ZipFile, limits: ServiceLimits, memory: RequestMemory, folder: Path
) -> ArrayBody | FileBody:
    # not is_dir(), which fails on a damaged zip whose member has no name
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    if not 0 < len(members) <= limits.frames:
        raise InputError(BODY, got=f"a zip of {len(members)} files", expected=f"1 to {limits.frames}")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(BODY, got=f"a zip packed by method {member.compress_type}", expected="stored or deflated")
    memory.take(sum(member.file_size for member in members))
    if all(member.filename.endswith(".npy") for member in members):
        return _read_npz(archive, members)
    return _unpack_pictures(archive, members, folder)


def _read_npz(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> ArrayBody:
    arrays: dict[str, NDArray[Any]] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name not in ARRAYS and len(members) > 1:
            raise InputError.unknown(f"{BODY}: array", name, ARRAYS)
        with archive.open(member) as file:
            arrays[name] = read_npy(file, member.file_size, f"{BODY}: {name}")
    frames = arrays.get("frames", next(iter(arrays.values())) if len(arrays) == 1 else None)
    if frames is None:
        raise InputError(BODY, got=f"arrays {', '.join(arrays)}", expected="one that is called frames")
    return _make_array_body("npz", frames, arrays.get("valid"), arrays.get("covariates"))


def _make_array_body(
    kind: Kind, frames: NDArray[Any], valid: NDArray[Any] | None = None, covariates: NDArray[Any] | None = None
) -> ArrayBody:
    """Make the body of arrays; NaN stands for a missing pixel where no mask says more."""
    if frames.dtype.kind not in "fiu" or not frames.size:
        got = f"dtype {frames.dtype}, shape {frames.shape}"
        raise InputError("frames", got=got, expected="one number or more: float, int or unsigned int")
    if valid is not None and (valid.dtype.kind != "b" or valid.shape != frames.shape):
        got = f"dtype {valid.dtype}, shape {valid.shape}"
        raise InputError("valid", got=got, expected=f"booleans of the frames' shape, {frames.shape}")
    if valid is None and frames.dtype.kind == "f":
        known = ~np.isnan(frames)
        valid = None if known.all() else known
    # copies, as torch takes no array that it could not write to
    return ArrayBody(kind, frames.copy(), _copy(valid), _copy(covariates))


def _copy(array: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if array is None else array.copy()


def _unpack_pictures(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> FileBody:
    frames = folder / "frames"
    frames.mkdir()
    for member in members:
        name = member.filename.rpartition("/")[2]
        if not _PICTURE.fullmatch(name) or (frames / name).exists():
            got = f"a file {name!r} in a zip"
            expected = "PNGs, each of another name of letters, digits, dots, dashes; or arrays, .npy"
            raise InputError(BODY, got=got, expected=expected)
        (frames / name).write_bytes(archive.read(member))
    return FileBody("png", frames)
