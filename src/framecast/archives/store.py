"""Zarr store of forecasts: made at once with all its coordinates, then filled row by row, by any number of processes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import xarray
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from framecast import files
from framecast.cf.dataset import to_dataset
from framecast.cf.names import list_cf_variables
from framecast.forecast import Forecast
from framecast.types import FrameSpec, Grid

REFERENCE = "forecast_reference_time"
"""Axis of the forecasts."""
GROWTH = 4096
"""Forecasts of which a chunk of coordinates holds the times."""
CHUNK = 32 << 20
"""Bytes of a chunk, about, before compression; no chunk holds two forecasts, so that no two processes share one."""


def create_store(path: Path, example: Forecast, context_times: NDArray[Any]) -> None:
    """Make a store for R forecasts that are alike, under its name only once it is whole; values are NaN.

    Args:
        path: of the store, which does not exist.
        example: one of the forecasts.
        context_times: (R, J), times of the input of each, UTC.

    Raises:
        UsageError: the folder exists.
    """
    template = _make_template(example, context_times)
    channels = [channel.name for channel in list_cf_variables(example.spec, example.grid)]
    with files.staged(path, folder=True) as part:
        coordinates = template.drop_vars(channels)
        growing = [name for name, values in coordinates.variables.items() if REFERENCE in values.dims]
        chunks = {name: {"chunks": (GROWTH, *coordinates[name].shape[1:])} for name in growing}
        coordinates.to_zarr(part, mode="w", zarr_format=3, consolidated=False, encoding=chunks)
        group = zarr.open_group(part, mode="r+", zarr_format=3)
        for name in channels:
            values = template[name]
            attributes = {**values.attrs, "coordinates": "time"}
            group.create_array(
                name,
                shape=values.shape,
                chunks=_choose_chunks(values.sizes),
                dtype="float32",
                fill_value=np.nan,
                compressors=[ZstdCodec(), Crc32cCodec()],
                attributes=attributes,
                dimension_names=[str(dim) for dim in values.dims],
            )
        _consolidate(part)


def extend_store(path: Path, example: Forecast, context_times: NDArray[Any]) -> None:
    """Make room for later forecasts; what is there stays, and may be extended again after a crash.

    Args:
        path: of the store.
        example: one of the forecasts.
        context_times: (R, J), of all forecasts, those that are there first.
    """
    template, group = _make_template(example, context_times), _open(path, "r+")
    for name, array in group.arrays():
        if REFERENCE not in (getattr(array.metadata, "dimension_names", None) or ()):
            continue
        array.resize((len(context_times), *array.shape[1:]))
        if name in template.coords:
            array[:] = template.coords[name].values
    _consolidate(path)


def count_rows(path: Path) -> int:
    """Count the forecasts for which a store has room."""
    return _find_array(_open(path, "r"), REFERENCE).shape[0]


def write_rows(path: Path, row: int, frames: NDArray[np.float32], spec: FrameSpec, grid: Grid) -> None:
    """Write forecasts into their rows; each chunk by itself, the name of a finished one last.

    Args:
        path: of the store.
        row: of the first one.
        frames: (N, M, K, C, H, W).
        spec: of the forecasts.
        grid: of the forecasts, with the names of their channels.
    """
    group = _open(path, "r+")
    for number, channel in enumerate(list_cf_variables(spec, grid)):
        values = frames[:, :, :, number]
        for place in range(row, row + len(frames)):
            _remove_partial(path / channel.name / "c" / str(place))
        _find_array(group, channel.name)[row : row + len(frames)] = values if frames.shape[1] > 1 else values[:, 0]


def _remove_partial(folder: Path) -> None:
    """Remove what a killed process has left of the chunks of a forecast, which are written by one task alone."""
    for partial in folder.rglob("*.partial"):
        partial.unlink(missing_ok=True)


def read_rows(path: Path, row: int, count: int, spec: FrameSpec, grid: Grid) -> NDArray[np.float32]:
    """Read forecasts back, (N, M, K, C, H, W); arguments as of `write_rows`."""
    group, parts = _open(path, "r"), []
    for channel in list_cf_variables(spec, grid):
        values = np.asarray(_find_array(group, channel.name)[row : row + count])
        parts.append(values if values.ndim == 5 else values[:, None])
    return np.stack(parts, 3)


def _open(path: Path, mode: Literal["r", "r+"]) -> zarr.Group:
    """Open a store by the metadata of each array: the consolidated ones may be those before it grew."""
    return zarr.open_group(path, mode=mode, use_consolidated=False)


def _consolidate(path: Path) -> None:
    """Write the metadata of all arrays into one file, which readers of stores on the web ask for first."""
    with warnings.catch_warnings(
        action="ignore"
    ):  # zarr warns that version 3 does not specify it; xarray, where absent
        zarr.consolidate_metadata(path)


def _find_array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _make_template(example: Forecast, context_times: NDArray[Any]) -> xarray.Dataset:
    """Make the dataset of R forecasts without memory of their own."""
    count = max(len(context_times), 2)  # a single sequence would have no axis
    times = np.concatenate([context_times, context_times[-1:].repeat(count - len(context_times), 0)])
    blank = replace(
        example,
        frames=torch.full((), torch.nan).expand(count, *example.frames.shape[1:]),
        mask=example.mask[:1].expand(count, *example.mask.shape[1:]),
        context=example.context[:1].expand(count, *example.context.shape[1:]),
        context_times=times,
    )
    whole = to_dataset(blank).isel(sequence=slice(len(context_times)))
    whole = whole.swap_dims(sequence=REFERENCE).drop_vars("sequence")
    del whole.attrs["input_fingerprint"]  # each task notes that of its own
    whole.attrs["history"] = whole.attrs["history"].replace("predict", "hindcast")
    return whole


def _choose_chunks(sizes: Any) -> tuple[int, ...]:
    """Choose chunks of one forecast: with all its members and lead times, or fewer where they are large."""
    chunk = {name: 1 if name == REFERENCE else size for name, size in sizes.items()}
    for name in ("lead_time", "realization"):
        if name in chunk and 4 * np.prod([*chunk.values()]) > CHUNK:
            chunk[name] = max(1, int(chunk[name] * CHUNK / (4 * np.prod([*chunk.values()]))))
    return tuple(chunk.values())
