"""Network of a recipe: its configuration by name, or by a class that the user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from framecast.errors import UsageError
from framecast.models import MODELS, ModelConfig, find_config
from framecast.named_code import import_named
from framecast.recipe.parsing import parse_config


def make_model_config(fields: Mapping[str, Any], trusted: Sequence[str] = ()) -> ModelConfig:
    """Make the configuration of a network.

    Args:
        fields: fields of the configuration; `name` is a registered one, or one of the trusted.
        trusted: `package.module:Class` of networks outside framecast that the user named as arguments; no other is
            imported, as the fields may come from a stranger.

    Raises:
        UsageError: an unknown name, one that is not trusted, or fields that the network does not have.
    """
    name = str(fields.get("name", ""))
    rest = {key: value for key, value in fields.items() if key != "name"}
    if ":" in name:
        if name not in trusted:
            fix = f"if you trust it, say model={name!r}"
            raise UsageError("model", got=f"a network of your own, {name}", expected="one of framecast's", fix=fix)
        return parse_config(import_class(name), rest, f"model {name}")
    kind = find_config(name)
    if kind is None:
        raise UsageError.unknown("model", name, MODELS)
    return parse_config(kind, {**rest, "name": name}, f"model {name}")


def import_class(name: str) -> type[ModelConfig]:
    """Import the class that `package.module:Class` names.

    Raises:
        UsageError: no such class, or one that is not derived from ModelConfig.
    """
    kind = import_named(name, "model")
    if not (isinstance(kind, type) and issubclass(kind, ModelConfig)):
        raise UsageError("model", got=name, expected="a class derived from framecast.models.ModelConfig")
    return kind
