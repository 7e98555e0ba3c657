"""Logger: the methods by which a training tells another program how it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class LoggedRun(NamedTuple):
    """Run that a logger is told of."""

    folder: Path
    """Folder of the run."""
    id: str
    """Twelve hex digits that no other run has; the same when the run is resumed."""
    step: int
    """Iterations done so far: 0 at the beginning; what was logged of later ones is logged again."""
    recipe: dict[str, Any]
    """The whole recipe, plain values."""
    project: str | None
    """Name of what the run belongs to, `train.project`; None for the logger's own default."""

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.absolute().name

    def list_settings(self) -> dict[str, Any]:
        """List the recipe as one level of keys, as in `train.lr`; None and empty sections left out."""
        return dict(_flatten(self.recipe))


class Logger(Protocol):
    """What a class does that a training can log to; it is made of a `LoggedRun`, and told everything in this order."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log finite numbers of an iteration: train/loss, train/lr, train/gradient_norm, validation/mse and the like."""

    def log_text(self, name: str, text: str) -> None:
        """Log a text, such as the verdict of the scores at the end."""

    def log_file(self, name: str, path: Path) -> None:
        """Log a picture (.png) or a page (.html) of the run; one that cannot be shown is left out."""

    def close(self, *, complete: bool) -> None:
        """Send what is left. Not `complete`: the training was stopped or failed, and may go on later."""


def _flatten(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
