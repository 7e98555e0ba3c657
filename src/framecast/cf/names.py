"""CF names, units and standard names of the channels of frames."""

from __future__ import annotations

import re
from typing import NamedTuple

from framecast.data.formats.cell_methods import read_time_method
from framecast.data.formats.intervals import INSTANT
from framecast.data.units import DBZ_UNITS, RATE_UNITS, canonical_units, target_units
from framecast.types import FrameSpec, Grid

UNNAMED = "forecast"
"""Name of a single channel that the input names nothing."""
REFLECTIVITY = "equivalent_reflectivity_factor"
"""CF standard name of values in dBZ."""


class CFVariable(NamedTuple):
    """CF attributes of the variable that holds one channel."""

    name: str
    """Letters, digits and underscores, a letter first."""
    long_name: str
    """Description of the channel, for people."""
    units: str
    """Units as udunits spells them where framecast knows them, else in the user's spelling."""
    standard_name: str
    """CF standard name; empty where there is none."""
    cell_method: str = ""
    """How values in an interval are combined, as CF names it; empty for instants, and where it is not known."""


def list_cf_variables(spec: FrameSpec, grid: Grid) -> list[CFVariable]:
    """List the CF variable of each target channel, in order; names are unique.

    Args:
        spec: frames once read, with their units.
        grid: names and units of the channels in the file.
    """
    count = spec.targets
    plain = [UNNAMED] if count == 1 else [f"{UNNAMED}_{number}" for number in range(1, count + 1)]
    names = list(grid.variables) if len(grid.variables) == count else plain
    sources = (
        [canonical_units(text) for text in grid.units] if len(grid.units) == count else [(spec.units, 1.0)] * count
    )
    targets = target_units(spec, grid)
    standard_names, long_names = (
        texts if len(texts) == count else ("",) * count for texts in (grid.standard_names, grid.long_names)
    )
    variables: list[CFVariable] = []
    for number, name in enumerate(names):
        (source_unit, factor), unit = sources[number], targets[number]
        to_dbz = unit == DBZ_UNITS != source_unit
        standard_name = _choose_standard_name("" if to_dbz else standard_names[number], unit)
        # a depth that was read as a rate is none any more, nor is a rate that was turned into reflectivity
        is_other_quantity = factor != 1 or (to_dbz and source_unit != "1")
        name = standard_name if is_other_quantity else name
        variable = _make_variable_name(name)
        if variable in {channel.name for channel in variables}:
            variable += f"_{number + 1}"
        long_name = name if is_other_quantity else long_names[number] or name
        methods = grid.cell_methods if len(grid.cell_methods) == count else ("",) * count
        method = read_time_method({"cell_methods": methods[number]}, ()).kind
        if to_dbz or method == INSTANT:
            method = ""
        elif method == "sum" and factor != 1:  # of a depth; as a rate it is the mean over the interval
            method = "mean"
        units = "1" if unit == "grey level" else unit
        variables.append(CFVariable(variable, long_name, units, standard_name, method))
    return variables


def _make_variable_name(name: str) -> str:
    """Replace what CF allows in no name of a variable: all but ASCII letters, digits and underscores."""
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return text if text[:1].isalpha() else f"{UNNAMED}_{text}".rstrip("_")


def _choose_standard_name(name: str, units: str) -> str:
    """Choose the source's standard name, but for rain one that fits units of a rate or of reflectivity."""
    if units == RATE_UNITS and not name.endswith("rate"):
        return "lwe_precipitation_rate" if name.startswith("lwe") else "rainfall_rate"
    return name or (REFLECTIVITY if units == DBZ_UNITS else "")
