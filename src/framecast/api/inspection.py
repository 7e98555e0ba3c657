"""inspect: what data hold, and how to train on them, from Python."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from framecast.api.keywords import resolve_reading
from framecast.commands.inspect import Inspection
from framecast.commands.inspect import inspect as inspect_data
from framecast.data import DataConfig
from framecast.errors import InputError
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe


def inspect(
    path: str | PathLike[str], *, context: int | str | None = None, horizon: int | str | None = None, **reading: Any
) -> Inspection:
    """Inspect data: what they are, gaps, missing pixels, values, windows, cost, and how to train on them.

    Args:
        path: a file or a folder of frames.
        context: frames in, or a time as in "50min", of the windows that are counted.
            None for 10, or what suits the data.
        horizon: frames out, or a time; None as for the context.
        reading: how the file is read, as for `open_frames`.

    Returns:
        the inspection: a notebook shows it; `as_dict()` has its numbers, `command` the line that trains.

    Raises:
        InputError: data that cannot be used, and why.
        UsageError: an unknown keyword, or a library for their format that is not installed.

    Example:
        >>> import framecast, numpy as np
        >>> np.save("noise.npy", np.random.default_rng(0).random((60, 32, 32), np.float32))
        >>> framecast.inspect("noise.npy").as_dict()["frames"]
        60
    """
    if not isinstance(path, str | PathLike):
        raise InputError("path", got=type(path).__name__, expected="the path of a file or a folder")
    given = {key: value for key, value in (("context", context), ("horizon", horizon)) if value is not None}
    recipe = parse_config(Recipe, given, "inspect") if given else None
    fields = {**resolve_reading(reading, ["context", "horizon"]), "source": str(Path(fspath(path)))}
    return inspect_data(parse_config(DataConfig, fields, "inspect"), fields, recipe)
