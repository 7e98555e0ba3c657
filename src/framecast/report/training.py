"""Section of a report: loss, learning rate and validation scores of trainings by iteration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from framecast.plotting.chart import Chart, ChartLine
from framecast.report.blocks import Block, Figure, Figures, Folded, Section, Text
from framecast.report.svg_charts import draw_chart, draw_swatch
from framecast.runs.record import Events, Record

POINTS = 240
"""Number of points of a line, at most; of more iterations, means of neighbours are drawn, and their range as a band."""
SHOWN = 3
"""Validation scores that are not folded away, at most."""
FIRST = ("mse", "ssim", "psnr", "fmae", "sharpness")
"""Metrics that come first among those of a validation."""
X_LABEL = "iteration"


def make_training_section(records: Mapping[str, Record], styles: Mapping[str, int]) -> Section:
    """Section with loss, learning rate, share of true frames, and validation scores against iteration.

    Args:
        records: runs by name; several are drawn on the same charts.
        styles: number of each run's colour and marker.
    """
    blocks: list[Block] = []
    groups = {style: ", ".join(name for name in records if styles[name] == style) for style in styles.values()}
    legend = [] if len(records) == 1 else [(names, draw_swatch(style)) for style, names in groups.items()]
    if any(record.training for record in records.values()):
        figures = [_draw_figure(chart, styles) for chart in _plot_training(records)]
        blocks.append(Figures(figures, legend, _describe_loss(records)))
    metrics = _list_metrics(records)
    if metrics:
        figures = [_draw_figure(_plot_validation(metric, records), styles) for metric in metrics]
        blocks.append(Figures(figures[:SHOWN], legend, "Mean over lead times on the validation split."))
        names = ", ".join(metrics[SHOWN:])
        others = Folded(f"{len(figures) - SHOWN} other validation scores: {names}", [Figures(figures[SHOWN:], legend)])
        blocks += [others] if names else []
    else:
        blocks.append(Text("No validation was made."))
    return Section("training", "Training", blocks)


def _find_span(records: Mapping[str, Record]) -> tuple[float, float]:
    return 0.0, float(max(max(1, record.iterations) for record in records.values()))


def _plot_training(records: Mapping[str, Record]) -> list[Chart]:
    span = _find_span(records)
    ends = {end for record in records.values() if (end := record.sampling_end) is not None}
    marks = [(float(end), "end of scheduled sampling") for end in sorted(ends)] if len(ends) == 1 else []
    charts = [
        Chart("Training loss", X_LABEL, "loss", _make_lines(records, "loss"), log=True, marks=marks, span=span),
        Chart("Learning rate", X_LABEL, "", _make_lines(records, "lr"), span=span),
        Chart(
            "Norm of the gradient",
            X_LABEL,
            "before clipping",
            _make_lines(records, "gradient_norm"),
            log=True,
            span=span,
        ),
    ]
    for index, part in ((1, "horizon"), (0, "context")):
        lines = _make_lines(records, "truth", index)
        if any(len(set(line.y)) > 1 for line in lines):
            charts.append(Chart(f"Share of true frames fed, {part}", X_LABEL, "", lines, marks=marks, span=span))
    return charts


def _make_lines(records: Mapping[str, Record], key: str, index: int | None = None) -> list[ChartLine]:
    """A line for each run: the values of an event's field, or of the element `index` of a field that is a pair."""
    lines = []
    for name, record in records.items():
        values = [event[key] if index is None else event[key][index] for event in record.training]
        lines.append(_thin_line(name, _list_steps(record.training), list(map(_to_float, values))))
    return lines


def _thin_line(name: str, steps: Sequence[float], values: Sequence[float]) -> ChartLine:
    """Line of at most `POINTS` points; of more values, means of neighbours and their range."""
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


def _list_metrics(records: Mapping[str, Record]) -> list[str]:
    """Names of the metrics of all validations."""
    names: dict[str, None] = {}
    for record in records.values():
        for event in record.validations:
            names |= dict.fromkeys(key for key in event if key not in ("event", "step"))
    return [name for name in FIRST if name in names] + [name for name in names if name not in FIRST]


def _plot_validation(metric: str, records: Mapping[str, Record]) -> Chart:
    lines = []
    for name, record in records.items():
        scores = [_to_float(event.get(metric)) for event in record.validations]
        lines.append(ChartLine(name, _list_steps(record.validations), scores))
    return Chart(f"Validation {metric}", X_LABEL, "", lines, span=_find_span(records))


def _list_steps(events: Events) -> list[float]:
    return [float(event["step"]) for event in events]


def _to_float(value: float | int | None) -> float:
    return math.nan if value is None else float(value)


def _describe_loss(records: Mapping[str, Record]) -> str:
    is_thinned = any(len(record.training) > POINTS for record in records.values())
    note = "Means of neighbouring iterations; the bands hold their smallest and largest. " if is_thinned else ""
    if any(record.sampling_end for record in records.values()):
        note += "While true frames are fed, the loss is easier than a forecast's: it rises as they become fewer."
    return note.strip()


def _draw_figure(chart: Chart, styles: Mapping[str, int]) -> Figure:
    lines = [line._replace(style=styles[line.name]) for line in chart.lines]
    return Figure(chart.title, draw_chart(chart._replace(lines=lines)))
