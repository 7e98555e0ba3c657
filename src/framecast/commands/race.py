"""A race: networks trained on the same data with the same budget each, then compared."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from framecast import files
from framecast.devices import Launch
from framecast.errors import InputError, UsageError
from framecast.evaluation.comparison import Comparison, compare_runs
from framecast.recipe.recipe import Recipe, foreign_name, read_recipe
from framecast.report.comparison_page import write_comparison
from framecast.training.start import measure_pace, resume, start

PLAN = "race.json"
VALIDATIONS = 5
"""Of each training, so that all choose their best model from about as many."""
SOUNDING = 0.01
"""Part of a budget of time that goes into finding how long an iteration takes."""
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Budget(NamedTuple):
    """What each training is given."""

    amount: float
    """Seconds, or iterations."""
    unit: Literal["seconds", "steps"]
    text: str
    """As the user said it."""


class RaceOptions(NamedTuple):
    """What is raced."""

    models: tuple[str, ...]
    """Names of networks, or recipes."""
    budget: Budget
    seeds: int
    overrides: tuple[str, ...] = ()
    """`key=value` for all of them."""
    values: tuple[tuple[str, Any], ...] = ()
    """The same, applied last."""

    def recipe(self, model: str, seed: int, steps: int) -> Recipe:
        """Of one training."""
        given = {override.partition("=")[0].strip() for override in self.overrides}
        wanted = {"validate.every": -(-steps // VALIDATIONS), "train.log_every": min(10, max(1, steps // 100))}
        own = {key: value for key, value in wanted.items() if key not in given}
        return read_recipe(model, self.overrides, {**dict(self.values), **own, "train.steps": steps, "seed": seed})


def read_budget(text: str) -> Budget:
    """A budget in words: 90s, 10min, 1.5h, or 2000steps.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|steps)\s*", text)
    if found is None or float(found[1]) <= 0:
        raise UsageError("--budget", got=text, expected="a time or a number of iterations: 90s, 10min, 2h, 2000steps")
    amount, unit = float(found[1]), found[2]
    if unit == "steps":
        return Budget(float(max(1, round(amount))), "steps", text.strip())
    return Budget(amount * _SECONDS[unit], "seconds", text.strip())


def race(question: RaceOptions, folder: Path, *, device: str = "auto", quiet: bool = False) -> tuple[Comparison, Path]:
    """Train every network with every seed, one after the other, and compare them on a page.

    A budget of time becomes a number of iterations, from the time that one takes here, so that schedules that are shares
    of a training come to their end; one in iterations, as a recipe may have it, must fit into them. The time that was
    spent stands on the page.

    Args:
        question: what is raced.
        folder: a new one, or that of the same race, which then goes on.
        device: where to compute.
        quiet: plain lines instead of a progress bar.

    Returns:
        the comparison, and its page.

    Raises:
        UsageError: another race is there, something of a recipe cannot be done, or its schedule goes beyond the budget.
        InputError: the data cannot be used.
        Stopped: a signal came; the same command goes on.
    """
    names = _names(question.models)
    steps = _steps(question, folder, device, quiet=quiet)
    runs = {
        folder / f"{name}-seed{seed}": question.recipe(model, seed, steps[model])
        for seed in range(question.seeds)
        for name, model in zip(names, question.models, strict=True)
    }
    for number, (path, recipe) in enumerate(runs.items(), 1):
        print(f"{path.name}: {number} of {len(runs)}, {recipe.train.steps} iterations", file=sys.stderr, flush=True)
        if (path / "recipe.yaml").exists():
            resume(path, Launch(device), model=foreign_name(recipe), quiet=quiet)
        else:
            start(recipe, path, Launch(device), quiet=quiet)
    own = [name for recipe in runs.values() if (name := foreign_name(recipe))]
    budget = _said(question, steps) if question.budget.unit == "seconds" else None
    found = compare_runs(list(runs), device=device, budget=budget, models=own, quiet=quiet)
    return found, write_comparison(found, folder)


def _check_schedule(name: str, recipe: Recipe) -> None:
    """Whether sampling comes to its end; who is still fed the future at the last iteration has learnt another task."""
    steps = recipe.train.steps
    last, end = (recipe.sampling.probabilities(iteration, steps)[1] for iteration in (steps, sys.maxsize))
    if last > end + 0.01:
        kind = recipe.sampling.kind
        raise UsageError(
            f"sampling of {name}",
            got=f"a true frame with probability {last:.2g} at the last of {steps} iterations",
            expected=f"{end:g}, where the schedule ends",
            fix=f"--set sampling={{kind: {kind}}} makes it as long as the training, or raise --budget",
        )


def _names(models: Sequence[str]) -> list[str]:
    names = [_name(model) for model in models]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("--models", got=", ".join(models), expected="two or more, each once")
    return names


def _name(model: str) -> str:
    """Of a network, of a class `package.module:Class`, of a recipe's file."""
    return Path(model).stem if Path(model).suffix in (".yaml", ".yml") else model.rpartition(":")[2]


def _steps(question: RaceOptions, folder: Path, device: str, *, quiet: bool) -> dict[str, int]:
    """Iterations of each network; written down, so that a race that goes on keeps them."""
    asked = json.loads(json.dumps(question._asdict()))
    plan = folder / PLAN
    if plan.is_file():
        return _kept(plan, asked)
    recipes = {model: question.recipe(model, 0, 1000) for model in question.models}  # wrong ones are found at once
    files.check_new(folder)
    steps = {model: _fitting(question, recipe, device) for model, recipe in recipes.items()}
    for model, count in steps.items():
        _check_schedule(_name(model), question.recipe(model, 0, count))
    files.write_text(plan, json.dumps({"question": asked, "steps": steps}, indent=2) + "\n")
    if not quiet:
        print(_said(question, steps))
    return steps


def _kept(plan: Path, asked: Mapping[str, Any]) -> dict[str, int]:
    try:
        said = json.loads(plan.read_text())
        before, steps = said["question"], said["steps"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            str(plan), got="damaged JSON", expected="what the race wrote", fix="begin a new one"
        ) from error
    if before != asked:
        other = next(key for key in asked if before.get(key) != asked[key])
        got, expected = asked[other], f"{before.get(other)}, as the race in {plan.parent} has it"
        raise UsageError(f"race: {other}", got=got, expected=expected, fix="choose another --out")
    return {str(model): int(count) for model, count in steps.items()}


def _fitting(question: RaceOptions, recipe: Recipe, device: str) -> int:
    """How many iterations of a network the budget allows."""
    if question.budget.unit == "steps":
        return int(question.budget.amount)
    each = measure_pace(recipe, Launch(device), seconds=SOUNDING * question.budget.amount)
    return max(1, round(question.budget.amount / each))


def _said(question: RaceOptions, steps: Mapping[str, int]) -> str:
    counts = ", ".join(f"{_name(model)} {count}" for model, count in steps.items())
    if question.budget.unit == "steps":
        return f"Same budget: {int(question.budget.amount)} iterations each"
    return f"Same budget: {question.budget.text} of iterations each, by the time that one takes: {counts}"
