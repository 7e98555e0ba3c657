"""Proposal of a training that suits data and machine, and the line of `framecast train` that starts it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast.commands.window_plan import WindowPlan, count_day
from framecast.data import DataConfig, FileSource
from framecast.data.units import PICTURE_UNITS
from framecast.data.windows.crops import WET
from framecast.formatting import format_command
from framecast.memory_usage import free_bytes
from framecast.recipe.recipe import Recipe
from framecast.runs.record import count_recipe_cost
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

SECONDS = 10.0
"""Longest iteration that is proposed, unless the smallest setting takes longer."""
BUDGET = 1200.0
"""Approximate duration of the proposed training, seconds."""
CROP = 128
"""Side of the crops that are proposed for measurements on frames at least twice as large, pixels."""
EPOCHS = 200
"""Times that a proposed training sees each window, at most: few windows are soon known by heart."""
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
    base: Any
    """What the network stands on, as in a recipe."""
    reason: str
    """Why this base, in a few words."""
    windows: int
    """Training windows."""
    steps: int
    seconds_per_step: float
    """Estimate from the multiply-adds, those of the base too, and the measured speed of one convolution."""
    memory_bytes: int
    """Estimated memory of weights, gradients, Adam and the backward pass."""


def propose_training(source: FileSource, recipe: Recipe, plan: WindowPlan) -> Proposal:
    """Propose the largest setting whose time and memory are within bounds.

    Args:
        source: the data.
        recipe: its patch and steps are used.
        plan: context, horizon and split.
    """
    spec = source.spec
    base, reason = choose_base(source, plan.context)
    lengths = {"context": plan.context, "horizon": plan.horizon, "base": base}
    normalizer = Range(low=spec.low, high=spec.high)
    speed, free = _measure_speed(), free_bytes()
    offer = None
    for model, hidden, batch, shrink, crop in _list_settings(spec):
        network = {"name": model} if hidden is None else {"name": model, "hidden": hidden}
        height, width = (crop, crop) if crop else (spec.height // shrink, spec.width // shrink)
        part = spec.model_copy(update={"height": height, "width": width})
        cost = count_recipe_cost(
            Recipe.model_validate({"model": network, "patch": recipe.patch, **lengths}), part, normalizer
        )
        seconds = 3 * batch * cost.multiply_adds / speed  # forward, and twice as much backward
        memory = batch * cost.training_bytes + 4 * cost.weights_bytes  # weights, gradients, two moments of Adam
        affordable = min(BUDGET / seconds, EPOCHS * plan.windows / batch)
        steps = int(min(recipe.train.steps, max(100, 100 * round(affordable / 100))))
        fractions = None if plan.fractions is None else list(plan.fractions)
        offer = Proposal(
            model,
            hidden,
            batch,
            shrink,
            crop,
            plan.context,
            plan.horizon,
            fractions,
            base,
            reason,
            plan.windows,
            steps,
            seconds,
            memory,
        )
        if seconds <= SECONDS and memory <= MEMORY * free:
            break
    assert offer is not None
    return offer


def choose_base(source: FileSource, context: int) -> tuple[Any, str]:
    """Choose what a network stands on by what won on data of the kind; return it with the reason.

    Args:
        source: the data.
        context: J, frames.
    """
    day = count_day(source)
    if source.spec.units in WET:
        return "extrapolation", "rain moves on: a network on its extrapolation beats both (docs/radar.md)"
    if day is not None and day <= context:
        reason = "values come again after a day: least squares on it are hard to beat (docs/temperature.md)"
        return {"kind": "linear", "period": "24h"}, reason
    return "linear", "most of a frame stays: least squares on the last frame beat repeating it (docs/film.md)"


def name_base(base: Any) -> str:
    """Name a base as commands do: linear, linear:24h."""
    return base if isinstance(base, str) else f"{base['kind']}:{base['period']}"


def propose_forecast(source: FileSource, config: DataConfig, options: dict[str, Any]) -> str:
    """Write the line of `framecast predict` that forecasts with a baseline, without any training.

    Args:
        source: the data.
        config: their configuration.
        options: fields of `config` that the user gave, which the line repeats.
    """
    shortest, day = min(source.lengths), count_day(source)
    name = "persistence"
    if source.spec.units in WET and shortest > 1:
        name = "extrapolation"
    elif day is not None and shortest >= day:
        name = "seasonal"
    words = ["framecast", "predict", name, Path(config.path), *_list_reading(config, options, config.shrink)]
    return format_command(*words, "--horizon", 10, "--out", "FUTURE.nc")


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
    words: list[object] = ["framecast", "train", offer.model, "--data", Path(config.path)]
    words += _list_reading(config, options, offer.shrink * config.shrink)
    default = Recipe()
    words += ["--context", offer.context] if offer.context != default.context else []
    words += ["--horizon", offer.horizon] if offer.horizon != default.horizon else []
    words += ["--batch-size", offer.batch_size] if offer.batch_size != default.train.batch_size else []
    kind = offer.base if isinstance(offer.base, str) else json.dumps(offer.base).replace('"', "")
    changes = [f"base={kind}"]
    changes += [f"model.hidden={offer.hidden}".replace(" ", "")] if offer.hidden else []
    if offer.crop:
        changes.append(f"data.crop={offer.crop}")
        changes += ["data.crop_weight=wet"] if rain else []
    if offer.fractions:
        changes.append(f"data.fractions={offer.fractions}".replace(" ", ""))
    for change in changes:
        words += ["--set", change]
    words += ["--steps", str(offer.steps), "--out", f"runs/{Path(config.path).name.split('.')[0] or 'mine'}"]
    return format_command(*words)


def _list_reading(config: DataConfig, options: dict[str, Any], shrink: int) -> list[object]:
    """List the options that read the data as the user did."""
    flags = {"dims": "--dims", "variable": "--var", "times": "--times", "units": "--units", "missing": "--missing"}
    words: list[object] = []
    for field, flag in {**flags, "step_minutes": "--step-minutes", "unpack_limit": "--unpack-limit"}.items():
        words += [flag, str(options[field])] if field in options else []
    for name, word in config.axes.items():
        words += ["--axis", f"{name}={word}"]
    if "range" in options:
        words.append(f"--range={options['range'][0]:g},{options['range'][1]:g}")
    if "frames" in options:
        words += ["--frames", ",".join(str(edge) for edge in options["frames"])]
    words += ["--grey"] if config.colour == "grey" else []
    return words + (["--shrink", str(shrink)] if shrink > 1 else [])


def _measure_speed() -> float:
    """Measure multiply-adds per second of a convolution on the CPU, the best of three."""
    image, kernel = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 5, 5)
    best = math.inf
    for _ in range(3):
        begin = time.perf_counter()
        torch.nn.functional.conv2d(image, kernel, padding=2)
        best = min(best, time.perf_counter() - begin)
    return 64**2 * 64**2 * 25 / max(best, 1e-9)
