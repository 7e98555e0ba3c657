"""Start and resumption of a training run. Lightning Fabric provides devices, precisions and processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from pydantic import ValidationError

from framecast import kernels
from framecast.data import MOVING_MNIST, DataSet, open_data
from framecast.data.addresses import make_absolute
from framecast.data.sources.base import Source
from framecast.devices import SINGLE_PROCESS, Launch, resolve_device
from framecast.errors import InputError, UsageError, naming_full_disk
from framecast.loggers import check_loggers
from framecast.progress import Silent, show_progress
from framecast.recipe.recipe import Recipe, read_run_recipe
from framecast.runs import checkpoint
from framecast.runs.checkpoint import LoadedCheckpoint
from framecast.runs.folder import RunFolder
from framecast.runs.record import read_data
from framecast.training.compilation import check_compile
from framecast.training.fine_tuning import find_spec, name_weights
from framecast.training.log import draw_loss
from framecast.training.loop import TrainingOutcome, open_batches, run_training
from framecast.training.processes.group import check_same_frames, check_shared, decide_first, join_group, run_together
from framecast.training.restore import check_network, describe_data, describe_frames
from framecast.training.room import check_room
from framecast.training.state import TrainingState
from framecast.types import FrameSpec

FEW_WINDOWS = 10
"""Training windows below which a training warns."""
PRECISIONS: dict[str, Literal["bf16-mixed", "16-mixed"]] = {"bf16": "bf16-mixed", "fp16": "16-mixed"}


class _Autocast(MixedPrecision):
    """Mixed precision that leaves inputs as they are: frames are the truth of the loss too, a pixel count is exact."""

    def convert_input(self, data: Any) -> Any:
        return data


def start(
    recipe: Recipe,
    path: str | Path,
    place: Launch = SINGLE_PROCESS,
    *,
    source: Source | None = None,
    quiet: bool = False,
) -> TrainingOutcome:
    """Begin a run in a new folder and train to its end.

    Args:
        recipe: network, training and data.
        path: folder of the run; made once all of the recipe is known to fit.
        place: device and processes.
        source: the opened data of the recipe, if they have been opened already.
        quiet: whether to show no progress.

    Raises:
        UsageError: the folder exists, or something of the recipe cannot be done here.
        InputError: the data cannot be used.
        RunInUse: another process holds the folder.
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: the loss or a weight is not finite; nothing of that step was saved.

    Example:
        >>> import framecast
        >>> tiny = ["model.hidden=[4]", "patch=8", "train.steps=2", "train.batch_size=2", "data.moving_mnist={size: 32}"]
        >>> recipe = framecast.read_recipe("convlstm", [*tiny, "validate.sequences=2"])
        >>> framecast.start(recipe, "runs/started", quiet=True).reason
        'done'
    """
    join_group(place)
    folder = RunFolder(path)
    recipe, dataset = decide_first(lambda: _begin(recipe, source, folder))
    fabric = run_together(lambda: new_fabric(recipe, place))
    with ExitStack() as stack:
        decide_first(lambda: _lock(folder, stack))
        run_together(lambda: check_room(recipe, dataset, fabric))
        check_same_frames(dataset)
        trainer = _make_trainer(recipe, dataset, fabric)
        decide_first(lambda: folder.create(recipe.yaml(), describe_data(recipe, dataset), describe_frames(dataset)))
        check_shared(folder.recipe)
        return _run(trainer, folder, None, quiet)


def resume(
    path: str | PathLike[str],
    place: Launch = SINGLE_PROCESS,
    *,
    overrides: Sequence[str] = (),
    model: str | None = None,
    source: Source | None = None,
    quiet: bool = False,
) -> TrainingOutcome:
    """Resume a run from its newest valid checkpoint; from the start if there is none yet.

    Args:
        path: folder of the run, or the run.
        place: device and processes; another number of processes trains on the same sequences in the same order.
        overrides: `key=value` of recipe keys that do not change the numbers, for example train.workers=2.
        model: `package.module:Class` of a network outside framecast, which is imported only if named here too.
        source: the opened data of the run, if they have been opened already.
        quiet: whether to show no progress.

    Raises:
        UsageError: no run is there.
        CheckpointError: no checkpoint is valid, or recipe or data are not those of the run.
        InputError: the data cannot be used.
        RunInUse: another process holds the folder.
        Stopped: a signal came; everything was saved.
        NonFiniteLoss: the loss or a weight is not finite; nothing of that step was saved.

    Example:
        >>> import framecast
        >>> tiny = ["model.hidden=[4]", "patch=8", "train.steps=2", "train.batch_size=2", "data.moving_mnist={size: 32}"]
        >>> recipe = framecast.read_recipe("convlstm", [*tiny, "validate.sequences=2"])
        >>> outcome = framecast.start(recipe, "runs/whole", quiet=True)
        >>> framecast.resume("runs/whole", quiet=True).step    # nothing was left to do
        2
    """
    join_group(place)
    folder = RunFolder(path)
    run_together(folder.opened if place.rank == 0 else lambda: None)
    check_shared(folder.recipe)
    with ExitStack() as stack:
        decide_first(lambda: _lock(folder, stack))
        recipe, dataset = decide_first(lambda: _read_run(folder, overrides, model, source))
        fabric = run_together(lambda: new_fabric(recipe, place))
        weights = run_together(lambda: check_room(recipe, dataset, fabric))
        check_same_frames(dataset)
        loaded = _load_newest(folder)
        if loaded is not None and weights is not None:
            check_network(loaded, weights)
        return _run(_make_trainer(recipe, dataset, fabric), folder, loaded, quiet)


def measure_pace(recipe: Recipe, place: Launch = SINGLE_PROCESS, seconds: float = 0.0) -> float:
    """Measure the seconds of one iteration, the mean over the stages of a training; the weights are thrown away.

    Of each stage five iterations or more count, after two to warm up. On a CPU that other work shares, the processor's
    time counts where it is less than the clock's: what an iteration would take alone, with one thread.

    Args:
        recipe: network, training and data.
        place: device and processes.
        seconds: least time to measure; on a shared machine, a few iterations may fall into a fast moment.

    Raises:
        UsageError: something of the recipe cannot be done here.
        InputError: the data cannot be used.
    """
    recipe = _resolve_paths(recipe)
    trainer = _make_trainer(recipe, _open(recipe), new_fabric(recipe, place))
    batches = open_batches(trainer)
    begins = [0.0, *(stage.until for stage in recipe.train.growth)]
    shares = [end - begin for begin, end in zip(begins, [*begins[1:], 1.0], strict=True)]
    mean = 0.0
    for begin, share in zip(begins, shares, strict=True):
        trainer.step = int(begin * recipe.train.steps)
        for _ in range(2):
            trainer.iterate(next(batches))
        began, computed, count, elapsed = time.perf_counter(), time.process_time(), 0, 0.0
        while count < 5 or elapsed < seconds * share:
            trainer.iterate(next(batches))
            count, elapsed = count + 1, time.perf_counter() - began
        if trainer.fabric.device.type == "cpu":
            elapsed = min(elapsed, time.process_time() - computed)
        mean += share * elapsed / count
    return mean


def _make_trainer(recipe: Recipe, dataset: DataSet, fabric: Fabric) -> TrainingState:
    fabric.launch()
    kernels.set_precision(recipe.train.precision)
    kernels.set_memory(recipe.train.memory)
    return TrainingState(recipe, dataset, fabric)


def _resolve_paths(recipe: Recipe) -> Recipe:
    """Make the paths of a recipe absolute, so that a run can be resumed from any directory."""
    data = recipe.data.map_paths(make_absolute)
    if data.source == MOVING_MNIST and data.moving_mnist.digits_file is not None:
        digits = str(Path(data.moving_mnist.digits_file).absolute())
        data = data.model_copy(update={"moving_mnist": data.moving_mnist.model_copy(update={"digits_file": digits})})
    return recipe.model_copy(update={"data": data})


def _open(recipe: Recipe, source: Source | None = None, spec: FrameSpec | None = None) -> DataSet:
    context, horizon = recipe.context_, recipe.horizon_
    return open_data(
        recipe.data,
        context=context,
        horizon=horizon,
        seed=recipe.seed,
        spin_up=recipe.spin_up_,
        source=source,
        spec=spec,
    )


def _read_spec(folder: RunFolder) -> FrameSpec | None:
    """Read the spec that a run began with; None where data.json is lost or damaged, and will be made again."""
    try:
        return FrameSpec.model_validate(read_data(folder)["spec"])
    except (InputError, ValidationError):
        return None


def _begin(recipe: Recipe, source: Source | None, folder: RunFolder) -> tuple[Recipe, DataSet]:
    """Open the data of a new run, resolve its recipe by them, and look at its place."""
    check_loggers(recipe.train.loggers)
    recipe = name_weights(_resolve_paths(recipe))
    dataset = _open(recipe, *find_spec(recipe, source))
    if not folder.recipe.exists():
        folder.check_free()
    return recipe.resolved(dataset), dataset


def _read_run(
    folder: RunFolder, overrides: Sequence[str], model: str | None, source: Source | None
) -> tuple[Recipe, DataSet]:
    """Read the recipe of a run and open its data."""
    recipe = _resolve_paths(read_run_recipe(folder.recipe, overrides, model))
    check_loggers(recipe.train.loggers)
    # with the ranges that the run began with, whatever would be found in the frames today
    return recipe, replace(_open(recipe, source, _read_spec(folder)), is_range_found=False)


def _load_newest(folder: RunFolder) -> LoadedCheckpoint | None:
    """Load the newest valid checkpoint: the first process finds out which that is, the others read the same file."""
    found: list[LoadedCheckpoint | None] = []

    def find() -> str | None:
        found.append(checkpoint.load_newest(folder.checkpoints, folder.events))
        return None if found[0] is None else found[0].path.name

    name = decide_first(find)
    if found or name is None:
        return run_together(lambda: found[0] if found else None)
    return run_together(lambda: checkpoint.load(folder.checkpoints / name))


def _lock(folder: RunFolder, stack: ExitStack) -> None:
    """Lock the folder in the first process, for its whole group."""
    stack.enter_context(folder.lock())


def _run(trainer: TrainingState, folder: RunFolder, loaded: LoadedCheckpoint | None, quiet: bool) -> TrainingOutcome:
    main, steps = trainer.fabric.is_global_zero, trainer.recipe.train.steps
    progress = show_progress("training", steps, quiet=quiet) if main else Silent()
    with naming_full_disk(folder.path, folder.resume_command), progress as show:
        for note in (*trainer.dataset.notes, *_warn_of_few_windows(trainer)):
            show.say(note)
        outcome = run_training(trainer, folder, show, loaded)
        if main:
            draw_loss(folder, trainer.metrics[0].name)
    return outcome


def _warn_of_few_windows(trainer: TrainingState) -> tuple[str, ...]:
    """Warn where a network sees so few windows that it will know them by heart."""
    count, train = trainer.dataset.count("train"), trainer.recipe.train
    if count >= FEW_WINDOWS or not train.steps:
        return ()
    times = f"each {train.steps * train.batch_size / max(count, 1):.0f} times"
    return (
        f"few windows: {count} to train on, {times}, which a network soon knows by heart; give more frames, a shorter "
        "context or horizon, or train linear, which has few numbers",
    )


def new_fabric(recipe: Recipe, place: Launch) -> Fabric:
    """Make the Fabric of a recipe on a device and processes.

    Raises:
        UsageError: a device that is not there, a dtype that it does not have, a batch that processes cannot share.
    """
    device, world, config = resolve_device(place.device), place.processes * place.nodes, recipe.train
    if config.dtype == "fp16" and device != "cuda":
        raise UsageError("train.dtype", got=f"fp16 on {device}", expected="fp32 or bf16 there")
    if config.batch_size % (config.accumulate * world):
        got = f"{config.batch_size} for {world} processes and accumulate {config.accumulate}"
        raise UsageError("train.batch_size", got=got, expected=f"a multiple of {config.accumulate * world}")
    if config.compile:
        check_compile(device, config.memory)
    plugins: list[Any] | None = None if config.dtype == "fp32" else [_Autocast(PRECISIONS[config.dtype], device)]
    return Fabric(
        accelerator=device,
        strategy="ddp" if world > 1 else "auto",
        devices=place.processes,
        num_nodes=place.nodes,
        precision="32-true" if plugins is None else None,
        plugins=plugins,
    )
