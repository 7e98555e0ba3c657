"""Race of networks: trained on the same data with the same budget each, then compared."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from framecast import files, json_files
from framecast.devices import Launch
from framecast.errors import InputError, UsageError
from framecast.evaluation.comparison import Comparison, compare_runs
from framecast.models import MODELS
from framecast.recipe.foreign import foreign_name
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.report.comparison_page import write_comparison
from framecast.training.budget import Budget, count_steps, make_small
from framecast.training.start import resume, start

RACE_FILE = "race.json"
ALL = "all"
VALIDATIONS, VALIDATED = 5, 32
"""Validations of each training, so that all choose their best model from as many, and sequences of each."""


class RaceOptions(NamedTuple):
    """Options of a race."""

    models: tuple[str, ...]
    """Names of networks, which race in their small forms, or paths of recipes; "all" is every network."""
    budget: Budget
    seeds: int
    """Number of trainings of each network, with seeds from 0."""
    overrides: tuple[str, ...] = ()
    """`key=value` for the recipes of all networks."""
    values: tuple[tuple[str, Any], ...] = ()
    """(key, value) for the recipes of all networks, applied after the overrides."""
    trusted: tuple[str, ...] = ()
    """`package.module:Class` of networks outside framecast that recipes may name."""

    def make_recipe(self, model: str, seed: int, steps: int) -> Recipe:
        """Make the recipe of one training.

        Args:
            model: name of a network, or path of a recipe.
            seed: of the training.
            steps: iterations of the training.
        """
        overridden = {override.partition("=")[0].strip() for override in self.overrides}
        own = {
            "validate.every": -(-steps // VALIDATIONS),
            "validate.sequences": VALIDATED,
            "train.log_every": min(10, max(1, steps // 100)),
        }
        values = dict(self.values) | {key: value for key, value in own.items() if key not in overridden}
        values |= {"train.steps": steps, "seed": seed}
        recipe = read_recipe(model, self.overrides, values, model=self.trusted)
        return make_small(recipe, frozenset(values) | overridden) if model in MODELS else recipe


def race(options: RaceOptions, folder: Path, *, device: str = "auto", quiet: bool = False) -> tuple[Comparison, Path]:
    """Train every network with every seed, one after the other, and compare them on a page.

    A budget of time becomes a number of iterations, from the time that one takes here, so that schedules that are shares
    of a training come to their end; a schedule that is given in iterations must end within them. The page says what was
    spent, and marks no difference where that differs by more than a tenth, as on a machine with other work.

    Args:
        options: networks, budget and seeds.
        folder: a new one, or that of the same race, which then goes on.
        device: where to compute.
        quiet: whether to show no progress.

    Returns:
        the comparison, and the path of its page.

    Raises:
        UsageError: the folder has another race, a recipe is wrong, or its schedule goes beyond the budget.
        InputError: the data cannot be used.
        Stopped: a signal came; the same command goes on.
    """
    if options.models == (ALL,):
        options = options._replace(models=tuple(MODELS))
    names = _name_models(options.models)
    steps = _find_steps(options, folder, device, quiet=quiet)
    runs = {
        folder / f"{name}-seed{seed}": options.make_recipe(model, seed, steps[model])
        for seed in range(options.seeds)
        for name, model in zip(names, options.models, strict=True)
    }
    for number, (path, recipe) in enumerate(runs.items(), 1):
        if not quiet:
            words = f"{path.name}: {number} of {len(runs)}, {recipe.train.steps} iterations"
            print(words, file=sys.stderr, flush=True)
        if (path / "recipe.yaml").exists():
            resume(path, Launch(device), model=foreign_name(recipe), quiet=quiet)
        else:
            start(recipe, path, Launch(device), quiet=quiet)
    models = [name for recipe in runs.values() if (name := foreign_name(recipe))]
    budget = _describe_budget(options, steps) if options.budget.unit == "seconds" else None
    comparison = compare_runs(list(runs), device=device, budget=budget, models=models, quiet=quiet)
    return comparison, write_comparison(comparison, folder)


def _check_schedule(name: str, recipe: Recipe) -> None:
    """Refuse a sampling that does not end: a network that is fed true frames to the last has learnt another task."""
    steps = recipe.train.steps
    last, end = (recipe.sampling.probabilities(iteration, steps)[1] for iteration in (steps, sys.maxsize))
    if last > end + 0.01:
        kind = recipe.sampling.kind
        raise UsageError(
            f"sampling of {name}",
            got=f"a true frame with probability {last:.2g} at the last of {steps} iterations",
            expected=f"{end:g}, where the schedule ends",
            fix=f"--set 'sampling={{kind: {kind}}}' makes it as long as the training, or raise --budget",
        )


def _name_models(models: Sequence[str]) -> list[str]:
    names = [_name_model(model) for model in models]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("--models", got=", ".join(models), expected="two or more, each once")
    return names


def _name_model(model: str) -> str:
    """Name of a registered network, of a class `package.module:Class`, or of a recipe's file."""
    return Path(model).stem if Path(model).suffix in (".yaml", ".yml") else model.rpartition(":")[2]


def _find_steps(options: RaceOptions, folder: Path, device: str, *, quiet: bool) -> dict[str, int]:
    """Iterations of each network: those in the race's file, else measured and written to it, so that a race can go on."""
    fields = json.loads(json.dumps(options._asdict()))
    del fields["trusted"]  # asked of each command anew: a file cannot say whom the user trusts
    path = folder / RACE_FILE
    if path.is_file():
        return _read_steps(path, fields)
    recipes = {model: options.make_recipe(model, 0, 1000) for model in options.models}  # a wrong one fails at once
    if not _is_unfinished(folder):
        files.check_new(folder)
    steps = {model: count_steps(options.budget, recipe, device) for model, recipe in recipes.items()}
    for model, count in steps.items():
        _check_schedule(_name_model(model), options.make_recipe(model, 0, count))
    json_files.write_json(path, {"question": fields, "steps": steps}, indent=2)
    if not quiet:
        print(f"budget: {_describe_budget(options, steps)}", file=sys.stderr)
    return steps


def _is_unfinished(folder: Path) -> bool:
    """Whether a folder is empty, or holds only what a race leaves that was killed before its file was there."""
    return folder.is_dir() and all(path.name.startswith(f".{RACE_FILE}.") for path in folder.iterdir())


def _read_steps(path: Path, fields: Mapping[str, Any]) -> dict[str, int]:
    """Iterations in the file of a race, which must be a race of the same options."""
    try:
        content = json_files.read_json(path)
        old_fields, steps = dict(content["question"]), {str(m): int(count) for m, count in content["steps"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        got = f"damaged JSON ({error})"
        raise InputError(str(path), got=got, expected="what the race wrote", fix="begin a new one") from error
    if old_fields != fields:
        name = next(name for name in fields if old_fields.get(name) != fields[name])
        got, expected = fields[name], f"{old_fields.get(name)}, as the race in {path.parent} has it"
        raise UsageError(f"race: {name}", got=got, expected=expected, fix="choose another --out")
    return steps


def _describe_budget(options: RaceOptions, steps: Mapping[str, int]) -> str:
    if options.budget.unit == "steps":
        return f"{int(options.budget.amount)} iterations each"
    counts = ", ".join(f"{_name_model(model)} {count}" for model, count in steps.items())
    return f"{options.budget.text} of iterations each, by the time that one took: {counts}"
