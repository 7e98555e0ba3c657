"""Channels of a file: targets, covariates and calendar; their units; sine and cosine of time of day and year."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import Cycle, DataConfig
from framecast.data.sources.base import ChannelName
from framecast.data.units import canonical_units
from framecast.errors import InputError
from framecast.types import Channel, FrameSpec, Grid


def append_calendar(
    frames: NDArray[np.float32], moments: NDArray[Any] | None, cycles: Sequence[Cycle], name: str
) -> NDArray[np.float32]:
    """Append the calendar channels to frames (T, C, H, W), computed from their times, UTC.

    Raises:
        InputError: a time is not known.
    """
    if moments is None:
        fix = "give their pattern with --times, or leave data.calendar out"
        raise InputError(name, got="frames without times", expected="times, for data.calendar", fix=fix)
    waves = compute_calendar(moments, cycles)[:, :, None, None]
    return np.concatenate([frames, np.broadcast_to(waves, (*waves.shape[:2], *frames.shape[2:]))], 1)


def make_calendar_channels(cycles: Sequence[Cycle]) -> tuple[Channel, ...]:
    """Describe the calendar channels: for each cycle its sine and its cosine."""
    names = [f"{cycle}_{wave}" for cycle in cycles for wave in ("sin", "cos")]
    return tuple(Channel(name=name, low=-1.0, high=1.0, calendar=True) for name in names)


def compute_calendar(times: NDArray[Any], cycles: Sequence[Cycle]) -> NDArray[np.float32]:
    """Compute sine and cosine of the angle in each cycle: 0 at midnight UTC, or at the beginning of the year.

    Args:
        times: (T,), UTC.
        cycles: "hour" of the day, "day" of the year.

    Returns:
        (T, 2 x cycles), sine and cosine in turn.
    """
    moments = times.astype("datetime64[ms]")
    waves = []
    for cycle in cycles:
        begin = moments.astype("datetime64[D]" if cycle == "hour" else "datetime64[Y]")
        # the true length of this day or year: a leap year has 366 days
        end = (begin + 1).astype("datetime64[ms]")
        begin = begin.astype("datetime64[ms]")
        angle = 2 * np.pi * ((moments - begin) / (end - begin))
        waves += [np.sin(angle), np.cos(angle)]
    return np.stack(waves, 1).astype(np.float32)


class ChannelUnits(NamedTuple):
    """Units of the targets of a file, and the factor of each channel."""

    name: str
    """Canonical units of the targets; 1 where they differ."""
    factors: tuple[float, ...]
    """Factor of each channel of the file: raw value = value in the file's units x factor."""
    notes: list[str]
    """Units that were read, assumed or converted, one line each."""


def resolve_units(
    requested: str | None, stated: str | None, by_channel: Sequence[str], roles: ChannelRoles | None, count: int
) -> ChannelUnits:
    """Decide the units of the targets, and the factor of each channel.

    Args:
        requested: units of the targets that the user gives; they go before those in the file.
        stated: units that the file states for all channels.
        by_channel: units that the file states for each channel; empty, or of another length, where it states none.
        roles: which channels are targets; None where all are.
        count: channels of the file.
    """
    units = list(by_channel) if len(by_channel) == count else [stated or ""] * count
    targets = range(count) if roles is None else roles.targets
    in_file = list(dict.fromkeys(filter(None, (units[channel] for channel in targets))))
    if requested is not None:
        for channel in targets:
            units[channel] = requested
    names = list(dict.fromkeys(canonical_units(units[channel])[0] for channel in targets))
    notes = []
    if requested is None and not in_file:
        notes.append("units: not said, taken as 1")
    if requested is not None and in_file and set(map(canonical_units, in_file)) != {canonical_units(requested)}:
        notes.append(f"units: {requested} as given; the file says {', '.join(in_file)}")
    if len(names) > 1:
        notes.append(f"units: {', '.join(names)} by channel, each with a value range of its own")
    for unit in dict.fromkeys(units):
        name, factor = canonical_units(unit)
        if factor != 1:
            notes.append(f"units: {unit} turned into {name}, values times {factor:g}")
    return ChannelUnits(names[0] if len(names) == 1 else "1", tuple(canonical_units(unit)[1] for unit in units), notes)


class ChannelRoles(NamedTuple):
    """Indices of the file's channels by the part they play in a forecast."""

    targets: tuple[int, ...]
    past: tuple[int, ...]
    covariates: tuple[int, ...]
    calendar: tuple[Cycle, ...]
    names: tuple[str, ...]
    """Name of each channel of the file; its number where the file has no names."""

    @property
    def order(self) -> list[int]:
        """Indices of the file's channels in the order of windows: targets, past, covariates."""
        return [*self.targets, *self.past, *self.covariates]


def name_channels(grid: Grid, count: int, roles: ChannelRoles | None) -> list[ChannelName]:
    """Name the channels of a window, in its order.

    Args:
        grid: names of the file's channels.
        count: channels of the file.
        roles: which channels are targets and covariates; None where all are targets.
    """
    numbered = tuple(map(str, range(count)))
    names, standards, units = (
        texts if len(texts) == count else default
        for texts, default in (
            (grid.variables, numbered),
            (grid.standard_names, ("",) * count),
            (grid.units, ("",) * count),
        )
    )
    order = range(count) if roles is None else roles.order
    return [ChannelName(names[channel], standards[channel], units[channel], channel) for channel in order]


def resolve_roles(config: DataConfig, grid: Grid, count: int) -> ChannelRoles | None:
    """Decide which channels are targets, covariates, or known in the past only; None where all are targets.

    Args:
        config: its targets, covariates and calendar.
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
    covariates = [channel for key in config.covariates for channel in _find_channels(key, names, "covariates")]
    if config.targets is None:
        targets = [channel for channel in range(count) if channel not in covariates]
    else:
        targets = [channel for key in config.targets for channel in _find_channels(key, names, "targets")]
    used = [*targets, *covariates]
    if not targets or len(set(used)) < len(used):
        twice = dict.fromkeys(names[channel] for channel in used if used.count(channel) > 1)
        got = f"{', '.join(twice)} twice" if twice else "no target"
        fix = "name each channel once, and leave one to be forecast"
        raise InputError("data.targets, data.covariates", got=got, expected="channels, each of one kind", fix=fix)
    past = [channel for channel in range(count) if channel not in used]
    return ChannelRoles(tuple(targets), tuple(past), tuple(covariates), config.calendar, names)


def select_channels(spec: FrameSpec) -> dict[str, Any]:
    """Return fields of a DataConfig that select the channels of a model; empty where all are targets without names."""
    if not (spec.names or spec.covariates):
        return {}
    cycles = dict.fromkeys(channel.name.split("_")[0] for channel in spec.covariates if channel.calendar)
    covariates = [channel.name for channel in spec.covariates if not channel.calendar]
    return {"targets": list(spec.names), "covariates": covariates, "calendar": list(cycles)}


def _find_channels(key: str | int, names: Sequence[str], field: str) -> list[int]:
    """Find the index of a channel by name or number, or the indices of all levels of a variable."""
    text = str(key)
    # a level of a variable is named variable[level]
    channels = [channel for channel, name in enumerate(names) if text in (name, name.split("[")[0])]
    form = re.fullmatch(r"(.+)\[(\d+)\]", text)
    if not channels and form is not None:
        # a level by its number, from 0: so they were named before they were by their values
        levels = [channel for channel, name in enumerate(names) if name.startswith(f"{form[1]}[")]
        channels = levels[int(form[2]) : int(form[2]) + 1]
    if not channels and text.isdecimal() and int(text) < len(names):
        channels = [int(text)]
    if not channels:
        fix = "name them with --var too, where a file has several variables"
        expected = f"one of {', '.join(names)}, or 0 to {len(names) - 1}"
        raise InputError.unknown(f"data.{field}", text, names, expected=expected, fix=fix)
    return channels
