"""What the channels of a forecast are called, and what their values are, in CF's words."""

from __future__ import annotations

import re
from typing import NamedTuple

from framecast.data.units import DBZ_UNITS, RATE_UNITS, canonical_units, target_units
from framecast.forecast import Forecast

UNNAMED = "forecast"
"""A single channel without a name of its own."""
REFLECTIVITY = "equivalent_reflectivity_factor"
"""Standard name of dBZ."""


class CFVariable(NamedTuple):
    """One channel as a variable."""

    name: str
    """Letters, digits and underscores."""
    long_name: str
    units: str
    """As udunits spells them where framecast knows them, else as the user does."""
    standard_name: str
    """Of CF; empty where there is none."""


def cf_variables(forecast: Forecast) -> list[CFVariable]:
    """Names and units of each channel, in order."""
    count = forecast.spec.targets
    grid, spec = forecast.grid, forecast.spec
    plain = [UNNAMED] if count == 1 else [f"{UNNAMED}_{number}" for number in range(1, count + 1)]
    told = list(grid.variables) if len(grid.variables) == count else plain
    canon = [canonical_units(one) for one in grid.units] if len(grid.units) == count else [(spec.units, 1.0)] * count
    measured = target_units(spec, grid)
    standard, words = (said if len(said) == count else ("",) * count for said in (grid.standard_names, grid.long_names))
    found: list[CFVariable] = []
    for number, name in enumerate(told):
        (own, factor), unit = canon[number], measured[number]
        to_dbz = unit == DBZ_UNITS != own
        meaning = _standard("" if to_dbz else standard[number], unit)
        # a depth that was read as a rate is none any more, nor is a rate that was turned into reflectivity
        is_other = factor != 1 or (to_dbz and own != "1")
        name = meaning if is_other else name
        variable = _variable(name)
        if variable in {channel.name for channel in found}:
            variable += f"_{number + 1}"
        long_name = name if is_other else words[number] or name
        found.append(CFVariable(variable, long_name, "1" if unit == "grey level" else unit, meaning))
    return found


def _variable(name: str) -> str:
    """A name that CF allows."""
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return text if text[:1].isalpha() else f"{UNNAMED}_{text}".rstrip("_")


def _standard(name: str, units: str) -> str:
    """The source's standard name; of rain, one that the units of a rate or of reflectivity fit."""
    if units == RATE_UNITS and not name.endswith("rate"):
        return "lwe_precipitation_rate" if name.startswith("lwe") else "rainfall_rate"
    return name or (REFLECTIVITY if units == DBZ_UNITS else "")
