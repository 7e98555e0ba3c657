"""Zarr store that a library fills: the first write that fails is kept, and raised once all of its tasks have ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore


@contextmanager
def open_store(path: Path) -> Iterator[Any]:
    """Open a folder as a Zarr store, to be written.

    Args:
        path: path of the folder.

    Raises:
        OSError: a write failed. Raised at the end, in place of any other error, which follows from it.
    """
    store = _OutputStore(path)
    try:
        yield store
    finally:
        if store.failures:
            raise store.failures[0]


class _OutputStore(LocalStore):
    """Store that drops what is written after a failure: zarr would leave its other tasks at work in a folder that goes.

    Attributes:
        failures: errors of writes, in order; the list is shared with copies of the store, which zarr makes.
    """

    failures: list[OSError]

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self.failures = []

    def with_read_only(self, read_only: bool = False) -> _OutputStore:
        """Copy the store, which is how zarr makes a read-only one of it."""
        store = _OutputStore(self.root, read_only=read_only)
        store.failures = self.failures
        return store

    async def set(self, key: str, value: Any) -> None:
        """Store a value, unless an earlier one failed."""
        if not self.failures:
            try:
                await super().set(key, value)
            except OSError as error:
                self.failures.append(error)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """Store a value where none is, unless an earlier one failed."""
        if not self.failures:
            try:
                await super().set_if_not_exists(key, value)
            except OSError as error:
                self.failures.append(error)
