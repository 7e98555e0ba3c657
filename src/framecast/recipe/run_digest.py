"""Digest of a run's recipe: data.json and checkpoints hold it, so that a recipe that was changed since is refused.

It covers what decides a number (`Recipe.identity`): paths, workers and the like may be edited.
"""

from __future__ import annotations

from pathlib import Path

from framecast import json_files
from framecast.errors import CheckpointError
from framecast.formatting import format_command

DIGEST_KEY = "recipe_sha256"
"""Key of the digest in data.json and in the identity of a checkpoint."""


def check_unchanged(path: Path, digest: str) -> None:
    """Check the recipe of a run against the data.json beside it; runs of version 0.1.0 have no digest there.

    Args:
        path: recipe.yaml of a run.
        digest: of what it says now.

    Raises:
        CheckpointError: the run began with another recipe.
    """
    try:
        recorded = json_files.read_json(path.with_name("data.json")).get(DIGEST_KEY)
    except (OSError, ValueError):  # whoever needs the file says so; resume makes it again
        return
    if recorded not in (None, digest):
        raise make_changed_error(path)


def make_changed_error(path: Path) -> CheckpointError:
    """Make the error for a recipe other than the one that the run began with."""
    fix = f"restore it; to train with what it says now: {format_command('framecast', 'train', path, '--out', 'NEW')}"
    return CheckpointError(f"{path}: the recipe has changed since the run began", fix=fix)
