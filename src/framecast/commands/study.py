"""Studies of trained models, for `framecast study`: arrays, pictures, summaries of `framecast.analysis`, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from framecast import files, kernels
from framecast.commands.study_kinds import STUDIES, Study, StudyOptions, Subject
from framecast.devices import move_module, resolve_device
from framecast.errors import InputError, UsageError
from framecast.evaluation.predictors import give_motion
from framecast.evaluation.prepare import open_evaluation_data
from framecast.evaluation.suite import EvaluationOptions
from framecast.forecasting.model_folder import describe, load
from framecast.json_files import json_safe
from framecast.models import MODELS, ModelConfig
from framecast.progress import show_progress
from framecast.recipe.recipe import recipe_of_run
from framecast.report.studies import write_studies
from framecast.runs.folder import RunFolder, write_folder


class StudyOutcome(NamedTuple):
    """Folders, summaries and notes of the studies that were made."""

    folders: dict[str, Path]
    """{study: its folder}."""
    summaries: dict[str, dict[str, dict[str, float]]]
    """{study: {run: {quantity: value}}}."""
    notes: list[str]
    """Studies that were left out and pictures that are missing, and why."""
    page: Path = Path()

    def as_dict(self) -> dict[str, Any]:
        """Convert to values that JSON can hold."""
        folders = {study: str(folder) for study, folder in self.folders.items()}
        return {"page": str(self.page), "folders": folders, "summaries": json_safe(self.summaries), "notes": self.notes}

    def print(self, console: Console) -> None:
        """Print a table for each study, one column for each run."""
        for note in self.notes:
            console.print(note, style="dim", markup=False)
        for study, runs in self.summaries.items():
            console.print(f"{study}: {self.folders[study]}", markup=False, highlight=False, soft_wrap=True)
            table = Table(box=None)
            table.add_column("")
            for name in runs:
                table.add_column(Text(name), justify="right")
            for key in dict.fromkeys(key for summary in runs.values() for key in summary):
                table.add_row(
                    Text(key), *(f"{summary[key]:.4g}" if key in summary else "" for summary in runs.values())
                )
            console.print(table)
        console.print(f"open {self.page}", markup=False, highlight=False, soft_wrap=True)


def study_runs(
    runs: Sequence[str],
    data: dict[str, Any],
    options: StudyOptions,
    *,
    out: Path | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    quiet: bool = False,
) -> StudyOutcome:
    """Study runs; write arrays (.npz, one for each run) and pictures into a new folder for each study.

    Args:
        runs: runs' or models' folders; lines of all runs are drawn on the same panels.
        data: fields of a DataConfig; without a source, the data that each run was trained on.
        options: studies, windows and their lengths.
        out: parent of the new folders; by default `study` in the first run's folder.
        device: where to compute.
        precision: of the kernels, as for `kernels.set_precision`; by default each run's.
        model: class of the user's network, for those runs whose network framecast does not have.
        quiet: whether to show no progress.

    Returns:
        the folders, summaries and notes.

    Raises:
        UsageError: an unknown study, no study suits the runs, or runs of different context or horizon.
        InputError: the data cannot be read, or do not fit a model.
        CheckpointError: a run has no model, or a damaged one.
    """
    names = _select_studies(options.what)
    parent = files.check_folder(out or Path(runs[0]) / "study")
    device = resolve_device(device)
    subjects = [
        _open_subject(run, name, data, options, device, model) for run, name in zip(runs, _name_runs(runs), strict=True)
    ]
    context, notes = _check_together(subjects)
    outcome = StudyOutcome({}, {}, notes)
    must = options.what is not None and len(subjects) == 1
    with show_progress("studying", len(names) * len(subjects), quiet=quiet) as show:
        done = count(1)
        for name in names:
            study, results = STUDIES[name], {}
            for subject in subjects:
                kernels.set_precision(precision or (subject.recipe.train.precision if subject.recipe else "auto"))
                result = _try_study(study, subject, notes, must=must)
                if result is not None:
                    results[subject.name] = result
                    notes.extend(f"{subject.name}: {remark}" for remark in study.list_remarks(result))
                show.update(next(done))
            if results:
                fill = partial(_write_study, study, results, context)
                outcome.folders[name] = write_folder(fill, None, parent, name)
                outcome.summaries[name] = {run: study.summarise(result) for run, result in results.items()}
    if not outcome.folders:
        raise UsageError("study", got="; ".join(notes), expected="a study that suits the runs")
    titles = ", ".join(subject.name for subject in subjects)
    return outcome._replace(page=write_studies(parent, outcome.folders, outcome.summaries, notes, titles))


def _select_studies(what: Sequence[str] | None) -> list[str]:
    for name in what or ():
        if name not in STUDIES:
            raise UsageError.unknown("--what", name, STUDIES)
    return list(dict.fromkeys(STUDIES if what is None else what))


def _name_runs(runs: Sequence[str]) -> list[str]:
    """The folders' names, each once; one that occurs again gets a number."""
    names: list[str] = []
    for run in runs:
        name = Path(run).resolve().name
        candidates = chain([name], (f"{name}-{number}" for number in count(2)))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return names


def _open_subject(
    run: str, name: str, data: dict[str, Any], options: StudyOptions, device: str, model: type[ModelConfig] | None
) -> Subject:
    model = None if _has_registered_network(run) else model
    forecaster = load(run, model=model)
    recipe = recipe_of_run(run, model)
    windows = EvaluationOptions(split=options.split, context=options.context, horizon=options.horizon)
    dataset, split, _ = open_evaluation_data(run, forecaster, recipe, data, windows)
    dataset = give_motion(dataset, [forecaster])
    run_recipe = recipe if RunFolder(run).recipe.is_file() else None
    return Subject(name, move_module(forecaster, device), dataset, split, run_recipe, options)


def _has_registered_network(run: str) -> bool:
    """Whether a run's network is one of `MODELS`, and so not the user's."""
    folder = RunFolder(run)
    about = describe(folder.model if folder.recipe.is_file() else Path(run))
    return about.get("model", {}).get("name") in MODELS


def _check_together(subjects: Sequence[Subject]) -> tuple[int, list[str]]:
    """The context that all networks run over, and notes on the data: those of each run, and whether they differ."""
    lengths = {
        (subject.forecaster.count_run_in(subject.dataset.context), subject.dataset.horizon) for subject in subjects
    }
    if len(lengths) > 1:
        fix = "give --context and --horizon"
        raise UsageError("runs", got=f"(context, horizon) of {sorted(lengths)}", expected="the same for all", fix=fix)
    notes = list(dict.fromkeys(note for subject in subjects for note in subject.dataset.notes))
    datasets = [(subject.dataset, subject.split) for subject in subjects]
    windows = {(data.split_hash, split, data.spec.model_dump_json(), data.grid.variables) for data, split in datasets}
    if len(windows) > 1:
        notes.append(
            "the runs are studied on different data, or see them in another way: their lines are not to be compared"
        )
    return next(iter(lengths))[0], notes


def _try_study(study: Study, subject: Subject, notes: list[str], *, must: bool) -> Any:
    """A study's numbers; None, and a note, if it does not suit the run."""
    try:
        return study.measure(subject)
    except (UsageError, InputError) as error:
        if must:
            raise
        notes.append(f"left out of {subject.name}: {error}")
        return None


def _write_study(study: Study, results: Mapping[str, Any], context: int, folder: Path) -> None:
    for name, result in results.items():
        arrays = result._asdict()
        files.write(folder / f"{name}.npz", lambda file, arrays=arrays: np.savez(file, **arrays))  # type: ignore[misc]
    study.draw(folder, results, context)
