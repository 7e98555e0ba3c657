"""Train, validation and test windows that share no frame."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from framecast.data.config import DataConfig
from framecast.data.fingerprint import DIGITS
from framecast.data.source import Source
from framecast.data.stored import SPLITS
from framecast.data.streams import Purpose, stream
from framecast.errors import InputError

ENOUGH = 10
"""Sequences from which "auto" splits by whole sequences."""

Windows = dict[str, list[tuple[int, int]]]
"""By split: (sequence, first frame) of each window."""


class Block(NamedTuple):
    """Frames begin..end-1 of a sequence, which belong to one split."""

    sequence: int
    begin: int
    end: int


Blocks = dict[str, list[Block]]


class Split(NamedTuple):
    """Windows by split."""

    windows: Windows
    how: str
    """One line for people: how the frames were divided."""
    hash: str
    """16 hex digits over the data's fingerprint and all windows: equal hashes mean equal splits."""


def split(
    source: Source, config: DataConfig, frames: int, *, stride: int | None = None, eval_stride: int | None = None
) -> Split:
    """Divide a source into windows of `frames` frames. No frame is in two splits.

    Args:
        source: the sequences.
        config: split_by, fractions and stride.
        frames: context + horizon.
        stride: frames between starts of training windows; None for the config's.
        eval_stride: the same for validation and test; None for `frames`, windows that share nothing.

    Raises:
        InputError: the sequences are too short or too few for a window in each split, or have no labels.
    """
    longest = max(source.lengths)
    if longest < frames:
        raise InputError(
            "sequences",
            got=f"{longest} frames in the longest",
            expected=f"at least {frames}, context + horizon",
            fix="choose a smaller context or horizon",
        )
    blocks, how = _divide(source, config, frames)
    strides = {"train": stride or config.stride, "val": eval_stride or frames, "test": eval_stride or frames}
    windows = {name: _windows(blocks[name], frames, strides[name]) for name in SPLITS}
    short = sum(length < frames for length in source.lengths)
    counts = ", ".join(f"{len(windows[name])} {name}" for name in SPLITS)
    how = f"split {how}: {counts} windows of {frames} frames"
    how += f"; {short} of {len(source.lengths)} sequences are too short and left out" if short else ""
    content = json.dumps([source.fingerprint(), frames, windows], sort_keys=True)
    return Split(windows, how, hashlib.sha256(content.encode()).hexdigest()[:DIGITS])


def _windows(blocks: list[Block], frames: int, stride: int) -> list[tuple[int, int]]:
    return [(b.sequence, start) for b in blocks for start in range(b.begin, b.end - frames + 1, stride)]


def _divide(source: Source, config: DataConfig, frames: int) -> tuple[Blocks, str]:
    usable = [index for index, length in enumerate(source.lengths) if length >= frames]
    by: str = config.split_by
    if by == "auto":
        by = _automatic(source, config, usable, frames)
    if by == "file":
        return _by_label(source.labels, source.lengths, frames), "by the labels in the file"
    percent = "/".join(f"{100 * part:g}" for part in config.fractions)
    if by == "sequence":
        return _by_sequence(usable, source.lengths, config.fractions), f"by whole sequences, {percent} %"
    blocks = _by_time(usable, source.lengths, config.fractions, frames)
    uncut = (
        len(usable) - len({b.sequence for name in SPLITS[1:] for b in blocks[name]}) if config.fractions[0] < 1 else 0
    )
    rest = f", {uncut} too short to be cut all for training" if uncut else ""
    # What each part really got: parts of short sequences are widened until they hold a window.
    got = [sum(block.end - block.begin for block in blocks[name]) for name in SPLITS]
    shares = "/".join(f"{100 * part / max(1, sum(got)):.0f}" for part in got)
    return blocks, f"by time within each sequence, {shares} %{rest}"


def _automatic(source: Source, config: DataConfig, usable: list[int], frames: int) -> str:
    if source.labels is not None:
        return "file"
    parts = sum(part > 0 for part in config.fractions)
    by_time = any(source.lengths[index] >= parts * frames for index in usable)
    return "time" if len(usable) < ENOUGH and (by_time or len(usable) < parts) else "sequence"


def _by_label(labels: Sequence[str] | None, lengths: Sequence[int], frames: int) -> Blocks:
    if labels is None:
        expected = "a label (train, val or test) for each sequence"
        raise InputError("split by file", got="no labels in the file", expected=expected, fix="use split_by: auto")
    blocks: Blocks = {name: [] for name in SPLITS}
    for index, (label, length) in enumerate(zip(labels, lengths, strict=True)):
        blocks[label].append(Block(index, 0, length))
    for name, members in blocks.items():
        if members and max(block.end for block in members) < frames:
            got = f"{max(block.end for block in members)} frames in the longest sequence of {name}"
            fix = "choose a smaller context or horizon"
            raise InputError("split by file", got=got, expected=f"at least {frames}", fix=fix)
    if not blocks["train"]:
        raise InputError("split by file", got="no sequence labelled train", expected="at least one")
    return blocks


def _by_sequence(usable: list[int], lengths: Sequence[int], fractions: tuple[float, float, float]) -> Blocks:
    parts = sum(part > 0 for part in fractions)
    if len(usable) < parts:
        raise InputError(
            "split by sequence",
            got=f"{len(usable)} sequences that are long enough",
            expected=f"at least {parts}, one for each split",
            fix="use split_by: time, set fractions of 0 for splits you do without, or a smaller context or horizon",
        )
    order = stream(Purpose.SPLIT, 0).permutation(len(usable)).tolist()
    sizes = _shares(len(usable), fractions, 1)
    blocks: Blocks = {}
    for name, size in zip(SPLITS, sizes, strict=True):
        chosen, order = order[:size], order[size:]
        blocks[name] = [Block(usable[i], 0, lengths[usable[i]]) for i in sorted(chosen)]
    return blocks


def _by_time(usable: list[int], lengths: Sequence[int], fractions: tuple[float, float, float], frames: int) -> Blocks:
    """Cut each sequence into blocks in the order train, val, test; one too short to be cut is for training."""
    parts = sum(part > 0 for part in fractions)
    longest = max(lengths)
    if longest < parts * frames:
        raise InputError(
            "split by time",
            got=f"{longest} frames in the longest sequence",
            expected=f"at least {parts * frames}: {parts} splits of {frames} frames",
            fix="choose a smaller context or horizon, set fractions of 0 for splits you do without, or give more data",
        )
    blocks: Blocks = {name: [] for name in SPLITS}
    for index in usable:
        length = lengths[index]
        sizes = _shares(length, fractions, frames) if length >= parts * frames else (length, 0, 0)
        begin = 0
        for name, size in zip(SPLITS, sizes, strict=True):
            if size:
                blocks[name].append(Block(index, begin, begin + size))
            begin += size
    return blocks


def _shares(total: int, fractions: tuple[float, float, float], least: int) -> tuple[int, int, int]:
    """Divide `total` by fractions, at least `least` for each that is not 0; train gets what remains where it can."""
    sizes = [max(least, round(total * part)) if part > 0 else 0 for part in fractions]
    while (excess := sum(sizes) - total) > 0:
        largest = sizes.index(max(sizes))
        sizes[largest] -= min(excess, sizes[largest] - least)
    sizes[0] += total - sum(sizes)
    return sizes[0], sizes[1], sizes[2]
