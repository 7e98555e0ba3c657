"""Kinds of studies: what each measures of a run, its pictures and its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast.analysis import (
    attention,
    decoupling,
    differences,
    frequency,
    gradients,
    memory,
    moments,
    motion,
    saturation,
    schedules,
)
from framecast.data import DataSet, evaluation_batches
from framecast.data.windows.loader import Batch
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.recipe.recipe import Recipe


class StudyOptions(NamedTuple):
    """Options of the studies. None: the default of the run's recipe, else of the data."""

    what: Sequence[str] | None = None
    """Names of studies; None for all that suit the runs."""
    split: str | None = None
    context: int | str | None = None
    """J, frames, or time as in 50min."""
    horizon: int | str | None = None
    """K, frames, or time as in 50min."""
    sequences: int = 16
    """Number of windows, spread evenly over the split."""
    sequence: int = 0
    """Index of the window whose maps are drawn."""
    batch_size: int = 4
    """Sequences at a time."""
    saturated: tuple[float, float] = (0.1, 0.9)
    """Values below and above which gates are saturated."""
    pictures: int = 5
    """Number of steps at which increments are drawn by t-SNE."""


class Subject(NamedTuple):
    """A run with the windows that it is studied on."""

    name: str
    forecaster: Forecaster
    dataset: DataSet
    split: str
    recipe: Recipe | None
    """None for a model's folder, which has no recipe."""
    options: StudyOptions

    def load_batches(self) -> Any:
        """Load the windows that all studies but maps use."""
        return evaluation_batches(self.dataset, self.split, self.options.batch_size, limit=self.options.sequences)

    def load_window(self) -> Batch:
        """Load the window whose maps are drawn.

        Raises:
            UsageError: the split has fewer windows.
        """
        index, count = self.options.sequence, self.dataset.count(self.split)
        if index >= count:
            raise UsageError("sequence", got=index, expected=f"0 to {count - 1}, of split {self.split}")
        window = self.dataset.window(self.split, 0, index)
        valid = None if window.valid is None else torch.from_numpy(window.valid[None])
        motion = None if window.motion is None else torch.from_numpy(window.motion[None])
        return Batch(torch.from_numpy(window.frames[None]), valid, [index], motion=motion)


class Study(NamedTuple):
    """Functions of one study: numbers of a run, pictures of one or several, and a summary."""

    measure: Callable[[Subject], Any]
    draw: Callable[[Path, Mapping[str, Any], int], None]
    summarise: Callable[[Any], dict[str, float]]
    list_remarks: Callable[[Any], list[str]] = lambda _: []
    """Lists pictures that are missing, and why."""


def _measure_batches(measure: Callable[..., Any], subject: Subject, **options: Any) -> Any:
    return measure(subject.forecaster, subject.load_batches(), subject.dataset.context, **options)


def _measure_saturation(subject: Subject) -> saturation.Saturation:
    low, high = subject.options.saturated
    return _measure_batches(saturation.measure_saturation, subject, low=low, high=high)


def _measure_decoupling(subject: Subject) -> decoupling.Alignment:
    return _measure_batches(decoupling.measure_decoupling, subject, pictures=subject.options.pictures)


def _map_memory(subject: Subject) -> memory.MemoryMaps:
    return memory.map_memory(subject.forecaster, subject.load_window(), subject.dataset.context)


def _map_attention(subject: Subject) -> attention.AttentionMaps:
    return attention.map_attention(subject.forecaster, subject.load_window(), subject.dataset.context)


def _map_motion(subject: Subject) -> motion.MotionFields:
    return motion.map_motion(subject.forecaster, subject.load_window(), subject.dataset.context)


def _measure_frequency(subject: Subject) -> frequency.Frequency:
    options = {"batch_size": subject.options.batch_size, "limit": subject.options.sequences}
    return frequency.measure_frequency(subject.forecaster, subject.dataset, subject.split, **options)


def _tabulate_schedules(subject: Subject) -> schedules.Schedules:
    if subject.recipe is None:
        raise UsageError(f"schedules of {subject.name}", got="a model's folder", expected="a run, which has a recipe")
    recipe = subject.recipe
    return schedules.tabulate_schedules(
        recipe.sampling,
        recipe.train.lr_schedule,
        lr=recipe.train.lr,
        steps=recipe.train.steps,
        seed=recipe.seed,
        batch_size=recipe.train.batch_size,
        context=recipe.context,
        frames=recipe.context + recipe.horizon,
    )


STUDIES: dict[str, Study] = {
    "saturation": Study(_measure_saturation, saturation.draw, saturation.summarise),
    "gradients": Study(partial(_measure_batches, gradients.measure_gradients), gradients.draw, gradients.summarise),
    "decoupling": Study(_measure_decoupling, decoupling.draw, decoupling.summarise, decoupling.list_remarks),
    "schedules": Study(_tabulate_schedules, schedules.draw, schedules.summarise),
    "memory": Study(_map_memory, memory.draw, memory.summarise),
    "differences": Study(
        partial(_measure_batches, differences.measure_differences), differences.draw, differences.summarise
    ),
    "frequency": Study(_measure_frequency, frequency.draw, frequency.summarise),
    "attention": Study(_map_attention, attention.draw, attention.summarise),
    "motion": Study(_map_motion, motion.draw, motion.summarise),
    "moments": Study(lambda subject: moments.measure_moments(subject.forecaster), moments.draw, moments.summarise),
}
"""Studies by name, in the order in which they are made."""
