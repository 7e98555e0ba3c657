"""What the channels of a file are for: targets, channels known in the past only, covariates."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from framecast.data.calendar import Cycle
from framecast.data.config import DataConfig
from framecast.errors import InputError
from framecast.types import FrameSpec, Grid


class Roles(NamedTuple):
    """Numbers of channels in the file."""

    targets: tuple[int, ...]
    past: tuple[int, ...]
    covariates: tuple[int, ...]
    calendar: tuple[Cycle, ...]
    names: tuple[str, ...]
    """Of all channels of the file; their numbers where it gives none."""

    @property
    def order(self) -> list[int]:
        """Channels of the file as windows have them."""
        return [*self.targets, *self.past, *self.covariates]


def roles(config: DataConfig, grid: Grid, count: int) -> Roles | None:
    """Look up what was said about channels; None where nothing was, and all are targets.

    Args:
        config: targets, covariates, calendar.
        grid: names of the file's channels, and its calendar.
        count: channels of the file.

    Raises:
        InputError: a channel that is not there, twice there, or that leaves no target.
    """
    if config.targets is None and not config.covariates and not config.calendar:
        return None
    if "day" in config.calendar and grid.time_origin is not None:
        # such times keep their distances, and so the hour, but drift through numpy's year
        got = f"times of the calendar {grid.calendar}"
        raise InputError("data.calendar: day", got=got, expected="the standard calendar", fix="leave day out")
    names = grid.variables if len(grid.variables) == count else tuple(map(str, range(count)))
    covariates = [place for wanted in config.covariates for place in _found(wanted, names, "covariates")]
    if config.targets is None:
        targets = [place for place in range(count) if place not in covariates]
    else:
        targets = [place for wanted in config.targets for place in _found(wanted, names, "targets")]
    used = [*targets, *covariates]
    if not targets or len(set(used)) < len(used):
        twice = dict.fromkeys(names[place] for place in used if used.count(place) > 1)
        got = f"{', '.join(twice)} twice" if twice else "no target"
        fix = "name each channel once, and leave one to be forecast"
        raise InputError("data.targets, data.covariates", got=got, expected="channels, each of one kind", fix=fix)
    past = [place for place in range(count) if place not in used]
    return Roles(tuple(targets), tuple(past), tuple(covariates), config.calendar, names)


def said_of(spec: FrameSpec) -> dict[str, Any]:
    """The fields of a DataConfig that give a model's channels; empty where it has no special ones."""
    if not (spec.names or spec.covariates):
        return {}
    cycles = dict.fromkeys(channel.name.split("_")[0] for channel in spec.covariates if channel.calendar)
    covariates = [channel.name for channel in spec.covariates if not channel.calendar]
    return {"targets": list(spec.names), "covariates": covariates, "calendar": list(cycles)}


def _found(wanted: str | int, names: Sequence[str], what: str) -> list[int]:
    """Numbers of a channel, or of all levels of a variable."""
    text = str(wanted)
    places = [place for place, name in enumerate(names) if text in (name, name.split("[")[0])]
    if not places and text.isdecimal() and int(text) < len(names):
        places = [int(text)]
    if not places:
        near = get_close_matches(text, names, 1)
        fix = f"did you mean {near[0]}?" if near else "name them with --var too, where a file has several variables"
        expected = f"one of {', '.join(names)}, or 0 to {len(names) - 1}"
        raise InputError(f"data.{what}", got=repr(wanted), expected=expected, fix=fix)
    return places
