"""Report of a run, or of several side by side: a single HTML page that opens from disk and fetches nothing.

* blocks.py: the blocks that a page is made of; svg_charts.py draws its charts
* about.py, ensembles.py, training.py, lead_times.py, frames.py, motion.py, studies.py: one section each
* page.py: the HTML file, from blocks.html, template.html, page.css, page.js
* comparison_page.py: the page of several runs
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import framecast.plotting  # noqa: F401, before any module here imports matplotlib
from framecast import files
from framecast.data.sources.base import Source
from framecast.errors import CheckpointError, InputError
from framecast.evaluation.prepare import prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite
from framecast.formatting import format_number
from framecast.plotting.line_styles import choose_styles
from framecast.recipe.foreign import foreign
from framecast.report import page
from framecast.report.about import list_selection_notes, make_about_section
from framecast.report.blocks import Page, Section, Text
from framecast.report.ensembles import make_ensemble_section
from framecast.report.frames import choose_sequences, make_frames_section, write_frames
from framecast.report.headline import find_strongest, say_where_baselines_win
from framecast.report.lead_times import make_lead_times_section
from framecast.report.motion import make_motion_section
from framecast.report.studies import make_studies_section
from framecast.report.training import make_training_section
from framecast.runs.record import Record, describe_network, read_record

NAME = "report.html"

__all__ = ["NAME", "Report", "write_report"]


class Report(NamedTuple):
    """The page of a run, as it was written."""

    page: Path
    fault: InputError | CheckpointError | None
    """Reason why the page has no scores; None where it has some."""
    verdict: str | None = None
    """Sentence on whether the model beats the best baseline; None where there is nothing to judge."""


def write_report(
    run: str | Path,
    *,
    out: Path | None = None,
    pictures: Path | None = None,
    options: EvaluationOptions = DEFAULT_OPTIONS,
    evaluation: tuple[EvaluationSuite, Scoreboard] | None = None,
    source: Source | None = None,
    device: str = "auto",
    model: str | None = None,
    quiet: bool = False,
    further: Sequence[Section] = (),
) -> Report:
    """Write the page of a run.

    Args:
        run: the run's folder.
        out: path of the page; by default report.html in the run's folder, where an earlier page is replaced.
        pictures: a new folder for the frames of the page at full size, gt1.png, pd11.png and so on; None for none.
        options: of the evaluation; by default test, else validation windows; without a limit, as many as a validation's.
        evaluation: forecasts and scores that were computed before; None to evaluate the run with `options`.
        source: the run's data, where they are open already.
        device: where to compute.
        model: `package.module:Class` of a network of the user's that the user trusts.
        quiet: whether to show no progress.
        further: sections before the last one.

    Returns:
        the page. Without a whole model, or where its data cannot be read any more, it has no scores and says why.

    Raises:
        UsageError: the folder holds no run, a file is in the way of the page or the pictures, or wrong options.
        InputError, CheckpointError: pictures were requested, and the run has no model, or its data cannot be read.
    """
    record = read_record(run, model)
    path = out or record.folder.path / NAME
    page.check_page(path)
    if pictures is not None:
        files.check_new(pictures)
    subtitle = f"{describe_network(record)} on {record.source}, {record.iterations} iterations"
    fault: InputError | CheckpointError | None = None
    verdict: str | None = None
    try:
        suite, scoreboard = evaluation or _evaluate(record, run, options, source, device, quiet=quiet)
    except (InputError, CheckpointError) as error:
        if pictures is not None:
            raise
        fault, sections = error, [Section("scores", "Scores", [Text(f"None: {error}")])]
        lead = "This run has no scores, for the reason that stands below"
    else:
        subtitle += f"; scored on {scoreboard.about_samples()}"
        verdict = scoreboard.verdict
        sections = _make_score_sections(record, suite, scoreboard, pictures)
        lead = _make_lead(scoreboard)
    studies = make_studies_section(record.folder.path)
    style = choose_styles([str(record.recipe.model.name)])  # type: ignore[attr-defined]
    sections.append(make_training_section({record.name: record}, {record.name: next(iter(style.values()))}))
    sections += [*([studies] if studies else []), *further, make_about_section(record)]
    written = page.write_page(path, Page(record.name, subtitle, sections, lead))
    return Report(written, fault, verdict)


def _evaluate(
    record: Record, run: str | Path, options: EvaluationOptions, source: Source | None, device: str, *, quiet: bool
) -> tuple[EvaluationSuite, Scoreboard]:
    options = options._replace(limit=options.limit or record.recipe.validate_.sequences)
    suite = prepare_suite(str(run), {}, options, source=source, device=device, model=foreign(record.recipe))
    return suite, suite.score(quiet=quiet)


def _make_lead(board: Scoreboard) -> str:
    """Say first what a page comes to: who is better, by how much, whether that is certain, and where a baseline is."""
    metric, model = board.metrics[0], next(iter(board.estimates))
    if board.verdict is None:
        mean = format_number(board.estimates[model][metric.name].mean)
        return f"{model} has a mean {metric.name} of {mean}; no baseline was scored beside it"
    where = say_where_baselines_win(metric, board.estimates, model, board.baselines, board.dataset.spec)
    return "; ".join(part for part in (board.verdict, where) if part)


def _make_score_sections(
    record: Record, suite: EvaluationSuite, scoreboard: Scoreboard, pictures: Path | None
) -> list[Section]:
    model = next(iter(suite.forecasts))
    beside = find_strongest(scoreboard.metrics[0], scoreboard.estimates, suite.baselines)
    sequences = choose_sequences(suite, scoreboard, [model], beside=beside)
    if pictures is not None:
        write_frames(pictures, sequences.only(model))
    metric, split = scoreboard.metrics[0].name, scoreboard.split
    order = f"Best, median and worst by {metric} among {scoreboard.sequences} sequences of split {split}."
    notes = [
        scoreboard.about_samples(),
        scoreboard.about_intervals(),
        scoreboard.about_scale(),
        *list_selection_notes([record], split),
    ]
    motion = make_motion_section(suite, sequences)
    ensemble = make_ensemble_section(scoreboard.scores, sequences, suite.dataset.context)
    return [
        make_frames_section(sequences, suite.dataset.context, order),
        *([] if ensemble is None else [ensemble]),
        make_lead_times_section(scoreboard.metrics, scoreboard.estimates, suite.dataset.spec, notes),
        *([] if motion is None else [motion]),
    ]
