"""The training loop, on Lightning Fabric: devices, precisions and processes are Fabric's, the loop is ours."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from lightning_fabric import Fabric

from framecast import atomic, checkpoint, kernels
from framecast.data import MOVING_MNIST, DataSet, open_data, training_batches
from framecast.errors import CheckpointError, Stopped, UsageError
from framecast.place import HERE, Place, resolve_device
from framecast.progress import Progress, progress
from framecast.recipe import Recipe, read_recipe
from framecast.run_folder import RunFolder, read_events
from framecast.signals import StopWish
from framecast.train_log import TrainLog
from framecast.trainer import Trainer

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class Outcome(NamedTuple):
    """How a training ended."""

    step: int
    best: float | None
    """Best validation score, if there was a validation."""
    reason: str
    """"done", or "no better for N validations"."""


def start(recipe: Recipe, path: str | Path, place: Place = HERE, *, quiet: bool = False) -> Outcome:
    """Begin a run in a new folder and train to its end.

    Args:
        recipe: what to train, how, and what on.
        path: of the run's folder.
        place: where to compute.
        quiet: whether to show nothing.

    Raises:
        UsageError: the folder exists, or something of the recipe cannot be done here.
        InputError: the data cannot be used.
        RunInUse: another process holds the folder.
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: nothing of that step was saved.
    """
    recipe = _anchored(recipe)
    dataset = _open(recipe)
    folder = RunFolder(path)
    with _held(folder, place):
        if place.rank == 0:
            folder.create(recipe.yaml())
            atomic.write_text(folder.data, json.dumps(_described(dataset), indent=2) + "\n")
        return _run(recipe, dataset, folder, place, quiet)


def resume(path: str | Path, place: Place = HERE, *, quiet: bool = False) -> Outcome:
    """Go on with a run from its newest valid checkpoint; from the start if there is none yet.

    Raises:
        UsageError: no run is there.
        CheckpointError: no checkpoint is valid, or the data are not those of the run.
        RunInUse, Stopped, NonFiniteLoss, InputError: as for `start`.
    """
    folder = RunFolder(path).opened()
    recipe = read_recipe(str(folder.recipe))
    with _held(folder, place):
        return _run(recipe, _open(recipe), folder, place, quiet)


def _anchored(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths, so that a run can be resumed from anywhere."""
    data = recipe.data
    if data.source != MOVING_MNIST:
        data = data.model_copy(update={"source": str(Path(data.source).absolute())})
    elif data.moving_mnist.digits_file is not None:
        digits = str(Path(data.moving_mnist.digits_file).absolute())
        data = data.model_copy(update={"moving_mnist": data.moving_mnist.model_copy(update={"digits_file": digits})})
    return recipe.model_copy(update={"data": data})


def _open(recipe: Recipe) -> DataSet:
    return open_data(recipe.data, context=recipe.context, horizon=recipe.horizon, seed=recipe.seed)


def _held(folder: RunFolder, place: Place) -> AbstractContextManager[None]:
    """The first process holds the run for its group."""
    return folder.lock() if place.rank == 0 else nullcontext()


def _described(dataset: DataSet) -> dict[str, Any]:
    return {
        "spec": dataset.spec.model_dump(),
        "fingerprint": dataset.fingerprint,
        "split": dataset.split_hash,
        "windows": {split: dataset.count(split) for split in ("train", "val", "test")},
        "notes": dataset.notes,
    }


def _run(recipe: Recipe, dataset: DataSet, folder: RunFolder, place: Place, quiet: bool) -> Outcome:
    fabric = new_fabric(recipe, place)
    fabric.launch()
    with progress("training", recipe.train.steps, quiet=quiet or place.rank > 0) as show:
        for note in dataset.notes:
            show.say(note)
        outcome = train(recipe, dataset, folder, fabric, show)
        if place.rank == 0:
            draw_loss(folder, recipe.validate_.metric)
    return outcome


def draw_loss(folder: RunFolder, metric: str) -> None:
    """Draw loss.png from the event log."""
    from framecast import plots

    events = read_events(folder.events, "train")
    validation = {e["step"]: e[metric] for e in read_events(folder.events, "validation")}
    if events:
        plots.loss_curve(
            folder.path / "loss.png", [e["step"] for e in events], [e["loss"] for e in events], validation, metric
        )


def new_fabric(recipe: Recipe, place: Place) -> Fabric:
    """Fabric for a place.

    Raises:
        UsageError: a device that is not there, a dtype that it does not have, a batch that cannot be shared.
    """
    device, world, config = resolve_device(place.device), place.processes * place.nodes, recipe.train
    if config.dtype == "fp16" and device != "cuda":
        raise UsageError("train.dtype", got=f"fp16 on {device}", expected="fp32 or bf16 there")
    if config.batch_size % (config.accumulate * world):
        got = f"{config.batch_size} for {world} processes and accumulate {config.accumulate}"
        raise UsageError("train.batch_size", got=got, expected=f"a multiple of {config.accumulate * world}")
    return Fabric(
        accelerator=device,
        strategy="ddp" if world > 1 else "auto",
        devices=place.processes,
        num_nodes=place.nodes,
        precision=PRECISIONS[config.dtype],  # type: ignore[arg-type]
    )


def train(recipe: Recipe, dataset: DataSet, folder: RunFolder, fabric: Fabric, show: Progress) -> Outcome:
    """Train until the end, from the newest checkpoint of the folder if there is one.

    Args:
        recipe: what to train and how.
        dataset: what on.
        folder: where results go; locked by the caller.
        fabric: where to compute; launched.
        show: progress.

    Raises:
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: nothing of that step was saved.
        CheckpointError: the data or the recipe are not those of the checkpoint, or none is valid.
    """
    kernels.set_precision(recipe.train.precision)
    trainer = Trainer(recipe, dataset, fabric)
    identity = {
        "recipe_sha256": hashlib.sha256(recipe.yaml().encode()).hexdigest(),
        "data": dataset.fingerprint,
        "split": dataset.split_hash,
        "version": version("framecast"),
    }
    length = _resume(trainer, folder, identity, show)
    with ExitStack() as stack:
        wish = stack.enter_context(StopWish())
        log = stack.enter_context(TrainLog(folder, length, trainer.step)) if fabric.is_global_zero else None
        return _loop(trainer, folder, log, wish, identity, show)


def _resume(trainer: Trainer, folder: RunFolder, identity: dict[str, str], show: Progress) -> int:
    """Restore the newest checkpoint; return how much of the event log belongs to it."""
    loaded = checkpoint.load_newest(folder.checkpoints)
    if loaded is None:
        return 0
    for skipped in loaded.skipped:
        show.say(f"skipped checkpoint {skipped}")
    for key, name in (("recipe_sha256", "recipe"), ("data", "data"), ("split", "split of the data")):
        if loaded.content["identity"][key] != identity[key]:
            fix = "resume with what the run began with, or start a new run"
            raise CheckpointError(f"{loaded.path}: the {name} has changed since", fix=fix)
    trainer.restore(loaded.content["trainer"])
    show.say(f"resumed after step {trainer.step}")
    return int(loaded.content["events_length"])


def _loop(
    trainer: Trainer, folder: RunFolder, log: TrainLog | None, wish: StopWish, identity: dict[str, str], show: Progress
) -> Outcome:
    recipe, fabric = trainer.recipe, trainer.fabric
    config = recipe.train
    batches = training_batches(
        trainer.dataset,
        seed=recipe.seed,
        batch_size=config.batch_size // (config.accumulate * fabric.world_size),
        accumulate=config.accumulate,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        start_step=trainer.step,
        workers=config.workers,
    )
    patience = recipe.validate_.patience
    while trainer.step < config.steps and not _exhausted(trainer, patience):
        asked = time.perf_counter()
        batch = next(batches)
        got = time.perf_counter()
        event = trainer.iterate(batch)
        signal_number = int(trainer.over_processes(float(wish.signal), "max"))
        step, last = trainer.step, trainer.step == config.steps
        show.update(step, f"loss {event['loss']:.4g}")
        if log is not None:
            log.iteration(event, got - asked, time.perf_counter() - got, every=config.log_every)
        if step % recipe.validate_.every == 0 or last:
            _validated(trainer, folder, log, show)
        stop = bool(signal_number) or _exhausted(trainer, patience)
        if log is not None and (step % config.checkpoint_every == 0 or last or stop):
            content = {"trainer": trainer.state(), "identity": identity, "events_length": log.events.sync()}
            checkpoint.save(folder.checkpoints, step, content, keep=config.keep)
        if signal_number:
            fabric.barrier()
            raise Stopped(signal_number, step)
    reason = f"no better for {patience} validations" if _exhausted(trainer, patience) else "done"
    return Outcome(trainer.step, trainer.best, reason)


def _exhausted(trainer: Trainer, patience: int | None) -> bool:
    return patience is not None and trainer.worse >= patience


def _validated(trainer: Trainer, folder: RunFolder, log: TrainLog | None, show: Progress) -> None:
    """Score the validation split, keep the best model, count how often it was not better."""
    name = trainer.recipe.validate_.metric
    if not trainer.dataset.count("val"):
        if log is not None:
            trainer.save_model(folder, {})
        return
    scores = trainer.validate()
    if log is not None:
        log.validation(trainer.step, scores)
    better = trainer.is_better(scores[name])
    if better:
        trainer.best, trainer.worse = scores[name], 0
    else:
        trainer.worse += 1
    if better and log is not None:
        trainer.save_model(folder, scores)
    show.say(f"step {trainer.step}: validation {name} {scores[name]:.4g}{' (best)' if better else ''}")
