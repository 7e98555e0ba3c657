"""JSON files that hold a digest of their content, and JSON without NaN."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framecast.documents import parse_json, read_document
from framecast.files import write_text

_DIGEST = "digest"
"""Key of a JSON object for the digest of all its other keys."""


def json_safe(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None; in dicts, lists and tuples too."""
    if isinstance(value, dict):
        return {key: json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, content: Mapping[str, Any], *, indent: int | None = None) -> None:
    """Write a JSON object with the digest of its content, so that whoever reads it notices any damage.

    Args:
        path: path of the file, written as by `write`.
        content: plain values; NaN and infinity become null.
        indent: spaces by which each level is indented; None for one line.
    """
    plain = json_safe(dict(content))
    text = json.dumps({**plain, _DIGEST: _digest_json(plain)}, indent=indent, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, without its digest. One that has none, as version 0.1.0 wrote them, is taken as it is.

    Raises:
        OSError: no such file, or one that cannot be read.
        ValueError: no JSON object within the bounds of `documents`, or another content than was written.
    """
    content = read_document(path, parse_json)
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} instead of an object")
    digest = content.pop(_DIGEST, None)
    if digest not in (None, _digest_json(content)):
        raise ValueError("another content than its digest says")
    return content


def _digest_json(content: dict[str, Any]) -> str:
    """Digest the values of an object: how they are spelled and spaced in the file does not matter."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
