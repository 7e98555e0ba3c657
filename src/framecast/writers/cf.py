"""NetCDF and Zarr by the CF conventions 1.11 (https://cfconventions.org), through xarray.

One sequence has the axes (time, y, x): valid times, with `lead_time` along them and one `forecast_reference_time`, that
of the last frame that was used. Several sequences have (sequence, lead_time, y, x), each with its own times; frames
without a date have (lead_time, y, x). Several members are one more axis, `realization`, before the times. A channel is
a variable.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zarr import config
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ZarrUserWarning

from framecast.forecast import Forecast
from framecast.optional_imports import require
from framecast.writers.cf_names import cf_variables
from framecast.writers.georeference import axis_attributes, grid_mapping

CONVENTIONS = "CF-1.11"
BLOCK = 1024
"""Rows and columns of a chunk, at most."""
AT_ONCE = 4
"""Chunks of a Zarr that are in work at the same time, each held twice: zarr's own choice is 10."""
EPOCH = "1970-01-01 00:00:00"

require("h5netcdf", "grids")
xarray = require("xarray", "grids")


def netcdf(path: Path, forecast: Forecast) -> str:
    """Write NetCDF 4, packed without loss."""
    data = dataset(forecast)
    packed = {"zlib": True, "complevel": 4, "shuffle": True}
    encoding = {name: {**packed, "chunksizes": _chunks(data[name])} for name in _frames(data)}
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return _said(data)


def zarr(path: Path, forecast: Forecast) -> str:
    """Write a Zarr 3 group, each chunk with a checksum."""
    data = dataset(forecast)
    packed = [ZstdCodec(), Crc32cCodec()]
    encoding = {name: {"chunks": _chunks(data[name]), "compressors": packed} for name in _frames(data)}
    with config.set({"async.concurrency": AT_ONCE}), warnings.catch_warnings():
        # Zarr 3 itself knows no gathered metadata yet, but xarray looks for them first, and warns where there are none
        warnings.simplefilter("ignore", ZarrUserWarning)
        data.to_zarr(path, mode="w", encoding=encoding, zarr_format=3, consolidated=True)
    return _said(data)


def dataset(forecast: Forecast) -> Any:
    """The forecast as an xarray.Dataset whose attributes are CF's; its values are those of the forecast, not a copy."""
    several = [size > 1 for size in forecast.frames.shape[:2]]
    along = "lead_time" if several[0] or forecast.times is None else "time"
    outer = [name for name, kept in zip(("sequence", "realization"), several, strict=True) if kept]
    axes = (*outer, along, forecast.grid.y_name, forecast.grid.x_name)
    absent = tuple(axis for axis, kept in enumerate(several) if not kept)
    crs = grid_mapping(forecast.grid)
    variables: dict[str, Any] = {}
    for number, channel in enumerate(cf_variables(forecast)):
        values = forecast.values[:, :, :, number].squeeze(absent)
        said = {"long_name": channel.long_name, "units": channel.units}
        said |= {"standard_name": channel.standard_name} if channel.standard_name else {}
        said |= {"grid_mapping": "crs"} if crs else {}
        variables[channel.name] = xarray.Variable(axes, values, said, {"_FillValue": np.float32(np.nan)})
    if crs:
        variables["crs"] = xarray.Variable((), np.int32(0), crs, {"coordinates": None})
    made = xarray.Dataset(variables, attrs=_provenance(forecast.provenance.as_dict()))
    return made.assign_coords({**_realization(forecast), **_times(forecast, along), **_places(forecast)})


def _realization(forecast: Forecast) -> dict[str, Any]:
    if forecast.members == 1:
        return {}
    said = {"standard_name": "realization", "long_name": "member of the ensemble", "units": "1"}
    return {"realization": _coordinate(("realization",), np.arange(forecast.members, dtype=np.int32), **said)}


def _places(forecast: Forecast) -> dict[str, Any]:
    grid = forecast.grid
    sides = (("y", grid.y_name, grid.y), ("x", grid.x_name, grid.x))
    sizes = dict(zip("yx", forecast.frames.shape[-2:], strict=True))
    return {
        name: xarray.Variable(name, np.array(values), axis_attributes(grid, letter), {"_FillValue": None})
        for letter, name, values in sides
        if len(values) == sizes[letter]
    }


def _times(forecast: Forecast, along: str) -> dict[str, Any]:
    """Valid times, lead times and reference times."""
    count, _, frames = forecast.frames.shape[:3]
    unit, lead = _lead(forecast.spec.step_minutes, frames)
    found = {"lead_time": _coordinate((along,), lead, long_name="time ahead of the last frame that was used", **unit)}
    if count > 1:
        found["sequence"] = _coordinate(("sequence",), np.arange(count), long_name="sequence of the input", units="1")
    if forecast.times is None or forecast.reference_times is None:
        return found
    grid = forecast.grid
    moment = {"units": f"seconds since {grid.time_origin or EPOCH}", "calendar": grid.calendar}
    valid, last = (_seconds(times, grid.time_origin or EPOCH) for times in (forecast.times, forecast.reference_times))
    reference = {"standard_name": "forecast_reference_time", "long_name": "time of the last frame that was used"}
    valid_time = {"standard_name": "time", "long_name": "valid time"}
    if count > 1:
        found["time"] = _coordinate(("sequence", "lead_time"), valid, **valid_time, **moment)
        found["forecast_reference_time"] = _coordinate(("sequence",), last, **reference, **moment)
    else:
        found["time"] = _coordinate(("time",), valid[0], **valid_time, **moment, axis="T")
        found["forecast_reference_time"] = _coordinate((), last[0], **reference, **moment)
    return found


def _lead(step: float | None, frames: int) -> tuple[dict[str, str], NDArray[Any]]:
    """Lead times with their units: hours, minutes, else seconds; numbers of frames where no step is known."""
    numbers = np.arange(1, frames + 1)
    if step is None:
        return {"units": "1"}, numbers
    unit, length = next(
        ((unit, step / minutes) for unit, minutes in (("hours", 60.0), ("minutes", 1.0)) if step % minutes == 0),
        ("seconds", step * 60),
    )
    values = numbers * length
    return {"units": unit, "standard_name": "forecast_period"}, _whole(values)


def _seconds(times: NDArray[Any], origin: str) -> NDArray[Any]:
    return _whole((times - np.datetime64(origin.replace(" ", "T"), "ms")) / np.timedelta64(1, "s"))


def _whole(values: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """As integers if all are."""
    rounded = np.rint(values)
    return rounded.astype(np.int64) if np.allclose(values, rounded, rtol=0, atol=1e-6) else values


def _coordinate(axes: tuple[str, ...], values: Any, **said: str) -> Any:
    return xarray.Variable(axes, values, said, {"_FillValue": None})


def _provenance(about: Mapping[str, str]) -> dict[str, str]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = about.get("framecast_version", "")
    said = {
        "Conventions": CONVENTIONS,
        "title": "forecast by framecast",
        "source": f"framecast {version}, {about.get('model', 'a model')}".replace("  ", " "),
        "history": f"{now} framecast predict",
    }
    return said | {f"model_{name}" if name in said else name: text for name, text in about.items()}


def _frames(data: Any) -> list[str]:
    return [name for name in data.data_vars if name != "crs"]


def _chunks(array: Any) -> tuple[int, ...]:
    """One frame, or a block of it where it is large."""
    return (*(1 for _ in array.shape[:-2]), *(min(BLOCK, size) for size in array.shape[-2:]))


def _said(data: Any) -> str:
    names = _frames(data)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    first = data[names[0]]
    sizes = ", ".join(f"{name} {size}" for name, size in first.sizes.items())
    units = ", ".join(dict.fromkeys(data[name].attrs["units"] for name in names[:4]))
    return f"{shown} ({sizes}), {units}"
