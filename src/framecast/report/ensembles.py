"""Section of a report: an ensemble's members beside truth, how they go on at a place, and whether they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from framecast.metrics import Scores
from framecast.plotting.chart import Chart
from framecast.plotting.ensemble_charts import make_ensemble_charts
from framecast.plotting.line_styles import choose_styles
from framecast.plotting.plume import OBSERVED, READING, make_plume_chart
from framecast.report.blocks import Block, Figure, Figures, Folded, Section, Text
from framecast.report.frames import ChosenSequences, make_stamps
from framecast.report.svg_charts import draw_chart, draw_swatch

MEMBERS = (
    "Members are equally likely: what all have is rather certain, what one has is possible. The mean of all is the best "
    "guess of each pixel, and smoother than any frame."
)
PLACE = "The pixel that has the most in the mean of the members over all lead times."


def make_ensemble_section(
    scores: Mapping[str, Scores], chosen: ChosenSequences, context: int, styles: Mapping[str, int] | None = None
) -> Section | None:
    """Section of the ensembles among forecasts; None where there is none.

    Args:
        scores: by name of the forecast.
        chosen: the sequences of the page; members are those of the first forecast.
        context: J.
        styles: number of the style of each forecast; by default those that `choose_styles` gives these.
    """
    styles = choose_styles(scores) if styles is None else styles
    charts = make_ensemble_charts(scores, styles)
    names = [name for name in scores if scores[name].members > 1]
    blocks: list[Block] = []
    if any(shown.stamps is not None for shown in chosen.sequences):
        blocks += [Text(MEMBERS), make_stamps(chosen, context), *_plot_plumes(chosen)]
    if charts:
        pooled = [chart for chart in charts if "-pixel means" in chart.title]
        blocks.append(_plot(names, [chart for chart in charts if chart not in pooled], styles))
        blocks += [Folded("The same on means of squares", [_plot(names, pooled, styles)])] if pooled else []
    return Section("ensemble", "Ensemble", blocks) if blocks else None


def _draw(charts: Sequence[Chart]) -> list[Figure]:
    """Draw charts, and say of the first of each kind how to read it."""
    first = {chart.reading: chart for chart in reversed(charts)}
    return [
        Figure(chart.title, draw_chart(chart), chart.reading if first[chart.reading] is chart else "")
        for chart in charts
    ]


def _plot(names: Sequence[str], charts: Sequence[Chart], styles: Mapping[str, int]) -> Figures:
    swatches = [(name, draw_swatch(styles[name])) for name in names]
    return Figures(_draw(charts), swatches)


def _plot_plumes(chosen: ChosenSequences) -> list[Figures]:
    plumes = {shown.title: shown.plume for shown in chosen.sequences if shown.plume is not None}
    charts = [
        make_plume_chart(plume, chosen.view.spec, "members", f"{title}, row {plume.row}, column {plume.column}")
        for title, plume in plumes.items()
    ]
    styles = choose_styles(["members", OBSERVED])
    legend = [(name, draw_swatch(number)) for name, number in styles.items()]
    return [Figures([Figure(chart.title, draw_chart(chart)) for chart in charts], legend, f"{PLACE} {READING}")]
