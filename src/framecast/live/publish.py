"""Publication: files under their final names, whole; then the list of what was written; then latest.json, all atomic.

Pictures are drawn after that, as nobody who needs the forecast should wait for them, and then announced too. A process
that is killed at any moment leaves the forecast that was announced last, and a list by which the next one removes what
was not finished. Nothing else in the folder is ever touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from framecast import files, writers
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.json_files import read_json, write_json
from framecast.live.slots import Instant, format_slot, name_time, parse_slot
from framecast.plotting.frames import draw_strip

STATE = ".watch"
"""Folder of what a watcher remembers, within the folder of its output."""
LATEST = "latest.json"
LEDGER = "published.json"
STRIP = "strip"
"""Name of the picture among the formats: input and prediction in one PNG."""
PICTURES = (STRIP, "png", "gif", "mp4")
"""Formats for people, which are drawn when those for programs are announced."""


def check_formats(names: Sequence[str]) -> list[str]:
    """Check the names of formats: suffixes of the writers without their dot, and strip.

    Raises:
        UsageError: an unknown one, one twice, or none.
    """
    known = [*(suffix[1:] for suffix in writers.FORMATS), STRIP]
    for name in names:
        if name not in known:
            raise UsageError.unknown("--write", name, known)
    if not names or len(set(names)) < len(names):
        raise UsageError("--write", got=", ".join(names) or "none", expected="one or more, each once")
    return list(names)


class Publisher:
    """Folder of the forecasts that a watcher wrote.

    Args:
        folder: the folder of the output; the caller holds its lock.
        formats: of each forecast.
        keep: forecasts whose reference time lies further before the newest one's are removed; None for none.
    """

    def __init__(self, folder: Path, formats: Sequence[str], keep: np.timedelta64 | None) -> None:
        self._folder, self._formats, self._keep = folder, list(formats), keep
        self._ledger = folder / STATE / LEDGER
        content = self._read_ledger()
        self._outputs: list[dict[str, Any]] = content["outputs"]
        self._remove(content["pending"])
        if self._outputs and self._read_latest() != self._outputs[-1]:
            write_json(folder / LATEST, self._outputs[-1], indent=2)

    def _read_ledger(self) -> dict[str, Any]:
        try:
            return read_json(self._ledger)
        except FileNotFoundError:
            return {"outputs": [], "pending": []}
        except ValueError as error:
            fix = f"move {self._ledger.parent} away; the forecasts stay, and are no longer removed by --keep"
            raise UsageError(str(self._ledger), got=str(error), expected="what a watcher wrote", fix=fix) from error

    def _read_latest(self) -> dict[str, Any] | None:
        try:
            return read_json(self._folder / LATEST)
        except (OSError, ValueError):
            return None

    @property
    def latest(self) -> dict[str, Any] | None:
        """Content of latest.json; None before the first forecast."""
        return self._outputs[-1] if self._outputs else None

    def publish(self, forecast: Forecast, reference: Instant, about: dict[str, Any]) -> dict[str, Any]:
        """Write a forecast in the formats for programs, and announce it; a later one of its time gets a revision number.

        Where only pictures are asked for, they are drawn before it is announced; else `draw` does it.

        Args:
            forecast: of one sequence.
            reference: slot of the newest frame.
            about: what latest.json says besides files and revision, plain values.

        Returns:
            the content of latest.json.

        Raises:
            DiskFull: there is no space; what was announced last stays so.
            UsageError: the format cannot hold the forecast.
        """
        revision, names = self._find_names(reference)
        first = {name: file for name, file in names.items() if name not in PICTURES} or names
        self._write_all(first, forecast)
        said = {"reference_time": name_time(reference), "revision": revision, "files": list(first.values())}
        self._outputs.append({**said, **about})
        self._announce()
        self._prune()
        return self._outputs[-1]

    def draw(self, forecast: Forecast) -> dict[str, Any]:
        """Draw the pictures of the forecast that was announced last, and announce them.

        Args:
            forecast: the one that was announced.

        Returns:
            the content of latest.json.

        Raises:
            DiskFull: there is no space; the forecast stays announced without its pictures.
            UsageError: the format cannot hold the forecast.
        """
        left = self._list_undrawn()
        if left:
            self._write_all(left, forecast)
            output = self._outputs[-1]
            order = [*self._name_files(parse_slot(output["reference_time"]), output["revision"]).values()]
            there = sorted(
                [*output["files"], *left.values()], key=lambda file: order.index(file) if file in order else -1
            )
            self._outputs[-1] = {**output, "files": there}
            self._announce()
        return self._outputs[-1]

    @property
    def lacks_pictures(self) -> bool:
        """Whether the forecast that was announced last has no pictures yet, as after a death before they were drawn."""
        return bool(self._list_undrawn())

    def _list_undrawn(self) -> dict[str, str]:
        """List the pictures of the newest forecast that are not there, by format."""
        if not self._outputs:
            return {}
        output = self._outputs[-1]
        names = self._name_files(parse_slot(output["reference_time"]), output["revision"])
        return {
            name: file for name, file in names.items() if name in PICTURES and not os.path.lexists(self._folder / file)
        }

    def _write_all(self, names: dict[str, str], forecast: Forecast) -> None:
        """Write files, each whole; of those that a failure leaves none stays."""
        self._write_ledger(list(names.values()))
        try:
            for name, file in names.items():
                self._write(self._folder / file, name, forecast)
        except BaseException:
            self._remove(list(names.values()))
            raise

    def _announce(self) -> None:
        """Write the list, by which nothing is unfinished, and then latest.json."""
        self._write_ledger([])
        write_json(self._folder / LATEST, self._outputs[-1], indent=2)

    def _find_names(self, reference: Instant) -> tuple[int, dict[str, str]]:
        """Find the first revision number whose names are free, and the name of the file of each format."""
        time = name_time(reference)
        taken = [output["revision"] for output in self._outputs if output["reference_time"] == time]
        revision = max(taken, default=-1) + 1
        while True:
            names = self._name_files(reference, revision)
            if not any(os.path.lexists(self._folder / file) for file in names.values()):
                return revision, names
            revision += 1  # the name is the user's, or that of a forecast whose list is gone

    def _name_files(self, reference: Instant, revision: int) -> dict[str, str]:
        stem = format_slot(reference) + (f"-r{revision}" if revision else "")
        picture = f"{stem}-strip.png" if "png" in self._formats else f"{stem}.png"
        return {name: picture if name == STRIP else f"{stem}.{name}" for name in self._formats}

    def _write(self, path: Path, name: str, forecast: Forecast) -> None:
        if name != STRIP:
            writers.write(path, forecast)
            return
        with files.staged(path) as temporary:
            draw_strip(temporary, forecast)

    def _write_ledger(self, pending: list[str]) -> None:
        write_json(self._ledger, {"outputs": self._outputs, "pending": pending})

    def _prune(self) -> None:
        """Remove what the list names and is too old; the newest forecast stays."""
        if self._keep is None:
            return
        newest = parse_slot(self._outputs[-1]["reference_time"])
        old = [o for o in self._outputs[:-1] if newest - parse_slot(o["reference_time"]) > self._keep]
        if old:
            self._remove([file for output in old for file in output["files"]])
            self._outputs = [output for output in self._outputs if output not in old]
            self._write_ledger([])

    def _remove(self, names: Sequence[str]) -> None:
        """Remove files and folders of the output by their names, none of which leads elsewhere."""
        for name in names:
            path = self._folder / Path(name).name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
