"""train: a training from Python, with values of Python in place of options of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from framecast.api.keywords import Data, resolve_overrides, resolve_source
from framecast.api.run import Run
from framecast.devices import Launch, resolve_device
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import MODELS, ModelConfig
from framecast.recipe.foreign import foreign_name
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.runs.folder import reserve_folder
from framecast.training.budget import fit_to_budget, read_budget
from framecast.training.fine_tuning import read_fine_tuning
from framecast.training.start import start


def train(
    model_or_recipe: str | PathLike[str] | Mapping[str, Any] | Recipe | ModelConfig | None = None,
    data: Data | None = None,
    out: str | PathLike[str] | None = None,
    *,
    budget: str | None = None,
    begin_from: str | PathLike[str] | Forecaster | None = None,
    device: str = "auto",
    quiet: bool = False,
    **overrides: Any,
) -> Run:
    """Train a network. Interrupted by Ctrl-C it saves and stops; `framecast.resume(run)` goes on to the same bits.

    Args:
        model_or_recipe: name of a network ("convlstm"), "linear" or "calibrated", a recipe (YAML file, dictionary, or
            Recipe), or the configuration of a network, also of the user's own, as in `ConvLSTM(hidden=(16, 16))`; None to
            train on with the recipe of `begin_from`.
        data: path of the frames, several paths, or "moving-mnist"; None for those of the recipe.
        out: new folder of the run; by default a numbered one in runs.
        budget: time of the training, "20min", or "2000steps": iterations for this machine; for the name of a network its
            width and schedules too.
        begin_from: run, model's folder, name of a trained model, or loaded Forecaster whose weights to go on with.
        device: "auto", "cpu", "cuda" or "mps".
        quiet: whether to show no progress.
        overrides: keys of the recipe, as in `steps=500`, `hidden=[16, 16]`, `lr=1e-3`, `variable="t2m"`, `shrink=4`; with
            dots where a short name is not enough, `**{"validate.every": 100}`; or of a section, `train={"steps": 500}`.

    Returns:
        the run: `run.load()` is its best model, `run.evaluate()` scores it, `run.report()` writes its page.

    Raises:
        UsageError: the folder exists, an unknown key, or something that cannot be done here.
        InputError: the data cannot be used.
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: the loss or a weight is not finite; nothing of that step was saved.

    Example:
        >>> import framecast
        >>> run = framecast.train("convlstm", "moving-mnist", "runs/tiny", steps=2, hidden=[4], patch=8, batch_size=2,
        ...     moving_mnist={"size": 32}, sequences=2, quiet=True)
        >>> run.recipe.train.steps
        2
    """
    own = type(model_or_recipe).model_fields if isinstance(model_or_recipe, ModelConfig) else ()
    values = resolve_overrides({**overrides, **_expand_data(data)}, own)
    recipe = _read(model_or_recipe, None if begin_from is None else _name_model(begin_from), values)
    name = _name(model_or_recipe, recipe)
    if budget is not None:
        if "train.steps" in values:
            raise UsageError("steps", got="it beside budget", expected="one of them")
        limit = read_budget(budget)
        recipe = fit_to_budget(recipe, limit, resolve_device(device), frozenset(values), is_name=name in MODELS)
    with _choose_folder(out, name) as path:
        start(recipe, path, Launch(device), quiet=quiet)
        return Run(path, model=foreign_name(recipe))


def _expand_data(data: Data | None) -> dict[str, Any]:
    return {} if data is None else {"data.source": resolve_source(data)}


def _name_model(model: str | PathLike[str] | Forecaster) -> str:
    """Name the model that a training begins with.

    Raises:
        UsageError: a Forecaster that is in no folder.
    """
    if not isinstance(model, Forecaster):
        return fspath(model)
    if model.folder is None:
        fix = "save it first: framecast.save_forecaster(folder, forecaster)"
        raise UsageError("begin_from", got="a Forecaster that is in no folder", expected="a saved one", fix=fix)
    return str(model.folder)


def _read(given: Any, begin_from: str | None, values: dict[str, Any]) -> Recipe:
    """Read the recipe, whatever it is given as."""
    if given is None:
        if begin_from is None:
            expected = "the name of a network, a recipe, or begin_from with a model"
            raise UsageError("model_or_recipe", got="nothing", expected=expected)
        return read_fine_tuning(begin_from, (), values)
    if begin_from is not None:
        values = {**values, "from": {"model": begin_from}}
    if isinstance(given, Recipe):
        network, content = given.model, given.model_dump(mode="json", by_alias=True)
    elif isinstance(given, ModelConfig):
        network, content = given, {}
    elif isinstance(given, Mapping):
        return read_recipe(dict(given), (), values)
    elif isinstance(given, str | PathLike):
        return read_recipe(fspath(given), (), values)
    else:
        expected = "the name of a network, a recipe, or the configuration of a network"
        raise UsageError("model_or_recipe", got=type(given).__name__, expected=expected)
    if "model" in values:  # another network
        return read_recipe(content, (), values)
    # A network of the user's own is in no registry: its configuration is changed as an object.
    changes = {key.removeprefix("model."): value for key, value in values.items() if key.startswith("model.")}
    if changes:
        network = parse_config(type(network), {**network.model_dump(), **changes}, "model")
    others = {key: value for key, value in values.items() if not key.startswith("model.")}
    return read_recipe({**content, "model": network}, (), others)


def _name(given: Any, recipe: Recipe) -> str:
    """Name the run by its recipe or network, for the folder."""
    if isinstance(given, str | PathLike):
        return Path(given).stem.replace(":", "-")
    return str(getattr(recipe.model, "name", type(recipe.model).__name__.lower()))


def _choose_folder(out: str | PathLike[str] | None, name: str) -> AbstractContextManager[Path]:
    return reserve_folder(Path("runs"), name) if out is None else nullcontext(Path(fspath(out)))
