"""A source with its splits: what training, evaluation and forecasting ask for windows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.config import MOVING_MNIST, SPLITS, DataConfig, MovingMNISTConfig
from framecast.data.durations import in_frames
from framecast.data.fingerprint import DIGITS
from framecast.data.moving_mnist import MovingMNIST
from framecast.data.random import check_seed
from framecast.data.sources.base import Source
from framecast.data.sources.multi_file_source import open_source
from framecast.data.windows.crops import Crops, make_crops
from framecast.data.windows.normalizer_fit import Choice, fit_normalizer
from framecast.data.windows.split_blocks import group_events
from framecast.data.windows.splits import Windows, describe_split, read_training_frames, record_split, split_windows
from framecast.errors import UsageError
from framecast.transforms.normalize import Normalizer
from framecast.types import FrameSpec, Grid, Window

SAMPLE = 500
"""Generated training sequences that a normalizer is fitted to."""
EVALUATION_SEED = 0
"""Generated validation and test sequences are the same for every seed of a training."""


@dataclass(frozen=True)
class DataSet:
    """Windows of context + horizon frames in three splits. Made by `open_data`.

    Args:
        spec: what each frame is.
        context: frames that a forecast is given.
        horizon: frames that it is asked for.
        notes: what was found or assumed, one line each.
        split_hash: 16 hex digits; equal hashes mean the same evaluation windows (of files: training windows too, but
            for the places of random crops).
        fingerprint: 16 hex digits of the data.
        has_missing: whether windows carry masks.
        augment: changes that `training_batches` applies.
        counts: windows in each split; each crop is one.
        read: (split, epoch, index) to the window.
        training: gives the frames of the training split once each, (T, C, H, W), raw units, whole, in pieces; of very
            many, and of generated ones, a sample.
        record: of what is in which split, plain values.
        grid: where pixels lie and what channels are, for those who write.
        event: (split, index) to the number of the event that the window belongs to: its sequence, or several that are
            one event if data are split so. None where each window is one.
    """

    spec: FrameSpec
    context: int
    horizon: int
    notes: tuple[str, ...]
    split_hash: str
    fingerprint: str
    has_missing: bool
    augment: tuple[str, ...]
    counts: dict[str, int]
    read: Callable[[str, int, int], Window]
    training: Callable[[], Iterable[NDArray[np.float32]]]
    record: dict[str, Any]
    grid: Grid = field(default_factory=Grid)
    event: Callable[[str, int], int] | None = None

    @property
    def frames(self) -> int:
        """Frames of each window."""
        return self.context + self.horizon

    def count(self, split: str) -> int:
        """Windows of a split; generated training sequences: of a nominal epoch.

        Raises:
            UsageError: no such split.
        """
        if split not in self.counts:
            raise UsageError("split", got=split, expected=f"one of {', '.join(SPLITS)}")
        return self.counts[split]

    def window(self, split: str, epoch: int, index: int) -> Window:
        """One window, raw units, not augmented.

        Args:
            split: "train", "val" or "test".
            epoch: matters for training only, where generated sequences and random crops are fresh in each epoch.
            index: 0..count(split)-1.

        Raises:
            UsageError: no such split, epoch or index.
            InputError: the frames cannot be read.
        """
        if not (0 <= index < self.count(split) and epoch >= 0):
            raise UsageError(
                f"window of {split}", got=f"epoch {epoch}, index {index}", expected=f"0 <= index < {self.count(split)}"
            )
        return self.read(split, epoch, index)

    def normalizer(self, choice: Choice | Normalizer = "auto") -> Normalizer:
        """The way from raw units to a network's; see `fit_normalizer`, which may read all of training.

        Raises:
            UsageError: a normalizer that these data cannot have.
            InputError: a channel of one value only.
        """
        return fit_normalizer(choice, self.spec, self.grid.units, self.training)


def open_data(config: DataConfig, *, context: int | str, horizon: int | str, seed: int) -> DataSet:
    """Open a source and divide it.

    Args:
        config: the source and what is said about it.
        context: frames that a forecast is given, or a time as in 50min.
        horizon: frames, or time, that it is asked for; validation and test windows start so far apart, so that each frame
            is forecast once.
        seed: of generated training sequences and of random crops; nothing else depends on it.

    Raises:
        InputError: data that cannot be used, or too few frames.
        UsageError: numbers that do not fit, or a time that is no whole number of steps.
    """
    check_seed(seed)
    opened = _generated if config.source == MOVING_MNIST else _stored
    data = opened(config, (context, horizon), seed)
    if "turn" in config.augment and data.spec.height != data.spec.width:
        got = f"frames of {data.spec.height} x {data.spec.width}"
        raise UsageError(
            "augment: turn", got=got, expected="square frames or crops", fix="use flip only, or a square crop"
        )
    return replace(data, notes=(*data.notes, f"split hash: {data.split_hash}"))


@dataclass(frozen=True)
class _StoredWindows:
    source: Source
    windows: Windows
    frames: int

    def __call__(self, split: str, epoch: int, index: int) -> Window:
        sequence, start = self.windows[split][index]
        return self.source.read(sequence, start, start + self.frames)

    def sequence(self, split: str, index: int) -> int:
        return self.windows[split][index][0]


class _CroppedWindows:
    """The same in crops: each window counts for several."""

    def __init__(self, source: Source, windows: Windows, frames: int, crops: Crops) -> None:
        self.source, self.windows, self.frames, self.crops = source, windows, frames, crops
        scored = {place for name in SPLITS[1:] for place in windows[name]}
        first = dict(sorted(scored, reverse=True))
        self.grids = {sequence: crops.grid(sequence, start) for sequence, start in first.items()}
        sizes = {name: [len(self.grids[sequence]) for sequence, _ in windows[name]] for name in SPLITS[1:]}
        sizes["train"] = [crops.count(sequence) for sequence, _ in windows["train"]]
        self.ends = {name: np.cumsum(sizes[name], dtype=np.int64) for name in SPLITS}

    def __call__(self, split: str, epoch: int, index: int) -> Window:
        ends = self.ends[split]
        number = int(np.searchsorted(ends, index, side="right"))
        sequence, start = self.windows[split][number]
        stop = start + self.frames
        if split == "train":
            area = self.crops.drawn(sequence, start, stop, epoch, index)
        else:
            area = self.grids[sequence][index - (int(ends[number - 1]) if number else 0)]
        return self.source.read(sequence, start, stop, area)

    def sequence(self, split: str, index: int) -> int:
        return self.windows[split][int(np.searchsorted(self.ends[split], index, side="right"))][0]

    def counts(self) -> dict[str, int]:
        return {name: int(ends[-1]) if len(ends) else 0 for name, ends in self.ends.items()}


@dataclass(frozen=True)
class _Event:
    read: _StoredWindows | _CroppedWindows
    numbers: list[int]
    """Of each sequence."""

    def __call__(self, split: str, index: int) -> int:
        return self.numbers[self.read.sequence(split, index)]


@dataclass(frozen=True)
class _GeneratedWindows:
    training: MovingMNIST
    evaluation: MovingMNIST
    frames: int

    def __call__(self, split: str, epoch: int, index: int) -> Window:
        if split == "train":
            return self.training.sequence(split, epoch * self.training.config.length + index, self.frames)
        return self.evaluation.sequence(split, index, self.frames)


def _lengths(said: tuple[int | str, int | str], spec: FrameSpec) -> tuple[int, int]:
    """Context and horizon in frames."""
    context, horizon = (
        in_frames(length, spec.step_minutes, what) for length, what in zip(said, ("context", "horizon"), strict=True)
    )
    if context < 1 or horizon < 1:
        raise UsageError("context, horizon", got=f"{context}, {horizon}", expected="at least 1 each")
    return context, horizon


def _stored(config: DataConfig, lengths: tuple[int | str, int | str], seed: int) -> DataSet:
    source = open_source(config)
    context, horizon = _lengths(lengths, source.spec)
    frames = context + horizon
    parts = split_windows(source, config, frames, eval_stride=horizon)
    read, event = _StoredWindows(source, parts.windows, frames), _events(source, config)
    whole = DataSet(
        spec=source.spec,
        context=context,
        horizon=horizon,
        notes=(*source.notes, parts.how, *describe_split(parts, source)),
        split_hash=parts.hash,
        fingerprint=source.fingerprint(),
        has_missing=source.has_missing,
        augment=config.augment,
        counts={name: len(windows) for name, windows in parts.windows.items()},
        read=read,
        training=partial(read_training_frames, source, parts.blocks["train"]),
        record=record_split(parts, source),
        grid=source.grid,
        event=_Event(read, event),
    )
    crops = make_crops(source, config, seed)
    if crops is None:
        return whole
    cropped = _CroppedWindows(source, parts.windows, frames, crops)
    return replace(_cropped(whole, cropped), event=_Event(cropped, event))


def _events(source: Source, config: DataConfig) -> list[int]:
    """The event of each sequence: those that the split keeps together have the same number."""
    sequences = range(len(source.lengths))
    if config.split_by != "event":
        return list(sequences)
    together = group_events(
        source, sequences, in_frames(config.gap, source.spec.step_minutes, "gap") if config.gap else 0
    )
    number = {sequence: place for place, members in enumerate(together) for sequence in members}
    return [number[sequence] for sequence in sequences]


def _cropped(whole: DataSet, read: _CroppedWindows) -> DataSet:
    crops, counts = read.crops, read.counts()
    height, width = crops.size
    fixed = [whole.split_hash, crops.size, counts, sorted(read.grids.items())]
    chosen = {"uniform": "", "wet": f", wet ones (above {crops.threshold:g}) more often"}
    how = chosen.get(crops.weight, ", changing ones more often")
    digest = hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:DIGITS]
    return replace(
        whole,
        spec=whole.spec.model_copy(update={"height": height, "width": width}),
        notes=(
            *whole.notes,
            f"crops: {height} x {width}; {counts['train']} in an epoch at random places{how}; "
            f"{counts['val']} val and {counts['test']} test on a fixed grid",
        ),
        split_hash=digest,
        counts=counts,
        read=read,
        record={**whole.record, "hash": digest, "windows": counts, "crop": crops.size, "grids": read.grids},
        grid=whole.grid.model_copy(update={"y": (), "x": ()}),
    )


def _generated(config: DataConfig, lengths: tuple[int | str, int | str], seed: int) -> DataSet:
    settings = config.moving_mnist
    training, evaluation = MovingMNIST(settings, seed), MovingMNIST(settings, EVALUATION_SEED)
    context, horizon = _lengths(lengths, training.spec)
    frames = context + horizon
    counts = dict(zip(SPLITS, (settings.length, settings.validation, settings.test), strict=True))
    fixed = [training.fingerprint(), frames, EVALUATION_SEED, counts["val"], counts["test"]]
    digest = hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:DIGITS]
    read = _GeneratedWindows(training, evaluation, frames)
    return DataSet(
        spec=training.spec,
        context=context,
        horizon=horizon,
        notes=_moving_mnist_notes(settings),
        split_hash=digest,
        fingerprint=training.fingerprint(),
        has_missing=False,
        augment=config.augment,
        counts=counts,
        read=read,
        training=partial(_first_sequences, read, min(SAMPLE, settings.length)),
        record={"hash": digest, "how": "digits of train, val and test are disjoint", "windows": counts},
    )


def _first_sequences(read: _GeneratedWindows, count: int) -> Iterator[NDArray[np.float32]]:
    return (read("train", 0, index).frames for index in range(count))


def _moving_mnist_notes(settings: MovingMNISTConfig) -> tuple[str, ...]:
    height, width = settings.canvas
    digits = settings.digits_file or "2,500 MNIST digits (LeCun, Cortes, Burges; CC BY-SA 3.0)"
    return (
        f"moving MNIST: {settings.digits} in a sequence at {settings.speed} speed on {height} x {width} pixels; {digits}",
        "split: digits of train, val and test are disjoint; val and test do not depend on the seed",
    )
