"""Training loop: iterations, validations, checkpoints, and signals that request its end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from types import FrameType, TracebackType
from typing import NamedTuple

import torch

from framecast.data import Batch, training_batches
from framecast.errors import CheckpointError, Stopped
from framecast.progress import Progress
from framecast.runs import checkpoint
from framecast.runs.folder import RunFolder
from framecast.training.log import TrainLog
from framecast.training.state import TrainingState


class TrainingOutcome(NamedTuple):
    """Result of a training: iterations, best score, reason of its end."""

    step: int
    """Iterations done."""
    best: float | None
    """Best validation score; None without a validation."""
    reason: str
    """"done", or "no better for N validations"."""


def run_training(trainer: TrainingState, folder: RunFolder, show: Progress) -> TrainingOutcome:
    """Train until the end, from the newest checkpoint of the folder if there is one.

    Args:
        trainer: state before the first iteration.
        folder: folder of the run; locked by the caller.
        show: display of the progress.

    Raises:
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: the loss or a weight is not finite; nothing of that step was saved.
        CheckpointError: the data or the recipe are not those of the checkpoint, or none is valid.
    """
    identity = {
        "recipe_sha256": trainer.recipe.digest,
        "data": trainer.dataset.fingerprint,
        "split": trainer.dataset.split_hash,
        "version": version("framecast"),
    }
    length, unvalidated = _resume(trainer, folder, identity, show)
    with ExitStack() as stack:
        request = stack.enter_context(StopRequest())
        main = trainer.fabric.is_global_zero
        launch = {"device": _describe_device(trainer.fabric.device), "processes": trainer.fabric.world_size}
        log = stack.enter_context(TrainLog(folder, length, trainer.step, launch)) if main else None
        if unvalidated:
            _validate(trainer, folder, log, show)
        return _iterate(trainer, folder, log, request, identity, show)


def _resume(trainer: TrainingState, folder: RunFolder, identity: dict[str, str], show: Progress) -> tuple[int, bool]:
    """Restore the newest checkpoint; return the bytes of the event log up to it, and whether to validate first."""
    loaded = checkpoint.load_newest(folder.checkpoints)
    if loaded is None:
        return 0, False
    for skipped in loaded.skipped:
        show.say(f"skipped checkpoint {skipped}")
    for key, name in (("recipe_sha256", "recipe"), ("data", "data"), ("split", "split of the data")):
        if loaded.content["identity"][key] != identity[key]:
            fix = "resume with what the run began with, or start a new run"
            raise CheckpointError(f"{loaded.path}: the {name} has changed since", fix=fix)
    trainer.restore(loaded.content["trainer"])
    show.say(f"resumed after step {trainer.step}")
    return int(loaded.content["events_length"]), bool(loaded.content["unvalidated"])


def _iterate(
    trainer: TrainingState,
    folder: RunFolder,
    log: TrainLog | None,
    request: StopRequest,
    identity: dict[str, str],
    show: Progress,
) -> TrainingOutcome:
    recipe, fabric = trainer.recipe, trainer.fabric
    config = recipe.train
    batches = open_batches(trainer)
    patience = recipe.validate_.patience
    saved = time.monotonic()
    while trainer.step < config.steps and not _is_exhausted(trainer, patience):
        began, cpu = time.perf_counter(), time.process_time()
        batch = next(batches)
        loaded = time.perf_counter()
        event = trainer.iterate(batch)
        # All processes must stop after the same iteration; a signal may have reached one of them only.
        signal_number = int(trainer.over_processes(float(request.signal), "max"))
        step, last = trainer.step, trainer.step == config.steps
        show.update(step, "nothing observed" if event["loss"] is None else f"loss {event['loss']:.4g}")
        if log is not None:
            ended, log_due = time.perf_counter(), last or step % config.log_every == 0
            log.log_iteration(event, loaded - began, ended - loaded, time.process_time() - cpu, due=log_due)
        due = step % recipe.validate_.every == 0 or last
        if due and not signal_number:  # a stop does not wait for a validation, which is done after resuming
            _validate(trainer, folder, log, show)
        stop = bool(signal_number) or _is_exhausted(trainer, patience)
        overdue = time.monotonic() - saved > 60 * config.checkpoint_minutes
        if log is not None and (step % config.checkpoint_every == 0 or overdue or last or stop):
            saved = time.monotonic()
            content = {
                "trainer": trainer.state(),
                "identity": identity,
                "events_length": log.events.sync(),
                "unvalidated": due and bool(signal_number),
            }
            checkpoint.save(folder.checkpoints, step, content, keep=config.keep)
        if signal_number:
            fabric.barrier()  # no process ends before the checkpoint is written
            raise Stopped(signal_number, step, folder.resume_command)
    if log is not None and not (folder.model / "model.json").exists():  # no validation had a score
        trainer.save_model(folder, {})
    reason = f"no better for {patience} validations" if _is_exhausted(trainer, patience) else "done"
    return TrainingOutcome(trainer.step, trainer.best, reason)


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


def _validate(trainer: TrainingState, folder: RunFolder, log: TrainLog | None, show: Progress) -> None:
    """Score the validation split, save the best model, count the validations without a better score."""
    name = trainer.metrics[0].name
    if not trainer.dataset.count("val"):
        if log is not None:
            trainer.save_model(folder, {})
        return
    scores = trainer.validate()
    if log is not None:
        log.log_validation(trainer.step, scores)
    better = trainer.is_better(scores[name])
    if better:
        trainer.best, trainer.worse = scores[name], 0
    else:
        trainer.worse += 1
    if better and log is not None:
        trainer.save_model(folder, scores)
    show.say(f"step {trainer.step}: validation {name} {scores[name]:.4g}{' (best)' if better else ''}")


class StopRequest:
    """Context that notes the first SIGTERM or SIGINT; a second SIGINT interrupts at once.

    Attributes:
        signal: the number of the signal, 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._handlers: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number

    def __enter__(self) -> StopRequest:
        """Install the handlers; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {n: signal.signal(n, self._note) for n in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the old handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
