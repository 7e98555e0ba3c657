"""Short names of a recipe's keys, as lr for train.lr, and the nearest key for one that is unknown."""

from __future__ import annotations

from collections.abc import Iterable

from framecast.data import DataConfig
from framecast.errors import find_nearest
from framecast.models import MODELS
from framecast.recipe.train_config import TrainConfig, ValidateConfig

SECTIONS = ("train", "model", "data", "validate")
"""Sections whose keys have short names."""


def list_short_names(top: Iterable[str], network: Iterable[str] = ()) -> dict[str, list[str]]:
    """List the keys that each short name may stand for.

    Args:
        top: keys of the recipe itself, which are no short names.
        network: fields of a network of the user's own.
    """
    networks = {name for kind in MODELS.values() for name in kind.model_fields} | {*network}
    sections = {
        "train": TrainConfig.model_fields,
        "model": networks - {"name"},
        "data": DataConfig.model_fields,
        "validate": ValidateConfig.model_fields,
    }
    short: dict[str, list[str]] = {}
    for section in SECTIONS:
        for key in sections[section]:
            short.setdefault(key, []).append(f"{section}.{key}")
    kept = {*top}
    return {key: paths for key, paths in short.items() if key not in kept}


def find_key(got: str, top: Iterable[str]) -> str | None:
    """Find the key of a recipe, with its section, that a user meant; None where none is near.

    Args:
        got: an unknown key, with or without a section.
        top: keys of the recipe itself.
    """
    names = list(top)
    short = list_short_names(names)
    section, _, last = got.rpartition(".")
    near = find_nearest(last, [*names, *short])
    if near is None or near in names:
        return near if near or not section else find_nearest(section, names)
    within = [path for path in short[near] if path.startswith(f"{find_nearest(section, SECTIONS)}.")]
    return (within or short[near])[0]
