"""Parsing of plain fields into frozen configurations; errors name the first fault, and the nearest valid key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from framecast.errors import FramecastError, UsageError, abbreviate

Config = TypeVar("Config", bound=BaseModel)


def parse_config(kind: type[Config], fields: Mapping[str, Any], source: str) -> Config:
    """Make a configuration of its fields.

    Args:
        kind: class of the configuration.
        fields: plain values by key.
        source: name of their origin in errors.

    Raises:
        UsageError: an unknown key, or a value that does not fit.
    """
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as error:
        raise _explain(error, kind, source) from error


def _explain(error: ValidationError, root: type[BaseModel], source: str) -> FramecastError:
    """Explain the first fault, with the nearest valid key where a key is unknown."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        got = "" if first["type"] == "missing" else f", got {abbreviate(first['input'], quoted=True)}"
        return UsageError(f"{source}: {where}: {first['msg'].removeprefix('Value error, ')}{got}")
    keys = _list_keys(root, [str(part) for part in first["loc"][:-1]])
    return UsageError.unknown(f"{source}: {where}: unknown key", str(first["loc"][-1]), keys)


def _list_keys(root: type[BaseModel], path: list[str]) -> list[str]:
    """List the valid keys under `path`, of all alternatives that a union has there."""
    kinds = [root]
    for key in path:
        fields = [field for kind in kinds for name, field in kind.model_fields.items() if key in (name, field.alias)]
        # a tag of a union is no field: its alternatives stay
        kinds = [inner for field in fields for inner in _list_models(field.annotation)] or kinds
    return sorted({field.alias or name for kind in kinds for name, field in kind.model_fields.items()})


def _list_models(annotation: Any) -> list[type[BaseModel]]:
    """List the models within an annotation, such as the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _list_models(inner)]


def set_value(content: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at `key.key` in place; sections that do not exist are made."""
    *parents, last = path.split(".")
    for key in parents:
        inner = content.get(key)
        if key == "model" and isinstance(inner, str):
            inner = {"name": inner}  # `model: convlstm` is short for its name
        content[key] = inner if isinstance(inner, dict) else {}
        content = content[key]
    content[last] = value
