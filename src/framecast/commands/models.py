"""The networks as a user sees them: what there is, equations, options, and what it costs at a size."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from framecast.models import MODELS
from framecast.models.cost import Cost, count_cost
from framecast.recipe.recipe import read_recipe

Shape = tuple[int, int, int]


class ModelCatalogue(NamedTuple):
    """All networks with their default options."""

    rows: dict[str, tuple[str, Cost]]
    shape: Shape

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {name: {"title": title, **found._asdict()} for name, (title, found) in self.rows.items()}

    def print(self, console: Console) -> None:
        """A table."""
        channels, height, width = self.shape
        table = Table(title=f"Networks, with default options, for frames of {channels}x{height}x{width}", box=None)
        for column in ("name", "what it is", "parameters", "multiply-adds per sequence"):
            table.add_column(column, justify="left" if column in ("name", "what it is") else "right")
        for name, (title, found) in self.rows.items():
            table.add_row(name, title, f"{found.parameters / 1e6:.1f} M", f"{found.multiply_adds / 1e9:.1f} G")
        console.print(table)
        console.print("framecast models NAME shows one of them whole.", style="dim")


class ModelCard(NamedTuple):
    """One network."""

    name: str
    equations: str
    options: dict[str, Any]
    help: str
    cost: Cost
    setting: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**self._asdict(), "cost": self.cost._asdict()}

    def print(self, console: Console) -> None:
        """Equations, options and cost."""
        console.print(f"[bold]{self.name}[/bold]\n")
        console.print(self.equations, markup=False)
        console.print("\n[bold]Options[/bold] (under model in a recipe; train --set model.KEY=VALUE)\n")
        console.print(f"{self.help}\n", markup=False)
        for option, value in self.options.items():
            console.print(f"    {option}: {value}", markup=False)
        found = self.cost
        console.print(f"\n[bold]Cost[/bold] ({self.setting})\n")
        console.print(f"    parameters                   {found.parameters:,}")
        console.print(f"    multiply-adds, forward       {found.multiply_adds / 1e9:,.1f} G for each sequence")
        console.print(
            f"    weights                      {found.weights_bytes / 2**20:,.0f} MiB; four times that in training"
        )
        console.print(
            f"    kept for the backward pass   {found.training_bytes / 2**20:,.0f} MiB for each sequence of a batch"
        )


def list_models(shape: Shape, patch: int, frames: int) -> ModelCatalogue:
    """All registered networks.

    Args:
        shape: (C, H, W) of a frame.
        patch: P.
        frames: T, frames of a sequence.
    """
    rows = {
        name: (_paper(name).split("\n")[0], count_cost(kind(), *shape, patch=patch, frames=frames))
        for name, kind in MODELS.items()
    }
    return ModelCatalogue(rows, shape)


def describe_model(name: str, overrides: Sequence[str], shape: Shape, patch: int, frames: int) -> ModelCard:
    """One network.

    Args:
        name: registered, or package.module:Class.
        overrides: `key=value` of its options.
        shape: (C, H, W) of a frame.
        patch: P.
        frames: T, frames of a sequence.

    Raises:
        UsageError: unknown name or option.
    """
    config = read_recipe(name, [f"model.{override}" for override in overrides], must_be_model=True).model
    found = count_cost(config, *shape, patch=patch, frames=frames)
    channels, height, width = shape
    setting = f"frames of {channels}x{height}x{width}, patch {patch}, {frames} frames a sequence, float32"
    options = {key: value for key, value in config.model_dump(mode="json").items() if key != "name"}
    equations = inspect.cleandoc(sys.modules[type(config).__module__].__doc__ or "")
    return ModelCard(name, equations, options, inspect.cleandoc(type(config).__doc__ or ""), found, setting)


def _paper(name: str) -> str:
    return inspect.cleandoc(sys.modules[MODELS[name].__module__].__doc__ or "")
