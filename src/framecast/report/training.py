"""Section: the course of a training, and of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from framecast.report.blocks import Block, Figure, Figures, Section, Text
from framecast.report.svg_charts import Chart, ChartLine, draw_chart, draw_swatch
from framecast.runs.record import Events, Record

POINTS = 240
"""Longer courses are drawn as means of neighbours, with their smallest and largest as a band."""
FIRST = ("mse", "ssim", "psnr", "fmae", "sharpness")
"""Scores that come first among those of a validation."""
X = "iteration"


def training_section(records: Mapping[str, Record], styles: Mapping[str, int]) -> Section:
    """Loss, learning rate, share of true frames, and validation scores against iteration.

    Args:
        records: by name; several are drawn on the same charts.
        styles: colour and marker of each.
    """
    blocks: list[Block] = []
    alike = {style: ", ".join(name for name in records if styles[name] == style) for style in styles.values()}
    legend = [] if len(records) == 1 else [(names, draw_swatch(style)) for style, names in alike.items()]
    if any(record.training for record in records.values()):
        blocks.append(Figures([_figure(chart, styles) for chart in _courses(records)], legend, _about_loss(records)))
    names = _scored(records)
    if names:
        charts = [_validation(name, records) for name in names]
        blocks.append(
            Figures(
                [_figure(chart, styles) for chart in charts], legend, "Mean over lead times on the validation split."
            )
        )
    else:
        blocks.append(Text("No validation was made."))
    return Section("training", "Training", blocks)


def _span(records: Mapping[str, Record]) -> tuple[float, float]:
    return 0.0, float(max(max(1, record.iterations) for record in records.values()))


def _courses(records: Mapping[str, Record]) -> list[Chart]:
    span = _span(records)
    ends = {end for record in records.values() if (end := record.sampling_end) is not None}
    marks = [(float(end), "end of scheduled sampling") for end in sorted(ends)] if len(ends) == 1 else []
    charts = [
        Chart("Training loss", X, "loss", _lines(records, "loss"), log=True, marks=marks, span=span),
        Chart("Learning rate", X, "", _lines(records, "lr"), span=span),
        Chart("Norm of the gradient", X, "before clipping", _lines(records, "gradient_norm"), log=True, span=span),
    ]
    for place, part in ((1, "horizon"), (0, "context")):
        lines = _lines(records, "truth", place)
        if any(len(set(line.y)) > 1 for line in lines):
            charts.append(Chart(f"Share of true frames fed, {part}", X, "", lines, marks=marks, span=span))
    return charts


def _lines(records: Mapping[str, Record], key: str, place: int | None = None) -> list[ChartLine]:
    """One for each run; of a pair of numbers, the one at `place`."""
    lines = []
    for name, record in records.items():
        values = [event[key] if place is None else event[key][place] for event in record.training]
        lines.append(_course(name, _steps(record.training), list(map(_number, values))))
    return lines


def _course(name: str, steps: Sequence[float], values: Sequence[float]) -> ChartLine:
    """As it is where it is short; else means of neighbours and their range."""
    if len(steps) <= POINTS:
        return ChartLine(name, steps, values)
    size = math.ceil(len(steps) / POINTS)
    cuts = [slice(first, first + size) for first in range(0, len(steps), size)]
    parts = [[value for value in values[cut] if math.isfinite(value)] or [math.nan] for cut in cuts]
    return ChartLine(
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
        ChartLine(run, _steps(record.validations), _scores(record.validations, name)) for run, record in records.items()
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
    if any(record.sampling_end for record in records.values()):
        said += "While true frames are fed, the loss is easier than a forecast's: it rises as they become fewer."
    return said.strip()


def _figure(chart: Chart, styles: Mapping[str, int]) -> Figure:
    lines = [line._replace(style=styles[line.name]) for line in chart.lines]
    return Figure(chart.title, draw_chart(chart._replace(lines=lines)))
