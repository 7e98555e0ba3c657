"""Addresses of data that are no paths of this machine: s3://bucket/rain.zarr and whatever else fsspec reaches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from framecast.data.fingerprint import DIGITS
from framecast.errors import InputError, UsageError
from framecast.optional_imports import require

REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://")
"""Beginning of an address that fsspec reaches."""
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "updated", "mtime")
"""Keys under which file systems keep what changes with a file, the surest first."""


def is_address(text: str) -> bool:
    """Whether a text is an address, and no path of this machine."""
    return REMOTE.match(text) is not None


def make_absolute(text: str) -> str:
    """Make a path absolute, so that it means the same in any folder; an address stays as it is."""
    return text if is_address(text) else str(Path(text).absolute())


def find_path(text: str) -> Path:
    """Find the path of a text; of an address one that stands for it."""
    return StoreAddress(text) if is_address(text) else Path(text)


class StoreAddress(type(Path())):  # type: ignore[misc]
    """Address of a Zarr store, which readers of Zarr take as the path of a folder.

    Args:
        text: with its protocol.
    """

    _text: str

    def __new__(cls, text: str) -> StoreAddress:
        """Keep the text: of a path, two slashes would become one."""
        address: StoreAddress = super().__new__(cls, text)
        address._text = text.rstrip("/")
        return address

    def __str__(self) -> str:
        return self._text

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreAddress, (self._text,)

    def is_dir(self) -> bool:
        """Whether it is a folder, as every store is."""
        return True

    def is_file(self) -> bool:
        """Whether it is a file, as no store is."""
        return False

    def connect(self) -> tuple[Any, str]:
        """Connect to the file system; return it, and the path there.

        Raises:
            UsageError: fsspec, or what it needs for this protocol, is not installed; or it knows no such protocol.
        """
        fsspec = require("fsspec", "live", self._text)
        try:
            system, path = fsspec.core.url_to_fs(self._text)
        except ImportError as error:
            fix = "pip install 'framecast[live]', or the package that it names"
            raise UsageError(self._text, got=str(error), expected="a protocol that can be read", fix=fix) from error
        except ValueError as error:
            raise UsageError(self._text, got=str(error), expected="a protocol of fsspec: s3, https, gs ...") from error
        return system, str(path)

    def check(self, marks: Iterable[str]) -> None:
        """Check that a store is there.

        Args:
            marks: names of files, one of which every store has.

        Raises:
            InputError: it has none of them, or the address cannot be reached.
            UsageError: the protocol cannot be used here.
        """
        system, root = self.connect()
        paths = [f"{root}/{name}" for name in marks]
        if not translate_errors(lambda: any(map(system.exists, paths)), self._text):
            expected = "a Zarr store, the one format that is read from there"
            raise InputError(
                self._text, got="no Zarr store there", expected=expected, fix="copy other files here first"
            )

    def fingerprint(self) -> str:
        """Return 16 hex digits of a sha256 over names, sizes and versions of the files, without reading any.

        Raises:
            InputError: they cannot be listed.
        """
        system, root = self.connect()
        found: dict[str, dict[str, Any]] = translate_errors(lambda: system.find(root, detail=True), self._text)
        total = hashlib.sha256()
        for path, about in sorted(found.items()):
            version = next((str(about[key]) for key in _VERSIONS if about.get(key) is not None), "")
            total.update(f"{path.removeprefix(root)}\n{about.get('size')}\n{version}\n".encode())
        return total.hexdigest()[:DIGITS]


def translate_errors(call: Callable[[], Any], name: str) -> Any:
    """Call, and turn what clients of the network raise, each protocol's own classes, into an InputError."""
    try:
        return call()
    except (InputError, UsageError):
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(name, got=got, expected="a store that can be reached", fix=CREDENTIALS) from error


CREDENTIALS = "look at the address, and at keys and end point in the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL)"
