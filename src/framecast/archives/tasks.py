"""One task of a hindcast: forecast, write, score, and say so in a marker, last and at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast.archives.plan import HindcastTask
from framecast.archives.store import read_rows, write_rows
from framecast.archives.totals import Totals, add_rows, pack_totals
from framecast.data.sources.base import Source
from framecast.data.windows.loader import read_batch
from framecast.data.windows.windows import FrameWindows
from framecast.devices import flush_subnormals, limit_threads
from framecast.errors import UsageError
from framecast.evaluation.evaluate import forecast_batch, make_pair
from framecast.evaluation.prepare import prepare_suite
from framecast.evaluation.suite import EvaluationOptions, EvaluationSuite
from framecast.forecast import Forecast
from framecast.json_files import read_json, write_json
from framecast.metrics import Scores
from framecast.models import ModelConfig


class HindcastJob(NamedTuple):
    """What every task of a hindcast has in common; it travels to workers, with the opened source but no frames."""

    run: str
    data: dict[str, Any]
    """Fields of a DataConfig."""
    options: EvaluationOptions
    store: Path
    folder: Path
    """Folder of the markers."""
    key: str
    """Text that tells this hindcast in this state of its archive; a process keeps the model and data of the last one."""
    source: Source | None = None
    device: str = "auto"
    precision: str | None = None
    model: type[ModelConfig] | None = None
    threads: int | None = None
    """Threads of a worker; None to leave them as they are."""


_OPENED: dict[str, EvaluationSuite] = {}
"""The suite of the newest job of this process, by its key: a model is loaded once, not for each task."""


def open_suite(job: HindcastJob) -> EvaluationSuite:
    """Load model, baselines and data of a job, once in a process; its windows begin at every frame.

    Raises:
        UsageError: data that are no whole frames of files, or options that do not fit.
        InputError: data that cannot be read or do not fit the model.
        CheckpointError: no model in the folder, or a damaged one.
    """
    if job.key not in _OPENED:
        suite = prepare_suite(
            job.run,
            job.data,
            job.options,
            source=job.source,
            device=job.device,
            precision=job.precision,
            model=job.model,
        )
        windows = suite.dataset.windows
        if not isinstance(windows, FrameWindows):
            expected = "files or folders of frames with times"
            raise UsageError("archive", got="no whole frames of files", expected=expected)
        dataset = replace(suite.dataset, windows=windows.at_every_frame(suite.split))
        _OPENED.clear()
        _OPENED[job.key] = suite._replace(dataset=dataset)
    return _OPENED[job.key]


def run_task(job: HindcastJob, task: HindcastTask) -> str:
    """Do a task, unless its marker says that it is done; return its name.

    Forecasts of the first predictor are written, those of the others are scored beside them. A chunk belongs to one task
    alone, and the marker comes after all of them: a task that was killed is done again, and gives the same bytes.
    """
    if read_marker(job.folder, task) is not None:
        return task.name
    if job.threads is not None:
        flush_subnormals()
        limit_threads(job.threads)
    suite, begun = open_suite(job), time.process_time()
    totals: Totals = {}
    values, inputs = hashlib.sha256(), hashlib.sha256()
    with torch.inference_mode():
        for at in range(0, len(task.windows), suite.options.batch_size):
            forecast = _forecast_part(suite, task, at, totals)
            write_rows(job.store, task.row + at, forecast.values, forecast.spec, forecast.grid)
            values.update(forecast.values.tobytes())
            inputs.update(forecast.past_values.tobytes())
    marker = {
        "reference_times": task.reference_times,
        "values_sha256": values.hexdigest(),
        "inputs_sha256": inputs.hexdigest(),
        "totals": pack_totals(totals),
        "cpu_seconds": round(time.process_time() - begun, 3),
    }
    write_json(job.folder / f"{task.name}.json", marker)
    return task.name


def _forecast_part(suite: EvaluationSuite, task: HindcastTask, at: int, totals: Totals) -> Forecast:
    """Forecast and score a batch of a task's windows; return the forecast that is written."""
    dataset, part = suite.dataset, slice(at, at + suite.options.batch_size)
    batch = read_batch(dataset, suite.split, task.windows[part])
    days = [moment[:10] for moment in task.reference_times[part]]
    made: list[Forecast] = []
    for name, predictor in suite.forecasts.items():
        forecast = forecast_batch(predictor, batch, dataset, dataset.context, dataset.horizon)
        scores = Scores(suite.metrics, dataset.horizon, suite.device, keep=len(batch.frames))
        scores.update(*make_pair(forecast, batch, dataset, dataset.context, suite.device))
        assert scores.rows is not None
        add_rows(totals, name, days, scores.rows)
        made = made or [forecast]
    return made[0]


def read_marker(folder: Path, task: HindcastTask) -> Mapping[str, Any] | None:
    """Read the marker of a task; None where it is not done, or was of fewer forecasts, or the file is damaged."""
    try:
        marker = read_json(folder / f"{task.name}.json")
    except (OSError, ValueError):
        return None
    return marker if marker.get("reference_times") == list(task.reference_times) else None


def is_stored(store: Path, task: HindcastTask, marker: Mapping[str, Any], example: Forecast) -> bool:
    """Whether a store holds what the marker of a task says, to the bit.

    Args:
        store: path of the store.
        task: with its rows.
        marker: of the task.
        example: any forecast of the job, whose channels are those of the store.
    """
    stored = read_rows(store, task.row, len(task.windows), example.spec, example.grid)
    return hashlib.sha256(stored.tobytes()).hexdigest() == marker["values_sha256"]
