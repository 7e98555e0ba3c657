"""Identity of a recipe: the fields that decide the numbers of a training."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from framecast.recipe.train_config import FREE

_LATER_KEYS = (
    ("train", "compile"),
    ("train", "muon"),
    ("train", "growth"),
    ("train", "freeze"),
    ("data", "axes"),
    ("data", "vectors"),
    ("data", "every"),
    ("loss", "context"),
    ("loss", "terms"),
)
"""Keys that older recipes lack, by section: at their defaults they are no part of a recipe's identity."""


def list_identity(recipe: BaseModel) -> dict[str, Any]:
    """List the fields of a recipe that decide the numbers of a training; all others may change when it is resumed."""
    content = recipe.model_dump(mode="json", by_alias=True)
    for key in FREE:
        del content["train"][key]
    del content["data"]["unpack_limit"]  # how much is unpacked at once changes no number
    if content["base"]["kind"] == "none":
        del content["base"], content["head"]
    if content["spin_up"] is None:
        del content["spin_up"]
    begun = content.pop("from")
    if begun is not None:
        content["from"] = begun["sha256"]
    for section, key in _LATER_KEYS:
        config = getattr(recipe, section)
        if getattr(config, key) == type(config).model_fields[key].get_default(call_default_factory=True):
            del content[section][key]
    # the fingerprint of the data counts, not their path; of several files also the options of each
    source = content["data"].pop("source")
    if not isinstance(source, str):
        files = [{**file, "path": None} for file in source]
        content["data"]["files"] = [
            {key: value for key, value in file.items() if (key, value) != ("repeat", 1)} for file in files
        ]
    return content
