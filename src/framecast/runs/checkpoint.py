"""Checkpoints that survive a kill at any moment: written whole, flushed, then committed by a manifest.

checkpoints/step-00000500.pt      state of the training
checkpoints/step-00000500.json    its sha256, size and step; without it the checkpoint does not exist
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast import files
from framecast.documents import parse_json, read_document
from framecast.errors import CheckpointError
from framecast.forecasting.weight_files import UNREADABLE, read_torch_file

Content = dict[str, Any]
"""Tensors, numbers, strings, and lists and dictionaries of them."""


class LoadedCheckpoint(NamedTuple):
    """Newest valid checkpoint, and the invalid ones that are newer."""

    content: Content
    path: Path
    skipped: list[str]
    """Newer ones that could not be used, each with the reason."""


def save(folder: Path, step: int, content: Content, *, keep: int) -> Path:
    """Write a checkpoint and commit it; then remove this run's oldest ones beyond `keep`.

    Args:
        folder: `checkpoints/` of the run.
        step: iterations done.
        content: state of the training.
        keep: number of checkpoints to keep.

    Returns:
        the path of the checkpoint. A valid checkpoint of this step is left as it is.
    """
    path = folder / f"step-{step:08d}.pt"
    if _find_fault(path) is None:
        return path
    # Through memory: torch's own writer hides a full disk behind an error of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    digest = files.write(path, lambda file: file.write(buffer.getbuffer()))
    manifest = {"sha256": digest, "size": path.stat().st_size, "step": step}
    files.write_text(path.with_suffix(".json"), json.dumps(manifest) + "\n")
    for old in _list_committed(folder)[keep:]:
        old.with_suffix(".json").unlink(missing_ok=True)  # first: without it the checkpoint does not exist
        old.unlink(missing_ok=True)
    return path


def load_newest(folder: Path) -> LoadedCheckpoint | None:
    """Return the newest checkpoint whose sha256 holds, or None if none was ever committed.

    Raises:
        CheckpointError: there are checkpoints, and none is valid.
    """
    skipped: list[str] = []
    for path in _list_committed(folder):
        fault = _find_fault(path)
        if fault is None:
            try:
                return LoadedCheckpoint(read_torch_file(path), path, skipped)
            except UNREADABLE as error:
                fault = next(iter(str(error).splitlines()), type(error).__name__)
        skipped.append(f"{path.name}: {fault}")
    if not skipped and len(uncommitted := sorted(folder.glob("step-*.pt"))) > 1:  # one is a save cut short
        skipped = [f"{path.name}: its manifest is missing" for path in uncommitted]
    if skipped:
        raise CheckpointError(f"{folder}: no valid checkpoint", got="; ".join(skipped), fix="restore one from a copy")
    return None


def _list_committed(folder: Path) -> list[Path]:
    """List the checkpoints that have a manifest, newest first."""
    return sorted((path.with_suffix(".pt") for path in folder.glob("step-*.json")), reverse=True)


def _find_fault(path: Path) -> str | None:
    """Find the reason not to trust a checkpoint; None where its size and sha256 are right."""
    manifest = path.with_suffix(".json")
    try:
        fields = read_document(manifest, parse_json)
        size, digest = int(fields["size"]), str(fields["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return "its manifest is missing or damaged"
    if not path.is_file():
        return "the file is missing"
    if path.stat().st_size != size:
        return f"got {path.stat().st_size} bytes, expected {size}"
    return None if files.sha256(path) == digest else "its sha256 does not hold"
