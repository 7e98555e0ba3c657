"""One page to look at: a run, or several side by side, as a single HTML file that opens from disk and fetches nothing.

* record.py: a run's folder, read
* blocks.py: what a page is made of; svg.py draws its charts
* about.py, training.py, lead_times.py, frames.py, study.py: one section each
* page.py: to a file, with blocks.html, template.html, page.css, page.js
* comparison.py: several runs scored on the same windows; side_by_side.py: their page
"""

from __future__ import annotations

from pathlib import Path

from framecast import files
from framecast.errors import CheckpointError, InputError
from framecast.evaluation.prepare import prepare_suite
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import DEFAULT_OPTIONS, EvaluationOptions, EvaluationSuite
from framecast.recipe.recipe import foreign
from framecast.report import page
from framecast.report.about import about_section, selection_notes
from framecast.report.blocks import Page, Section, Text
from framecast.report.frames import choose_sequences, frames_section, write_frames
from framecast.report.lead_times import lead_times_section
from framecast.report.studies import studies_section
from framecast.report.training import training_section
from framecast.runs.record import Record, describe_network, read_record

NAME = "report.html"

__all__ = ["NAME", "write_report"]


def write_report(
    run: str | Path,
    *,
    out: Path | None = None,
    pictures: Path | None = None,
    question: EvaluationOptions = DEFAULT_OPTIONS,
    scored: tuple[EvaluationSuite, Scoreboard] | None = None,
    device: str = "auto",
    model: str | None = None,
    quiet: bool = False,
) -> Path:
    """Write the page of a run.

    Args:
        run: the run's folder.
        out: the page; by default report.html in the run's folder, where an earlier page is replaced.
        pictures: a new folder for the frames of the page at full size, gt1.png, pd11.png and so on; None for none.
        question: what is to be scored; by default test windows, else validation windows; without a limit, as many as a
            validation takes.
        scored: what was scored already, instead.
        device: where to compute.
        model: `package.module:Class` of a network that is not framecast's own and that the user trusts.
        quiet: whether to show no progress.

    Returns:
        the page's path. Without a model, or where its data cannot be read any more, it has no scores and says why.

    Raises:
        UsageError: no run is there, something is in the way of what is to be written, or a question that cannot be put.
        InputError, CheckpointError: pictures were asked for, and there is nothing to forecast with, or from.
    """
    record = read_record(run, model)
    path = out or record.folder.path / NAME
    page.check_page(path)
    if pictures is not None:
        files.check_new(pictures)
    why = ""
    if scored is None:
        limit = question.limit or record.recipe.validate_.sequences
        try:
            match = prepare_suite(
                str(run), {}, question._replace(limit=limit), device=device, model=foreign(record.recipe)
            )
            scored = match, match.score(quiet=quiet)
        except (InputError, CheckpointError) as error:
            if pictures is not None:
                raise
            why = str(error)
    sections: list[Section | None] = []
    sections += _scored(record, *scored, pictures) if scored else [Section("scores", "Scores", [Text(f"None: {why}")])]
    sections += [
        training_section({record.name: record}, {record.name: 0}),
        studies_section(record.folder.path),
        about_section(record),
    ]
    return page.write_page(path, Page(record.name, _subtitle(record, scored), [one for one in sections if one]))


def _scored(record: Record, match: EvaluationSuite, board: Scoreboard, pictures: Path | None) -> list[Section]:
    spec, name = match.dataset.spec, next(iter(match.forecasts))
    shown = choose_sequences(match, board, [name])
    if pictures is not None:
        write_frames(pictures, shown)
    metric = board.metrics[0].name
    about_order = f"Best, median and worst by {metric} among {board.sequences} sequences of split {board.split}."
    notes = [
        board.about_samples(),
        board.about_intervals(),
        board.about_scale(),
        *selection_notes([record], board.split),
    ]
    estimates = {
        forecast: {key: one.score for key, one in found.items()} for forecast, found in board.summaries.items()
    }
    return [
        frames_section(shown, match.dataset.context, about_order),
        lead_times_section(board.metrics, estimates, spec.step_minutes, notes),
    ]


def _subtitle(record: Record, scored: tuple[EvaluationSuite, Scoreboard] | None) -> str:
    said = f"{describe_network(record)} on {record.source}, {record.iterations} iterations"
    return said if scored is None else f"{said}; scored on {scored[1].sequences} sequences of split {scored[1].split}"
