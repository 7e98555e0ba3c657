"""Inspection of data, `framecast inspect`: contents, cost of a training on them, and the command that starts it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from framecast.calendars import find_parts, format_step, format_times, to_calendar
from framecast.commands.proposal import Proposal, name_base, propose_forecast, propose_training, write_command
from framecast.commands.window_plan import ENOUGH, plan_windows
from framecast.data import DataConfig, FileSource
from framecast.data.durations import in_frames
from framecast.data.sources.survey import Survey, survey_source
from framecast.data.windows.crops import WET
from framecast.data.windows.splits import describe_split, split_windows
from framecast.errors import InputError
from framecast.forecasting.context import UNIT
from framecast.formatting import describe_object, make_html
from framecast.json_files import json_safe
from framecast.plotting.view import choose_view
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec, Grid

BARS = 30
"""Width of the histogram, characters."""


class Inspection(NamedTuple):
    """Result of an inspection."""

    path: str
    source: FileSource
    survey: Survey
    windows: dict[str, int] | None
    """Windows of each split, at the context and horizon of the recipe; None where there are too few frames."""
    windows_note: str
    """Description of the split, or the reason why there is none."""
    frame_seconds: float
    """Time to read one frame."""
    proposal: Proposal | None
    """None where all values are equal, or no context and horizon leave windows enough for a training."""
    command: str | None
    """Line of `framecast train` with the proposed settings."""
    forecast: str
    """Line of `framecast predict` with a baseline, which needs no training."""

    def as_dict(self) -> dict[str, Any]:
        """Return the inspection as plain values, for JSON."""
        source, survey, timeline = self.source, self.survey, self.source.timeline
        first, last = _find_span(source)
        return json_safe(
            {
                "path": self.path,
                "kind": source.about,
                "spec": source.spec.model_dump(),
                "grid": {
                    **source.grid.model_dump(exclude={"y", "x", "mapping"}),
                    "missing": _describe_missing(source, survey),
                    "y": _list_ends(source.grid.y),
                    "x": _list_ends(source.grid.x),
                },
                "sequences": len(source.lengths),
                "frames": survey.total,
                "first": first,
                "last": last,
                "gaps": [] if timeline is None else timeline.gaps,
                "missing_frames": 0 if timeline is None else timeline.missing,
                "duplicates": 0 if timeline is None else timeline.duplicates,
                "disorder": 0 if timeline is None else timeline.disorder,
                "looked_at": len(survey.positions),
                "missing_share": float(survey.missing.mean()),
                "empty_frames": survey.empty + source.missing_frames,
                "constant_frames": survey.constant,
                "repeated_frames": survey.repeated,
                "low": survey.low,
                "high": survey.high,
                "histogram": {"edges": survey.edges.tolist(), "counts": survey.counts.tolist()},
                "windows": self.windows,
                "windows_note": self.windows_note,
                "seconds_per_frame": self.frame_seconds,
                "proposal": None if self.proposal is None else self.proposal._asdict(),
                "command": self.command,
                "forecast": self.forecast,
                "notes": source.notes,
            }
        )

    def __repr__(self) -> str:
        return describe_object("Inspection", [("of", self.path), *self._list_facts()[:5]])

    def _repr_html_(self) -> str:
        return make_html(f"Inspection: {Path(self.path).name}", [*self._list_facts(), *self._list_commands()])

    def print(self, console: Console) -> None:
        """Print facts, histogram, notes and the command: about thirty lines."""
        for name, text in self._list_facts():
            console.print(f"{name:10}", style="bold", end=" ", markup=False)
            console.print(text, markup=False, emoji=False, soft_wrap=True)
        peak = max(int(self.survey.counts.max()), 1)
        console.print("values", style="bold")
        for count, left, right in zip(self.survey.counts, self.survey.edges, self.survey.edges[1:], strict=False):
            bar = "#" * math.ceil(BARS * math.log1p(int(count)) / math.log1p(peak))
            share = 100 * int(count) / max(int(self.survey.counts.sum()), 1)
            console.print(f"  {left:10.4g} to {right:10.4g}  {bar:{BARS}} {share:.3g} %", markup=False)
        console.print("           (bars are logarithmic)", style="dim")
        for note in self.source.notes:
            console.print(note, style="dim", markup=False, emoji=False)
        for title, command in self._list_commands():
            console.print(f"\n{title}", style="bold")
            console.print(command, markup=False, emoji=False, soft_wrap=True)

    def _list_commands(self) -> list[tuple[str, str]]:
        """List (title, line) of what may be done next."""
        train = [] if self.command is None else [("train on it", self.command)]
        return [("forecast now, without a training", self.forecast), *train]

    def _list_facts(self) -> list[tuple[str, str]]:
        """List (name, text) of each line."""
        source, survey, spec, grid = self.source, self.survey, self.source.spec, self.source.grid
        first, last = _find_span(source)
        timeline = source.timeline
        part = "" if survey.whole else f" (of {len(survey.positions)} frames that were looked at)"
        names = f" ({', '.join(grid.variables[:6])})" if grid.variables else ""
        units = "not named" if spec.units == "1" else spec.units
        facts = [
            ("kind", source.about),
            ("size", f"{spec.height} x {spec.width} pixels, {spec.channels} channel(s){names}"),
            (
                "units",
                f"{units}, from {survey.low:g} to {survey.high:g}{part}; range {spec.low:g} to {spec.high:g}",
            ),
            ("frames", f"{survey.total} in {len(source.lengths)} sequence(s)"),
        ]
        step = "unknown" if spec.step_minutes is None else _format_step(spec)
        facts.append(("step", step if first is None else f"{step}; {first} to {last} UTC, calendar {grid.calendar}"))
        if grid.y:
            extent = f"{grid.y_name} {grid.y[0]:g} to {grid.y[-1]:g}, {grid.x_name} {grid.x[0]:g} to {grid.x[-1]:g}"
            facts.append(("place", f"{extent} {grid.axis_units}; {(grid.crs or 'no CRS')[:60]}"))
        facts.append(
            ("missing", f"{100 * survey.missing.mean():.3g} % of pixels{part}; {_describe_missing(source, survey)}")
        )
        if timeline is not None:
            gaps = f"{len(timeline.gaps)} gaps of {timeline.missing} frames, {timeline.duplicates} duplicates"
            gaps += f", {timeline.disorder} out of order"
            facts.append(("times", gaps))
        empty = survey.empty + source.missing_frames
        odd = f"{survey.constant} constant, {empty} without a valid pixel, {survey.repeated} equal to the one before"
        facts.append(("odd", odd + part))
        facts += [("" if line else "windows", part) for line, part in enumerate(self.windows_note.split("; "))]
        offer = self.proposal
        if offer is None:
            return [*facts, ("expect", f"{self.frame_seconds * 1e3:.3g} ms to read a frame")]
        split = "" if offer.fractions is None else f", split {offer.fractions}"
        lengths = f"{offer.context} frames in, {offer.horizon} out{split}: {offer.windows} training windows"
        facts += [("propose", lengths), ("", f"{offer.model} on {name_base(offer.base)}: {offer.reason}")]
        cost_text = f"{offer.seconds_per_step:.2g} s an iteration, {offer.memory_bytes / 2**30:.2g} GiB (estimates)"
        total = _format_duration(offer.steps * offer.seconds_per_step)
        facts.append(
            (
                "expect",
                f"{cost_text}; {offer.steps} iterations in {total}; {self.frame_seconds * 1e3:.3g} ms to read a frame",
            )
        )
        return facts


def inspect(config: DataConfig, options: dict[str, Any], recipe: Recipe | None = None) -> Inspection:
    """Inspect data: survey their values, count windows, and propose a training.

    Args:
        config: the data.
        options: fields of `config` that the user gave, which the command repeats.
        recipe: its context, horizon and patch are used; None for the defaults, or a day of context where that is usual.

    Raises:
        InputError: data that cannot be used, and why.
        UsageError: a library for their format is not installed.
    """
    source, is_free = FileSource(config, constant=UNIT), recipe is None
    recipe = _convert_lengths(recipe or Recipe(), source.spec)
    begin = time.perf_counter()
    survey = survey_source(source)
    frame_seconds = (time.perf_counter() - begin) / max(1, len(survey.positions))
    frames = recipe.context + recipe.horizon
    try:
        parts = split_windows(source, config, frames, eval_stride=recipe.horizon)
        windows: dict[str, int] | None = {name: len(members) for name, members in parts.windows.items()}
        note = "; ".join([parts.how, *describe_split(parts, source), f"hash {parts.hash}"])
    except InputError as error:
        windows, note = None, str(error)
    offer = command = None
    is_constant = survey.low == survey.high and survey.whole
    if is_constant or any(note.startswith("range: all values are") for note in source.notes):
        windows, note = None, f"none: all values are {survey.low:g}, from which nothing can be learnt"
    elif max(source.lengths) == 1:
        windows, note = None, "none: no sequence has two frames, one to begin with and one to predict"
    elif plan := plan_windows(source, config, recipe.context, recipe.horizon, free=is_free):
        offer = propose_training(source, recipe, plan)
        command = write_command(config, options, offer, rain=source.spec.units in WET)
    else:
        note += f"; no context and horizon leave {ENOUGH} windows: no training makes sense, give more frames"
    forecast = propose_forecast(source, config, options)
    return Inspection(config.path, source, survey, windows, note, frame_seconds, offer, command, forecast)


def _convert_lengths(recipe: Recipe, spec: FrameSpec) -> Recipe:
    """Convert context and horizon to frames."""
    lengths = {"context": recipe.context_, "horizon": recipe.horizon_}
    return recipe.model_copy(
        update={
            f"{name}_": in_frames(length, spec.step_minutes, name, spec.step_months) for name, length in lengths.items()
        }
    )


def draw_inspection(inspection: Inspection, path: Path) -> None:
    """Draw frames, the histogram, and mean and missing share over time.

    Args:
        inspection: the result to draw.
        path: new file.
    """
    from framecast.plotting.frames import draw_survey

    survey, source = inspection.survey, inspection.source
    positions = [survey.positions[index] for index in survey.shown_positions]
    moments = [(_format_time(source, *position) or f"frame {position[1] + 1}") for position in positions]
    titles = [moment[:16].replace("T", " ") for moment in moments]
    breaks = [i for i in range(1, len(survey.positions)) if survey.positions[i][0] != survey.positions[i - 1][0]]
    view = choose_view(source.spec, source.grid, *survey.shown)
    frames = [view.of(frame) for frame in survey.shown]
    numbers = (survey.edges, survey.counts), (survey.mean, survey.missing)
    draw_survey(path, frames, titles, view.spec, *numbers, breaks, view.channel, source.spec.units)


def _find_span(source: FileSource) -> tuple[str | None, str | None]:
    """Find the times of the first and the last frame."""
    last = len(source.lengths) - 1
    return _format_time(source, 0, 0), _format_time(source, last, source.lengths[last] - 1)


def _format_time(source: FileSource, sequence: int, at: int) -> str | None:
    """Format date and time of a frame in the calendar of the data; None where unknown."""
    time = source.read(sequence, at, at + 1).time
    return None if time is None else str(format_times(to_calendar(np.array([time]), source.grid))[0])


def _describe_missing(source: FileSource, survey: Survey) -> str:
    """Describe what is missing by the file, else by what the scan of its values met."""
    found = [note.removeprefix("missing: ") for note in source.notes if note.startswith("missing: ")]
    is_silent = source.grid.missing == Grid().missing
    return "; ".join(found) if is_silent and found and survey.missing.any() else source.grid.missing


def _list_ends(axis: tuple[float, ...]) -> list[float]:
    return [axis[0], axis[-1]] if axis else []


def _format_step(spec: FrameSpec) -> str:
    assert spec.step_minutes is not None
    if spec.step_months is not None or find_parts(spec.step_minutes)[0] > 1:
        return format_step(spec.step_minutes, spec.step_months)
    return _format_duration(60 * spec.step_minutes)


def _format_duration(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.3g} {word}"
    return f"{seconds:.3g} seconds"
