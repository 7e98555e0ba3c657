"""Trainings that begin with the weights of another model: their recipe, checks of the data, and the first weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from framecast.data import MOVING_MNIST
from framecast.data.sources.base import Source
from framecast.data.sources.multi_file_source import open_source
from framecast.errors import UsageError
from framecast.forecasting.base_fit import fit_base
from framecast.forecasting.data_checks import check_step, spec_as_trained
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.progress import Progress
from framecast.recipe.foreign import foreign
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.trained import find_model
from framecast.training.processes.group import decide_first
from framecast.training.state import TrainingState
from framecast.types import FrameSpec

SMALLER_RATE = 0.1
"""Learning rate over that of the first training: the weights are good already."""
FEWER_STEPS = 5
"""Iterations of the first training over those of one that goes on from it."""


def read_fine_tuning(
    model: str, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None, *, trusted: str | None = None
) -> Recipe:
    """Make the recipe of a training that begins with a model: as it was trained, at a smaller rate and for fewer steps.

    Args:
        model: folder of a run or a model, or the name of a trained model of the package.
        overrides: `key.key=value`, the value in YAML.
        values: further values by key, as `read_recipe` takes them.
        trusted: `package.module:Class` of a network outside framecast.

    Raises:
        UsageError: no data, an unknown key, or a value that does not fit.
        CheckpointError: no model in the folder, or a damaged one.
    """
    path = Path(find_model(model)) / "recipe.yaml"
    old = read_recipe(str(path), model=trusted) if path.is_file() else Recipe()
    forecaster = load(model, model=foreign(old))
    values = dict(values or {})
    if path.is_file() and "data.source" not in values:
        raise UsageError("--data", got="nothing", expected="frames to go on with; those of the model are known to it")
    content = old.model_dump(mode="json", by_alias=True)
    del content["data"]["source"]
    train = content["train"]
    train |= {"steps": max(1, train["steps"] // FEWER_STEPS), "lr": train["lr"] * SMALLER_RATE, "growth": []}
    if train["muon"] is not None:
        train["muon"]["lr"] *= SMALLER_RATE
    content |= _describe(forecaster) | {"sampling": {"kind": "free"}, "from": {"model": model}}
    return read_recipe(content, overrides, values, model=trusted)


def _describe(forecaster: Forecaster) -> dict[str, Any]:
    """List the keys of a recipe that a model decides."""
    described = {
        "patch": forecaster.patch,
        "normalize": forecaster.normalizer.model_dump(mode="json"),
        "base": forecaster.base_config.model_dump(mode="json"),
        "head": forecaster.head,
        "spin_up": forecaster.spin_up,
        "fill": forecaster.fill,
        "mask_channel": forecaster.mask_channel,
        "model": forecaster.config.model_dump(mode="json"),
    }
    return described if forecaster.context is None else described | {"context": forecaster.context}


def name_weights(recipe: Recipe) -> Recipe:
    """Write the digest of the weights that a training begins with into its recipe, and check that they fit it.

    Raises:
        CheckpointError: no model in the folder, or a damaged one.
        UsageError: a model of another network, base or patch, or other weights than those that the recipe names.
    """
    begun = recipe.from_
    if begun is None:
        return recipe
    model = load(begun.model, model=foreign(recipe))
    digest, theirs = model.origin.sha256, _describe(model)
    if getattr(recipe.base, "leads", 0) is None and theirs["base"]["kind"] == recipe.base.kind:
        recipe = recipe.model_copy(update={"base": model.base_config})
    ours = recipe.model_dump(mode="json", by_alias=True)
    for key in ("model", "patch", "base", "head", "mask_channel"):
        if ours[key] != theirs[key]:
            raise UsageError(key, got=ours[key], expected=f"{theirs[key]}, as {begun.model} has it")
    if begun.sha256 not in (None, digest):
        fix = "give the model that the recipe was made for, or leave from.sha256 out"
        raise UsageError("from.model", got=f"weights {digest[:16]}", expected=str(begun.sha256)[:16], fix=fix)
    place = begun.model if find_model(begun.model) != begun.model else str(Path(begun.model).absolute())
    return recipe.model_copy(update={"from_": begun.model_copy(update={"sha256": digest, "model": place})})


def find_spec(recipe: Recipe, source: Source | None) -> tuple[Source | None, FrameSpec | None]:
    """Open the data of a training that begins with a model, on the model's value range.

    Args:
        recipe: of the training.
        source: the opened data, or None.

    Returns:
        the source and its spec; of a training with fresh weights `source` as it is, and None.

    Raises:
        InputError: other channels, units, scale or step than the model's.
    """
    if recipe.from_ is None or recipe.data.source == MOVING_MNIST:
        return source, None
    model = load(recipe.from_.model, model=foreign(recipe))
    source = source or open_source(recipe.data)
    check_step(model.spec, source.spec, recipe.data.step_minutes)
    return source, spec_as_trained(model.spec, source.spec, recipe.data)


def begin(trainer: TrainingState, show: Progress) -> None:
    """Give a training its first weights: those of the model that it begins with, else fresh ones and a fitted base.

    The first process reads and fits, the others get its weights. All processes call this together.

    Raises:
        CheckpointError: no model in the folder, or a damaged one.
        OtherProcessFailed: the first process failed.
    """

    def make() -> tuple[str, dict[str, Tensor]] | None:
        recipe, network = trainer.recipe, trainer.forecaster.network
        if recipe.from_ is None:
            fitted = fit_base(trainer.forecaster, trainer.dataset)
            return ("base: fitted to the training split", network.state_dict()) if fitted else None
        model = load(recipe.from_.model, model=foreign(recipe))
        return f"weights: those of {recipe.from_.model}", model.network.state_dict()

    made = decide_first(make)
    if made is not None:
        note, weights = made
        trainer.begin_with(weights)
        show.say(note)
