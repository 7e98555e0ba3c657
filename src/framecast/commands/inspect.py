"""What a file or folder holds, what it would cost to train on it, and the command that does: `framecast inspect`."""

from __future__ import annotations

import math
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console

from framecast.calendars import format_times, to_calendar
from framecast.data import DataConfig, FileSource
from framecast.data.durations import in_frames
from framecast.data.sources.survey import Survey, survey_source
from framecast.data.units import PICTURE_UNITS
from framecast.data.windows.crops import WET
from framecast.data.windows.splits import describe_split, split_windows
from framecast.errors import InputError
from framecast.files import json_safe
from framecast.memory_usage import free_bytes
from framecast.models import MODELS
from framecast.models.cost import count_cost
from framecast.plotting.view import choose_view
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec

SECONDS = 10.0
"""An iteration that takes longer is not proposed, if anything smaller is left."""
BUDGET = 3600.0
"""Seconds of training that the proposed line asks for, about."""
CROP = 128
"""Side of the crops that are proposed for measurements on frames at least twice as large, pixels."""
MEMORY = 0.5
"""Share of the free memory that a training may take."""
BARS = 30
"""Width of the histogram, characters."""


Size = tuple[str, list[int] | None, int, int, int | None]
"""Model, hidden channels (None for its default), batch size, shrink, crop."""


class Proposal(NamedTuple):
    """A training that fits data and machine."""

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
    """Estimated from the multiply-adds and the speed of one convolution here."""
    memory_bytes: int
    """Weights, gradients, Adam and what the backward pass needs."""


class Inspection(NamedTuple):
    """All that is told."""

    path: str
    source: FileSource
    survey: Survey
    windows: dict[str, int] | None
    """By split, at the default context and horizon; None where there are too few frames."""
    windows_note: str
    frame_seconds: float
    """To read one frame."""
    proposal: Proposal
    command: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        source, seen, line = self.source, self.survey, self.source.timeline
        first, last = _span(source)
        return json_safe(
            {
                "path": self.path,
                "kind": source.about,
                "spec": source.spec.model_dump(),
                "grid": {
                    **source.grid.model_dump(exclude={"y", "x", "mapping"}),
                    "y": _ends(source.grid.y),
                    "x": _ends(source.grid.x),
                },
                "sequences": len(source.lengths),
                "frames": seen.total,
                "first": first,
                "last": last,
                "gaps": [] if line is None else line.gaps,
                "missing_frames": 0 if line is None else line.missing,
                "duplicates": 0 if line is None else line.duplicates,
                "disorder": 0 if line is None else line.disorder,
                "looked_at": len(seen.positions),
                "missing_share": float(seen.missing.mean()),
                "empty_frames": seen.empty + source.missing_frames,
                "constant_frames": seen.constant,
                "repeated_frames": seen.repeated,
                "low": seen.low,
                "high": seen.high,
                "histogram": {"edges": seen.edges.tolist(), "counts": seen.counts.tolist()},
                "windows": self.windows,
                "windows_note": self.windows_note,
                "seconds_per_frame": self.frame_seconds,
                "proposal": self.proposal._asdict(),
                "command": self.command,
                "notes": source.notes,
            }
        )

    def print(self, console: Console) -> None:
        """Some thirty lines."""
        for name, text in self._facts():
            console.print(f"[bold]{name:10}[/bold] ", end="")
            console.print(text, markup=False, soft_wrap=True)
        peak = max(int(self.survey.counts.max()), 1)
        console.print("[bold]values[/bold]")
        for count, left, right in zip(self.survey.counts, self.survey.edges, self.survey.edges[1:], strict=False):
            bar = "#" * math.ceil(BARS * math.log1p(int(count)) / math.log1p(peak))
            share = 100 * int(count) / max(int(self.survey.counts.sum()), 1)
            console.print(f"  {left:10.4g} to {right:10.4g}  {bar:{BARS}} {share:.3g} %", markup=False)
        console.print("           (bars are logarithmic)", style="dim")
        for note in self.source.notes:
            console.print(note, style="dim", markup=False)
        console.print("\n[bold]train on it[/bold]")
        console.print(self.command, markup=False, soft_wrap=True)

    def _facts(self) -> list[tuple[str, str]]:
        source, seen, spec, grid = self.source, self.survey, self.source.spec, self.source.grid
        first, last = _span(source)
        line = source.timeline
        part = "" if seen.whole else f" (of {len(seen.positions)} frames that were looked at)"
        names = f" ({', '.join(grid.variables[:6])})" if grid.variables else ""
        found = [
            ("kind", source.about),
            ("size", f"{spec.height} x {spec.width} pixels, {spec.channels} channel(s){names}"),
            ("units", f"{spec.units}, from {seen.low:g} to {seen.high:g}{part}; range {spec.low:g} to {spec.high:g}"),
            ("frames", f"{seen.total} in {len(source.lengths)} sequence(s)"),
        ]
        step = "unknown" if spec.step_minutes is None else _duration(60 * spec.step_minutes)
        found.append(("step", step if first is None else f"{step}; {first} to {last} UTC, calendar {grid.calendar}"))
        if grid.y:
            place = f"{grid.y_name} {grid.y[0]:g} to {grid.y[-1]:g}, {grid.x_name} {grid.x[0]:g} to {grid.x[-1]:g}"
            found.append(("place", f"{place} {grid.axis_units}; {(grid.crs or 'no CRS')[:60]}"))
        found.append(("missing", f"{100 * seen.missing.mean():.3g} % of pixels{part}; {grid.missing}"))
        if line is not None:
            gaps = f"{len(line.gaps)} gaps of {line.missing} frames, {line.duplicates} duplicates"
            gaps += f", {line.disorder} out of order"
            found.append(("times", gaps))
        empty = seen.empty + source.missing_frames
        odd = f"{seen.constant} constant, {empty} without a valid pixel, {seen.repeated} equal to the one before"
        found.append(("odd", odd + part))
        found += [("" if line else "windows", part) for line, part in enumerate(self.windows_note.split("; "))]
        offer = self.proposal
        cost_text = f"{offer.seconds_per_step:.2g} s an iteration, {offer.memory_bytes / 2**30:.2g} GiB (estimates)"
        whole = _duration(offer.steps * offer.seconds_per_step)
        found.append(
            (
                "expect",
                f"{cost_text}; {offer.steps} iterations in {whole}; {self.frame_seconds * 1e3:.3g} ms to read a frame",
            )
        )
        return found


def inspect(config: DataConfig, said: dict[str, Any], recipe: Recipe | None = None) -> Inspection:
    """Look at data.

    Args:
        config: what to look at.
        said: the fields of it that the user gave, for the command.
        recipe: context, horizon and patch; None for the defaults.

    Raises:
        InputError: data that cannot be used, and why.
        UsageError: a library for them is not installed.
    """
    source = FileSource(config)
    recipe = _in_frames(recipe or Recipe(), source.spec.step_minutes)
    begin = time.perf_counter()
    seen = survey_source(source)
    frame_seconds = (time.perf_counter() - begin) / max(1, len(seen.positions))
    frames = recipe.context + recipe.horizon
    try:
        parts = split_windows(source, config, frames, eval_stride=recipe.horizon)
        windows: dict[str, int] | None = {name: len(members) for name, members in parts.windows.items()}
        note = "; ".join([parts.how, *describe_split(parts, source), f"hash {parts.hash}"])
    except InputError as error:
        windows, note = None, str(error)
    offer = _proposal(source, recipe, enough=windows is not None)
    command = _command(config, said, offer, rain=source.spec.units in WET)
    return Inspection(config.path, source, seen, windows, note, frame_seconds, offer, command)


def _in_frames(recipe: Recipe, step_minutes: float | None) -> Recipe:
    lengths = {"context": recipe.context_, "horizon": recipe.horizon_}
    return recipe.model_copy(
        update={f"{name}_": in_frames(length, step_minutes, name) for name, length in lengths.items()}
    )


def draw_inspection(found: Inspection, path: Path) -> None:
    """Draw frames, the histogram, and mean and missing share over time."""
    from framecast.plotting.frames import draw_survey

    seen, source = found.survey, found.source
    positions = [seen.positions[index] for index in seen.shown_positions]
    moments = [(_moment(source, *position) or f"frame {position[1] + 1}") for position in positions]
    titles = [moment[:16].replace("T", " ") for moment in moments]
    breaks = [i for i in range(1, len(seen.positions)) if seen.positions[i][0] != seen.positions[i - 1][0]]
    looked = choose_view(source.spec, source.grid, *seen.shown)
    frames = [looked.of(frame) for frame in seen.shown]
    numbers = (seen.edges, seen.counts), (seen.mean, seen.missing)
    draw_survey(path, frames, titles, looked.spec, *numbers, breaks, looked.channel, source.spec.units)


def _proposal(source: FileSource, recipe: Recipe, *, enough: bool) -> Proposal:
    longest, spec = max(source.lengths), source.spec
    context, horizon, fractions = recipe.context, recipe.horizon, None
    if not enough:
        context = horizon = max(1, longest // 6)
        fractions = None if longest >= 6 else [1.0, 0.0, 0.0]
    speed, free = _speed(), free_bytes()
    offer = None
    for model, hidden, batch, shrink, crop in _sizes(spec):
        config = MODELS[model]() if hidden is None else MODELS[model].model_validate({"hidden": hidden})
        height, width = (crop, crop) if crop else (spec.height // shrink, spec.width // shrink)
        counted = count_cost(config, spec.channels, height, width, patch=recipe.patch, frames=context + horizon)
        seconds = 3 * batch * counted.multiply_adds / speed
        memory = batch * counted.training_bytes + 4 * counted.weights_bytes
        steps = int(min(recipe.train.steps, max(100, 100 * round(BUDGET / seconds / 100))))
        offer = Proposal(model, hidden, batch, shrink, crop, context, horizon, fractions, steps, seconds, memory)
        if seconds <= SECONDS and memory <= MEMORY * free:
            break
    assert offer is not None
    return offer


def _sizes(spec: FrameSpec) -> list[Size]:
    """From large to small. Of measurements on large frames crops, pictures coarser."""
    sizes: list[Size] = [("predrnn", None, 8, 1, None), ("predrnn", None, 2, 1, None)]
    if min(spec.height, spec.width) >= 2 * CROP and spec.units not in PICTURE_UNITS:
        sizes += [("predrnn", None, 4, 1, CROP), ("predrnn", [32, 32], 2, 1, CROP), ("convlstm", [16, 16], 2, 1, CROP)]
        return [*sizes, ("convlstm", [16, 16], 1, 1, CROP // 2)]
    sizes += [("predrnn", [32, 32], 2, 1, None), ("convlstm", [16, 16], 2, 1, None), ("convlstm", [16, 16], 1, 1, None)]
    room = min(spec.height, spec.width) // 16
    return sizes + [("convlstm", [16, 16], 1, shrink, None) for shrink in (2, 4, 8, 16) if shrink <= room]


def _command(config: DataConfig, said: dict[str, Any], offer: Proposal, *, rain: bool) -> str:
    flags = {"dims": "--dims", "variable": "--var", "times": "--times", "units": "--units", "missing": "--missing"}
    words = ["framecast", "train", offer.model, "--data", config.path]
    for field, flag in {**flags, "step_minutes": "--step-minutes"}.items():
        words += [flag, str(said[field])] if field in said else []
    if "range" in said:
        words.append(f"--range={said['range'][0]:g},{said['range'][1]:g}")
    if "frames" in said:
        words += ["--frames", ",".join(str(edge) for edge in said["frames"])]
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
    return " ".join(shlex.quote(word) for word in words)


def _speed() -> float:
    """Multiply-adds a second of a convolution here, CPU, the best of three."""
    image, kernel = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 5, 5)
    best = math.inf
    for _ in range(3):
        begin = time.perf_counter()
        torch.nn.functional.conv2d(image, kernel, padding=2)
        best = min(best, time.perf_counter() - begin)
    return 64**2 * 64**2 * 25 / max(best, 1e-9)


def _span(source: FileSource) -> tuple[str | None, str | None]:
    last = len(source.lengths) - 1
    return _moment(source, 0, 0), _moment(source, last, source.lengths[last] - 1)


def _moment(source: FileSource, sequence: int, at: int) -> str | None:
    """Date and time of a frame, in its own calendar."""
    time = source.read(sequence, at, at + 1).time
    return None if time is None else str(format_times(to_calendar(np.array([time]), source.grid))[0])


def _ends(axis: tuple[float, ...]) -> list[float]:
    return [axis[0], axis[-1]] if axis else []


def _duration(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.3g} {word}"
    return f"{seconds:.3g} seconds"
