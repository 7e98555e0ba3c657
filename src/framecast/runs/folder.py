"""Folder of a run: paths, lock and event log.

recipe.yaml     the resolved recipe
data.json       the data: spec, fingerprint, windows of each split; the digest of the recipe
split.json      frames of the training, validation and test split
events.jsonl    one line per event; equal to the bit however often the run was interrupted
timing.jsonl    wall-clock times, versions and devices
loggers.json    the id by which loggers elsewhere know the run, if there are any
checkpoints/    to resume from
model/          the best model so far: what users load
report.html     the page to look at
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from filelock import FileLock, Timeout

from framecast import files, json_files
from framecast.documents import parse_json
from framecast.errors import RunInUse, UsageError
from framecast.formatting import format_command
from framecast.json_files import json_safe

_UNFINISHED = re.compile(r"lock|checkpoints|(data|split)\.json|\.(recipe\.yaml|(data|split)\.json)\..*part")
"""Names that a creation leaves if it is killed before recipe.yaml is there."""
_LEFTOVERS = (".*.json.*part", ".recipe.yaml.*part", ".loss.png.*part", "checkpoints/.step-*part", "model/.*part")
"""Temporary files that only who holds the lock writes."""
_FILES = ("recipe.yaml", "data.json", "split.json", "events.jsonl", "timing.jsonl", "lock", "loss.png")


class LogExtent(NamedTuple):
    """Part of a log that a checkpoint vouches for."""

    length: int
    """Bytes from the beginning."""
    sha256: str

    def find_fault(self, path: Path) -> str | None:
        """Find out why a log does not hold this part; None where it does."""
        try:
            with path.open("rb") as file:
                content = file.read(self.length)
        except OSError as error:
            return f"{path.name} cannot be read: {error.strerror}"
        if len(content) < self.length:
            return f"{path.name} has {len(content)} bytes, expected at least {self.length}"
        return None if hashlib.sha256(content).hexdigest() == self.sha256 else f"{path.name} was changed"


_FOREIGN = re.compile(r"^\s+name: ['\"]?([\w.]+:[\w.]+)['\"]?\s*$", re.MULTILINE)
"""Line of a recipe that names a network by `package.module:Class`."""


class RunFolder:
    """Paths and lock of one run.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
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
        foreign = _FOREIGN.search(self.recipe.read_text("utf-8", errors="replace")) if self.recipe.is_file() else None
        return format_command("framecast", "resume", self.path, *(("--class", foreign[1]) if foreign else ()))

    def check_free(self) -> None:
        """Check that a new run can begin here.

        Raises:
            UsageError: something is there already, or the folder cannot be written to.
        """
        if self.recipe.exists():
            fix = f"go on with: {self.resume_command}; or choose another --out"
            raise UsageError(str(self.path), got="a run that exists", expected="a new folder", fix=fix)
        if not self._is_empty():
            files.check_new(self.path)

    def _is_empty(self) -> bool:
        """Whether a folder is there that holds nothing, or only what a creation that was killed has left."""
        if not self.path.is_dir():
            return False
        names = [path.name for path in self.path.iterdir()]
        ours = "lock" in names and all(_UNFINISHED.fullmatch(name) for name in names)
        return not names or (ours and not (self.checkpoints.is_dir() and any(self.checkpoints.iterdir())))

    def create(self, recipe: str, data: dict[str, Any], split: dict[str, Any]) -> None:
        """Write the files of a new run; the recipe last, as a folder with a recipe is a run.

        Killed before, it leaves a folder in which the next one begins again.

        Args:
            recipe: the resolved recipe, YAML.
            data: content of data.json.
            split: content of split.json.

        Raises:
            UsageError: something is there already, or the folder cannot be written to.
        """
        self.check_free()
        self.remove_leftovers()
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        json_files.write_json(self.data, data, indent=2)
        json_files.write_json(self.split, split)
        files.write_text(self.recipe, recipe)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of earlier processes that were killed; the caller holds the lock."""
        for pattern in _LEFTOVERS:
            for path in self.path.glob(pattern):
                if path.is_file():
                    path.unlink(missing_ok=True)

    def opened(self) -> RunFolder:
        """Return self if a run is there.

        Raises:
            UsageError: no run is there, or a file of it is a folder, or the reverse.
        """
        for path in (*(self.path / name for name in _FILES), self.model / "model.json"):
            files.check_kind(path)
        for name in ("checkpoints", "model"):
            files.check_kind(self.path / name, folder=True)
        if not self.recipe.is_file():
            fix = f"begin one with: {format_command('framecast', 'train', 'RECIPE', '--out', self.path)}"
            raise UsageError(str(self.path), got="no recipe.yaml in it", expected="the folder of a run", fix=fix)
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
            for folder in (self.path, self.checkpoints, self.model):
                files.remove_abandoned(folder)
            yield


class EventLog:
    """Log of events, a line of JSON each, appended and flushed.

    Args:
        path: path of the log.
        length: bytes to keep, as later events were written after the checkpoint that is resumed; None for all.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self._path = path
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

    def sync(self) -> LogExtent:
        """Flush to the disk, and return the length of the log and its digest."""
        os.fsync(self._file.fileno())
        return LogExtent(self._file.tell(), files.sha256(self._path))

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
            fields = parse_json(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("event") == event:
            events.append(fields)
    return events


def next_free_folder(parent: Path, name: str) -> Path:
    """Find the first path of `parent/name-1`, `parent/name-2`, ... at which nothing is."""
    number = 1
    while os.path.lexists(parent / f"{name}-{number}"):
        number += 1
    return parent / f"{name}-{number}"


@contextmanager
def reserve_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make the first of `parent/name-1`, `parent/name-2`, ... that is free; if it is empty at the end, it is removed.

    Two processes never get the same one, as a folder can be made once only.
    """
    files.check_kind(parent, folder=True)
    while True:
        path = next_free_folder(parent, name)
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            continue
    try:
        yield path
    finally:
        with suppress(OSError):  # what is in it stays
            path.rmdir()


def write_folder(fill: Callable[[Path], object], path: Path | None, parent: Path, name: str) -> Path:
    """Fill a folder beside its final path, and publish it whole.

    Args:
        fill: writes the files into the folder that it is given; again where another process took the number.
        path: final path, which must be new; None for the first of `parent/name-1`, `parent/name-2`, ... that is free.
        parent: parent of numbered folders.
        name: name of numbered folders.

    Returns:
        the final path.

    Raises:
        UsageError: something is at `path`.
    """
    files.check_kind(parent, folder=True)
    while True:
        final = files.check_new(path) if path is not None else next_free_folder(parent, name)
        try:
            with files.staged(final, folder=True) as temporary:
                fill(temporary)
            return final
        except UsageError:
            if path is not None or not final.exists():
                raise
