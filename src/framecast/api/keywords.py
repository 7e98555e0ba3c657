"""Keywords of the functions in Python: recipe keys and reading options by short names, with the nearest one for a typo.

A keyword is a key of a recipe, with dots as in `**{"train.lr": 1e-3}`, or its last part alone where that is plain: `lr`,
`steps`, `hidden`, `shrink`, as on the command line. A section takes a dictionary: `train={"lr": 1e-3}`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from framecast.data import MOVING_MNIST
from framecast.data.addresses import make_absolute
from framecast.errors import InputError, UsageError, find_nearest
from framecast.recipe.keys import SECTIONS, list_short_names
from framecast.recipe.recipe import Recipe

READING = (
    "frames",
    "dims",
    "axes",
    "variable",
    "times",
    "colour",
    "shrink",
    "range",
    "missing",
    "units",
    "scale",
    "z_r",
    "step_minutes",
    "unpack_limit",
)
"""Fields of a DataConfig that say how a file is read, and what its values mean."""
_DICTIONARIES = (*SECTIONS, "loss", "sampling", "data.moving_mnist")
"""Sections that take a dictionary, of which each entry overrides one key."""
_TOP = {field.alias or name for name, field in Recipe.model_fields.items()}

Data = str | PathLike[str] | list[Any] | tuple[Any, ...]
"""Source of frames: a path, moving-mnist, or several paths."""


def resolve_overrides(given: Mapping[str, Any], network: Iterable[str] = ()) -> dict[str, Any]:
    """Turn keywords into values by recipe key, as `read_recipe` takes them.

    Args:
        given: plain values of Python by keyword.
        network: fields of a network of the user's own.

    Raises:
        UsageError: a keyword that is neither a key of a recipe nor short for one.
    """
    short = list_short_names(_TOP, network)
    values: dict[str, Any] = {}
    for keyword, value in _expand_short_words(given).items():
        if "." in keyword and keyword.split(".")[0] in _TOP:
            values[keyword] = to_plain(value)
        elif keyword in _DICTIONARIES and isinstance(value, Mapping):
            values |= {f"{keyword}.{key}": to_plain(inner) for key, inner in value.items()}
        elif keyword in _TOP:
            values[keyword] = to_plain(value)
        elif len(keys := short.get(keyword, [])) == 1:
            values[keys[0]] = to_plain(value)
        elif keys:
            fix = f"say which, as in **{{{keys[0]!r}: {value!r}}}"
            raise UsageError("keyword", got=repr(keyword), expected=" or ".join(keys), fix=fix)
        else:
            known = [*sorted({*short, *_TOP}), "budget", "begin_from", "device", "quiet", "data", "out"]
            raise UsageError.unknown(
                "keyword", keyword, known, expected="a key of a recipe, as in steps=500, hidden=[16, 16] or lr=1e-3"
            )
    return values


def resolve_reading(
    given: Mapping[str, Any], others: Iterable[str] = (), names: Collection[str] = READING
) -> dict[str, Any]:
    """Turn keywords into fields of a DataConfig that say how a file is read.

    Args:
        given: plain values of Python by keyword.
        others: keywords that the function takes besides, for typos.
        names: fields that it takes.

    Raises:
        UsageError: an unknown keyword.
    """
    fields = _expand_short_words(given)
    for keyword in fields:
        if keyword not in names:
            raise UsageError.unknown("keyword", keyword, [*names, "var", "grey", *others])
    return {key: to_plain(value) for key, value in fields.items()}


def resolve_source(data: Data) -> Any:
    """Turn a path, or several, into the source of a DataConfig: absolute paths, so that a run can be resumed anywhere.

    Raises:
        InputError: frames themselves, which no run could read again.
    """
    if isinstance(data, str | PathLike):
        text = fspath(data)
        return text if text == MOVING_MNIST else make_absolute(text)
    if isinstance(data, list | tuple):
        return [_resolve_part(part) if isinstance(part, Mapping) else resolve_source(part) for part in data]
    expected = "the path of a file or folder, several paths, or moving-mnist"
    fix = "write frames to a file first, as in frames.to_netcdf('frames.nc') or numpy.save('frames.npy', frames)"
    raise InputError("data", got=type(data).__name__, expected=expected, fix=fix)


def _resolve_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """Make the path of one part of several sources absolute."""
    if "path" not in part:
        near = next((key for key in part if find_nearest(str(key), ["path"])), None)
        fix = None if near is None else f"did you mean path, where it says {near}?"
        raise UsageError("data", got=f"a part without a path: {dict(part)}", expected="the key path", fix=fix)
    return {**part, "path": make_absolute(fspath(part["path"]))}


def to_plain(value: Any) -> Any:
    """Turn values of NumPy, paths and dates into what a recipe holds, within lists and dictionaries too."""
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[ms]").astype(datetime)
    if isinstance(value, np.generic | np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: to_plain(inner) for key, inner in value.items()}
    return [to_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _expand_short_words(given: Mapping[str, Any]) -> dict[str, Any]:
    """Expand the words of the command line that a recipe spells otherwise: var, grey."""
    fields = {"variable" if key == "var" else key: value for key, value in given.items()}
    if (grey := fields.pop("grey", None)) is not None:
        fields["colour"] = "grey" if grey else "auto"
    return fields
