"""Units of radar data: one spelling each, and rain depths per interval as rates."""

from __future__ import annotations

import re

from framecast.errors import InputError
from framecast.normalize import DBZ, ZR

DBZ_UNITS = "dBZ"
RATE_UNITS = "mm/h"
PICTURE_UNITS = ("1", "grey level")
"""Units of frames that are pictures rather than measurements."""

_RATES = {"mm/h", "mm/hr", "mm/hour", "mm h-1", "mm hr-1", "mm h^-1", "mm h**-1", "mm per hour", "mm per h"}
_DEPTH = re.compile(r"mm\s*(?:per|/)\s*(\d{1,4}(?:\.\d{1,4})?)\s*min(?:utes?)?", re.IGNORECASE)


def canonical(units: str) -> tuple[str, float]:
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


def reflectivity_of(units: str, z_r: ZR, name: str) -> DBZ | None:
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
