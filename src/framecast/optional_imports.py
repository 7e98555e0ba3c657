"""Optional libraries, imported at their first use."""

from __future__ import annotations

import importlib
from typing import Any

from framecast.errors import UsageError


def require(module: str, extra: str, what: str = "this kind of file") -> Any:
    """Import an optional library.

    Args:
        module: name of the module.
        extra: extra of framecast that installs it.
        what: whatever needs it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        fix = f"pip install 'framecast[{extra}]'"
        raise UsageError(f"{what} needs the package {package}", got="none installed", fix=fix) from error
