"""Ranges that values of a unit usually have: what lies far outside is told, as it may stand for a missing pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from framecast.data.units import canonical_units
from framecast.types import Grid

USUAL = {
    "dBZ": (-100.0, 120.0),
    "mm/h": (-10.0, 1000.0),
    **dict.fromkeys(("mm", "kg m-2", "kg m**-2", "kg/m2"), (-500.0, 50_000.0)),
    **dict.fromkeys(("kg m-2 s-1", "kg m**-2 s**-1", "kg/m2/s"), (-1.0, 1.0)),
    **dict.fromkeys(("K", "kelvin", "Kelvin", "degK"), (0.0, 2000.0)),
    **dict.fromkeys(("degC", "°C", "C", "celsius", "Celsius", "deg_C", "degree_Celsius", "degrees_C"), (-200.0, 200.0)),
    **dict.fromkeys(("m/s", "m s-1", "m s**-1", "m s^-1"), (-500.0, 500.0)),
    **dict.fromkeys(("%", "percent"), (-100.0, 1000.0)),
    **dict.fromkeys(("hPa", "mbar", "mb", "millibar"), (-2000.0, 2000.0)),
    **dict.fromkeys(("Pa", "pascal"), (-200_000.0, 200_000.0)),
    **dict.fromkeys(("kg kg-1", "kg kg**-1", "kg/kg"), (-1.0, 1.0)),
    **dict.fromkeys(("W m-2", "W m**-2", "W/m2"), (-10_000.0, 10_000.0)),
}
"""Least and greatest value by unit, wide enough for whatever is measured or computed on this planet."""
OTHERS = (-1e15, 1e15)
"""Least and greatest value in other units: beyond lie 1e20 and 9.97e36, with which models mark what is missing."""


def name_units(grid: Grid, units: str, count: int) -> list[tuple[str, str]]:
    """Name each channel of a file, and its units; a name is empty where there is one channel only, or none is known."""
    names = [*grid.variables] if len(grid.variables) == count > 1 else [""] * count
    return list(zip(names, [*grid.units] if len(grid.units) == count > 1 else [units] * count, strict=True))


def find_usual_ranges(
    channels: Sequence[tuple[str, str]], scale: float, offset: float, factors: NDArray[np.float32] | None
) -> list[tuple[float, float]]:
    """Find the range of usual stored values of each channel.

    Args:
        channels: name and units of each, as `name_units` gives them.
        scale: of all channels, to units before `factors`.
        offset: of all channels.
        factors: from these units to the canonical ones, by channel; None where scale and offset lead to them.
    """
    ranges = []
    for number, (_, unit) in enumerate(channels):
        factor = 1.0 if factors is None else float(factors[number])
        ends = sorted((end / factor - offset) / scale for end in USUAL.get(canonical_units(unit)[0], OTHERS))
        ranges.append((ends[0], ends[1]))
    return ranges
