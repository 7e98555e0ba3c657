"""Data sets: windows of a source or a generator in three splits, the spec of their frames, a record of the splits."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from framecast.data.config import MOVING_MNIST, SPLITS, DataConfig, MovingMNISTConfig
from framecast.data.durations import in_frames
from framecast.data.fingerprint import DIGITS
from framecast.data.moving_mnist import MovingMNIST
from framecast.data.random import check_seed
from framecast.data.sources.base import Source
from framecast.data.sources.multi_file_source import open_source
from framecast.data.windows.copies import list_digests
from framecast.data.windows.crops import Crops, make_crops
from framecast.data.windows.motion import Convert
from framecast.data.windows.normalizer_fit import Choice, fit_normalizer, fit_other_channels
from framecast.data.windows.split_blocks import group_events
from framecast.data.windows.splits import describe_split, record_split, split_windows
from framecast.data.windows.vectors import NO_VECTORS, Vectors, describe_vectors, find_vectors
from framecast.data.windows.windows import FITTED, CropWindows, FrameWindows, GeneratedWindows, Windows
from framecast.errors import UsageError
from framecast.transforms.normalize import Normalizer
from framecast.types import FrameSpec, Grid, Window

EVALUATION_SEED = 0
"""Seed of generated validation and test sequences, whatever the seed of a training."""

DIGESTED = 1 << 29
"""Approximate number of values of which digests are made."""

Lengths = tuple[int | str, int | str]
"""Context and horizon: frames, or times as in 50min."""


@dataclass(frozen=True)
class DataSet:
    """Windows of context + horizon frames in three splits. Made by `open_data`.

    Args:
        spec: channels, size, units and value range of each frame.
        context: J, frames that a forecast starts from.
        horizon: K, frames that a forecast predicts.
        notes: properties that were read or assumed, one line each.
        split_hash: 16 hex digits; equal hashes mean the same evaluation windows (of files: training windows too, but
            for the areas of random crops).
        fingerprint: 16 hex digits that change when the data do.
        has_missing: whether windows carry masks.
        augment: changes that `training_batches` applies.
        windows: the windows of each split; each crop is one.
        record: frames and times of each split, plain values.
        grid: georeference and names of channels, for files of forecasts.
        is_range_found: whether the value range is that of all frames, those of validation and test among them.
        vectors: channels that are components of vectors.
    """

    spec: FrameSpec
    context: int
    horizon: int
    notes: tuple[str, ...]
    split_hash: str
    fingerprint: str
    has_missing: bool
    augment: tuple[str, ...]
    windows: Windows
    record: dict[str, Any]
    grid: Grid = field(default_factory=Grid)
    is_range_found: bool = False
    vectors: Vectors = NO_VECTORS

    @property
    def frames(self) -> int:
        """Frames of each window."""
        return self.context + self.horizon

    def count(self, split: str) -> int:
        """Count the windows of a split; of generated training sequences those of a nominal epoch.

        Raises:
            UsageError: no such split.
        """
        if split not in SPLITS:
            raise UsageError("split", got=split, expected=f"one of {', '.join(SPLITS)}")
        return self.windows.count(split)

    def window(self, split: str, epoch: int, index: int) -> Window:
        """Read one window, (T, C, H, W) in raw units, not augmented.

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
        return self.windows.read(split, epoch, index)

    def with_motion(self, convert: Convert, key: str, newest: int | None = None) -> DataSet:
        """Return a copy whose windows bring the motion at the frames of their context.

        Generated sequences are whole frames: a base estimates the motion of theirs itself.

        Args:
            convert: the maps that are tracked, from frames in raw units.
            key: text that changes when `convert` does.
            newest: number of the newest frames of the context whose motion is needed; by default all.
        """
        if not isinstance(self.windows, FrameWindows | CropWindows):
            return self
        frames = range(self.context - (newest or self.context), self.context)
        return replace(self, windows=self.windows.with_motion(frames, convert, key))

    def digest_frames(self, split: str) -> list[str]:
        """List digests of the values of a split's whole frames, of very many a sample; none of generated sequences.

        Frames with equal targets in equal units have equal digests, whatever file they are in.

        Args:
            split: "train", "val" or "test".

        Raises:
            InputError: the frames cannot be read.
        """
        if not isinstance(self.windows, FrameWindows | CropWindows):
            return []
        values = self.spec.targets * self.spec.height * self.spec.width
        limit = max(1, min(FITTED, DIGESTED // values))
        return list_digests(self.windows.iterate_frames(split, limit), self.spec.targets)

    def normalizer(self, choice: Choice | Normalizer = "auto") -> Normalizer:
        """Fit the map from raw units to a network's; this may read all frames of training.

        Args:
            choice: kind of normalizer, as `fit_normalizer` takes it, or one whose numbers are known.

        Raises:
            UsageError: a normalizer that these data cannot have.
            InputError: a channel of one value only.
        """
        frames = self.windows.training_frames
        return fit_normalizer(choice, self.spec, self.grid.units, frames, is_range_found=self.is_range_found)


def open_data(
    config: DataConfig,
    *,
    context: int | str,
    horizon: int | str,
    seed: int,
    spin_up: int | str | None = None,
    source: Source | None = None,
    spec: FrameSpec | None = None,
) -> DataSet:
    """Open a source and divide it into windows of three splits.

    Args:
        config: the source, its reading options and its splits.
        context: frames that a forecast starts from, or a time as in 50min.
        horizon: frames, or time, that it predicts; validation and test windows start so far apart, so that each frame is
            forecast once.
        seed: seed of generated training sequences and of random crops; nothing else depends on it.
        spin_up: frames of the context, or their time, that a training window must have where a block begins; by default
            all. Those that are not there are missing.
        source: source of `config`, where it has been opened already.
        spec: replaces the spec of the source, to score on the value range of a model, or to resume a run: then nothing
            of it is fitted to the frames. Without, the ranges of channels that are no targets are those in training.

    Raises:
        InputError: data that cannot be used, or too few frames.
        UsageError: numbers that do not fit, or a time that is no whole number of steps.

    Example:
        >>> import framecast
        >>> digits = framecast.open_data(framecast.DataConfig(), context=10, horizon=10, seed=0)
        >>> digits.window("test", epoch=0, index=0).frames.shape
        (20, 1, 64, 64)
    """
    check_seed(seed)
    if config.source == MOVING_MNIST:
        data = _open_moving_mnist(config, (context, horizon), seed)
    else:
        source = source or open_source(config)
        data = _open_stored(source, spec, config, (context, horizon), seed, spin_up)
    if "turn" in config.augment and data.spec.height != data.spec.width:
        got = f"frames of {data.spec.height} x {data.spec.width}"
        raise UsageError(
            "augment: turn", got=got, expected="square frames or crops", fix="use flip only, or a square crop"
        )
    return replace(data, notes=(*data.notes, f"split hash: {data.split_hash}"))


def _count_frames(lengths: Lengths, spec: FrameSpec) -> tuple[int, int]:
    context, horizon = (
        in_frames(length, spec.step_minutes, what, spec.step_months)
        for length, what in zip(lengths, ("context", "horizon"), strict=True)
    )
    if context < 1 or horizon < 1:
        raise UsageError("context, horizon", got=f"{context}, {horizon}", expected="at least 1 each")
    return context, horizon


def _open_stored(
    source: Source, spec: FrameSpec | None, config: DataConfig, lengths: Lengths, seed: int, spin_up: int | str | None
) -> DataSet:
    step = spec or source.spec
    context, horizon = _count_frames(lengths, step)
    least = context if spin_up is None else in_frames(spin_up, step.step_minutes, "spin_up", step.step_months)
    absent = max(0, context - least)
    frames = context + horizon
    split, events = split_windows(source, config, frames, eval_stride=horizon), _number_events(source, config)
    windows, is_found = (
        FrameWindows(source, split, frames, events, config, absent),
        source.is_range_found and spec is None,
    )
    spec = spec or fit_other_channels(source.spec, windows.training_frames)
    crops = make_crops(source, spec, config, seed)
    vectors = find_vectors(config, source.channel_names, source.grid)
    if config.augment:
        vectors.check("augment")
    found = ["range: it is that of all frames, for scores; normalizers are fitted to training frames alone"]
    turned = [describe_vectors(vectors, source.channel_names, source.grid)] if vectors.pairs and config.augment else []
    whole = DataSet(
        spec=spec,
        context=context,
        horizon=horizon,
        notes=(*source.notes, split.how, *(found if is_found else ()), *describe_split(split, source), *turned),
        split_hash=split.hash,
        fingerprint=source.fingerprint(),
        has_missing=source.has_missing or bool(absent),
        augment=config.augment,
        windows=windows,
        record=record_split(split, source),
        grid=source.grid,
        is_range_found=is_found,
        vectors=vectors,
    )
    return (
        whole
        if crops is None
        else _cut_crops(whole, crops, CropWindows(source, split, frames, events, crops, config, absent))
    )


def _number_events(source: Source, config: DataConfig) -> list[int]:
    """Number the event of each sequence: sequences that the split keeps together have the same."""
    sequences = range(len(source.lengths))
    if config.split_by != "event":
        return list(sequences)
    spec = source.spec
    gap = in_frames(config.gap, spec.step_minutes, "gap", spec.step_months) if config.gap else 0
    events = group_events(source, sequences, gap)
    event_of = {sequence: event for event, members in enumerate(events) for sequence in members}
    return [event_of[sequence] for sequence in sequences]


def _cut_crops(whole: DataSet, crops: Crops, windows: CropWindows) -> DataSet:
    counts = {name: windows.count(name) for name in SPLITS}
    height, width = crops.size
    # all that decides evaluation crops; the areas of training crops depend on the seed and stay out
    fixed = [whole.split_hash, crops.size, counts, sorted(windows.grids.items())]
    levels = ", ".join(f"{level:g}" for level in dict.fromkeys(crops.thresholds.values()))
    preference = {"uniform": "", "wet": f", wet ones (above {levels}) more often"}
    how = preference.get(crops.weight, ", changing ones more often")
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
        windows=windows,
        record={**whole.record, "hash": digest, "windows": counts, "crop": crops.size, "grids": windows.grids},
        grid=whole.grid.model_copy(update={"y": (), "x": ()}),
    )


def _open_moving_mnist(config: DataConfig, lengths: Lengths, seed: int) -> DataSet:
    settings = config.moving_mnist
    training, evaluation = MovingMNIST(settings, seed), MovingMNIST(settings, EVALUATION_SEED)
    context, horizon = _count_frames(lengths, training.spec)
    frames = context + horizon
    windows = GeneratedWindows(training, evaluation, frames)
    counts = {name: windows.count(name) for name in SPLITS}
    fixed = [training.fingerprint(), frames, EVALUATION_SEED, counts["val"], counts["test"]]
    digest = hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:DIGITS]
    return DataSet(
        spec=training.spec,
        context=context,
        horizon=horizon,
        notes=_describe_moving_mnist(settings),
        split_hash=digest,
        fingerprint=training.fingerprint(),
        has_missing=False,
        augment=config.augment,
        windows=windows,
        record={"hash": digest, "how": "digits of train, val and test are disjoint", "windows": counts},
    )


def _describe_moving_mnist(settings: MovingMNISTConfig) -> tuple[str, ...]:
    height, width = settings.canvas
    digits = settings.digits_file or "2,500 MNIST digits (LeCun, Cortes, Burges; CC BY-SA 3.0)"
    return (
        f"moving MNIST: {settings.digits} in a sequence at {settings.speed} speed on {height} x {width} pixels; {digits}",
        "split: digits of train, val and test are disjoint; val and test do not depend on the seed",
    )
