"""Splits: division of a source into windows for training, validation and test, and a record of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from framecast.data.config import SPLITS, DataConfig
from framecast.data.durations import in_frames
from framecast.data.fingerprint import DIGITS
from framecast.data.random import Purpose, random_stream
from framecast.data.sources.base import Source
from framecast.data.windows.leakage import separate_files
from framecast.data.windows.split_blocks import (
    Blocks,
    SplitBlock,
    enforce_gap,
    find_block_times,
    group_events,
    is_within_recordings,
)
from framecast.errors import InputError

LISTED = 3
"""Largest number of blocks of a split that a note lists one by one."""


def describe_split(parts: Split, source: Source) -> list[str]:
    """Describe the frames of each split in one line, with their times where these are known."""
    lines = []
    for name, blocks in parts.blocks.items():
        if blocks:
            more = f" and {len(blocks) - LISTED} more blocks" if len(blocks) > LISTED else ""
            lines.append(f"{name}: {'; '.join(_name_block(block, source) for block in blocks[:LISTED])}{more}")
    return lines


def record_split(parts: Split, source: Source) -> dict[str, Any]:
    """Describe a split in full, plain values for a record."""
    blocks = {name: [_describe_block(block, source) for block in members] for name, members in parts.blocks.items()}
    windows = {name: len(members) for name, members in parts.windows.items()}
    return {"hash": parts.hash, "how": parts.how, "gap": parts.gap, "windows": windows, "blocks": blocks}


def _name_block(block: SplitBlock, source: Source) -> str:
    ends, sequence = (
        find_block_times(source, block),
        f" of sequence {block.sequence}" if len(source.lengths) > 1 else "",
    )
    text = f"frames {block.begin} to {block.end - 1}{sequence}"
    return text if ends is None else f"{text}, {_format_minute(ends[0])} to {_format_minute(ends[1])}"


def _describe_block(block: SplitBlock, source: Source) -> dict[str, Any]:
    ends = find_block_times(source, block)
    times = {} if ends is None else {"from": str(ends[0]), "to": str(ends[1])}
    return {"sequence": block.sequence, "first": block.begin, "last": block.end - 1, **times}


def _format_minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")


MANY = 10
"""Number of sequences from which on "auto" splits by whole sequences."""

WindowStarts = dict[str, list[tuple[int, int]]]
"""By split: (sequence, first frame) of each window."""


class Split(NamedTuple):
    """Division of a source into windows of three splits."""

    windows: WindowStarts
    how: str
    """Rule and result of the division, one line."""
    hash: str
    """16 hex digits of a sha256 over the data's fingerprint and all windows: equal hashes mean equal splits."""
    blocks: Blocks
    """Frames that windows may use."""
    gap: int
    """Least number of frames between frames of different splits."""
    stride: int = 1
    """Frames between the starts of training windows."""


def split_windows(
    source: Source, config: DataConfig, frames: int, *, stride: int | None = None, eval_stride: int | None = None
) -> Split:
    """Divide a source into windows of `frames` frames. No frame is in two splits, or nearer to another than the gap.

    Args:
        source: the sequences.
        config: its split_by, fractions, gap and stride.
        frames: frames of a window, context + horizon.
        stride: frames between starts of training windows; None for that of `config`.
        eval_stride: frames between starts of validation and test windows; None for `frames`: windows share none.

    Raises:
        InputError: the sequences are too short or too few for a window in each split, or have no labels.
        UsageError: a gap that is no whole number of frames.
    """
    longest = max(source.lengths)
    if longest < frames:
        raise InputError(
            "sequences",
            got=f"{longest} frames in the longest",
            expected=f"at least {frames}, context + horizon",
            fix="choose a smaller context or horizon" if longest > 1 else "give more frames",
        )
    gap = in_frames(config.gap, source.spec.step_minutes, "data.gap", source.spec.step_months)
    blocks, how = _divide(source, config, frames, gap)
    apart = separate_files(source, _enforce_gap(source, blocks, gap, frames))
    fix = "leave one of the files out, give each its own frames, or split_by: time"
    _check_windows(blocks, apart.blocks, frames, "data.source", "files that hold the same moments or frames", fix)
    blocks = apart.blocks
    strides = {"train": stride or config.stride, "val": eval_stride or frames, "test": eval_stride or frames}
    windows = {name: list_block_starts(blocks[name], frames, strides[name]) for name in SPLITS}
    short = sum(length < frames for length in source.lengths)
    counts = ", ".join(f"{len(windows[name])} {name}" for name in SPLITS)
    how = f"split {how}: {counts} windows of {frames} frames"
    how += f", splits {gap} frames apart" if gap else ""
    how += " within each sequence, as times are not known" if gap and is_within_recordings(source, blocks) else ""
    how += f"; {apart.lost} frames are left out, as other files hold them in other splits" if apart.lost else ""
    how += "".join(f"; {note}" for note in apart.notes)
    how += f"; {short} of {len(source.lengths)} sequences are too short and left out" if short else ""
    content = json.dumps([source.fingerprint(), frames, windows], sort_keys=True)
    return Split(windows, how, hashlib.sha256(content.encode()).hexdigest()[:DIGITS], blocks, gap, strides["train"])


def _enforce_gap(source: Source, blocks: Blocks, gap: int, frames: int) -> Blocks:
    """Trim blocks to the gap, and refuse one that leaves no window for a split that had some."""
    trimmed = enforce_gap(source, blocks, gap)
    fix = "choose a smaller gap, split_by: time, or fractions of 0 for splits you do without"
    _check_windows(blocks, trimmed, frames, "data.gap", f"{gap} frames", fix)
    return trimmed


def _check_windows(blocks: Blocks, trimmed: Blocks, frames: int, what: str, got: str, fix: str) -> None:
    """Refuse blocks that leave no window for a split that had some."""
    for name, members in trimmed.items():
        before, after = (sum(b.end - b.begin >= frames for b in part) for part in (blocks[name], members))
        if before and not after:
            expected = "some for each split"
            raise InputError(what, got=f"{got}, which leave no window for {name}", expected=expected, fix=fix)


def list_block_starts(blocks: list[SplitBlock], frames: int, stride: int) -> list[tuple[int, int]]:
    """List (sequence, first frame) of windows of so many frames within blocks."""
    return [(b.sequence, start) for b in blocks for start in range(b.begin, b.end - frames + 1, stride)]


def _divide(source: Source, config: DataConfig, frames: int, gap: int) -> tuple[Blocks, str]:
    """Divide a source into blocks of the splits; return them and the rule, in words."""
    usable = [index for index, length in enumerate(source.lengths) if length >= frames]
    by: str = config.split_by
    if by == "auto":
        by = _choose_rule(source, config, usable, frames, gap)
    files = [
        [sequence for sequence in usable if source.groups[sequence] == group] for group in sorted(set(source.groups))
    ]
    if by == "file" and (source.labels is not None or len(files) == 1):
        return _split_by_label(source.labels, source.lengths, frames), "by the labels in the file"
    if by != "time":
        units = {"file": files, "event": group_events(source, usable, gap if by == "event" else 0)}
        members = units.get(by, [[sequence] for sequence in usable])
        percent = "/".join(f"{100 * part:g}" for part in config.fractions)
        return _split_by_unit(by, members, source.lengths, config.fractions), f"by whole {by}s, {percent} %"
    blocks = _split_by_time(usable, source.lengths, config.fractions, frames, gap)
    uncut = (
        len(usable) - len({b.sequence for name in SPLITS[1:] for b in blocks[name]}) if config.fractions[0] < 1 else 0
    )
    rest = f", {uncut} too short to be cut all for training" if uncut else ""
    # the shares as they came out: parts of short sequences are widened until they hold a window
    sizes = [sum(block.end - block.begin for block in blocks[name]) for name in SPLITS]
    shares = "/".join(f"{100 * size / max(1, sum(sizes)):.0f}" for size in sizes)
    return blocks, f"by time within each sequence, {shares} %{rest}"


def _choose_rule(source: Source, config: DataConfig, usable: list[int], frames: int, gap: int) -> str:
    """Choose what "auto" stands for: labels, else sequences where there are many, else time where one is long enough."""
    if source.labels is not None:
        return "file"
    parts = sum(part > 0 for part in config.fractions)
    by_time = any(source.lengths[index] >= parts * frames + (parts - 1) * gap for index in usable)
    return "time" if len(usable) < MANY and (by_time or len(usable) < parts) else "sequence"


def _split_by_label(labels: Sequence[str] | None, lengths: Sequence[int], frames: int) -> Blocks:
    if labels is None:
        expected = "a label (train, val or test) for each sequence"
        raise InputError("split by file", got="no labels in the file", expected=expected, fix="use split_by: auto")
    blocks: Blocks = {name: [] for name in SPLITS}
    for index, (label, length) in enumerate(zip(labels, lengths, strict=True)):
        blocks[label].append(SplitBlock(index, 0, length))
    for name, members in blocks.items():
        if members and max(block.end for block in members) < frames:
            got = f"{max(block.end for block in members)} frames in the longest sequence of {name}"
            fix = "choose a smaller context or horizon"
            raise InputError("split by file", got=got, expected=f"at least {frames}", fix=fix)
    if not blocks["train"]:
        raise InputError("split by file", got="no sequence labelled train", expected="at least one")
    return blocks


def _split_by_unit(
    by: str, units: list[list[int]], lengths: Sequence[int], fractions: tuple[float, float, float]
) -> Blocks:
    """Split whole units (sequences, events or files), each a list of sequences, in one fixed random order."""
    parts = sum(part > 0 for part in fractions)
    units = [unit for unit in units if unit]
    if len(units) < parts:
        raise InputError(
            f"split by {by}",
            got=f"{len(units)} {by}s that are long enough",
            expected=f"at least {parts}, one for each split",
            fix="use split_by: time, set fractions of 0 for splits you do without, or a smaller context or horizon",
        )
    # whatever the seed of the training: runs that differ in it have the same splits
    order = random_stream(Purpose.SPLIT, 0).permutation(len(units)).tolist()
    sizes = _divide_total(len(units), fractions, 1)
    blocks: Blocks = {}
    for name, size in zip(SPLITS, sizes, strict=True):
        chosen, order = order[:size], order[size:]
        blocks[name] = [SplitBlock(sequence, 0, lengths[sequence]) for i in sorted(chosen) for sequence in units[i]]
    return blocks


def _split_by_time(
    usable: list[int], lengths: Sequence[int], fractions: tuple[float, float, float], frames: int, gap: int
) -> Blocks:
    """Cut each sequence into blocks in the order train, val, test; one too short to be cut is for training."""
    parts = sum(part > 0 for part in fractions)
    longest, least = max(lengths), parts * frames + (parts - 1) * gap
    if longest < least:
        raise InputError(
            "split by time",
            got=f"{longest} frames in the longest sequence",
            expected=f"at least {least}: {parts} splits of {frames} frames" + (f", {gap} apart" if gap else ""),
            fix="choose a smaller context or horizon, set fractions of 0 for splits you do without, or give more data",
        )
    blocks: Blocks = {name: [] for name in SPLITS}
    for index in usable:
        length = lengths[index]
        cut = length >= least
        sizes = _divide_total(length - (parts - 1) * gap, fractions, frames) if cut else (length, 0, 0)
        begin = 0
        for name, size in zip(SPLITS, sizes, strict=True):
            if size:
                blocks[name].append(SplitBlock(index, begin, begin + size))
            begin += size + gap if size else 0
    return blocks


def _divide_total(total: int, fractions: tuple[float, float, float], least: int) -> tuple[int, int, int]:
    """Divide `total` by fractions, at least `least` for each that is not 0; what rounding leaves goes to train."""
    sizes = [max(least, round(total * part)) if part > 0 else 0 for part in fractions]
    while (excess := sum(sizes) - total) > 0:  # the largest gives way, down to the least
        largest = sizes.index(max(sizes))
        sizes[largest] -= min(excess, sizes[largest] - least)
    sizes[0] += total - sum(sizes)
    return sizes[0], sizes[1], sizes[2]
