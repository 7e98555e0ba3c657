"""Places that show files: a folder, whatever fsspec reaches (s3://, https://, gs://), an address with the time in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from framecast import files
from framecast.data.addresses import is_address
from framecast.data.formats import file_kind
from framecast.data.sources.folder import is_hidden
from framecast.errors import InputError, UsageError
from framecast.live.inbox import Entry
from framecast.live.slots import Cadence, Instant
from framecast.optional_imports import require

WALK_BACK = 3
"""Newest slots that may not be published yet, so that they are asked for at every look."""
TIMEOUT = 60.0
"""Seconds after which a server that says nothing is given up until the next look."""


@runtime_checkable
class FilePlace(Protocol):
    """Interface of a place that shows files."""

    def list_files(self, now: float, window: int) -> list[Entry]:
        """List the files that are there.

        Args:
            now: seconds since 1970.
            window: slots before the newest that are of use.

        Raises:
            OSError: the place cannot be reached now.
        """

    def fetch(self, entry: Entry) -> Path:
        """Return the path of a file on this machine, under a name that says its format.

        Raises:
            OSError: it cannot be had now.
        """

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove copies of other files, where copies were made."""


class Folder:
    """A folder on this machine; files of unknown formats, hidden ones and folders in it are left alone.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_files(self, now: float, window: int) -> list[Entry]:
        """List the files of known formats."""
        entries = []
        with os.scandir(self._path) as found:
            for file in found:
                path = Path(file.path)
                if is_hidden(path) or file_kind(path) is None:
                    continue
                try:
                    if file.is_file():
                        about = file.stat()
                        entries.append(Entry(file.name, about.st_size, about.st_mtime))
                except FileNotFoundError:  # removed or renamed since
                    continue
        return entries

    def fetch(self, entry: Entry) -> Path:
        """Return the path of a file."""
        return self._path / entry.name

    def keep_only(self, names: Sequence[str]) -> None:
        """Leave all: the folder is the user's."""


class CopiedFiles:
    """Copies of remote files, each whole under its name or not there.

    Args:
        folder: folder of the copies, which holds nothing else.
        suffix: suffix that tells the format where the names do not; empty for none.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix = folder, suffix

    def find_path(self, name: str) -> Path:
        """Find the path of the copy of a remote file."""
        base = re.sub(r"[^\w.@+=-]", "_", name.rstrip("/").rsplit("/", 1)[-1].partition("?")[0])
        return self._folder / (base if base.endswith(self._suffix) else base + self._suffix)

    def save(self, entry: Entry, download: Callable[[Path], object]) -> Path:
        """Download a file, unless a copy of its size is there.

        Raises:
            OSError: it cannot be had, or ends before its size is reached.
        """
        path = self.find_path(entry.name)
        if path.is_file() and entry.size is not None and path.stat().st_size == entry.size:
            return path
        with files.staged(path.with_name(f"new-{path.name}")) as part:
            download(part)
            size = part.stat().st_size
            if entry.size is not None and size != entry.size:
                raise OSError(f"{entry.name}: {size} of {entry.size} bytes came")
            shutil.copyfile(part, part.with_name("copy"))
            part.with_name("copy").replace(path)
        path.with_name(f"new-{path.name}").unlink(missing_ok=True)
        return path

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove the copies of other files."""
        kept = {self.find_path(name) for name in names}
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if path not in kept and path.is_file():
                path.unlink(missing_ok=True)


class RemoteFolder:
    """A folder or bucket that fsspec can list, or the index page of a web server.

    Args:
        address: with its protocol, as in s3://bucket/folder; the directives of strftime in it (%Y%m%d) stand for the day.
        copies: where files are downloaded to.
        match: regular expression that names match from their beginning; empty for all.
        options: of the file system of fsspec.
    """

    def __init__(
        self, address: str, copies: CopiedFiles, match: str = "", options: dict[str, Any] | None = None
    ) -> None:
        self._address, self._copies, self._match = address, copies, re.compile(match)
        self._system = connect(address, options or {})

    def list_files(self, now: float, window: int) -> list[Entry]:
        """List the files whose names match; of a day's folder that is not there none."""
        days = [datetime.fromtimestamp(now - back, UTC) for back in (86_400, 0)]
        entries = []
        for address in dict.fromkeys(day.strftime(self._address) for day in days):
            self._system.invalidate_cache()
            try:
                found = _translate_errors(partial(self._system.ls, address, detail=True))
            except FileNotFoundError:
                if "%" not in self._address:
                    raise
                continue
            for about in found:
                name = str(about["name"])
                base = name.rstrip("/").rsplit("/", 1)[-1]
                if about.get("type") == "file" and self._match.match(base) and file_kind(self._copies.find_path(name)):
                    entries.append(Entry(name, about.get("size"), _find_change(about)))
        return entries

    def fetch(self, entry: Entry) -> Path:
        """Download a file."""
        return self._copies.save(entry, lambda part: _translate_errors(lambda: self._system.get_file(entry.name, part)))

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove the copies of other files."""
        self._copies.keep_only(names)


class TimedAddress:
    """An address with the time in it: each slot is asked for by its name, as long as it is of use and not there.

    The newest slot and three before it are asked for at every look, as they may not be published yet; older ones of the
    window once for each new slot. What was once there is not asked for again.

    Args:
        address: with directives of strftime: https://host/%Y/%m/%d/%Y%m%d%H%M.h5.
        cadence: slots.
        copies: where files are downloaded to.
        options: of the file system of fsspec.
    """

    def __init__(
        self, address: str, cadence: Cadence, copies: CopiedFiles, options: dict[str, Any] | None = None
    ) -> None:
        self._address, self._cadence, self._copies = address, cadence, copies
        self._system = connect(address, options or {})
        self._found: dict[str, Entry] = {}
        self._asked: set[str] = set()
        self._newest: Instant | None = None

    def list_files(self, now: float, window: int) -> list[Entry]:
        """Ask for the slots that are not there yet."""
        at = np.datetime64(round(now * 1000), "ms")
        step = np.timedelta64(round(self._cadence.step_minutes * 60_000), "ms")
        newest = self._cadence.snap(at) or self._cadence.snap(at - step // 2)
        assert newest is not None
        newest = newest if newest <= at else self._cadence.shift(newest, -1)
        if newest != self._newest:
            self._newest, self._asked = newest, set()
        slots = self._cadence.list_window(newest, window + 1 + WALK_BACK)
        names = [slot.astype("datetime64[us]").item().strftime(self._address) for slot in slots]
        self._found = {name: entry for name, entry in self._found.items() if name in names}
        failures: list[OSError] = []
        for name in dict.fromkeys(reversed(names)):
            is_recent = name in names[-1 - WALK_BACK :]
            if name not in self._found and (is_recent or name not in self._asked):
                try:
                    self._ask(name)
                except OSError as error:  # the others may be had
                    failures.append(error)
        if failures and not self._found:
            raise failures[0]
        return list(self._found.values())

    def _ask(self, name: str) -> None:
        self._asked.add(name)
        self._system.invalidate_cache()
        try:
            about = _translate_errors(lambda: self._system.info(name))
        except FileNotFoundError:
            return
        self._found[name] = Entry(name, about.get("size"), _find_change(about))

    def fetch(self, entry: Entry) -> Path:
        """Download a file; one that turns out to be gone or cut short is asked for again."""
        try:
            return self._copies.save(
                entry, lambda part: _translate_errors(lambda: self._system.get_file(entry.name, part))
            )
        except OSError:
            self._found.pop(entry.name, None)
            raise

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove the copies of other files."""
        self._copies.keep_only(names)


def connect(address: str, options: dict[str, Any]) -> Any:
    """Make the file system of an address.

    Raises:
        UsageError: fsspec, or what it needs for this protocol, is not installed; or it knows no such protocol.
    """
    fsspec = require("fsspec", "live")
    protocol = address.partition("://")[0]
    if protocol in ("http", "https"):
        aiohttp = require("aiohttp", "live")
        options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=TIMEOUT)}, **options}
    try:
        return fsspec.filesystem(protocol, skip_instance_cache=True, use_listings_cache=False, **options)
    except ImportError as error:
        fix = "pip install 'framecast[live]', or the package that it names"
        raise UsageError(address, got=str(error), expected="a protocol that can be read", fix=fix) from error
    except ValueError as error:
        raise UsageError(address, got=str(error), expected="a protocol of fsspec: s3, https, gs, ftp ...") from error


def _translate_errors(call: Callable[[], Any]) -> Any:
    """Call, and turn what clients of the network raise into OSError."""
    try:
        return call()
    except OSError:
        raise
    except Exception as error:  # each protocol has its own classes
        raise OSError(f"{type(error).__name__}: {error}") from error


def _find_change(about: dict[str, Any]) -> float | None:
    """Find the time of the last change in what a file system says of a file, seconds since 1970."""
    value = next((about[key] for key in ("LastModified", "last_modified", "mtime", "updated") if key in about), None)
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else None


def open_place(text: str, cadence: Cadence, copies: CopiedFiles, match: str, options: dict[str, Any]) -> FilePlace:
    """Open a place by the text that names it: a folder, an address, an address with the time in the name of the file.

    Raises:
        InputError: no such folder.
        UsageError: an address that cannot be reached with what is installed.
    """
    if not is_address(text):
        if not Path(text).is_dir():
            raise InputError(text, got="no such folder", expected="a folder, an address, or a preset")
        return Folder(Path(text))
    if "%" in text.rstrip("/").rsplit("/", 1)[-1] and not text.endswith("/"):
        return TimedAddress(text, cadence, copies, options)
    return RemoteFolder(text, copies, match, options)
