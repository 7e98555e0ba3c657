"""Training loop: iterations, validations, checkpoints, and signals that request its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from framecast import json_files
from framecast.data import Batch, training_batches
from framecast.errors import CheckpointError, Stopped
from framecast.evaluation.evaluate import EvaluationStopped
from framecast.progress import Progress
from framecast.recipe.run_digest import DIGEST_KEY, make_changed_error
from framecast.runs import checkpoint
from framecast.runs.checkpoint import LoadedCheckpoint
from framecast.runs.folder import RunFolder
from framecast.training.fine_tuning import begin
from framecast.training.log import TrainLog
from framecast.training.processes.group import run_together
from framecast.training.restore import restore_data, restore_model
from framecast.training.state import TrainingState
from framecast.training.stop_request import StopRequest


class TrainingOutcome(NamedTuple):
    """Result of a training: iterations, best score, reason of its end."""

    step: int
    """Iterations done."""
    best: float | None
    """Best validation score; None without a validation."""
    reason: str
    """"done", or "no better for N validations"."""


def run_training(
    trainer: TrainingState, folder: RunFolder, show: Progress, loaded: LoadedCheckpoint | None = None
) -> TrainingOutcome:
    """Train until the end, from a checkpoint of the folder if it has one.

    Args:
        trainer: state before the first iteration.
        folder: folder of the run; locked by the caller.
        show: display of the progress.
        loaded: its newest checkpoint; None to begin.

    Raises:
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: the loss or a weight is not finite; nothing of that step was saved.
        CheckpointError: the data or the recipe are not those of the checkpoint.
    """
    identity = {
        DIGEST_KEY: trainer.recipe.digest,
        "data": trainer.dataset.fingerprint,
        "split": trainer.dataset.split_hash,
        "version": version("framecast"),
    }
    length, unvalidated = _resume(trainer, folder, loaded, identity, show)
    with ExitStack() as stack:
        request = stack.enter_context(StopRequest())
        main = trainer.fabric.is_global_zero
        launch = {"device": _describe_device(trainer.fabric.device), "processes": trainer.fabric.world_size}
        log = None
        if main:
            log = stack.enter_context(TrainLog(folder, trainer.recipe, length, trainer.step, launch, show.warn))
        if unvalidated and not _validate(trainer, folder, log, request, show):
            raise Stopped(_agree_on_signal(trainer, request), trainer.step, folder.resume_command)
        return _iterate(trainer, folder, log, request, identity, show)


def _resume(
    trainer: TrainingState,
    folder: RunFolder,
    loaded: LoadedCheckpoint | None,
    identity: dict[str, str],
    show: Progress,
) -> tuple[int, bool]:
    """Restore a checkpoint; return the bytes of the event log up to it, and whether to validate first."""
    main = trainer.fabric.is_global_zero
    if main:
        folder.remove_leftovers()
    if loaded is None:
        run_together(lambda: _check_identity(_read_identity(folder.data), identity, folder.data, folder.recipe))
        begin(trainer, show)
        length, unvalidated = 0, False
    else:
        for skipped in loaded.skipped:
            show.warn(f"skipped checkpoint {skipped}")
        _check_identity(loaded.content["identity"], identity, loaded.path, folder.recipe)
        trainer.restore(loaded.content["trainer"])
        trainer.model = loaded.content.get("model")
        show.say(f"resumed after step {trainer.step}")
        length, unvalidated = int(loaded.content["events_length"]), bool(loaded.content["unvalidated"])
        loaded.content.clear()  # the callers hold it on, and its tensors would take memory all the training long
    if main:
        restore_data(trainer, folder, show)
    restore_model(trainer, folder, show)
    return length, unvalidated


def _read_identity(path: Path) -> dict[str, str]:
    """Read the identity of recipe and data from data.json, as far as it is there and whole."""
    try:
        fields = json_files.read_json(path)
    except (OSError, ValueError):  # made again
        return {}
    names = {DIGEST_KEY: DIGEST_KEY, "fingerprint": "data", "split": "split"}
    return {names[key]: value for key, value in fields.items() if key in names}


def _check_identity(recorded: Mapping[str, str], identity: Mapping[str, str], path: Path, recipe: Path) -> None:
    """Check that recipe and data are those that a file of the run recorded.

    Raises:
        CheckpointError: they are not.
    """
    if recorded.get(DIGEST_KEY, identity[DIGEST_KEY]) != identity[DIGEST_KEY]:
        raise make_changed_error(recipe)
    for key, name in (("data", "data"), ("split", "split of the data")):
        if recorded.get(key, identity[key]) != identity[key]:
            fix = "resume with what the run began with, or start a new run"
            raise CheckpointError(f"{path}: the {name} has changed since", fix=fix)


def _iterate(
    trainer: TrainingState,
    folder: RunFolder,
    log: TrainLog | None,
    request: StopRequest,
    identity: dict[str, str],
    show: Progress,
) -> TrainingOutcome:
    config = trainer.recipe.train
    batches = open_batches(trainer)
    patience = trainer.recipe.validate_.patience
    saved = time.monotonic()
    while trainer.step < config.steps and not _is_exhausted(trainer, patience):
        began, cpu = time.perf_counter(), time.process_time()
        batch = next(batches)
        loaded = time.perf_counter()
        event = trainer.iterate(batch)
        # All processes must stop, and save, after the same iteration; a signal may have reached one of them only.
        late = float(time.monotonic() - saved > 60 * config.checkpoint_minutes)
        number, overdue = trainer.over_processes([float(request.signal), late], "max")
        step, last = trainer.step, trainer.step == config.steps
        show.update(step, "nothing observed" if event["loss"] is None else f"loss {event['loss']:.4g}")
        if log is not None:
            ended, log_due = time.perf_counter(), last or step % config.log_every == 0
            log.log_iteration(event, loaded - began, ended - loaded, time.process_time() - cpu, due=log_due)
        due = step % trainer.recipe.validate_.every == 0 or last
        # A stop does not wait for a validation, which is done after resuming.
        unvalidated = due and (bool(number) or not _validate(trainer, folder, log, request, show))
        stopped = bool(number) or unvalidated
        if step % config.checkpoint_every == 0 or overdue or last or stopped or _is_exhausted(trainer, patience):
            saved = time.monotonic()
            _save(trainer, folder, log, identity, unvalidated=unvalidated)
        if stopped:
            number = _agree_on_signal(trainer, request)  # no process ends before the checkpoint is written
            raise Stopped(number, step, folder.resume_command)
    if not config.steps and trainer.model is None:  # a base alone: fitted, and nothing to train
        done = _validate(trainer, folder, log, request, show)
        _save(trainer, folder, log, identity, unvalidated=not done)
        if not done:
            raise Stopped(_agree_on_signal(trainer, request), 0, folder.resume_command)
    _ensure_model(trainer, folder)
    reason = f"no better for {patience} validations" if _is_exhausted(trainer, patience) else "done"
    return TrainingOutcome(trainer.step, trainer.best, reason)


def _save(
    trainer: TrainingState, folder: RunFolder, log: TrainLog | None, identity: dict[str, str], *, unvalidated: bool
) -> None:
    """Save a checkpoint; all processes take part in the check of the weights, the first one writes."""
    trainer.check_weights()
    if log is None:
        return
    events = log.events.sync()
    content: dict[str, Any] = {
        "trainer": trainer.state(),
        "identity": identity,
        "events_length": events.length,
        "unvalidated": unvalidated,
        "model": trainer.model,
    }
    checkpoint.save(folder.checkpoints, trainer.step, content, keep=trainer.recipe.train.keep, events=events)


def _ensure_model(trainer: TrainingState, folder: RunFolder) -> None:
    """Save the last model where no validation had a score."""
    lacks = trainer.fabric.is_global_zero and not (folder.model / "model.json").exists()
    if trainer.over_processes([float(lacks)], "max")[0]:
        trainer.save_model(folder, {})


def _agree_on_signal(trainer: TrainingState, request: StopRequest) -> int:
    """Find the signal that reached some process; all processes call this together."""
    return int(trainer.over_processes([float(request.signal)], "max")[0])


def open_batches(trainer: TrainingState) -> Iterator[list[Batch]]:
    """Iterate over the batches of this process, from the present iteration on; one list of micro-batches for each."""
    recipe, fabric = trainer.recipe, trainer.fabric
    config = recipe.train
    return training_batches(
        trainer.dataset,
        seed=recipe.seed,
        batch_size=config.batch_size // (config.accumulate * fabric.world_size),
        accumulate=config.accumulate,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        start_step=trainer.step,
        workers=config.workers,
        pin=fabric.device.type == "cuda",
    )


def _describe_device(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def _is_exhausted(trainer: TrainingState, patience: int | None) -> bool:
    return patience is not None and trainer.worse >= patience


def _validate(
    trainer: TrainingState, folder: RunFolder, log: TrainLog | None, request: StopRequest, show: Progress
) -> bool:
    """Score the validation split, save the best model, count the validations without a better score.

    Returns:
        whether it was done: a stop does not wait for its end.
    """
    name = trainer.metrics[0].name
    if not trainer.dataset.count("val"):
        trainer.save_model(folder, {})
        return True
    try:
        scores = trainer.validate(lambda: bool(_agree_on_signal(trainer, request)))
    except EvaluationStopped:
        return False
    if log is not None:
        log.log_validation(trainer.step, scores)
    better = trainer.is_better(scores[name])
    if better:
        trainer.best, trainer.worse = scores[name], 0
        trainer.save_model(folder, scores)
    else:
        trainer.worse += 1
    show.say(f"step {trainer.step}: validation {name} {scores[name]:.4g}{' (best)' if better else ''}")
    return True
