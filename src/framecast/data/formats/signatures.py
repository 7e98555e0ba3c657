"""Signatures: what a file holds by its first bytes, for messages about files whose suffix says something else."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

LENGTH = 16
"""First bytes of a file that are looked at."""


class Signature(NamedTuple):
    """First bytes of a kind of files."""

    kind: str
    """For people."""
    begin: bytes
    suffixes: tuple[str, ...]
    """Suffixes of such files, in lower case, the usual one first; none for kinds that cannot be read."""
    fix: str = ""
    """Action for kinds that cannot be read."""
    at: int = 0
    """Bytes before `begin`."""


_HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4", ".cdf", ".netcdf")
_PICTURES = (".apng", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp", ".bmp")
_KINDS = (
    Signature("HDF5", b"\x89HDF\r\n\x1a\n", _HDF5),
    Signature("HDF4", b"\x0e\x03\x13\x01", (), "turn it into HDF5 with h4toh5, or into NetCDF"),
    Signature("NetCDF 3", b"CDF\x01", (".nc", ".nc4", ".cdf", ".netcdf")),
    Signature("NetCDF 3", b"CDF\x02", (".nc", ".nc4", ".cdf", ".netcdf")),
    Signature("NetCDF 3", b"CDF\x05", (".nc", ".nc4", ".cdf", ".netcdf")),
    Signature("GRIB", b"GRIB", (".grib2", ".grib", ".grb", ".grb2", ".grib1", ".grb1")),
    Signature("PNG", b"\x89PNG\r\n\x1a\n", (".png", *_PICTURES)),
    Signature("JPEG", b"\xff\xd8\xff", (".jpg", ".png", *_PICTURES)),
    Signature("GIF", b"GIF8", (".gif", ".png", *_PICTURES)),
    Signature("TIFF", b"II*\0", (".tif", ".png", *_PICTURES)),
    Signature("TIFF", b"MM\0*", (".tif", ".png", *_PICTURES)),
    Signature("NumPy's", b"\x93NUMPY", (".npy",)),
    Signature("AVI", b"AVI ", (".avi",), at=8),
    Signature("MP4 or MOV", b"ftyp", (".mp4", ".m4v", ".mov"), at=4),
    Signature("Matroska", b"\x1a\x45\xdf\xa3", (".mkv", ".webm")),
)
PACKED = (
    Signature("gzip", b"\x1f\x8b", (".gz", ".tgz"), "gunzip"),
    Signature("bzip2", b"BZh", (".bz2",), "bunzip2"),
    Signature("xz", b"\xfd7zXZ\0", (".xz",), "unxz"),
    Signature("zstandard", b"\x28\xb5\x2f\xfd", (".zst",), "unzstd"),
    Signature("zip", b"PK\x03\x04", (".zip",), "unzip"),
)
"""Packed files; `fix` is the program that unpacks them."""


def find_suffix(path: Path) -> str:
    """Find the suffix of a file, with the one before it where the last says how it is packed: .nc.gz."""
    packed = path.suffix.lower() in {suffix for each in PACKED for suffix in each.suffixes}
    return "".join(path.suffixes[-2:]) if packed else path.suffix


def find_signature(path: Path) -> Signature | None:
    """Find what a file holds; None for a folder, and where nothing is known of its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(LENGTH)
    except OSError:
        return None
    return next((each for each in (*_KINDS, *PACKED) if head[each.at :].startswith(each.begin)), None)


def describe_contents(path: Path, kind: str | None = None) -> tuple[str, str] | None:
    """Describe the contents of a file whose suffix does not fit them: what it holds, and what to do.

    None where the suffix or the kind that its reader takes it for fits, or nothing is known of the contents.
    """
    found = find_signature(path)
    suffix = path.suffix.lower()
    if found is None or found.kind == kind or (suffix in found.suffixes and found not in PACKED):
        return None
    if found in PACKED:
        return f"{path.name}, which is packed with {found.kind}", f"unpack it first, with {found.fix}"
    named = f"{path.name}, which holds {found.kind}"
    return named, found.fix or f"rename it to {path.with_suffix(found.suffixes[0]).name}"
