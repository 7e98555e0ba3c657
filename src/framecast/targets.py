"""The targets one by one: what each is called, and what it is measured in."""

from __future__ import annotations

from framecast.data.units import canonical
from framecast.types import FrameSpec, Grid


def units(spec: FrameSpec, grid: Grid) -> list[str]:
    """Of each target: its own where they differ, else what they share."""
    own = [canonical(unit)[0] for unit in grid.units]
    return own if len(own) == spec.targets and len(set(own)) > 1 else [spec.units] * spec.targets


def are_mixed(spec: FrameSpec, grid: Grid) -> bool:
    """Whether targets have different units, so that nothing of them can be added up."""
    return len(set(units(spec, grid))) > 1


def alone(spec: FrameSpec, grid: Grid, place: int) -> FrameSpec:
    """What frames of one target are, by its number: named, in its own units, on its own value range where it has one."""
    low, high = spec.ranges[place] if spec.ranges else (spec.low, spec.high)
    update = {
        "channels": 1,
        "names": (_name(spec, grid, place),),
        "past": (),
        "covariates": (),
        "units": units(spec, grid)[place],
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
