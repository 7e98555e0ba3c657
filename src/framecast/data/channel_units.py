"""Units of the channels of a file: what they are called once read, and the factor that takes each there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from framecast.data.roles import Roles
from framecast.data.units import canonical


class Units(NamedTuple):
    """Of the channels of a file."""

    name: str
    """Of the targets; 1 where they differ."""
    factors: tuple[float, ...]
    """By channel of the file: raw value = value in the file's units x factor."""
    notes: list[str]
    """What was found or assumed, one line each."""


def units_of(given: str | None, said: str | None, own: Sequence[str], roles: Roles | None, count: int) -> Units:
    """Units of the targets, and each channel's own factor.

    Args:
        given: by the user, of the targets; over what the file says.
        said: by the file, of all channels.
        own: by the file, of each; empty, or of another length, where it says none.
        roles: which channels are targets; None where all are.
        count: channels of the file.
    """
    spelled = list(own) if len(own) == count else [said or ""] * count
    targets = range(count) if roles is None else roles.targets
    file = list(dict.fromkeys(filter(None, (spelled[place] for place in targets))))
    if given is not None:
        for place in targets:
            spelled[place] = given
    names = list(dict.fromkeys(canonical(spelled[place])[0] for place in targets))
    notes = []
    if given is None and not file:
        notes.append("units: not said, taken as 1")
    if given is not None and file and {canonical(one) for one in file} != {canonical(given)}:
        notes.append(f"units: {given} as given; the file says {', '.join(file)}")
    if len(names) > 1:
        notes.append(f"units: {', '.join(names)} by channel; one value range serves them all")
    for one in dict.fromkeys(spelled):
        name, factor = canonical(one)
        if factor != 1:
            notes.append(f"units: {one} turned into {name}, values times {factor:g}")
    return Units(names[0] if len(names) == 1 else "1", tuple(canonical(one)[1] for one in spelled), notes)
