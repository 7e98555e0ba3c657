"""Units of frames: canonical names and factors, rain rate to reflectivity, units of several targets."""

from __future__ import annotations

import re

from framecast.errors import InputError
from framecast.transforms.normalize import DBZ, ZR
from framecast.types import FrameSpec, Grid

DBZ_UNITS = "dBZ"
RATE_UNITS = "mm/h"
PICTURE_UNITS = ("1", "grey level")
"""Units of frames that are pictures rather than measurements."""

_RATES = {"mm/h", "mm/hr", "mm/hour", "mm h-1", "mm hr-1", "mm h^-1", "mm h**-1", "mm per hour", "mm per h"} | {
    "kg m-2 h-1",  # a kilogram of water on a square metre is a millimetre
    "kg m**-2 h**-1",
    "kg m^-2 h^-1",
    "kg/m2/h",
}
_DEPTH = re.compile(r"mm\s*(?:per|/)\s*(\d{1,4}(?:\.\d{1,4})?)\s*min(?:utes?)?", re.IGNORECASE)


def canonical_units(units: str) -> tuple[str, float]:
    """Return the canonical name of units, and the factor that converts values to it.

    "dbz" is dBZ; "mm/hr", "mm h-1", "kg m-2 h-1" are mm/h; "mm per 5 min" becomes mm/h with a factor of 12.
    Others stay as they are.
    """
    text = " ".join(units.split())
    if text.lower() == DBZ_UNITS.lower():
        return DBZ_UNITS, 1.0
    if text.lower() in _RATES:
        return RATE_UNITS, 1.0
    depth = _DEPTH.fullmatch(text)
    if depth and float(depth[1]) > 0:
        return RATE_UNITS, 60 / float(depth[1])
    return text or "1", 1.0


def choose_z_r(units: str, z_r: ZR, name: str) -> DBZ | None:
    """Choose the relation that converts values to dBZ; None for values in dBZ.

    Args:
        units: canonical units of the values.
        z_r: name or coefficients (a, b) of Z = a R^b.
        name: the file, for errors.

    Raises:
        InputError: the units are neither those of reflectivity nor of a rain rate.
    """
    if units == DBZ_UNITS:
        return None
    if units != RATE_UNITS:
        fix = "name them, as in units: mm per 5 min"
        raise InputError(f"{name}: scale dBZ", got=f"units {units}", expected=RATE_UNITS, fix=fix)
    return DBZ(rain_rate=True, z_r=z_r)


def target_units(spec: FrameSpec, grid: Grid) -> list[str]:
    """Return the units of each target: those of the grid where they differ, else those of the spec."""
    units = [canonical_units(unit)[0] for unit in grid.units]
    return units if len(units) == spec.targets and len(set(units)) > 1 else [spec.units] * spec.targets


def has_mixed_units(spec: FrameSpec, grid: Grid) -> bool:
    """Whether targets differ in their units, so that no sum over them has a meaning."""
    return len(set(target_units(spec, grid))) > 1


def target_spec(spec: FrameSpec, grid: Grid, index: int) -> FrameSpec:
    """Return the spec of one target: its name, its units, and its value range where it has one.

    Args:
        spec: spec of frames with all targets.
        grid: names and units of the variables.
        index: index of the target.
    """
    low, high = spec.target_ranges[index]
    update = {
        "channels": 1,
        "names": (_name_target(spec, grid, index),),
        "past": (),
        "covariates": (),
        "units": target_units(spec, grid)[index],
        "low": low,
        "high": high,
        "ranges": (),
    }
    return spec.model_copy(update=update)


def _name_target(spec: FrameSpec, grid: Grid, index: int) -> str:
    """Name a target; its number makes the name unique where several share it."""
    names = next((names for names in (spec.names, grid.variables) if len(names) == spec.targets), None)
    if names is None:
        return f"channel {index + 1}"
    return names[index] if names.count(names[index]) == 1 else f"{names[index]} {index + 1}"
