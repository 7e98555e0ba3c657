"""Models of the Hugging Face hub: hf://OWNER/NAME, fetched once and kept where the hub keeps what it fetches."""

from __future__ import annotations

from pathlib import Path

from framecast.errors import UsageError, abbreviate
from framecast.optional_imports import require

SCHEME = "hf://"
FILES = ("model.json", "weights-*.safetensors", "recipe.yaml", "README.md")
"""What is fetched: nothing that could be run."""


def is_on_hub(name: str) -> bool:
    """Whether a text names a model of the hub."""
    return name.startswith(SCHEME)


def fetch_model(name: str) -> Path:
    """Fetch a model, or find it among what was fetched before, where there is no connection.

    Args:
        name: as in hf://me/rain, or hf://me/rain@v2 for a branch, tag or commit.

    Returns:
        the folder.

    Raises:
        UsageError: no such model, no connection, or huggingface_hub is not installed.
    """
    hub = require("huggingface_hub", "hub", what=name)
    repository, _, revision = name.removeprefix(SCHEME).partition("@")
    try:
        return Path(hub.snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES)))
    except Exception as error:
        got = f"no model ({abbreviate(str(error).strip().partition(chr(10))[0])})"
        fix = "look at its name; of a private one, run hf auth login first"
        raise UsageError(name, got=got, expected="hf://OWNER/NAME", fix=fix) from error
