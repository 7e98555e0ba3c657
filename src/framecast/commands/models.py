"""Catalogue of the networks: names, equations, options, and their cost at a size of frames."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framecast.models import MODELS, ModelConfig
from framecast.models.config import Family
from framecast.models.cost import Cost, count_cost
from framecast.recipe.recipe import read_recipe

Shape = tuple[int, int, int]
"""(C, H, W) of a frame."""


class CatalogueRow(NamedTuple):
    """A network with its default options."""

    family: str
    year: int | None
    """Year of the paper; None where it is not known."""
    title: str
    cost: Cost
    """Cost of one sequence."""


class ModelCatalogue(NamedTuple):
    """All networks with their default options."""

    rows: dict[str, CatalogueRow]
    """{name: row}, by family and year."""
    shape: Shape

    def as_dict(self) -> dict[str, Any]:
        """Convert to values that JSON can hold."""
        return {
            name: {"family": row.family, "year": row.year, "title": row.title, **row.cost._asdict()}
            for name, row in self.rows.items()
        }

    def print(self, console: Console) -> None:
        """Print a table, one row for each network."""
        channels, height, width = self.shape
        table = Table(title=f"Networks, with default options, for frames of {channels}x{height}x{width}", box=None)
        for column in ("name", "year", "what it is", "parameters", "multiply-adds per sequence"):
            table.add_column(column, justify="right" if column.startswith(("param", "multiply")) else "left")
        for family, members in itertools.groupby(self.rows.items(), lambda item: item[1].family):
            table.add_row(Text(family, style="bold"))
            for name, (_, year, title, cost) in members:
                costs = f"{cost.parameters / 1e6:.1f} M", f"{cost.multiply_adds / 1e9:.1f} G"
                table.add_row(Text(f"  {name}"), str(year or ""), Text(title), *costs)
        console.print(table)
        console.print("framecast models NAME shows one of them whole.", style="dim")


class ModelCard(NamedTuple):
    """Equations, options and cost of one network."""

    name: str
    equations: str
    options: dict[str, Any]
    """Options with their values."""
    help: str
    """Meaning of the options, as text."""
    cost: Cost
    """Cost of one sequence."""
    setting: str
    """Sizes that the cost is for, in words."""

    def as_dict(self) -> dict[str, Any]:
        """Convert to values that JSON can hold."""
        return {**self._asdict(), "cost": self.cost._asdict()}

    def print(self, console: Console) -> None:
        """Print equations, options and cost."""
        console.print(f"{self.name}\n", style="bold", markup=False)
        console.print(self.equations, markup=False)
        console.print("\nOptions", style="bold", end="")
        console.print(" (under model in a recipe; --set model.KEY=VALUE)\n")
        console.print(f"{self.help}\n", markup=False)
        for option, value in self.options.items():
            console.print(f"    {option}: {value}", markup=False)
        cost = self.cost
        console.print("\nCost", style="bold", end="")
        console.print(f" ({self.setting})\n", markup=False)
        console.print(f"    parameters                   {cost.parameters:,}")
        console.print(f"    multiply-adds, forward       {cost.multiply_adds / 1e9:,.1f} G for each sequence")
        console.print(
            f"    weights                      {cost.weights_bytes / 2**20:,.0f} MiB; four times that in training"
        )
        console.print(
            f"    kept for the backward pass   {cost.training_bytes / 2**20:,.0f} MiB for each sequence of a batch"
        )


def list_models(shape: Shape, patch: int | None, frames: int) -> ModelCatalogue:
    """List all registered networks with their cost, by family and year; those without a year last.

    Args:
        shape: (C, H, W) of a frame.
        patch: P; None for that of each network.
        frames: T, frames of a sequence.
    """
    families = get_args(Family)
    ordered = sorted(MODELS.items(), key=lambda item: (families.index(item[1].family), item[1].year or sys.maxsize))
    rows = {}
    for name, config in ordered:
        title, edge = _read_equations(config).split("\n")[0], patch or config().default_patch
        cost = count_cost(config(), *shape, patch=edge, frames=frames)
        rows[name] = CatalogueRow(str(config.family), config.year, title, cost)
    return ModelCatalogue(rows, shape)


def describe_model(name: str, overrides: Sequence[str], shape: Shape, patch: int | None, frames: int) -> ModelCard:
    """Describe one network.

    Args:
        name: name of a registered network, or package.module:Class.
        overrides: `key=value` for its options, with or without `model.` before the key.
        shape: (C, H, W) of a frame.
        patch: P; None for that of the network.
        frames: T, frames of a sequence.

    Raises:
        UsageError: unknown name or option.
    """
    config = read_recipe(
        name, [f"model.{override.removeprefix('model.')}" for override in overrides], must_be_model=True
    ).model
    patch = patch or config.default_patch
    cost = count_cost(config, *shape, patch=patch, frames=frames)
    channels, height, width = shape
    setting = f"frames of {channels}x{height}x{width}, patch {patch}, {frames} frames a sequence, float32"
    options = {key: value for key, value in config.model_dump(mode="json").items() if key != "name"}
    help_text = inspect.cleandoc(type(config).__doc__ or "")
    return ModelCard(name, _read_equations(type(config)), options, help_text, cost, setting)


def _read_equations(config: type[ModelConfig]) -> str:
    """The docstring of a network's module, which has the paper's equations."""
    return inspect.cleandoc(sys.modules[config.__module__].__doc__ or "")
