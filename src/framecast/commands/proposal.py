"""Proposal of a training that suits data and machine, and the line of `framecast train` that starts it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast.data import DataConfig, FileSource
from framecast.data.units import PICTURE_UNITS
from framecast.formatting import format_command
from framecast.memory_usage import free_bytes
from framecast.models import MODELS
from framecast.models.cost import count_cost
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec

SECONDS = 10.0
"""Longest iteration that is proposed, unless the smallest setting takes longer."""
BUDGET = 3600.0
"""Approximate duration of the proposed training, seconds."""
CROP = 128
"""Side of the crops that are proposed for measurements on frames at least twice as large, pixels."""
MEMORY = 0.5
"""Share of the free memory that a proposed training may take."""

NetworkSize = tuple[str, list[int] | None, int, int, int | None]
"""Model, hidden channels (None for its default), batch size, shrink, side of crops (None for whole frames)."""


class Proposal(NamedTuple):
    """Settings of a training that suits data and machine."""

    model: str
    hidden: list[int] | None
    """None for the network's default."""
    batch_size: int
    shrink: int
    crop: int | None
    context: int
    horizon: int
    fractions: list[float] | None
    steps: int
    seconds_per_step: float
    """Estimate from the multiply-adds and the measured speed of one convolution."""
    memory_bytes: int
    """Estimated memory of weights, gradients, Adam and the backward pass."""


def propose_training(source: FileSource, recipe: Recipe, *, enough: bool) -> Proposal:
    """Propose the largest setting whose time and memory are within bounds.

    Args:
        source: the data.
        recipe: its context, horizon, patch and steps are used, in frames.
        enough: whether the data have windows of this context and horizon; else shorter ones are proposed.
    """
    longest, spec = max(source.lengths), source.spec
    context, horizon, fractions = recipe.context, recipe.horizon, None
    if not enough:
        context = horizon = max(1, longest // 6)
        fractions = None if longest >= 6 else [1.0, 0.0, 0.0]
    speed, free = _measure_speed(), free_bytes()
    offer = None
    for model, hidden, batch, shrink, crop in _list_settings(spec):
        config = MODELS[model]() if hidden is None else MODELS[model].model_validate({"hidden": hidden})
        height, width = (crop, crop) if crop else (spec.height // shrink, spec.width // shrink)
        cost = count_cost(config, spec.channels, height, width, patch=recipe.patch, frames=context + horizon)
        seconds = 3 * batch * cost.multiply_adds / speed  # forward, and twice as much backward
        memory = batch * cost.training_bytes + 4 * cost.weights_bytes  # weights, gradients, two moments of Adam
        steps = int(min(recipe.train.steps, max(100, 100 * round(BUDGET / seconds / 100))))
        offer = Proposal(model, hidden, batch, shrink, crop, context, horizon, fractions, steps, seconds, memory)
        if seconds <= SECONDS and memory <= MEMORY * free:
            break
    assert offer is not None
    return offer


def _list_settings(spec: FrameSpec) -> list[NetworkSize]:
    """List settings from large to small: crops of large measurements, coarser pixels of pictures."""
    sizes: list[NetworkSize] = [("predrnn", None, 8, 1, None), ("predrnn", None, 2, 1, None)]
    if min(spec.height, spec.width) >= 2 * CROP and spec.units not in PICTURE_UNITS:
        sizes += [("predrnn", None, 4, 1, CROP), ("predrnn", [32, 32], 2, 1, CROP), ("convlstm", [16, 16], 2, 1, CROP)]
        return [*sizes, ("convlstm", [16, 16], 1, 1, CROP // 2)]
    sizes += [("predrnn", [32, 32], 2, 1, None), ("convlstm", [16, 16], 2, 1, None), ("convlstm", [16, 16], 1, 1, None)]
    coarsest = min(spec.height, spec.width) // 16
    return sizes + [("convlstm", [16, 16], 1, shrink, None) for shrink in (2, 4, 8, 16) if shrink <= coarsest]


def write_command(config: DataConfig, options: dict[str, Any], offer: Proposal, *, rain: bool) -> str:
    """Write the line of `framecast train` that starts a proposal.

    Args:
        config: the data.
        options: fields of `config` that the user gave, which the line repeats.
        offer: the settings.
        rain: whether crops prefer wet areas.
    """
    flags = {"dims": "--dims", "variable": "--var", "times": "--times", "units": "--units", "missing": "--missing"}
    words: list[object] = ["framecast", "train", offer.model, "--data", Path(config.path)]
    for field, flag in {**flags, "step_minutes": "--step-minutes", "unpack_limit": "--unpack-limit"}.items():
        words += [flag, str(options[field])] if field in options else []
    for name, word in config.axes.items():
        words += ["--axis", f"{name}={word}"]
    if "range" in options:
        words.append(f"--range={options['range'][0]:g},{options['range'][1]:g}")
    if "frames" in options:
        words += ["--frames", ",".join(str(edge) for edge in options["frames"])]
    words += ["--grey"] if config.colour == "grey" else []
    shrink = offer.shrink * config.shrink
    words += ["--shrink", str(shrink)] if shrink > 1 else []
    default = Recipe()
    changes = [
        f"{key}={value}" for key, value in (("context", offer.context), ("horizon", offer.horizon)) if value != 10
    ]
    changes += [f"model.hidden={offer.hidden}".replace(" ", "")] if offer.hidden else []
    if offer.batch_size != default.train.batch_size:
        changes.append(f"train.batch_size={offer.batch_size}")
    if offer.crop:
        changes.append(f"data.crop={offer.crop}")
        changes += ["data.crop_weight=wet"] if rain else []
    if offer.fractions:
        changes.append(f"data.fractions={offer.fractions}".replace(" ", ""))
    for change in changes:
        words += ["--set", change]
    words += ["--steps", str(offer.steps), "--out", f"runs/{Path(config.path).name.split('.')[0] or 'mine'}"]
    return format_command(*words)


def _measure_speed() -> float:
    """Measure multiply-adds per second of a convolution on the CPU, the best of three."""
    image, kernel = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 5, 5)
    best = math.inf
    for _ in range(3):
        begin = time.perf_counter()
        torch.nn.functional.conv2d(image, kernel, padding=2)
        best = min(best, time.perf_counter() - begin)
    return 64**2 * 64**2 * 25 / max(best, 1e-9)
