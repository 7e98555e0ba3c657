"""Page of a comparison: compare.html and compare.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from framecast import files
from framecast.evaluation.comparison import Comparison
from framecast.evaluation.tables import format_interval
from framecast.formatting import format_number
from framecast.metrics import Metric
from framecast.report import page
from framecast.report.about import list_selection_notes
from framecast.report.blocks import Block, Folded, Page, Section, Table, TableCell, Text
from framecast.report.costs import make_costs_section
from framecast.report.ensembles import make_ensemble_section
from framecast.report.frames import choose_sequences, make_frames_section
from framecast.report.headline import choose_headline, find_strongest, say_where_baselines_win
from framecast.report.lead_times import make_lead_times_section, make_metric_cell, plot_lead_times
from framecast.report.training import make_training_section

PAGE, NUMBERS = "compare.html", "compare.json"
MOST_ENTRIES = 6
"""Number of entries whose frames are shown, at most."""


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write compare.html and compare.json.

    Args:
        comparison: scores of the runs.
        folder: a new one, or one without these two files; an earlier page that framecast wrote is replaced.

    Returns:
        the page's path.

    Raises:
        UsageError: one of the files exists and framecast did not write it.
    """
    path = folder / PAGE
    page.check_page(path)
    if not path.exists():
        files.check_new(folder / NUMBERS)
    suite, scoreboard = comparison.suite, comparison.scoreboard
    metric, dataset = scoreboard.metrics[0].name, suite.dataset
    order = f"Best, median and worst by the mean {metric} of what is shown, of {scoreboard.sequences} sequences."
    notes = [
        scoreboard.about_samples(),
        scoreboard.about_intervals(),
        scoreboard.about_scale(),
        *_list_seed_notes(comparison),
        *list_selection_notes(comparison.records.values(), scoreboard.split),
    ]
    names = [runs[0] for runs in comparison.groups.values()][:MOST_ENTRIES]
    beside = find_strongest(scoreboard.metrics[0], comparison.estimates, suite.baselines)
    shown = choose_sequences(suite, scoreboard, names, beside=beside)
    ensemble = make_ensemble_section(scoreboard.scores, shown, dataset.context, comparison.styles)
    sections = [
        make_frames_section(shown, dataset.context, order),
        *([] if ensemble is None else [ensemble]),
        make_lead_times_section(scoreboard.metrics, comparison.estimates, dataset.spec, notes),
        *_make_differences_sections(comparison),
        make_costs_section(comparison),
        make_training_section(comparison.records, comparison.styles),
    ]
    source = next(iter(comparison.records.values())).source
    title, subtitle = ", ".join(comparison.groups), f"{comparison.budget}. {source}, split {scoreboard.split}."
    files.write_text(folder / NUMBERS, json.dumps(comparison.as_dict(), indent=2, allow_nan=False) + "\n")
    return page.write_page(path, Page(f"Comparison: {title}", subtitle, sections, _make_lead(comparison)))


def _make_lead(comparison: Comparison) -> str:
    """Say first what a page comes to: which entry is the best, by how much, whether that is certain."""
    board = comparison.scoreboard
    metric, names = board.metrics[0], list(comparison.groups)
    best = find_strongest(metric, comparison.estimates, names)
    if comparison.verdict is None or not best:
        return f"{', '.join(names)} on the same {board.sequences} sequences; {metric.name} does not say which is better"
    where = say_where_baselines_win(metric, comparison.estimates, best[0], board.baselines, board.dataset.spec)
    return "; ".join(part for part in (comparison.verdict, where) if part)


def _make_differences_sections(comparison: Comparison) -> list[Section]:
    if not comparison.differences:
        return []
    metrics, reference = comparison.scoreboard.metrics, comparison.reference
    first = choose_headline(metrics)
    others = [metric for metric in metrics if metric not in first]
    caption = f"Score less that of {reference}, 95 % intervals below; {comparison.about_stars}"
    text = (
        f"Score less that of {reference}, sequence by sequence the same, so how hard they are cancels out. The intervals "
        "are paired: every draw takes the same sequences for all. How trainings with other seeds scatter is not in them."
    )
    blocks: list[Block] = [Text(text), *_tabulate_differences(comparison, first, caption)]
    if others:
        names = ", ".join(dict.fromkeys(metric.name.split("@")[0] for metric in others))
        folded = _tabulate_differences(comparison, others, caption)
        blocks.append(Folded(f"{len(others)} other scores: {names}", folded))
    return [Section("differences", f"Differences from {reference}", blocks)]


def _tabulate_differences(comparison: Comparison, metrics: Sequence[Metric], caption: str) -> list[Block]:
    rows = [
        (make_metric_cell(metric), [_make_cell(comparison, name, metric) for name in comparison.differences])
        for metric in metrics
    ]
    header = [TableCell("metric"), *map(TableCell, comparison.differences)]
    spec, styles = comparison.suite.dataset.spec, comparison.styles
    charts = plot_lead_times(metrics, comparison.differences, spec, are_differences=True, styles=styles)
    return [Table(caption, header, rows), charts]


def _make_cell(comparison: Comparison, name: str, metric: Metric) -> TableCell:
    difference = comparison.differences[name][metric.name]
    text = f"{format_number(difference.mean)}{comparison.mark_difference(difference)}"
    return TableCell(text, format_interval(difference.mean_interval))


def _list_seed_notes(comparison: Comparison) -> list[str]:
    """The spread of the first metric over the seeds of each entry, in words; nothing where all have one seed."""
    metric, spread = comparison.scoreboard.metrics[0].name, comparison.paired.measure_spread()
    ranges = [
        f"{name} {format_number(spread[name][metric][0])} to {format_number(spread[name][metric][1])} ({len(runs)} seeds)"
        for name, runs in comparison.groups.items()
        if len(runs) > 1
    ]
    return (
        [f"Entries of several seeds are means over them; {metric} of single ones: {', '.join(ranges)}"]
        if ranges
        else []
    )
