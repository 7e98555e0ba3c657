"""Charts of scores by lead time, as values: pages draw them as SVG, the folder of an evaluation holds them as PNG."""

from __future__ import annotations

from collections.abc import Mapping

from framecast.evaluation.tables import metric_unit
from framecast.metrics import DIRECTIONS, Estimate, Metric
from framecast.plotting.chart import Chart, ChartLine
from framecast.types import FrameSpec

SIGNS = {"less": "below 0 is better", "more": "above 0 is better", "one": ""}
"""Meaning of the sign of a difference, by `Metric.better`; scores that are best at 1 give it none."""


def make_lead_time_chart(
    metric: Metric, estimates: Mapping[str, Estimate], spec: FrameSpec, *, are_differences: bool = False
) -> Chart:
    """Make the chart of one metric against lead time, a line for each forecast, intervals as bands.

    Args:
        metric: metric of the scores.
        estimates: one for each forecast, by its name.
        spec: frames, of which the time between them counts, where it is known.
        are_differences: whether the estimates are differences from a first forecast, which has the first style.
    """
    minutes = spec.step_minutes
    step, unit = (1.0, "frames") if minutes is None else choose_time_unit(minutes, spec.step_months)
    lines = []
    for index, (name, estimate) in enumerate(estimates.items()):
        leads = [step * (lead + 1) for lead in range(len(estimate.by_lead))]
        low, high = zip(*estimate.by_lead_interval, strict=True)
        # a forecast has one style in both charts, and the first has no line among the differences
        lines.append(ChartLine(name, leads, estimate.by_lead, low, high, index + are_differences))
    better = SIGNS[metric.better] if are_differences else DIRECTIONS[metric.better]
    title = f"{metric.name}: {better}" if better else metric.name
    level = 0.0 if are_differences else 1.0 if metric.better == "one" else None
    return Chart(title, f"lead time, {unit}", metric_unit(metric), lines, level=level)


def choose_time_unit(step_minutes: float, step_months: int | None = None) -> tuple[float, str]:
    """Choose seconds, minutes, hours or months for the time between frames; return it in that unit, and its name."""
    if step_months is not None:
        return float(step_months), "months"
    if step_minutes < 1:
        return 60 * step_minutes, "seconds"
    return (step_minutes, "minutes") if step_minutes < 60 else (step_minutes / 60, "hours")
