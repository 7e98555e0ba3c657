"""The page of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

from framecast import files
from framecast.evaluation.comparison import Comparison, mark_significant
from framecast.evaluation.tables import format_interval
from framecast.formatting import format_duration, format_number
from framecast.metrics import Metric
from framecast.report import page
from framecast.report.about import selection_notes
from framecast.report.blocks import Block, Page, Section, Table, TableCell, Text
from framecast.report.frames import choose_sequences, frames_section
from framecast.report.lead_times import lead_time_charts, lead_times_section, metric_title
from framecast.report.training import training_section
from framecast.runs.record import describe_network

PAGE, NUMBERS = "compare.html", "compare.json"
SHOWN = 6
"""Entries at most whose frames are shown."""


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write compare.html and compare.json.

    Args:
        found: the runs, scored.
        folder: a new one, or one without these two files; an earlier page of framecast's own is replaced.

    Returns:
        the page's path.

    Raises:
        UsageError: something else is in the way.
    """
    path = folder / PAGE
    page.check_page(path)
    if not path.exists():
        files.check_new(folder / NUMBERS)
    spec, board = found.match.dataset.spec, found.board
    order = (
        f"Best, median and worst by the mean {board.metrics[0].name} of what is shown, of {board.sequences} sequences."
    )
    shown = [runs[0] for runs in found.groups.values()][:SHOWN]
    notes = [board.about_samples(), board.about_intervals(), board.about_scale(), *_about_seeds(found)]
    notes += selection_notes(found.records.values(), board.split)
    sections = [
        _runs(found),
        lead_times_section(board.metrics, found.estimates, spec.step_minutes, notes),
        *_differences(found),
        frames_section(choose_sequences(found.match, board, shown), found.match.dataset.context, order),
        training_section(found.records, found.styles),
    ]
    said = f"{next(iter(found.records.values())).source}, split {board.split}"
    names = ", ".join(found.groups)
    files.write_text(folder / NUMBERS, json.dumps(found.as_dict(), indent=2, allow_nan=False) + "\n")
    return page.write_page(path, Page(f"Comparison: {names}", f"{said}. {found.budget}.", sections))


def _runs(found: Comparison) -> Section:
    rows = []
    for name, record in found.records.items():
        cost, batch = record.cost(), record.recipe.train.batch_size
        cells = [
            str(record.recipe.seed),
            f"{cost.parameters:,}",
            f"{cost.multiply_adds / 1e9:.3g} G",
            f"{record.iterations} x {batch}",
            format_duration(record.seconds),
            f"{record.seconds / max(1, record.iterations):.3g} s",
            str(record.model.get("about", {}).get("step", "-")),
        ]
        rows.append((TableCell(name, describe_network(record)), [TableCell(text) for text in cells]))
    header = [
        "run",
        "seed",
        "parameters",
        "multiply-adds",
        "iterations",
        "time",
        "an iteration",
        "best after",
    ]
    first = next(iter(found.records.values()))
    hashes = f"All on data {first.data['fingerprint']}, split {first.data['split']}. {found.budget}."
    caption = "Multiply-adds: forward, for each sequence; iterations: times sequences in each; time: in iterations"
    return Section(
        "runs", "Runs and budget", [Text(hashes), Table(caption, [TableCell(word) for word in header], rows)]
    )


def _differences(found: Comparison) -> list[Section]:
    if not found.differences:
        return []
    metrics, reference = found.board.metrics, found.reference
    rows = [(metric_title(metric), [_cell(found, name, metric) for name in found.differences]) for metric in metrics]
    caption = f"Score less that of {reference}, 95 % intervals below; * the interval does not hold 0"
    text = (
        f"Score less that of {reference}, sequence by sequence the same, so how hard they are cancels out. The intervals "
        "are paired: every draw takes the same sequences for all. How trainings with other seeds scatter is not in them."
    )
    blocks: list[Block] = [Text(text), Table(caption, [TableCell("metric"), *map(TableCell, found.differences)], rows)]
    step = found.match.dataset.spec.step_minutes
    blocks.append(lead_time_charts(metrics, found.differences, step, differ=True))
    return [Section("differences", f"Differences from {reference}", blocks)]


def _cell(found: Comparison, name: str, metric: Metric) -> TableCell:
    one = found.differences[name][metric.name]
    return TableCell(f"{format_number(one.mean)}{mark_significant(one)}", format_interval(one.mean_interval))


def _about_seeds(found: Comparison) -> list[str]:
    """How far the trainings of an entry lie apart, by the first metric."""
    metric, spread = found.board.metrics[0].name, found.paired.spread()
    said = [
        f"{name} {format_number(spread[name][metric][0])} to {format_number(spread[name][metric][1])} ({len(runs)} seeds)"
        for name, runs in found.groups.items()
        if len(runs) > 1
    ]
    return [f"Entries of several seeds are means over them; {metric} of single ones: {', '.join(said)}"] if said else []
