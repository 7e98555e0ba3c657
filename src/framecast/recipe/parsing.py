"""Parsing of plain fields into frozen configurations; errors name the first fault, and the nearest valid key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from framecast.documents import explain_invalid
from framecast.errors import FramecastError, UsageError

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
        raise _explain(error, kind, dict(fields), source) from error


def _explain(error: ValidationError, root: type[BaseModel], fields: dict[str, Any], source: str) -> FramecastError:
    """Explain the first fault, with the nearest valid key where a key is unknown."""
    fault = explain_invalid(error, fields)
    if not fault.is_unknown_key:
        return UsageError(f"{source}: {fault.text}")
    *parents, key = fault.path
    return UsageError.unknown(f"{source}: {'.'.join(fault.path)}: unknown key", key, _list_keys(root, parents))


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
