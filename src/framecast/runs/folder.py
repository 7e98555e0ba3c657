"""A run's folder: its lock, its event log, and where things lie.

recipe.yaml     the resolved recipe
data.json       what the data was: spec, split, hashes
split.json      which frames are for training, validation and test
events.jsonl    one line per event; the same bits however often the run was interrupted
timing.jsonl    wall-clock times, versions and devices, which are not
checkpoints/    to resume from
model/          the best model so far: what users load
report.html     the page to look at
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from framecast import files
from framecast.errors import RunInUse, UsageError
from framecast.files import json_safe


class RunFolder:
    """Paths and logs of one run.

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

    def check_free(self) -> None:
        """Whether a new run can begin here.

        Raises:
            UsageError: something is there already, or the folder cannot be written to.
        """
        if self.recipe.exists():
            fix = f"go on with: framecast resume {self.path}; or choose another --out"
            raise UsageError(str(self.path), got="a run that exists", expected="a new folder", fix=fix)
        if not self.path.is_dir() or any(p.name != "lock" for p in self.path.iterdir()):
            files.check_new(self.path)

    def create(self, recipe: str, data: dict[str, Any], split: dict[str, Any]) -> None:
        """Write down what a new run is; the recipe last, which makes it one.

        Args:
            recipe: the resolved recipe, YAML.
            data: what the data are.
            split: what is in which split.

        Raises:
            UsageError: as `check_free`.
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
        """Hold the run: one process (or group of processes) at a time. A dead process holds nothing.

        Raises:
            RunInUse: another process holds it.
        """
        # In workers that are forked from this process filelock closes the file, so that they cannot go on holding it.
        lock = FileLock(self.path / "lock", blocking=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            held = lock.acquire()
        except Timeout as error:
            fix = "wait for it, stop it, or choose another --out"
            raise RunInUse(f"{self.path} is in use by another process", fix=fix) from error
        except OSError as error:
            raise UsageError(str(self.path), got=str(error), expected="a folder that can be written to") from error
        with held:
            yield


class EventLog:
    """Lines of JSON, appended and flushed.

    Args:
        path: of the file.
        length: bytes to keep of it, the rest having been written after the checkpoint that is resumed; None for all.
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
        """Flush to the disk and return the length in bytes."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path, event: str) -> list[dict[str, Any]]:
    """All complete events of one kind; a line cut short by a crash is left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("event") == event:
            found.append(fields)
    return found


def next_free_folder(parent: Path, name: str) -> Path:
    """`parent/name-1`, or the first number that is free."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"
