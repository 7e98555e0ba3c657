"""Answers: a forecast as the bytes of a file, or of a zip where a format is a folder."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Literal

from framecast import writers
from framecast.forecast import Forecast

AnswerFormat = Literal["npy", "npz", "nc", "tif", "png"]
MEDIA_TYPES: dict[str, str] = {
    "npy": "application/x-npy",
    "npz": "application/x-npz",
    "nc": "application/x-netcdf",
    "tif": "application/zip",
    "png": "application/zip",
}
"""Media type of each format; of pictures and GeoTIFFs, one a frame, that of a zip."""


def write_answer(forecast: Forecast, name: AnswerFormat, folder: Path) -> bytes:
    """Write a forecast as the bytes of an answer.

    Args:
        forecast: of one or more sequences.
        name: of the format.
        folder: temporary folder of the request.

    Raises:
        UsageError: the format cannot hold the forecast, or its library is not installed.
    """
    path = folder / f"forecast.{name}"
    writers.check_grid([path], forecast.grid)
    writers.write(path, forecast)
    return _pack(path) if path.is_dir() else path.read_bytes()


def _pack(folder: Path) -> bytes:
    """Pack a folder as a zip, whose files are packed already."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()
