"""Units: their canonical names and factors, rain rate to reflectivity, and units of several targets."""

from __future__ import annotations

import re

from framecast.errors import InputError
from framecast.transforms.normalize import DBZ, ZR
from framecast.types import FrameSpec, Grid

DBZ_UNITS = "dBZ"
RATE_UNITS = "mm/h"
PICTURE_UNITS = ("1", "grey level")
"""Units of frames that are pictures rather than measurements."""

_RATES = {"mm/h", "mm/hr", "mm/hour", "mm h-1", "mm hr-1", "mm h^-1", "mm h**-1", "mm per hour", "mm per h"}
_DEPTH = re.compile(r"mm\s*(?:per|/)\s*(\d{1,4}(?:\.\d{1,4})?)\s*min(?:utes?)?", re.IGNORECASE)


def canonical_units(units: str) -> tuple[str, float]:
    """Return framecast's name of the units, and the factor that turns values into them.

    "dbz" is dBZ; "mm/hr", "mm h-1" are mm/h; "mm per 5 min" becomes mm/h with a factor of 12. Others stay as they are.
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


def reflectivity_relation(units: str, z_r: ZR, name: str) -> DBZ | None:
    """How values become dBZ; None for those that are.

    Raises:
        InputError: they are neither reflectivity nor rain rates.
    """
    if units == DBZ_UNITS:
        return None
    if units != RATE_UNITS:
        fix = "name them, as in units: mm per 5 min"
        raise InputError(f"{name}: scale dBZ", got=f"units {units}", expected=RATE_UNITS, fix=fix)
    return DBZ(rain_rate=True, z_r=z_r)


def target_units(spec: FrameSpec, grid: Grid) -> list[str]:
    """Of each target: its own where they differ, else what they share."""
    own = [canonical_units(unit)[0] for unit in grid.units]
    return own if len(own) == spec.targets and len(set(own)) > 1 else [spec.units] * spec.targets


def has_mixed_units(spec: FrameSpec, grid: Grid) -> bool:
    """Whether targets have different units, so that nothing of them can be added up."""
    return len(set(target_units(spec, grid))) > 1


def target_spec(spec: FrameSpec, grid: Grid, place: int) -> FrameSpec:
    """What frames of one target are, by its number: named, in its own units, on its own value range where it has one."""
    low, high = spec.ranges[place] if spec.ranges else (spec.low, spec.high)
    update = {
        "channels": 1,
        "names": (_name(spec, grid, place),),
        "past": (),
        "covariates": (),
        "units": target_units(spec, grid)[place],
        "low": low,
        "high": high,
        "ranges": (),
    }
    return spec.model_copy(update=update)


def _name(spec: FrameSpec, grid: Grid, place: int) -> str:
    """No other target has it."""
    names = next((found for found in (spec.names, grid.variables) if len(found) == spec.targets), None)
    if names is None:
        return f"channel {place + 1}"
    return names[place] if names.count(names[place]) == 1 else f"{names[place]} {place + 1}"
