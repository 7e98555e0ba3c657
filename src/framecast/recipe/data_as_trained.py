"""DataConfig for a new file, with the reading options (colour, coarsening, dBZ, channels, units) of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.data import MOVING_MNIST, DataConfig
from framecast.data.config import FileConfig
from framecast.data.formats.base import StoredArray
from framecast.data.sources.channels import select_channels
from framecast.data.sources.open import open_stored
from framecast.errors import UsageError
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec

OF_ANY_FILE = ("colour", "shrink", "scale", "z_r", "max_missing")
"""Fields that any file takes over from the training."""
OF_ONE_FILE = ("variable", "units", "missing")
"""Fields that a recipe may give one of several files."""
OF_THE_SAME_FILE = ("variable", "dims", "axes", "times", "missing", "units", "step_minutes", "unpack_limit")
"""Fields that only a file of the training takes over."""
IF_SILENT = ("units", "missing")
"""Fields that are taken over where neither the user nor the file states them."""


def open_as_trained(
    recipe: Recipe, data: dict[str, Any], model: FrameSpec | None = None
) -> tuple[DataConfig, StoredArray | None]:
    """Open a file with the reading options of a training, unless the user gives others.

    A file of the training is read with all options of the training. Another file takes over colour, averaging, dBZ, the
    limit of missing pixels and the channels; units and the missing code where it states none.

    Args:
        recipe: recipe of the training.
        data: fields of a DataConfig that the user gives, the source among them.
        model: spec of the frames that the model takes; None for a baseline, which takes the channels of the recipe.

    Returns:
        the configuration, and the array that it opened; None for generated data.

    Raises:
        InputError: a file that cannot be read.
        UsageError: the variables of the training in another order, or fields that do not fit.
    """
    config = make_config_as_trained(recipe, data, model)
    if config.source == MOVING_MNIST:
        return config, None
    stored = open_stored(config)
    # only now is it known what the file states
    silent = [name for name in IF_SILENT if getattr(config, name) is None and getattr(stored.attributes, name) is None]
    return config.model_copy(update={name: getattr(recipe.data, name) for name in silent}), stored


def make_config_as_trained(recipe: Recipe, data: dict[str, Any], model: FrameSpec | None = None) -> DataConfig:
    """Make the configuration that `open_as_trained` opens a file by, which need not be there yet.

    Args:
        recipe: recipe of the training.
        data: fields of a DataConfig that the user gives, the source among them.
        model: spec of the frames that the model takes; None for a baseline.

    Raises:
        UsageError: the variables of the training in another order, or fields that do not fit.
    """
    fields = data if data["source"] == MOVING_MNIST else _merge_fields(recipe, data, model)
    return parse_config(DataConfig, fields, "data")


def _merge_fields(recipe: Recipe, data: dict[str, Any], model: FrameSpec | None) -> dict[str, Any]:
    """Merge fields of a DataConfig: those of the user, else those of the training that suit the file."""
    trained = recipe.data
    file = _find_file(trained, data["source"])
    names = (*OF_ANY_FILE, *(OF_THE_SAME_FILE if file is not None else ()))
    fields: dict[str, Any] = {name: getattr(trained, name) for name in names}
    channels = {"targets": trained.targets, "covariates": trained.covariates, "calendar": trained.calendar}
    channels = channels if model is None else select_channels(model)
    if any(channels.values()) and trained.variable is not None:
        fields["variable"] = trained.variable
    if file is not None:
        fields |= {name: value for name in OF_ONE_FILE if (value := getattr(file, name)) is not None}
    _check_order(trained.variable, data.get("variable"))
    return {**fields, **channels, **data}


def _find_file(trained: DataConfig, source: str) -> FileConfig | None:
    """Find the file of the training that a path names; None for another file."""
    files = [FileConfig(path=trained.source)] if isinstance(trained.source, str) else trained.source
    path = Path(source).resolve()
    return next((file for file in files if Path(file.path).resolve() == path), None)


def _check_order(trained: str | None, requested: str | None) -> None:
    """Refuse the variables of the training in another order: they would become other channels."""
    before, now = ([] if names is None else names.split(",") for names in (trained, requested))
    if before != now and sorted(before) == sorted(now):
        raise UsageError("--var", got=requested, expected=f"{trained}, the order of the training")
