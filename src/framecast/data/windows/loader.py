"""Batch loader: batches of windows in an order that is a pure function of (seed, step), for any workers and processes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from framecast.data.random import Purpose, check_seed, random_stream
from framecast.data.windows.augment import augment
from framecast.data.windows.dataset import DataSet
from framecast.devices import flush_subnormals
from framecast.errors import InputError, UsageError
from framecast.formatting import format_bytes
from framecast.memory_usage import free_bytes
from framecast.types import Window

Keys = list[tuple[int, int]]
"""(epoch, index) of each window of a batch."""

SMALL_BATCH = 2**28
"""Bytes that a batch may take whatever is free: memory that was used before may be used again."""
COPIES = 3
"""Times that the values of a batch are held, at least: read, normalised and predicted."""


class Batch(NamedTuple):
    """Batch of windows."""

    frames: Float[Tensor, "B T C H W"]
    """Raw units, float32; the lower end of the range at missing pixels."""
    valid: Bool[Tensor, "B T C H W"] | None
    """True where observed; None where nothing is missing in the whole data set."""
    indices: list[int]
    """Index of each window in its split."""
    times: NDArray[Any] | None = None
    """(B, T), time of each frame, UTC; None where unknown, and in training, where frames may run backward."""
    motion: Float[Tensor, "B N 2 H W"] | None = None
    """Motion at the newest N frames of the context, pixels per frame in x and y; None where no base needs it."""
    pace: Float[Tensor, " B"] | None = None
    """Frames of the source from one frame to the next; None where it is 1 throughout."""

    def around(self, origin: int, context: int, horizon: int) -> Batch:
        """Cut out `context` frames before the frame `origin`, and `horizon` frames from it on."""
        first, last = origin - context, origin + horizon
        if (first, last) == (0, self.frames.shape[1]):
            return self
        return self._replace(
            frames=self.frames[:, first:last],
            valid=None if self.valid is None else self.valid[:, first:last],
            times=None if self.times is None else self.times[:, first:last],
            motion=None if self.motion is None else self.motion[:, -context:],
        )

    def reversed(self, odd: Sequence[int] = ()) -> Batch:
        """Reverse in time; channels `odd` change their sign: what moved to the east moves to the west."""
        frames = self.frames.flip(1)
        if odd:
            frames[:, :, odd] = -frames[:, :, odd]
        return Batch(frames, None if self.valid is None else self.valid.flip(1), self.indices)


def training_batches(
    dataset: DataSet,
    *,
    seed: int,
    batch_size: int,
    accumulate: int = 1,
    rank: int = 0,
    world_size: int = 1,
    start_step: int = 0,
    workers: int = 0,
    pin: bool = False,
) -> Iterator[list[Batch]]:
    """Iterate without end over the training batches of one process: a list of micro-batches for each step.

    The first step is start_step + 1. Epoch e visits every window once in the order of a permutation f(seed, e), and
    batches run on across epochs. A step takes batch_size x accumulate x world_size windows; micro-batch m of rank r is
    the (m world_size + r)-th piece. So a start at any step gives the batches of a run without a stop, a step has the same
    windows for every division of them into processes and micro-batches, and workers change nothing.

    Args:
        dataset: its split train is used.
        seed: seed of order and augmentation, 0 or more.
        batch_size: windows in a micro-batch.
        accumulate: micro-batches per step and process.
        rank: number of this process, from 0.
        world_size: number of processes.
        start_step: steps already done.
        workers: further processes that prepare batches; 0 for none.
        pin: whether workers' batches are put into pinned memory, from which a GPU copies without waiting.

    Raises:
        UsageError: numbers that do not fit, or no training window.
    """
    check_seed(seed)
    if min(batch_size, accumulate, world_size) < 1 or min(start_step, workers) < 0:
        got = f"{batch_size}, {accumulate}, {world_size}, {start_step}, {workers}"
        expected = "at least 1, 1, 1, 0, 0"
        raise UsageError("batch_size, accumulate, world_size, start_step, workers", got=got, expected=expected)
    _check_rank(rank, world_size)
    if dataset.count("train") < 1:
        raise UsageError("training", got="no window in the split train", expected="at least one")
    check_batch_room(dataset, batch_size * accumulate)
    order = _KeySampler(dataset.count("train"), seed, batch_size, accumulate, rank, world_size, start_step)
    batches = _load_batches(_BatchDataset(dataset, "train", seed), order, workers, pin)
    return _group_batches(batches, accumulate)


def evaluation_batches(
    dataset: DataSet, split: str, batch_size: int, *, rank: int = 0, world_size: int = 1, limit: int | None = None
) -> Iterator[Batch]:
    """Iterate over a split in its order, every window once over all processes; the last batch may be smaller.

    Args:
        dataset: the windows.
        split: "train" (first epoch, not augmented), "val" or "test".
        batch_size: windows in a batch.
        rank: number of this process, which takes windows rank, rank + world_size, ...
        world_size: number of processes.
        limit: largest number of windows, spread evenly over the split; None for all.

    Raises:
        UsageError: no such split, or numbers that do not fit.
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UsageError("batch_size, limit", got=f"{batch_size}, {limit}", expected="at least 1")
    _check_rank(rank, world_size)
    keys = [(0, index) for index in spread_windows(dataset.count(split), limit)[rank::world_size]]
    check_batch_room(dataset, min(batch_size, len(keys)))
    batches = _BatchDataset(dataset, split, None)
    return (batches[keys[at : at + batch_size]] for at in range(0, len(keys), batch_size))


def read_batch(dataset: DataSet, split: str, windows: Sequence[int]) -> Batch:
    """Read some windows of a split, not augmented.

    Args:
        dataset: the windows.
        split: "train" (first epoch), "val" or "test".
        windows: their indices, one or more.

    Raises:
        UsageError: no such split or window, or more than fit into memory.
        InputError: the frames cannot be read.
    """
    check_batch_room(dataset, len(windows))
    return _BatchDataset(dataset, split, None)[[(0, index) for index in windows]]


def check_batch_room(dataset: DataSet, windows: int) -> None:
    """Check that so many windows fit into the free memory, before any is read: a recipe may come from a stranger.

    Raises:
        UsageError: they do not.
    """
    spec, frames = dataset.spec, dataset.context + dataset.horizon
    channels = spec.channels + len(spec.covariates)
    needed = COPIES * windows * frames * channels * spec.height * spec.width * np.dtype(np.float32).itemsize
    if needed > max(SMALL_BATCH, free := free_bytes()):
        got = f"{format_bytes(needed)} for {windows} windows of {frames} frames, {spec.height} x {spec.width} pixels"
        fix = "take a smaller train.batch_size, horizon, context or data.crop"
        raise UsageError(
            "batch", got=got, expected=f"at most the {format_bytes(free)} of memory that are free", fix=fix
        )


def spread_windows(count: int, limit: int | None) -> list[int]:
    """Choose up to `limit` of a split's windows, evenly spread, as indices; the rows of scores are in this order."""
    used = count if limit is None else min(limit, count)
    return [number * count // used for number in range(used)]


def _check_rank(rank: int, world_size: int) -> None:
    if not 0 <= rank < world_size:
        raise UsageError("rank", got=f"{rank} of {world_size} processes", expected="0 <= rank < world_size")


@dataclass(frozen=True)
class _KeySampler(Sampler[Keys]):
    """Endless sampler of the keys of micro-batches."""

    count: int
    seed: int
    batch_size: int
    accumulate: int
    rank: int
    world_size: int
    start_step: int
    _permutations: dict[int, NDArray[np.int64]] = field(default_factory=dict, compare=False, repr=False)

    def __iter__(self) -> Iterator[Keys]:
        pieces = self.accumulate * self.world_size
        for step in itertools.count(self.start_step):
            for micro in range(self.accumulate):
                first = (step * pieces + micro * self.world_size + self.rank) * self.batch_size
                yield [self._find_key(first + row) for row in range(self.batch_size)]

    def _find_key(self, position: int) -> tuple[int, int]:
        """Find (epoch, index) of the window at a position of the endless order."""
        epoch, offset = divmod(position, self.count)
        if epoch not in self._permutations:
            # a batch may lie across two epochs: their permutations stay
            while len(self._permutations) >= 2:
                del self._permutations[min(self._permutations)]
            self._permutations[epoch] = random_stream(Purpose.ORDER, self.seed, epoch).permutation(self.count)
        return epoch, int(self._permutations[epoch][offset])


class _BatchDataset(Dataset[Batch]):
    """Batches by their keys; augmented with `seed` unless it is None."""

    def __init__(self, dataset: DataSet, split: str, seed: int | None) -> None:
        self.dataset = dataset
        self.split = split
        self.seed = seed

    def __getitem__(self, keys: Keys) -> Batch:
        windows = [self._read_window(epoch, index) for epoch, index in keys]
        frames = np.stack([window.frames for window in windows])
        indices, times = [index for _, index in keys], self._stack_times(windows)
        fields = [window.motion for window in windows if window.motion is not None]
        motion = torch.from_numpy(np.stack(fields)) if fields else None
        paces = [window.pace for window in windows]
        pace = torch.tensor(paces, dtype=torch.float32) if set(paces) != {1} else None
        if not self.dataset.has_missing:
            return Batch(torch.from_numpy(frames), None, indices, times, motion, pace)
        valid = np.stack([_find_valid(window) for window in windows])
        lows = np.array(self.dataset.spec.lows, np.float32)[:, None, None]
        frames = np.where(valid, frames, lows)  # NaN would reach gradients even through a mask of 0
        return Batch(torch.from_numpy(frames), torch.from_numpy(valid), indices, times, motion, pace)

    def _stack_times(self, windows: list[Window]) -> NDArray[Any] | None:
        if self.seed is not None:
            return None
        known = [window.times for window in windows if window.times is not None]
        return np.stack(known) if len(known) == len(windows) else None

    def _read_window(self, epoch: int, index: int) -> Window:
        window = self.dataset.window(self.split, epoch, index)
        if self.seed is None:
            return window
        return augment(window, self.dataset.augment, self.seed, epoch, index, self.dataset.vectors)


def _find_valid(window: Window) -> NDArray[np.bool_]:
    return np.ones(window.frames.shape, np.bool_) if window.valid is None else window.valid


def _load_batches(batches: _BatchDataset, order: Iterable[Keys], workers: int, pin: bool) -> Iterator[Batch]:
    if workers == 0:
        return (batches[keys] for keys in order)
    # a generator of its own: otherwise the loader would take a number from torch's global one
    loaded = iter(
        DataLoader(
            _ErrorCatcher(batches),
            batch_size=None,
            sampler=order,
            num_workers=workers,
            collate_fn=_pass_through,
            pin_memory=pin,
            worker_init_fn=_start_worker,
            generator=torch.Generator(),
        )
    )
    return (_raise_error(batch) for batch in loaded)


class _ErrorCatcher(Dataset[Any]):
    """Batches of a worker, or the message of an InputError: the loader would bury a raised one in a traceback."""

    def __init__(self, batches: _BatchDataset) -> None:
        self.batches = batches

    def __getitem__(self, keys: Keys) -> Batch | str:
        try:
            return self.batches[keys]
        except InputError as error:
            return str(error)


def _start_worker(number: int) -> None:
    flush_subnormals()  # torch itself gives a worker one thread


def _raise_error(batch: Batch | str) -> Batch:
    if isinstance(batch, str):
        raise InputError(batch)
    return batch


def _pass_through(batch: Any) -> Any:
    return batch


def _group_batches(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    while True:
        yield list(itertools.islice(batches, size))
