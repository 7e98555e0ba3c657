"""Section: the course of a training, and of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from framecast.recipe import Recipe
from framecast.report.blocks import Block, Figure, Figures, Section, Text
from framecast.report.record import Events, Record
from framecast.report.svg import Chart, Line, draw, swatch

POINTS = 240
"""Longer courses are drawn as means of neighbours, with their smallest and largest as a band."""
FIRST = ("mse", "ssim", "psnr", "fmae", "sharpness")
"""Scores that come first among those of a validation."""
X = "iteration"


def training(records: Mapping[str, Record]) -> Section:
    """Loss, learning rate, share of true frames, and validation scores against iteration.

    Args:
        records: by name; several are drawn on the same charts.
    """
    alone = len(records) == 1
    blocks: list[Block] = []
    legend = [] if alone else [(name, swatch(number)) for number, name in enumerate(records)]
    if any(record.training for record in records.values()):
        blocks.append(Figures([_figure(chart) for chart in _courses(records)], legend, _about_loss(records)))
    names = _scored(records)
    if names:
        charts = [_validation(name, records) for name in names]
        blocks.append(
            Figures([_figure(chart) for chart in charts], legend, "Mean over lead times on the validation split.")
        )
    else:
        blocks.append(Text("No validation was made."))
    return Section("training", "Training", blocks)


def sampling_end(recipe: Recipe) -> int | None:
    """The iteration from which on the share of true frames no longer changes; None where it never does, or always."""
    total = recipe.train.steps
    final = recipe.sampling.probabilities(total, total)
    if recipe.sampling.probabilities(1, total) == final:
        return None
    low, high = 1, total  # changes at low, not at high; once it is final it stays so
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if recipe.sampling.probabilities(middle, total) == final else (middle, high)
    return high if high < total else None


def _span(records: Mapping[str, Record]) -> tuple[float, float]:
    return 0.0, float(max(max(1, record.iterations) for record in records.values()))


def _courses(records: Mapping[str, Record]) -> list[Chart]:
    span = _span(records)
    ends = {end for record in records.values() if (end := sampling_end(record.recipe)) is not None}
    marks = [(float(end), "end of scheduled sampling") for end in sorted(ends)] if len(ends) == 1 else []
    charts = [
        Chart("Training loss", X, "loss", _lines(records, "loss"), log=True, marks=marks, span=span),
        Chart("Learning rate", X, "Adam's", _lines(records, "lr"), span=span),
        Chart("Norm of the gradient", X, "before clipping", _lines(records, "gradient_norm"), log=True, span=span),
    ]
    if ends or len(records) == 1:
        charts.insert(2, _shares(records, marks))
    return charts


def _shares(records: Mapping[str, Record], marks: Sequence[tuple[float, str]]) -> Chart:
    """Of the horizon; where the context is not always true, of the context too."""
    lines = []
    for name, record in records.items():
        steps = _steps(record.training)
        encoder, decoder = ([float(event["truth"][part]) for event in record.training] for part in (0, 1))
        lines.append(_course("horizon" if len(records) == 1 else name, steps, decoder))
        if len(records) == 1 and min(encoder, default=1) < 1:
            lines.append(_course("context", steps, encoder))
    what = "solid: horizon, other: context" if len(lines) > len(records) else "in the horizon"
    return Chart("Share of true frames fed", X, what, lines, marks=marks, span=_span(records))


def _lines(records: Mapping[str, Record], key: str) -> list[Line]:
    return [_course(name, _steps(r.training), [_number(e[key]) for e in r.training]) for name, r in records.items()]


def _course(name: str, steps: Sequence[float], values: Sequence[float]) -> Line:
    """As it is where it is short; else means of neighbours and their range."""
    if len(steps) <= POINTS:
        return Line(name, steps, values)
    size = math.ceil(len(steps) / POINTS)
    cuts = [slice(first, first + size) for first in range(0, len(steps), size)]
    parts = [[value for value in values[cut] if math.isfinite(value)] or [math.nan] for cut in cuts]
    return Line(
        name,
        [sum(steps[cut]) / len(steps[cut]) for cut in cuts],
        [sum(part) / len(part) for part in parts],
        [min(part) for part in parts],
        [max(part) for part in parts],
    )


def _scored(records: Mapping[str, Record]) -> list[str]:
    found: dict[str, None] = {}
    for record in records.values():
        for event in record.validations:
            found |= dict.fromkeys(key for key in event if key not in ("event", "step"))
    return [name for name in FIRST if name in found] + [name for name in found if name not in FIRST]


def _validation(name: str, records: Mapping[str, Record]) -> Chart:
    lines = [
        Line(run, _steps(record.validations), _scores(record.validations, name)) for run, record in records.items()
    ]
    return Chart(f"Validation {name}", X, "", lines, span=_span(records))


def _scores(events: Events, name: str) -> list[float]:
    return [_number(event.get(name)) for event in events]


def _steps(events: Events) -> list[float]:
    return [float(event["step"]) for event in events]


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)


def _about_loss(records: Mapping[str, Record]) -> str:
    long = any(len(record.training) > POINTS for record in records.values())
    said = "Means of neighbouring iterations; the bands hold their smallest and largest. " if long else ""
    if any(sampling_end(record.recipe) for record in records.values()):
        said += "While true frames are fed, the loss is easier than a forecast's: it rises as they become fewer."
    return said.strip()


def _figure(chart: Chart) -> Figure:
    return Figure(chart.title, draw(chart))
