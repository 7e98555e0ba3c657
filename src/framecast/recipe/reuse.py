"""Files that are seen as those of the training were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.data import MOVING_MNIST, DataConfig
from framecast.data.config import FileConfig
from framecast.data.sources.channels import channel_fields
from framecast.data.sources.open import open_stored
from framecast.errors import UsageError
from framecast.recipe.recipe import Recipe, parse_config
from framecast.types import FrameSpec

ALIKE = ("colour", "shrink", "scale", "z_r", "max_missing")
"""What is said of any file as it was said in training."""
OF_ONE = ("variable", "units", "missing")
"""What may be said of one of several files."""
OF_A_FILE = ("variable", "dims", "times", "missing", "units", "step_minutes")
"""What was said of the very file."""


def data_fields_as_trained(recipe: Recipe, data: dict[str, Any], model: FrameSpec | None = None) -> dict[str, Any]:
    """Fields of a DataConfig: seen as in training, unless something else is said.

    A file of the training is read as it was read then. Of others pictures are grey, pixels averaged, rain rates in dBZ,
    frames left out and channels used as there; units and the code of missing pixels are those of the training where the
    file does not tell.

    Args:
        recipe: of the training.
        data: what is said.
        model: what the model takes; None for a baseline, which takes what the recipe says.

    Raises:
        InputError: a file that cannot be read.
        UsageError: the variables of the training in another order.
    """
    if data.get("source") == MOVING_MNIST:
        return data
    said = recipe.data
    file = _file(said, data.get("source"))
    names = (*ALIKE, *(OF_A_FILE if file is not None else ()))
    alike: dict[str, Any] = {name: getattr(said, name) for name in names}
    channels = {"targets": said.targets, "covariates": said.covariates, "calendar": said.calendar}
    channels = channels if model is None else channel_fields(model)
    if any(channels.values()) and said.variable is not None:
        alike["variable"] = said.variable
    if file is not None:
        alike |= {name: value for name in OF_ONE if (value := getattr(file, name)) is not None}
    _check_order(said.variable, data.get("variable"))
    return _filled({**alike, **channels, **data}, said)


def _file(said: DataConfig, source: str | None) -> FileConfig | None:
    """The file of the training that this is; None for another."""
    files = [FileConfig(path=said.source)] if isinstance(said.source, str) else said.source
    return next(
        (file for file in files if source is not None and Path(file.path).resolve() == Path(source).resolve()), None
    )


def _check_order(trained: str | None, asked: str | None) -> None:
    before, now = ([] if names is None else names.split(",") for names in (trained, asked))
    if before != now and sorted(before) == sorted(now):
        raise UsageError("--var", got=asked, expected=f"{trained}, the order of the training")


def _filled(data: dict[str, Any], said: DataConfig) -> dict[str, Any]:
    """The same with the units and the missing code of the training, where neither the user nor the file has any."""
    wanted = {name: value for name in ("units", "missing") if (value := getattr(said, name)) is not None}
    wanted = {name: value for name, value in wanted.items() if data.get(name) is None}
    if not wanted:
        return data
    stored = open_stored(parse_config(DataConfig, data, "data")).attributes
    return {**data, **{name: value for name, value in wanted.items() if getattr(stored, name) is None}}
