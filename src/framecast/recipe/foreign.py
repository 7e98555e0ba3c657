"""Networks outside framecast in recipes: their class, and its import path."""

from __future__ import annotations

from framecast.models import ModelConfig, find_config
from framecast.recipe.recipe import Recipe


def foreign(recipe: Recipe) -> type[ModelConfig] | None:
    """Return the class of a network's configuration where it is foreign; None for a network of framecast."""
    kind = type(recipe.model)
    return None if find_config(str(getattr(recipe.model, "name", ""))) is kind else kind


def foreign_name(recipe: Recipe) -> str | None:
    """Return the import path `package.module:Class` of a foreign network; None for a network of framecast."""
    kind = foreign(recipe)
    return None if kind is None else f"{kind.__module__}:{kind.__qualname__}"
