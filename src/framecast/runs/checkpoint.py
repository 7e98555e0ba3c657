"""Checkpoints that survive a kill at any moment: written whole, flushed, then committed by a manifest.

A checkpoint is two files:

    checkpoints/step-00000500.pt      state of the training
    checkpoints/step-00000500.json    its sha256, size and step, and how far the event log goes with it; without it the
                                      checkpoint does not exist
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast import files, json_files
from framecast.errors import CheckpointError
from framecast.forecasting.weight_files import UNREADABLE, read_torch_file
from framecast.formatting import format_command
from framecast.runs.folder import LogExtent

Content = dict[str, Any]
"""Tensors, numbers, strings, and lists and dictionaries of them."""


_WHOLE_LOG = "what it held at a checkpoint"
_COPY = "restore it from a copy"


class LoadedCheckpoint(NamedTuple):
    """Newest valid checkpoint, and the invalid ones that are newer."""

    content: Content
    path: Path
    skipped: list[str]
    """Newer ones that could not be used, each with the reason."""


def save(folder: Path, step: int, content: Content, *, keep: int, events: LogExtent | None = None) -> Path:
    """Write a checkpoint and commit it; then remove this run's oldest ones beyond `keep`.

    Args:
        folder: `checkpoints/` of the run.
        step: iterations done.
        content: state of the training.
        keep: number of checkpoints to keep.
        events: the event log up to this step.

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
    manifest |= {} if events is None else {"events": events._asdict()}
    json_files.write_json(path.with_suffix(".json"), manifest)
    for old in _list_committed(folder)[keep:]:
        old.with_suffix(".json").unlink(missing_ok=True)  # first: without it the checkpoint does not exist
        old.unlink(missing_ok=True)
    return path


def load_newest(folder: Path, events: Path | None = None) -> LoadedCheckpoint | None:
    """Return the newest checkpoint whose sha256 holds, or None if none was ever committed.

    Args:
        folder: `checkpoints/` of the run.
        events: event log, which must hold what it held at the checkpoint; None to look at the checkpoint alone.

    Raises:
        CheckpointError: there are checkpoints, and none is valid.
    """
    skipped: list[str] = []
    whole: Path | None = None
    for path in _list_committed(folder):
        fault = _find_fault(path)
        whole = whole or (path if fault is None else None)
        fault = fault or (None if events is None else _find_log_fault(path, events))
        if fault is None:
            try:
                content = read_torch_file(path)
                if events is None or content["events_length"] <= (events.stat().st_size if events.is_file() else 0):
                    return LoadedCheckpoint(content, path, skipped)
                fault = f"{events.name} is shorter than it was then"
            except UNREADABLE as error:
                fault = next(iter(str(error).splitlines()), type(error).__name__)
                whole = None if whole == path else whole  # as its sha256 says, but no state of a training
        skipped.append(f"{path.name}: {fault}")
    if not skipped and len(uncommitted := sorted(folder.glob("step-*.pt"))) > 1:  # one is a save cut short
        skipped = [f"{path.name}: its manifest is missing" for path in uncommitted]
    if skipped:
        got, fix = "; ".join(skipped), f"{_COPY}, or {_begin_again(folder)}"
        if whole is not None and events is not None:
            raise CheckpointError(str(events), got=got, expected=_WHOLE_LOG, fix=fix)
        raise CheckpointError(f"{folder}: no valid checkpoint", got=got, fix=fix)
    return None


def load(path: Path) -> LoadedCheckpoint:
    """Load one checkpoint, which another process of the training found valid.

    Args:
        path: of the .pt file.

    Raises:
        CheckpointError: its sha256 does not hold, or it cannot be read.
    """
    fault = _find_fault(path)
    if fault is not None:
        expected = "the file that the first process read"
        raise CheckpointError(str(path), got=fault, expected=expected, fix="keep the run on storage that all share")
    try:
        return LoadedCheckpoint(read_torch_file(path), path, [])
    except UNREADABLE as error:
        raise CheckpointError(str(path), got=str(error), expected="a checkpoint") from error


def _list_committed(folder: Path) -> list[Path]:
    """List the checkpoints that have a manifest, newest first."""
    return sorted((path.with_suffix(".pt") for path in folder.glob("step-*.json")), reverse=True)


def check_events(folder: Path, events: Path) -> None:
    """Check that an event log holds what it held at the newest checkpoint.

    Args:
        folder: `checkpoints/` of the run.
        events: path of the log.

    Raises:
        CheckpointError: the log was changed, cut or removed.
    """
    committed = _list_committed(folder)
    fault = _find_log_fault(committed[0], events) if committed else None
    if fault is not None:
        # only a manifest that says how far the log goes vouches for it, and only a whole checkpoint can be resumed from
        reached = any(_find_log_fault(path, events) is None and _find_fault(path) is None for path in committed[1:])
        command = f"go on from an earlier checkpoint, with: {format_command('framecast', 'resume', folder.parent)}"
        fix = f"{_COPY}, or {command if reached else _begin_again(folder)}"
        raise CheckpointError(str(events), got=fault, expected=_WHOLE_LOG, fix=fix)


def _begin_again(folder: Path) -> str:
    command = format_command("framecast", "train", folder.parent / "recipe.yaml", "--out", "NEW")
    return f"begin again with: {command}; forecasts of the best model so far need no checkpoint"


def _find_fault(path: Path) -> str | None:
    """Find the reason not to trust a checkpoint; None where its size and sha256 are right."""
    try:
        fields = json_files.read_json(path.with_suffix(".json"))
        size, digest = int(fields["size"]), str(fields["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return "its manifest is missing or damaged"
    if not path.is_file():
        return "it is no file" if path.exists() else "the file is missing"
    if path.stat().st_size != size:
        return f"got {path.stat().st_size} bytes, expected {size}"
    return None if files.sha256(path) == digest else "its sha256 does not hold"


def _find_log_fault(path: Path, events: Path) -> str | None:
    """Find out whether the event log lacks what it held at a checkpoint; manifests of version 0.1.0 do not say."""
    try:
        fields = json_files.read_json(path.with_suffix(".json"))["events"]
        extent = LogExtent(int(fields["length"]), str(fields["sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return extent.find_fault(events)
