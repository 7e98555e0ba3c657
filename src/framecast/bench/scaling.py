"""Scaling of time and memory with batch, map, frames and layers: one size is changed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from framecast.bench.peak_memory import Job, run_alone
from framecast.bench.results import ScalingResult, Stamp
from framecast.bench.settings import Setting, Task

BASE = Setting(name="growth", hidden=(32, 32, 32, 32))
"""Narrow, so that a map of 128 x 128 cells can be trained at all: 20 frames, 16 x 16 cells, 4 layers, 1 sequence."""
QUICK_BASE = Setting(name="growth quick", hidden=(8, 8), size=(32, 32), context=2, horizon=2)
"""Small, to see in seconds that everything works."""
VALUES = {"batch": (1, 2, 4, 8, 16), "cells": (16, 32, 64, 128), "frames": (10, 20, 50, 100), "layers": (1, 2, 4, 8)}
QUICK_VALUES = {"batch": (1, 2), "cells": (8, 16), "frames": (4, 8), "layers": (2, 4)}
LEAST_LAYERS = {"predrnn_pp": 2, "mim": 2}
"""Number of layers that a network needs, at least, where that is more than 1."""
REPEATS = 3


class ScalingPoint(NamedTuple):
    """One size of one network and implementation."""

    axis: str
    """Name of the size that is varied, a key of `VALUES`."""
    value: int
    model: str
    task: Task
    contender: str
    setting: Setting
    batch: int


def list_points(
    models: Sequence[str], tasks: Sequence[Task], contenders: Sequence[str], *, quick: bool = False
) -> list[ScalingPoint]:
    """List all points that are measured.

    Args:
        models: names of the networks.
        tasks: train, inference.
        contenders: names of framecast's implementations, or import paths.
        quick: whether sizes are small, to see that everything works.
    """
    base, values = (QUICK_BASE, QUICK_VALUES) if quick else (BASE, VALUES)
    return [
        ScalingPoint(axis, value, model, task, contender, resize(base, axis, value), value if axis == "batch" else 1)
        for model in models
        for axis, sizes in values.items()
        for task in tasks
        for contender in contenders
        for value in sizes
        if axis != "layers" or value >= LEAST_LAYERS.get(model, 1)
    ]


def resize(base: Setting, axis: str, value: int) -> Setting:
    """Change one size of a setting: cells per side of the map, frames in and out together, or layers."""
    if axis == "cells":
        return base.model_copy(update={"size": (value * base.patch,) * 2})
    if axis == "frames":
        return base.model_copy(update={"context": value // 2, "horizon": value - value // 2})
    if axis == "layers":
        return base.model_copy(update={"hidden": (base.hidden[0],) * value})
    return base


def measure_scaling(point: ScalingPoint, stamp: Stamp, name: str) -> ScalingResult:
    """Measure a point in a process of its own.

    Args:
        point: size, network and implementation.
        stamp: versions, code and threads.
        name: short name of the implementation.

    Raises:
        FramecastError: the process failed, from lack of memory for example.
    """
    job = Job(
        setting=point.setting,
        model=point.model,
        task=point.task,
        batch=point.batch,
        contender=point.contender,
        threads=stamp.threads,
        repeats=REPEATS,
    )
    report = run_alone(job)
    return ScalingResult(
        setting=point.setting,
        model=point.model,
        task=point.task,
        batch=point.batch,
        stamp=stamp,
        contender=name,
        axis=point.axis,
        value=point.value,
        **report.model_dump(),
    )
