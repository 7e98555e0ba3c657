"""Charts of scores by lead time, as values: pages draw them as SVG, the folder of an evaluation holds them as PNG."""

from __future__ import annotations

from collections.abc import Mapping

from framecast.evaluation.tables import metric_unit
from framecast.metrics import DIRECTIONS, Estimate, Metric
from framecast.plotting.chart import Chart, ChartLine, choose_time_unit
from framecast.plotting.line_styles import choose_styles
from framecast.types import FrameSpec

SIGNS = {"less": "below 0 is better", "more": "above 0 is better", "one": ""}
"""Meaning of the sign of a difference, by `Metric.better`; scores that are best at 1 give it none."""


def make_lead_time_chart(
    metric: Metric,
    estimates: Mapping[str, Estimate],
    spec: FrameSpec,
    *,
    are_differences: bool = False,
    styles: Mapping[str, int] | None = None,
) -> Chart:
    """Make the chart of one metric against lead time, a line for each forecast, intervals as bands.

    Args:
        metric: metric of the scores.
        estimates: one for each forecast, by its name.
        spec: frames, of which the time between them counts, where it is known.
        are_differences: whether the estimates are differences from another forecast.
        styles: number of the style of each forecast; by default those that `choose_styles` gives these.
    """
    minutes = spec.step_minutes
    step, unit = (1.0, "frames") if minutes is None else choose_time_unit(minutes, spec.step_months)
    lines = []
    styles = choose_styles(estimates) if styles is None else styles
    for name, estimate in estimates.items():
        leads = [step * (lead + 1) for lead in range(len(estimate.by_lead))]
        low, high = zip(*estimate.by_lead_interval, strict=True)
        lines.append(ChartLine(name, leads, estimate.by_lead, low, high, styles[name]))
    better = SIGNS[metric.better] if are_differences else DIRECTIONS[metric.better]
    title = f"{metric.name}: {better}" if better else metric.name
    level = 0.0 if are_differences else 1.0 if metric.better == "one" else None
    return Chart(title, f"lead time, {unit}", metric_unit(metric), lines, level=level)
