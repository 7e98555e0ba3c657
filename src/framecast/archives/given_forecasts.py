"""Forecasts that anybody made, in NetCDF files or Zarr stores: reference times, valid times, members, values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray

from framecast.data.formats.cf_axes import find_axes
from framecast.data.units import canonical_units
from framecast.errors import InputError

ENDINGS = (".nc", ".nc4", ".netcdf", ".zarr")
"""Endings of what is looked for in a folder."""
REFERENCES = (
    "forecast_reference_time",
    "reference_time",
    "init_time",
    "initial_time",
    "analysis_time",
    "forecast_time",
)
LEADS = ("lead_time", "leadtime", "step", "prediction_timedelta", "forecast_period", "lead")
MEMBERS = ("realization", "member", "ensemble", "ens_number", "number", "ens")
_SINCE = re.compile(r"\s*(?:seconds|minutes|hours|days) since (.+)", re.IGNORECASE)
_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0}


class GivenForecast(NamedTuple):
    """One forecast."""

    reference_time: np.datetime64
    """Time of the newest frame that it knew, UTC."""
    valid_times: NDArray[Any]
    """(K,), datetime64[ms], UTC."""
    values: NDArray[np.float32]
    """(M, K, H, W), canonical units, NaN where it says nothing."""


class ForecastFile:
    """Forecasts of one file or store, read one by one.

    Args:
        path: of the file.
        variable: its name; None for the only one.

    Raises:
        InputError: no forecasts on a grid, or several variables.
    """

    def __init__(self, path: Path, variable: str | None) -> None:
        self.path = path
        self._data = _open(path)
        self._array = _choose_variable(self._data, variable, path)
        self._axes = _find_dims(self._data, self._array, path)
        self.units, self._factor = canonical_units(str(self._array.attrs.get("units", "1")))
        self.rows, self.columns = (self._read_side(letter) for letter in "yx")
        self.size = tuple(self._array.sizes[self._axes[letter]] for letter in "yx")

    def __iter__(self) -> Iterator[GivenForecast]:
        """Read one forecast after the other."""
        reference = self._axes.get("reference")
        for number in range(1 if reference is None else self._array.sizes[reference]):
            yield self._read(number)

    def _read(self, number: int) -> GivenForecast:
        axes, data, array = self._axes, self._data, self._array
        if (reference := axes.get("reference")) is not None:
            array = array.isel({reference: number})
            moment = data[reference].values[number]
            valid = moment + _read_leads(data[axes["lead"]], self.path)
        else:
            valid = data[axes["time"]].values
            moment = self._find_reference(valid)
        order = [axes[name] for name in ("member", "lead", "time", "y", "x") if name in axes]
        values = np.asarray(array.transpose(*order).values, np.float32)
        values = values if "member" in axes else values[None]
        valid = np.asarray(valid).astype("datetime64[ms]")
        return GivenForecast(moment.astype("datetime64[ms]"), valid, values * np.float32(self._factor))

    def _find_reference(self, valid: NDArray[Any]) -> Any:
        """Find the reference time of a file of one forecast: its coordinate, else the origin of its times (pysteps)."""
        for name in self._data.variables:
            variable = self._data[name]
            is_named = variable.attrs.get("standard_name") == REFERENCES[0] or name in REFERENCES
            if is_named and variable.size == 1 and variable.dtype.kind == "M":
                return variable.values.reshape(-1)[0]
        found = _SINCE.match(str(self._data[self._axes["time"]].encoding.get("units", "")))
        origin = None if found is None else np.datetime64(found[1].strip().replace(" ", "T"))
        if origin is None or not 0 < (valid[0] - origin) / np.timedelta64(1, "h") < 24:
            expected = "a coordinate forecast_reference_time, or times counted from it"
            raise InputError(str(self.path), got="no reference time", expected=expected)
        return origin

    def _read_side(self, letter: str) -> NDArray[Any] | None:
        name = self._axes[letter]
        return self._data[name].values.astype(float) if name in self._data.coords else None


def list_files(paths: Sequence[Path]) -> list[Path]:
    """List the files of forecasts: those that are named, and those in folders, in the order of their names.

    Raises:
        InputError: nothing is there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and path.suffix != ".zarr":
            found += sorted(one for one in path.iterdir() if one.suffix.lower() in ENDINGS)
        elif path.exists():
            found.append(path)
        else:
            raise InputError(str(path), got="nothing there", expected="a file, a folder or a Zarr store of forecasts")
    if not found:
        raise InputError(str(paths[0]), got="no forecasts", expected=f"files that end in {', '.join(ENDINGS)}")
    return found


def _open(path: Path) -> xarray.Dataset:
    options: dict[str, Any] = {"decode_timedelta": True}
    if path.suffix == ".zarr":
        options |= {"engine": "zarr", "consolidated": False, "chunks": None}
    try:
        return xarray.open_dataset(path, **options)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(str(path), got=str(error).splitlines()[0], expected="NetCDF or Zarr with CF times") from error


def _choose_variable(data: xarray.Dataset, variable: str | None, path: Path) -> xarray.DataArray:
    grids = [str(name) for name in data.data_vars if data[name].ndim >= 3]
    if variable is None and len(grids) != 1:
        got = f"variables {', '.join(grids)}" if grids else "no variable with time, rows and columns"
        raise InputError(str(path), got=got, expected="one", fix="name it with --var")
    if variable is not None and variable not in grids:
        raise InputError(str(path), got=f"no variable {variable}", expected=f"one of {', '.join(grids) or 'none'}")
    return data[variable or grids[0]]


def _find_dims(data: xarray.Dataset, array: xarray.DataArray, path: Path) -> dict[str, str]:
    """Find the axis of each part: reference and lead, or time; member where there are any; y and x."""
    axes: dict[str, str] = {}
    letters = find_axes(array.to_dataset(name="forecast of framecast")).letters
    for dim in map(str, array.dims):
        coordinate = data[dim] if dim in data.coords else None
        standard = "" if coordinate is None else str(coordinate.attrs.get("standard_name", ""))
        kind = "" if coordinate is None else coordinate.dtype.kind
        if standard == REFERENCES[0] or dim in REFERENCES:
            part = "reference"
        elif kind == "m" or standard == "forecast_period" or dim in LEADS:
            part = "lead"
        elif standard == "realization" or dim in MEMBERS:
            part = "member"
        elif kind == "M":
            part = "time"
        else:
            part = letters.get(dim, dim)
        if part in axes:
            raise InputError(str(path), got=f"two axes of {part}: {axes[part]}, {dim}", expected="one")
        axes[part] = dim
    if "lead" in axes and "reference" not in axes and "time" in axes:  # (time, step, y, x): the times are of the starts
        axes["reference"] = axes.pop("time")
    whole = {"reference", "lead", "y", "x"}, {"time", "y", "x"}
    if {*axes} - {"member"} not in whole:
        expected = "(forecast_reference_time, lead_time, y, x), or (time, y, x) of one forecast; members beside them"
        raise InputError(str(path), got=f"axes ({', '.join(map(str, array.dims))})", expected=expected)
    return axes


def _read_leads(coordinate: xarray.DataArray, path: Path) -> NDArray[Any]:
    """Read lead times as timedelta64[ms]."""
    values = coordinate.values
    if values.dtype.kind == "m":
        return values.astype("timedelta64[ms]")
    units = str(coordinate.attrs.get("units", "")).strip().lower()
    if units[:1] not in _MINUTES or units.startswith("mo"):
        raise InputError(str(path), got=f"lead times in {units or 'no units'}", expected="s, min, hours or days")
    return np.rint(values * _MINUTES[units[:1]] * 60_000).astype("timedelta64[ms]")
