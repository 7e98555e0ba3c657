"""Folder of a run: paths, lock and event log.

recipe.yaml     the resolved recipe
data.json       the data: spec, fingerprint, windows of each split
split.json      frames of the training, validation and test split
events.jsonl    one line per event; equal to the bit however often the run was interrupted
timing.jsonl    wall-clock times, versions and devices
checkpoints/    to resume from
model/          the best model so far: what users load
report.html     the page to look at
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from framecast import files
from framecast.errors import RunInUse, UsageError
from framecast.files import json_safe
from framecast.formatting import format_command

_FOREIGN = re.compile(r"^\s+name: ['\"]?([\w.]+:[\w.]+)['\"]?\s*$", re.MULTILINE)
"""Line of a recipe that names a network by `package.module:Class`."""


class RunFolder:
    """Paths and lock of one run.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.data = self.path / "data.json"
        self.split = self.path / "split.json"
        self.events = self.path / "events.jsonl"
        self.timing = self.path / "timing.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    @property
    def resume_command(self) -> str:
        """Line for a shell that goes on with the run; it names a network of the user's own."""
        # by its line and not by a parser of YAML: the folder may be a stranger's
        foreign = _FOREIGN.search(self.recipe.read_text(errors="replace")) if self.recipe.is_file() else None
        return format_command("framecast", "resume", self.path, *(("--model", foreign[1]) if foreign else ()))

    def check_free(self) -> None:
        """Check that a new run can begin here.

        Raises:
            UsageError: something is there already, or the folder cannot be written to.
        """
        if self.recipe.exists():
            fix = f"go on with: {self.resume_command}; or choose another --out"
            raise UsageError(str(self.path), got="a run that exists", expected="a new folder", fix=fix)
        if not self.path.is_dir() or any(p.name != "lock" for p in self.path.iterdir()):
            files.check_new(self.path)

    def create(self, recipe: str, data: dict[str, Any], split: dict[str, Any]) -> None:
        """Write the files of a new run; the recipe last, as a folder with a recipe is a run.

        Args:
            recipe: the resolved recipe, YAML.
            data: content of data.json.
            split: content of split.json.

        Raises:
            UsageError: something is there already, or the folder cannot be written to.
        """
        self.check_free()
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        files.write_text(self.data, json.dumps(json_safe(data), indent=2) + "\n")
        files.write_text(self.split, json.dumps(json_safe(split)) + "\n")
        files.write_text(self.recipe, recipe)

    def opened(self) -> RunFolder:
        """Return self if a run is there.

        Raises:
            UsageError: no run is there.
        """
        if not self.recipe.is_file():
            raise UsageError(str(self.path), got="no recipe.yaml in it", expected="the folder of a run")
        return self

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run for one process, or group of processes, at a time. The lock of a dead process is free.

        Raises:
            RunInUse: another process holds it.
        """
        # Workers that are forked from this process do not hold the lock on: filelock closes its file in them.
        lock = FileLock(self.path / "lock", blocking=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            locked = lock.acquire()
        except Timeout as error:
            fix = "wait for it, stop it, or choose another --out"
            raise RunInUse(f"{self.path} is in use by another process", fix=fix) from error
        except OSError as error:
            raise UsageError(str(self.path), got=str(error), expected="a folder that can be written to") from error
        with locked:
            yield


class EventLog:
    """Log of events, a line of JSON each, appended and flushed.

    Args:
        path: path of the log.
        length: bytes to keep, as later events were written after the checkpoint that is resumed; None for all.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self._file: IO[bytes] = path.open("ab")
        if length is not None:
            self._file.truncate(min(length, path.stat().st_size))
            self._file.seek(0, os.SEEK_END)
        files.flush(path.parent)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event."""
        line = json.dumps(json_safe({"event": event, **fields}), allow_nan=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Flush to the disk, and return the length of the log, bytes."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path, event: str) -> list[dict[str, Any]]:
    """Read the events of one kind; a line cut short by a crash is left out.

    Args:
        path: path of the log; without a file there are no events.
        event: kind of event.
    """
    if not path.is_file():
        return []
    events = []
    for line in path.read_bytes().splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("event") == event:
            events.append(fields)
    return events


def next_free_folder(parent: Path, name: str) -> Path:
    """Find the first path of `parent/name-1`, `parent/name-2`, ... at which nothing is."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"
