"""Loggers of one training: each is told everything, and one that fails is said so once, and told nothing more."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from framecast import json_files
from framecast.documents import parse_yaml, read_document
from framecast.loggers.logger import LoggedRun, Logger
from framecast.loggers.registry import TENSORBOARD, choose_loggers, find_logger

ID_FILE = "loggers.json"
"""File in a run's folder with the name by which loggers elsewhere know the run."""


class Loggers:
    """Loggers of one training. Whatever they raise, as without a network, never reaches the training.

    Args:
        names: of loggers; None for TensorBoard, where it is installed.
        folder: folder of the run, which holds its recipe.yaml.
        step: iterations done so far.
        project: name of what the run belongs to.
        say: shows a line to the user.
    """

    def __init__(
        self,
        names: Sequence[str] | None,
        folder: Path,
        *,
        step: int,
        project: str | None,
        say: Callable[[str], None],
    ) -> None:
        self._say = say
        self._open: dict[str, Logger] = {}
        chosen = choose_loggers(names)
        if not chosen:
            return
        number = "" if chosen == (TENSORBOARD,) else _find_id(folder)
        run = LoggedRun(folder, number, step, read_document(folder / "recipe.yaml", parse_yaml), project)
        for name in chosen:
            self._try(name, lambda name=name: self._open.update({name: find_logger(name)(run)}))  # type: ignore[misc]

    def log(self, values: Mapping[str, float | None], step: int) -> None:
        """Log numbers of an iteration; None and what is not finite are left out."""
        finite = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
        self._each(lambda logger: logger.log(finite, step))

    def log_text(self, name: str, text: str) -> None:
        """Log a text by its name."""
        self._each(lambda logger: logger.log_text(name, text))

    def log_file(self, name: str, path: Path) -> None:
        """Log a picture or a page, if it is there."""
        if path.is_file():
            self._each(lambda logger: logger.log_file(name, path))

    def close(self, *, complete: bool) -> None:
        """Close all; not `complete` where the training may go on later."""
        self._each(lambda logger: logger.close(complete=complete))
        self._open.clear()

    def _each(self, action: Callable[[Logger], None]) -> None:
        for name, logger in list(self._open.items()):
            self._try(name, lambda logger=logger: action(logger))  # type: ignore[misc]

    def _try(self, name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 -- of any library, and hours of training are worth more than its log
            self._open.pop(name, None)
            first = next(iter(str(error).splitlines()), "")
            self._say(
                f"logger {name} failed, and is told nothing more: {type(error).__name__}: {first}; "
                "events.jsonl has everything"
            )


def _find_id(folder: Path) -> str:
    """Find the id of a run, which is made once and kept in its folder; a damaged one is made anew."""
    path = folder / ID_FILE
    try:
        number = json_files.read_json(path)["id"]
        if isinstance(number, str) and number.isalnum():
            return number
    except (OSError, ValueError, KeyError):
        pass
    number = os.urandom(6).hex()
    json_files.write_json(path, {"id": number})
    return number
