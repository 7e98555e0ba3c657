"""Frames of an evaluation that the network was trained on, by their place in the data, their times or values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framecast.data import DataSet
from framecast.data.config import FileConfig
from framecast.errors import InputError
from framecast.runs.folder import RunFolder
from framecast.runs.record import read_data

SourceConfig = str | tuple[FileConfig, ...]


def is_same_source(one: SourceConfig, other: SourceConfig) -> bool:
    """Whether two sources are the same files, however their paths are written."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or Path(one).resolve() == Path(other).resolve()
    return _list_files(one) == _list_files(other)


def _list_files(source: SourceConfig) -> list[FileConfig]:
    files = [FileConfig(path=source)] if isinstance(source, str) else source
    return [file.model_copy(update={"path": str(Path(file.path).resolve())}) for file in files]


def describe_seen_frames(run: RunFolder, dataset: DataSet, split: str) -> str | None:
    """Describe how many frames of a split a run was trained on; None where there are none, or none is known.

    Frames of the same data are known by their numbers, others by their times (a copy of a part, or a file that the
    training had among others), else by their values.

    Args:
        run: the run, which keeps the frames of its training in split.json.
        dataset: data of the evaluation.
        split: its split.

    Raises:
        InputError: the frames of the evaluation cannot be read.
    """
    try:
        record = json.loads(run.split.read_text("utf-8"))
        trained = record["blocks"]["train"]
        is_same = read_data(run)["fingerprint"] == dataset.fingerprint
    except (OSError, ValueError, LookupError, TypeError, InputError):
        return None
    blocks = dataset.record.get("blocks", {}).get(split, [])
    total = sum(map(_count_frames, blocks))
    seen = sum(_count_shared(block, trained, is_same=is_same) for block in blocks)
    if not seen and not is_same:
        return _describe_equal_frames(record.get("digests", ()), dataset, split)
    if not seen:
        return None
    what = "are of the training" if is_same else "have times of the training, which saw them if they are of one place"
    return (
        f"seen in training: {seen} of {total} frames of this evaluation {what}; scores on them tell nothing of new ones"
    )


def _describe_equal_frames(trained: Sequence[str], dataset: DataSet, split: str) -> str | None:
    """Describe how many frames have the values of frames of the training, as far as digests of both are kept."""
    if not trained:
        return None
    # no frame of one value: of those there are many
    equal = len(set(trained).intersection(dataset.digest_frames(split)))
    if not equal:
        return None
    return (
        f"seen in training: {equal} frames of this evaluation, or more, are equal to frames of the training; "
        "scores on them tell nothing of new ones"
    )


def _count_frames(block: dict[str, Any]) -> int:
    return int(block["last"] - block["first"] + 1)


def _count_shared(block: dict[str, Any], trained: Sequence[dict[str, Any]], *, is_same: bool) -> int:
    """Count the frames of a block that blocks of the training have too."""
    if is_same:
        ends = [
            (max(block["first"], other["first"]), min(block["last"], other["last"]))
            for other in trained
            if other["sequence"] == block["sequence"]
        ]
        return sum(max(0, last - first + 1) for first, last in ends)
    if "from" not in block:
        return 0
    moments = np.linspace(*_read_span(block), _count_frames(block))
    spans = [_read_span(other) for other in trained if "from" in other]
    return int(np.any([(moments >= begin) & (moments <= end) for begin, end in spans], axis=0).sum()) if spans else 0


def _read_span(block: dict[str, Any]) -> tuple[int, int]:
    """Read the times of the first and the last frame of a block, milliseconds."""
    first, last = (int(np.datetime64(block[key], "ms").astype(np.int64)) for key in ("from", "to"))
    return first, last
