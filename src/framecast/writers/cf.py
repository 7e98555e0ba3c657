"""NetCDF and Zarr files of forecasts by the CF conventions, through xarray; `cf.dataset` says what they hold."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from zarr import config
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ZarrUserWarning

from framecast.cf.dataset import BOUNDS, MAPPING, to_dataset
from framecast.forecast import Forecast
from framecast.output_file import open_output
from framecast.zarr_store import open_store

BLOCK = 1024
"""Rows and columns of a chunk, at most."""
CONCURRENT_CHUNKS = 4
"""Chunks of a Zarr that are compressed at the same time, each held in memory twice; zarr's default is 10."""


def write_netcdf(path: Path, forecast: Forecast) -> str:
    """Write NetCDF 4, compressed without loss."""
    data: Any = to_dataset(forecast)
    compression = {"zlib": True, "complevel": 4, "shuffle": True}
    encoding = {name: {**compression, "chunksizes": _choose_chunks(data[name])} for name in _list_channels(data)}
    with open_output(path) as file:
        data.to_netcdf(file, engine="h5netcdf", encoding=encoding)
    return _describe(data)


def write_zarr(path: Path, forecast: Forecast) -> str:
    """Write a Zarr 3 group, each chunk with a checksum."""
    data = to_dataset(forecast)
    codecs = [ZstdCodec(), Crc32cCodec()]
    encoding = {name: {"chunks": _choose_chunks(data[name]), "compressors": codecs} for name in _list_channels(data)}
    concurrency = config.set({"async.concurrency": CONCURRENT_CHUNKS})
    with open_store(path) as store, concurrency, warnings.catch_warnings():
        # Zarr 3 itself knows no gathered metadata yet, but xarray looks for them first, and warns where there are none
        warnings.simplefilter("ignore", ZarrUserWarning)
        data.to_zarr(store, mode="w", encoding=encoding, zarr_format=3, consolidated=True)
    return _describe(data)


def _list_channels(data: Any) -> list[str]:
    """List the variables that hold frames."""
    return [name for name in data.data_vars if name not in (MAPPING, BOUNDS)]


def _choose_chunks(array: Any) -> tuple[int, ...]:
    """Choose the shape of a chunk: one frame, or a block of it where it is large."""
    return (*(1 for _ in array.shape[:-2]), *(min(BLOCK, size) for size in array.shape[-2:]))


def _describe(data: Any) -> str:
    """Describe names, axes and units of the variables, for the user."""
    names = _list_channels(data)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    first = data[names[0]]
    sizes = ", ".join(f"{name} {size}" for name, size in first.sizes.items())
    units = dict.fromkeys(data[name].attrs["units"] for name in names[:4])
    return ", ".join([f"{shown} ({sizes})", *(unit for unit in units if unit != "1")])
