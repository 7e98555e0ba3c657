"""Code of the user that a text names, package.module:Name: the one place that imports it."""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from framecast.errors import UsageError


def import_named(name: str, what: str) -> Any:
    """Import the object that `package.module:Name` names.

    Importing runs code. Only a name that the user gave as an argument, on the command line or in Python, may come here;
    one that stands in a file is at most compared with it.

    The current folder is searched last, and only during this import: were it searched always, libraries that look
    whether another one is installed would run a file of that name. What the code imports later, inside a function, is
    found in its own package (`from . import part`) or among what is installed.

    Args:
        name: import path of a module, a colon, and the path of the object in it.
        what: the argument, for errors.

    Raises:
        UsageError: no such module, or no such object in it.
    """
    module, colon, path = name.partition(":")
    expected = "package.module:Name"
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *path.split("."))):
        raise UsageError(what, got=name, expected=expected)
    try:
        with _current_folder_searched():
            return pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        fix = f"{error}; it is looked for among what is installed and in the current folder"
        raise UsageError(what, got=name, expected=expected, fix=fix) from error


@contextmanager
def _current_folder_searched() -> Iterator[None]:
    """Search the current folder for modules, after all others, within the context."""
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        # The code may have changed the list: only our own entry, the last of its kind, is taken out.
        for position in reversed(range(len(sys.path))):
            if sys.path[position] == folder:
                del sys.path[position]
                break
