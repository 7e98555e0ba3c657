"""Budgets of trainings: how many iterations they allow here, and the recipe of a small one.

The small recipe is the one that learnt most per second on moving digits (LOG.md): Muon, sequences that grow, one cycle,
and layer norm, without which kernels that Muon trains for thousands of iterations make the recurrence explode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from framecast.devices import Launch
from framecast.errors import UsageError
from framecast.models.config import ConvConfig
from framecast.recipe.recipe import Recipe
from framecast.training.start import measure_pace

PACE_SHARE = 0.01
"""Share of a budget of time that is spent on measuring how long an iteration takes."""
WIDTHS = (32, 48, 64)
"""Hidden channels of the two layers of a small network, of which the widest is taken that has `ENOUGH` iterations."""
ENOUGH = 6000
"""Iterations after which a wider network learns more than a longer training."""
MEASURED = 1000
"""Iterations of the recipe whose pace is measured."""
SMALL_ADAM: dict[str, Any] = {"batch_size": 4, "lr": 1e-3, "lr_schedule": {"kind": "one_cycle"}, "clip": 1.0}
"""Training of a small network."""
NORM = "channel_affine"
"""Layer norm that Muon needs."""
SMALL_MUON: dict[str, Any] = {**SMALL_ADAM, "lr": 3e-3, "muon": {"lr": 0.02}}
"""Training of a small network with this norm."""
GROWTH = ((0.48, 3), (0.75, 5))
"""Shares of the iterations until which so many frames go in and come out: a quarter and half of the time."""
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Budget(NamedTuple):
    """Budget of a training."""

    amount: float
    """Seconds, or iterations."""
    unit: Literal["seconds", "steps"]
    text: str
    """The budget in the user's words."""


def read_budget(text: str) -> Budget:
    """Read a budget in words: 90s, 10min, 1.5h, or 2000steps.

    Raises:
        UsageError: the text is no budget, or the budget is 0.
    """
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|steps)\s*", text)
    if parts is None or float(parts[1]) <= 0:
        raise UsageError("--budget", got=text, expected="a time or a number of iterations: 90s, 10min, 2h, 2000steps")
    amount, unit = float(parts[1]), parts[2]
    if unit == "steps":
        return Budget(float(max(1, round(amount))), "steps", text.strip())
    return Budget(amount * _SECONDS[unit], "seconds", text.strip())


def count_steps(budget: Budget, recipe: Recipe, device: str) -> int:
    """Count the iterations of a recipe that a budget allows on this machine."""
    if budget.unit == "steps":
        return int(budget.amount)
    pace = measure_pace(recipe, Launch(device), seconds=PACE_SHARE * budget.amount)
    return max(1, round(budget.amount / pace))


def fit_to_budget(recipe: Recipe, budget: Budget, device: str, given: frozenset[str], *, is_name: bool) -> Recipe:
    """Fit a recipe to a budget: its iterations, and where only a network was named the small recipe and its width.

    Args:
        recipe: of the training.
        budget: of time, or of iterations.
        device: where to compute.
        given: keys that the user set, as train.lr; they stay.
        is_name: whether the user named a network, and no recipe.

    Raises:
        UsageError: something of the recipe cannot be done here.
        InputError: the data cannot be used.
    """
    if not is_name:
        return with_steps(recipe, count_steps(budget, recipe, device))
    train = recipe.train.model_copy(update={"steps": MEASURED})
    small = make_small(recipe.model_copy(update={"train": train}), given)
    can_widen = type(small.model).small == ConvConfig.small and not {"model", "model.hidden"} & given
    if not can_widen:
        return with_steps(small, count_steps(budget, small, device))
    chosen, steps = small, 0
    for width in WIDTHS:
        wider = small.model_copy(update={"model": _with_options(small.model, {"hidden": (width, width)})})
        count = count_steps(budget, wider, device)
        if steps and count < ENOUGH:
            break
        chosen, steps = wider, count
        if count < ENOUGH:
            break
    return with_steps(chosen, steps)


def make_small(recipe: Recipe, given: frozenset[str]) -> Recipe:
    """Make the small recipe of a network: its small form, and a training that learns most in minutes.

    Args:
        recipe: of the network with its default options.
        given: keys that the user set, as train.lr; they stay.
    """
    model, train = recipe.model, recipe.train.model_dump()
    if "model" not in given:
        norm = {"layer_norm": NORM} if getattr(model, "layer_norm", "own") is None else {}
        options = {**type(model).small, **norm}
        model = _with_options(model, {key: value for key, value in options.items() if f"model.{key}" not in given})
    if "train" not in given:
        values = SMALL_MUON if getattr(model, "layer_norm", None) == NORM else SMALL_ADAM
        train |= {key: value for key, value in values.items() if f"train.{key}" not in given}
    grows = isinstance(recipe.context_, int) and isinstance(recipe.horizon_, int) and recipe.model.feeds_back
    if grows and "train.growth" not in given:
        lengths = recipe.context, recipe.horizon
        stages = [(until, min(frames, lengths[0]), min(frames, lengths[1])) for until, frames in GROWTH]
        train["growth"] = [
            {"until": until, "context": context, "horizon": horizon}
            for until, context, horizon in stages
            if (context, horizon) != lengths
        ]
    return Recipe.model_validate({**recipe.model_dump(by_alias=True), "model": model, "train": train})


def _with_options(model: Any, options: Mapping[str, Any]) -> Any:
    return type(model).model_validate({**model.model_dump(), **options})


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """Set the iterations; there are a few validations, and few lines of the log in a short training."""
    train = recipe.train.model_copy(
        update={"steps": steps, "log_every": min(recipe.train.log_every, max(1, steps // 50))}
    )
    validate = recipe.validate_.model_copy(update={"every": min(recipe.validate_.every, max(1, -(-steps // 4)))})
    return Recipe.model_validate(
        {**recipe.model_dump(by_alias=True), "model": recipe.model, "train": train, "validate": validate}
    )
