"""Hindcast: forecasts of all windows of an archive in one store, with scores; it goes on where it was stopped."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from framecast import files
from framecast.archives.day_scores import DayScores
from framecast.archives.months import group_by_month, is_closed, total_month
from framecast.archives.plan import TASK, Chosen, HindcastTask, check_continued, choose_windows, divide_tasks
from framecast.archives.store import count_rows, create_store, extend_store
from framecast.archives.tasks import HindcastJob, is_stored, open_suite, read_marker
from framecast.archives.totals import Totals, make_scores
from framecast.archives.workers import open_client, run_here, run_on_dask
from framecast.data.windows.loader import read_batch
from framecast.data.windows.windows import FrameWindows
from framecast.errors import InputError, RunInUse, UsageError
from framecast.evaluation.evaluate import forecast_batch
from framecast.evaluation.suite import EvaluationOptions, EvaluationSuite
from framecast.forecast import Forecast, ModelOrigin
from framecast.json_files import read_json, write_json
from framecast.models import ModelConfig
from framecast.progress import Progress, show_progress
from framecast.trained import find_model

SUFFIX = ".tasks"
"""Ending of the folder beside the store, of plan, markers, totals and scores."""
PLAN = "plan.json"
SCORES = "scores.json"


class HindcastOptions(NamedTuple):
    """Options of a hindcast beside those of its scores."""

    every: float | None = None
    """Minutes between reference times, on the clock; None for every window."""
    task_size: int = TASK
    """Forecasts of one task, at most."""
    share: tuple[int, int] | None = None
    """(I, N): do every N-th task only, from the I-th on, counted from 1; None for all."""
    dask: str | None = None
    """Workers of Dask, as `open_client` takes them; None for this process."""
    dashboard: bool = False
    """Whether to say where Dask shows its work."""
    recheck: bool = False
    """Whether to compare what was stored before with its digests, value by value, also of months that are over."""


class Hindcast(NamedTuple):
    """What a hindcast did."""

    store: Path
    folder: Path
    """Folder of plan, markers and scores."""
    done: int
    """Tasks that were done now."""
    skipped: int
    """Tasks that had been done before."""
    missing: int
    """Tasks that are left to others."""
    scores: DayScores | None
    """None while a task is missing."""


def hindcast(
    run: str,
    data: dict[str, Any],
    out: Path,
    scored: EvaluationOptions,
    options: HindcastOptions,
    device: str = "auto",
    precision: str | None = None,
    model: type[ModelConfig] | None = None,
    *,
    quiet: bool = False,
) -> Hindcast:
    """Forecast an archive.

    Args:
        run: a run's folder, a model's folder, or the name of a trained model or a baseline.
        data: fields of a DataConfig, the source among them.
        out: the store, a folder that ends in .zarr: a new one, or one that the same hindcast began.
        scored: split, lengths, metrics and baselines.
        options: which windows, and who does the work.
        device: "auto", or a device of torch.
        precision: precision of the kernels; by default the run's.
        model: configuration class of a network that is not framecast's.
        quiet: whether to show no progress.

    Raises:
        UsageError: options that do not fit, or `out` holds something else.
        InputError: data that cannot be read or do not fit the model, or have no times.
        CheckpointError: no model in the folder, or a damaged one.
        RunInUse: another process makes the same hindcast.
    """
    if out.suffix != ".zarr":
        raise UsageError("--out", got=str(out), expected="a name that ends in .zarr")
    scored, folder = scored._replace(whole=True), out.with_suffix(SUFFIX)
    given = (find_model(run), data, scored, out.absolute(), folder.absolute(), secrets.token_hex(8))
    job = HindcastJob(*given, None, device, precision, model)
    suite = open_suite(job)
    chosen = choose_windows(suite.dataset, suite.split, options.every, scored.limit)
    tasks = divide_tasks(chosen, options.task_size)
    with ExitStack() as stack:
        stack.enter_context(_lock(folder, options.share))
        files.remove_abandoned(out.absolute().parent, out.name)
        for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            files.remove_abandoned(place)
        example = _forecast_first(suite, chosen)
        _agree_on_plan(folder, out, suite, example.provenance.model, options, chosen)
        _make_room(out, example, chosen)
        pending = set(_list_pending(job, tasks, example, recheck=options.recheck))
        first, count = options.share or (1, 1)
        mine = [task for task in tasks[first - 1 :: count] if task in pending]
        show = stack.enter_context(show_progress("hindcast", len(mine), quiet=quiet))
        for number, name in enumerate(_run(job, mine, options, stack, show), 1):
            show.update(number, name)
        scores = _total(job, suite, tasks)
    skipped = len(tasks) - len(pending)
    return Hindcast(out, folder, len(mine), skipped, len(pending) - len(mine) if scores is None else 0, scores)


def _lock(folder: Path, share: tuple[int, int] | None) -> Any:
    """Lock the folder of the markers, or the share of this process; made if it is absent."""
    files.check_folder(folder)
    (folder / "months").mkdir(parents=True, exist_ok=True)
    name = "lock" if share is None else f"lock-{share[0]}-of-{share[1]}"
    try:
        return FileLock(folder / name, blocking=False).acquire()
    except Timeout as error:
        raise RunInUse(f"{folder} is in use by another hindcast", fix="wait for it, or choose another --out") from error


def _forecast_first(suite: EvaluationSuite, chosen: Chosen) -> Forecast:
    """Forecast the first window, which shows what every forecast looks like."""
    predictor, dataset = next(iter(suite.forecasts.values())), suite.dataset
    with torch.inference_mode():
        batch = read_batch(dataset, suite.split, [int(chosen.windows[0])])
        return forecast_batch(predictor, batch, dataset, dataset.context, dataset.horizon)


def _agree_on_plan(
    folder: Path, out: Path, suite: EvaluationSuite, model: ModelOrigin, options: HindcastOptions, chosen: Chosen
) -> None:
    """Note what the hindcast is, or compare with what is noted: it may grow, and is else the same."""
    dataset, scored = suite.dataset, suite.options
    identity = {
        "model": dict(zip(model._fields, model, strict=True)),
        "forecasts": [*suite.forecasts],
        "metrics": [metric.name for metric in suite.metrics],
        "context": dataset.context,
        "horizon": dataset.horizon,
        "members": scored.members,
        "seed": scored.seed,
        "every": options.every,
        "task_size": options.task_size,
        "batch_size": scored.batch_size,
        "frames": dataset.spec.model_dump(mode="json"),
    }
    identity = json.loads(json.dumps(identity))
    path = folder / PLAN
    if path.exists():
        try:
            noted = read_json(path)
        except ValueError as error:
            raise InputError(str(path), got=str(error), expected="the plan of a hindcast") from error
        if different := [name for name in identity if noted.get(name) != identity[name]]:
            got, fix = f"another {', '.join(different)}", "choose another --out"
            raise UsageError(str(out), got=got, expected="what it was begun with", fix=fix)
        check_continued(noted["reference_times"], chosen.reference_times, str(out))
    elif out.exists():
        fix = "choose another --out"
        raise UsageError(str(out), got="a folder that no hindcast has begun", expected="a new one", fix=fix)
    write_json(path, {**identity, "reference_times": chosen.reference_times})


def _make_room(out: Path, example: Forecast, chosen: Chosen) -> None:
    """Make the store, or let it grow; another process of the same hindcast may be faster."""
    if not out.exists():
        try:
            create_store(out, example, chosen.context_times)
        except UsageError:
            if not out.exists():
                raise
    if count_rows(out) < len(chosen.windows):
        extend_store(out, example, chosen.context_times)


def _list_pending(
    job: HindcastJob, tasks: Sequence[HindcastTask], example: Forecast, *, recheck: bool
) -> list[HindcastTask]:
    """List the tasks that are to be done: without a marker, or whose forecasts are not as it says."""
    pending: list[HindcastTask] = []
    for members in group_by_month(tasks).values():
        if not recheck and is_closed(job.folder, members):
            continue
        for task in members:
            marker = read_marker(job.folder, task)
            if marker is not None and is_stored(job.store, task, marker, example):
                continue
            if (
                marker is not None
            ):  # a worker would believe it; one that is absent may be written just now by another share
                (job.folder / f"{task.name}.json").unlink(missing_ok=True)
                (job.folder / "months" / f"{task.month}.json").unlink(missing_ok=True)
            pending.append(task)
    return pending


def _run(
    job: HindcastJob, tasks: Sequence[HindcastTask], options: HindcastOptions, stack: ExitStack, show: Progress
) -> Iterator[str]:
    """Do the tasks, here or on Dask."""
    if options.dask is None or not tasks:
        return run_here(job, tasks)
    client = stack.enter_context(open_client(options.dask))
    if options.dashboard:
        show.say(f"dashboard: {client.dashboard_link}")
    windows = open_suite(job).dataset.windows
    assert isinstance(windows, FrameWindows)
    # the opened source travels: to open it scans all files
    return run_on_dask(job._replace(source=windows.source, threads=1), tasks, client)


def _total(job: HindcastJob, suite: EvaluationSuite, tasks: Sequence[HindcastTask]) -> DayScores | None:
    """Add up the scores of all tasks and write them; None where one is missing."""
    totals: Totals = {name: {} for name in suite.forecasts}
    for members in group_by_month(tasks).values():
        month = total_month(job.folder, members, suite.dataset.horizon, suite.metrics)
        if month is None:
            return None
        for name, days in month.items():  # no two months share a day
            totals[name] |= days
    scores = make_scores(totals, suite.metrics, suite.dataset.horizon)
    board = DayScores(scores, suite.dataset.spec, suite.baselines, suite.options.seed)
    files.write_text(job.folder / SCORES, json.dumps(board.as_dict(), indent=2, allow_nan=False) + "\n")
    return board
