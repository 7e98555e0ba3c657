"""Recipes that come with the package: their names, files and descriptions.

Each is a YAML file here, whose head comment says first what is trained on what. `framecast train NAME` and
`framecast.train("NAME")` take a name; a copy of a file is a recipe of one's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent


class PackagedRecipe(NamedTuple):
    """A recipe in the package."""

    name: str
    path: Path

    @property
    def text(self) -> str:
        """The YAML, with its comments."""
        return self.path.read_text(encoding="utf-8")

    @property
    def summary(self) -> str:
        """First sentence of the head comment, in one line."""
        head = self.text.partition("\n#\n")[0]
        words = " ".join(line.lstrip("# ") for line in head.splitlines() if line.startswith("#"))
        return words.partition(". ")[0].rstrip(".")


def list_recipes() -> dict[str, PackagedRecipe]:
    """List the recipes of the package by name."""
    return {path.stem: PackagedRecipe(path.stem, path) for path in sorted(_FOLDER.glob("*.yaml"))}
