"""Ask trained models why they work: what `framecast study` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from framecast import files, kernels
from framecast.analysis import decoupling, differences, frequency, gradients, memory, saturation, schedules
from framecast.data import DataSet, evaluation_batches
from framecast.data.windows.loader import Batch
from framecast.devices import resolve_device
from framecast.errors import InputError, UsageError
from framecast.evaluation.prepare import open_evaluation_data
from framecast.evaluation.suite import EvaluationOptions
from framecast.files import json_safe
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import describe, load
from framecast.models import MODELS, ModelConfig
from framecast.progress import show_progress
from framecast.recipe.recipe import Recipe, recipe_of_run
from framecast.runs.folder import RunFolder, next_free_folder


class StudyOptions(NamedTuple):
    """What is to be studied; None means as the run, or the data, have it."""

    what: Sequence[str] | None = None
    """Names of studies; None for all that suit the runs."""
    split: str | None = None
    context: int | str | None = None
    """Frames, or time as in 50min."""
    horizon: int | str | None = None
    sequences: int = 16
    """How many windows, spread evenly over the split."""
    sequence: int = 0
    """Which window's maps are drawn."""
    batch_size: int = 4
    saturated: tuple[float, float] = (0.1, 0.9)
    """Gates below and above are saturated."""
    pictures: int = 5
    """Steps at which increments are drawn by t-SNE."""


class Subject(NamedTuple):
    """A run with the windows that it is studied on."""

    name: str
    forecaster: Forecaster
    dataset: DataSet
    split: str
    recipe: Recipe | None
    """None for a model's folder, which has none."""
    plan: StudyOptions

    def batches(self) -> Any:
        """The windows of all studies but maps."""
        return evaluation_batches(self.dataset, self.split, self.plan.batch_size, limit=self.plan.sequences)

    def window(self) -> Batch:
        """The window of the maps."""
        count = self.dataset.count(self.split)
        if self.plan.sequence >= count:
            raise UsageError("sequence", got=self.plan.sequence, expected=f"0 to {count - 1}, of split {self.split}")
        found = self.dataset.window(self.split, 0, self.plan.sequence)
        valid = None if found.valid is None else torch.from_numpy(found.valid[None])
        return Batch(torch.from_numpy(found.frames[None]), valid, [self.plan.sequence])


class Study(NamedTuple):
    """One of the studies: its numbers, its pictures, and what they come down to."""

    compute: Callable[[Subject], Any]
    draw: Callable[[Path, Mapping[str, Any], int], None]
    summary: Callable[[Any], dict[str, float]]
    remarks: Callable[[Any], list[str]] = lambda _: []
    """What is missing, and why."""


def _over_batches(function: Callable[..., Any], subject: Subject, **options: Any) -> Any:
    return function(subject.forecaster, subject.batches(), subject.dataset.context, **options)


def _saturation(subject: Subject) -> saturation.Saturation:
    low, high = subject.plan.saturated
    return _over_batches(saturation.measure_saturation, subject, low=low, high=high)


def _decoupling(subject: Subject) -> decoupling.Alignment:
    return _over_batches(decoupling.measure_decoupling, subject, pictures=subject.plan.pictures)


def _memory(subject: Subject) -> memory.MemoryMaps:
    return memory.map_memory(subject.forecaster, subject.window(), subject.dataset.context)


def _frequency(subject: Subject) -> frequency.Frequency:
    options = {"batch_size": subject.plan.batch_size, "limit": subject.plan.sequences}
    return frequency.measure_frequency(subject.forecaster, subject.dataset, subject.split, **options)


def _schedules(subject: Subject) -> schedules.Schedules:
    if subject.recipe is None:
        raise UsageError(f"schedules of {subject.name}", got="a model's folder", expected="a run, which has a recipe")
    recipe = subject.recipe
    return schedules.tabulate_schedules(
        recipe.sampling,
        recipe.train.lr_schedule,
        lr=recipe.train.lr,
        steps=recipe.train.steps,
        seed=recipe.seed,
        batch_size=recipe.train.batch_size,
        context=recipe.context,
        frames=recipe.context + recipe.horizon,
    )


STUDIES: dict[str, Study] = {
    "saturation": Study(_saturation, saturation.draw, saturation.summarise),
    "gradients": Study(partial(_over_batches, gradients.measure_gradients), gradients.draw, gradients.summarise),
    "decoupling": Study(_decoupling, decoupling.draw, decoupling.summarise, decoupling.list_remarks),
    "schedules": Study(_schedules, schedules.draw, schedules.summarise),
    "memory": Study(_memory, memory.draw, memory.summarise),
    "differences": Study(
        partial(_over_batches, differences.measure_differences), differences.draw, differences.summarise
    ),
    "frequency": Study(_frequency, frequency.draw, frequency.summarise),
}


class StudyOutcome(NamedTuple):
    """What was found and where it was written."""

    folders: dict[str, Path]
    """By study."""
    summaries: dict[str, dict[str, dict[str, float]]]
    """By study, run and what it is."""
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        folders = {what: str(folder) for what, folder in self.folders.items()}
        return {"folders": folders, "summaries": json_safe(self.summaries), "notes": self.notes}

    def print(self, console: Console) -> None:
        """A table for each study, one column for each run."""
        for note in self.notes:
            console.print(note, style="dim", markup=False)
        for what, runs in self.summaries.items():
            console.print(f"{what}: {self.folders[what]}", markup=False, highlight=False, soft_wrap=True)
            table = Table(box=None)
            table.add_column("")
            for name in runs:
                table.add_column(name, justify="right")
            for row in dict.fromkeys(key for found in runs.values() for key in found):
                table.add_row(row, *(f"{found[row]:.4g}" if row in found else "" for found in runs.values()))
            console.print(table)


def study_runs(
    runs: Sequence[str],
    data: dict[str, Any],
    plan: StudyOptions,
    *,
    out: Path | None = None,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    quiet: bool = False,
) -> StudyOutcome:
    """Study runs; write arrays (.npz, one for each run) and pictures into a new folder for each study.

    Args:
        runs: runs' or models' folders; what is found is drawn together where it is a line.
        data: fields of a DataConfig; without a source, each run's own data are used.
        plan: what is to be studied.
        out: parent of the new folders; by default `study` in the first run's folder.
        device: where to compute.
        precision: of the kernels, see `set_precision`; by default each run's.
        model: the class of a network that is not framecast's own; of those runs whose network is none of framecast's.
        quiet: whether to show no progress.

    Raises:
        UsageError, InputError, CheckpointError: what cannot be used, and why.
    """
    chosen = _chosen(plan.what)
    place = resolve_device(device)
    subjects = [_subject(run, name, data, plan, place, model) for run, name in zip(runs, _names(runs), strict=True)]
    context, notes = _together(subjects)
    parent = out or Path(runs[0]) / "study"
    outcome = StudyOutcome({}, {}, notes)
    with show_progress("studying", len(chosen) * len(subjects), quiet=quiet) as show:
        for number, what in enumerate(chosen):
            found: dict[str, Any] = {}
            for place_of, subject in enumerate(subjects):
                kernels.set_precision(precision or (subject.recipe.train.precision if subject.recipe else "auto"))
                one = _tried(what, subject, outcome, must=plan.what is not None and len(subjects) == 1)
                if one is not None:
                    found[subject.name] = one
                    outcome.notes.extend(f"{subject.name}: {remark}" for remark in STUDIES[what].remarks(one))
                show.update(number * len(subjects) + place_of + 1)
            if found:
                folder = next_free_folder(parent, what)
                _write(folder, found)
                STUDIES[what].draw(folder, found, context)
                outcome.folders[what] = folder
                outcome.summaries[what] = {name: STUDIES[what].summary(one) for name, one in found.items()}
    if not outcome.folders:
        raise UsageError("study", got="; ".join(outcome.notes), expected="a study that suits the runs")
    return outcome


def _chosen(what: Sequence[str] | None) -> list[str]:
    for name in what or ():
        if name not in STUDIES:
            near = get_close_matches(name.lower(), STUDIES, n=1, cutoff=0.0)[0]
            expected = f"some of {', '.join(STUDIES)}"
            raise UsageError("--what", got=repr(name), expected=expected, fix=f"did you mean {near!r}?")
    return list(dict.fromkeys(STUDIES if what is None else what))


def _names(runs: Sequence[str]) -> list[str]:
    """The folders' names, each once; one that occurs again gets a number."""
    found: list[str] = []
    for run in runs:
        name = Path(run).resolve().name
        free = chain([name], (f"{name}-{number}" for number in count(2)))
        found.append(next(one for one in free if one not in found))
    return found


def _subject(
    run: str, name: str, data: dict[str, Any], plan: StudyOptions, device: str, model: type[ModelConfig] | None
) -> Subject:
    model = None if _is_known(run) else model
    forecaster = load(run, model=model)
    recipe = recipe_of_run(run, model)
    question = EvaluationOptions(split=plan.split, context=plan.context, horizon=plan.horizon)
    dataset, split, _ = open_evaluation_data(run, forecaster, recipe, data, question)
    own = recipe if RunFolder(run).recipe.is_file() else None
    return Subject(name, forecaster.to(device), dataset, split, own, plan)


def _is_known(run: str) -> bool:
    """Whether its network is one of framecast's own, so that `model` is not of it."""
    folder = RunFolder(run)
    about = describe(folder.model if folder.recipe.is_file() else Path(run))
    return about.get("model", {}).get("name") in MODELS


def _together(subjects: Sequence[Subject]) -> tuple[int, list[str]]:
    """The context of all, and whether they are studied on the same data."""
    lengths = {(subject.dataset.context, subject.dataset.horizon) for subject in subjects}
    if len(lengths) > 1:
        fix = "give --context and --horizon"
        raise UsageError("runs", got=f"(context, horizon) of {sorted(lengths)}", expected="the same for all", fix=fix)
    notes = list(dict.fromkeys(note for subject in subjects for note in subject.dataset.notes))
    alike = {
        (one.dataset.split_hash, one.split, one.dataset.spec.model_dump_json(), one.dataset.grid.variables)
        for one in subjects
    }
    if len(alike) > 1:
        notes.append(
            "the runs are studied on different data, or see them in another way: their lines are not to be compared"
        )
    return next(iter(lengths))[0], notes


def _tried(what: str, subject: Subject, outcome: StudyOutcome, *, must: bool) -> Any:
    """A study's numbers; None, and a note, if it does not suit the run."""
    try:
        return STUDIES[what].compute(subject)
    except (UsageError, InputError) as error:
        if must:
            raise
        outcome.notes.append(f"left out of {subject.name}: {error}")
        return None


def _write(folder: Path, found: Mapping[str, Any]) -> None:
    for name, one in found.items():
        arrays = one._asdict()
        files.write(folder / f"{name}.npz", lambda file, arrays=arrays: np.savez(file, **arrays))  # type: ignore[misc]
