"""Channels of a file: targets, covariates and calendar; their units; sine and cosine of time of day and year."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import Cycle, DataConfig
from framecast.data.units import canonical_units
from framecast.errors import InputError
from framecast.types import Channel, FrameSpec, Grid


def calendar_channels(cycles: Sequence[Cycle]) -> tuple[Channel, ...]:
    """Two channels for each cycle, sine and cosine."""
    names = [f"{cycle}_{wave}" for cycle in cycles for wave in ("sin", "cos")]
    return tuple(Channel(name=name, low=-1.0, high=1.0, calendar=True) for name in names)


def calendar_values(times: NDArray[Any], cycles: Sequence[Cycle]) -> NDArray[np.float32]:
    """Sine and cosine of the angle in each cycle: 0 at midnight UTC, or at the beginning of the year.

    Args:
        times: (T,), UTC.
        cycles: which.

    Returns:
        (T, 2 x cycles), sine and cosine in turn.
    """
    moments = times.astype("datetime64[ms]")
    waves = []
    for cycle in cycles:
        begin = moments.astype("datetime64[D]" if cycle == "hour" else "datetime64[Y]")
        end = (begin + 1).astype("datetime64[ms]")
        begin = begin.astype("datetime64[ms]")
        angle = 2 * np.pi * ((moments - begin) / (end - begin))
        waves += [np.sin(angle), np.cos(angle)]
    return np.stack(waves, 1).astype(np.float32)


class ChannelUnits(NamedTuple):
    """Units of the targets of a file, and the factor of each channel."""

    name: str
    """Of the targets; 1 where they differ."""
    factors: tuple[float, ...]
    """By channel of the file: raw value = value in the file's units x factor."""
    notes: list[str]
    """What was found or assumed, one line each."""


def resolve_units(
    given: str | None, stated: str | None, by_channel: Sequence[str], roles: ChannelRoles | None, count: int
) -> ChannelUnits:
    """Units of the targets, and each channel's own factor.

    Args:
        given: by the user, of the targets; over what the file says.
        stated: by the file, of all channels.
        by_channel: by the file, of each; empty, or of another length, where it says none.
        roles: which channels are targets; None where all are.
        count: channels of the file.
    """
    spelled = list(by_channel) if len(by_channel) == count else [stated or ""] * count
    targets = range(count) if roles is None else roles.targets
    file = list(dict.fromkeys(filter(None, (spelled[channel] for channel in targets))))
    if given is not None:
        for channel in targets:
            spelled[channel] = given
    names = list(dict.fromkeys(canonical_units(spelled[channel])[0] for channel in targets))
    notes = []
    if given is None and not file:
        notes.append("units: not said, taken as 1")
    if given is not None and file and {canonical_units(one) for one in file} != {canonical_units(given)}:
        notes.append(f"units: {given} as given; the file says {', '.join(file)}")
    if len(names) > 1:
        notes.append(f"units: {', '.join(names)} by channel; one value range serves them all")
    for one in dict.fromkeys(spelled):
        name, factor = canonical_units(one)
        if factor != 1:
            notes.append(f"units: {one} turned into {name}, values times {factor:g}")
    return ChannelUnits(names[0] if len(names) == 1 else "1", tuple(canonical_units(one)[1] for one in spelled), notes)


class ChannelRoles(NamedTuple):
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


def resolve_roles(config: DataConfig, grid: Grid, count: int) -> ChannelRoles | None:
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
    covariates = [channel for wanted in config.covariates for channel in _find_channels(wanted, names, "covariates")]
    if config.targets is None:
        targets = [channel for channel in range(count) if channel not in covariates]
    else:
        targets = [channel for wanted in config.targets for channel in _find_channels(wanted, names, "targets")]
    used = [*targets, *covariates]
    if not targets or len(set(used)) < len(used):
        twice = dict.fromkeys(names[channel] for channel in used if used.count(channel) > 1)
        got = f"{', '.join(twice)} twice" if twice else "no target"
        fix = "name each channel once, and leave one to be forecast"
        raise InputError("data.targets, data.covariates", got=got, expected="channels, each of one kind", fix=fix)
    past = [channel for channel in range(count) if channel not in used]
    return ChannelRoles(tuple(targets), tuple(past), tuple(covariates), config.calendar, names)


def channel_fields(spec: FrameSpec) -> dict[str, Any]:
    """The fields of a DataConfig that give a model's channels; empty where it has no special ones."""
    if not (spec.names or spec.covariates):
        return {}
    cycles = dict.fromkeys(channel.name.split("_")[0] for channel in spec.covariates if channel.calendar)
    covariates = [channel.name for channel in spec.covariates if not channel.calendar]
    return {"targets": list(spec.names), "covariates": covariates, "calendar": list(cycles)}


def _find_channels(wanted: str | int, names: Sequence[str], what: str) -> list[int]:
    """Numbers of a channel, or of all levels of a variable."""
    text = str(wanted)
    channels = [channel for channel, name in enumerate(names) if text in (name, name.split("[")[0])]
    if not channels and text.isdecimal() and int(text) < len(names):
        channels = [int(text)]
    if not channels:
        fix = "name them with --var too, where a file has several variables"
        expected = f"one of {', '.join(names)}, or 0 to {len(names) - 1}"
        raise InputError.unknown(f"data.{what}", text, names, expected=expected, fix=fix)
    return channels
