"""Presets: addresses, names and cadence of radar composites that are published, all of them in presets.json."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from framecast.documents import parse_json
from framecast.errors import UsageError


class Preset(NamedTuple):
    """A place that publishes frames."""

    about: str
    step_minutes: float
    address: str = ""
    """Address of the files, with the directives of strftime; empty where it takes a key."""
    match: str = ""
    """Regular expression of the names, where the address is that of a folder."""
    times: str = ""
    """Pattern of the times in the names."""
    suffix: str = ""
    """Suffix that tells the format where the names do not."""


def list_presets() -> dict[str, Preset]:
    """List the presets by name.

    Example:
        >>> from framecast.live.presets import list_presets
        >>> list_presets()["opera"].step_minutes
        5.0
    """
    content = parse_json((files("framecast.live") / "presets.json").read_bytes())
    return {name: Preset(**{**each, "step_minutes": float(each["step_minutes"])}) for name, each in content.items()}


def find_preset(name: str) -> Preset:
    """Find a preset.

    Raises:
        UsageError: an unknown name.
    """
    presets = list_presets()
    if name not in presets:
        raise UsageError.unknown("--preset", name, presets)
    return presets[name]
