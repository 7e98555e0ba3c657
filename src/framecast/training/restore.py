"""Restoration of what a run can make again: data.json and split.json from the data, model/ from the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framecast import files, json_files
from framecast.data import DataSet
from framecast.errors import CheckpointError
from framecast.forecasting.model_folder import describe, find_fault, remove_weights, write_description
from framecast.forecasting.weight_files import StoredTensor, find_misfits
from framecast.progress import Progress
from framecast.recipe.recipe import Recipe
from framecast.recipe.run_digest import DIGEST_KEY
from framecast.runs.checkpoint import LoadedCheckpoint
from framecast.runs.folder import RunFolder
from framecast.training.state import TrainingState


def check_network(loaded: LoadedCheckpoint, weights: Mapping[str, StoredTensor]) -> None:
    """Check that a checkpoint holds the weights of a network, before that is built.

    Args:
        loaded: a checkpoint.
        weights: shapes and dtypes that the network has.

    Raises:
        CheckpointError: it holds others.
    """
    try:
        network = loaded.content["trainer"]["network"].items()
        stored = {name: StoredTensor(tuple(value.shape), value.dtype) for name, value in network}
    except (LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(str(loaded.path), got="no weights in it", expected="the state of a training") from error
    if wrong := find_misfits(stored, weights):
        got = f"parameters that do not fit: {', '.join(sorted(wrong)[:8])}"
        raise CheckpointError(str(loaded.path), got=got, expected="those of the network of recipe.yaml")


def describe_data(recipe: Recipe, dataset: DataSet) -> dict[str, Any]:
    """Describe the data of a run, and what it is trained by: the content of data.json."""
    return {
        "spec": dataset.spec.model_dump(),
        "fingerprint": dataset.fingerprint,
        "split": dataset.split_hash,
        "windows": {split: dataset.count(split) for split in ("train", "val", "test")},
        "notes": dataset.notes,
        DIGEST_KEY: recipe.digest,
    }


def describe_frames(dataset: DataSet) -> dict[str, Any]:
    """Describe the frames of each split, and by digests those of the training: the content of split.json."""
    return {**dataset.record, "digests": dataset.digest_frames("train")}


def restore_data(trainer: TrainingState, folder: RunFolder, show: Progress) -> None:
    """Write data.json and split.json again where they are lost or damaged, and say so.

    Args:
        trainer: with the data of the run.
        folder: of the run, locked.
        show: where it is said.
    """
    for path, describe_content, indent in (
        (folder.data, lambda: describe_data(trainer.recipe, trainer.dataset), 2),
        (folder.split, lambda: describe_frames(trainer.dataset), None),
    ):
        if (fault := _find_json_fault(path)) is not None:
            json_files.write_json(path, describe_content(), indent=indent)
            show.warn(f"{path}: {fault}; it was made again from the data")


def _find_json_fault(path: Path) -> str | None:
    try:
        json_files.read_json(path)
    except OSError as error:
        return error.strerror
    except ValueError as error:
        return f"damaged JSON ({error})"
    return None


def restore_model(trainer: TrainingState, folder: RunFolder, show: Progress) -> None:
    """Make the run's model/ whole again where it was damaged, and say so; all processes call this together.

    model.json comes back as it was while its weights are there. Without them the weights of the checkpoint take the
    place of the best ones, until a validation finds better ones.

    Args:
        trainer: state that was resumed.
        folder: of the run, locked.
        show: where it is said.
    """
    lost = trainer.fabric.is_global_zero and _is_lost(trainer, folder.model, show)
    if trainer.over_processes([float(lost)], "max")[0]:
        trainer.best = None
        trainer.save_model(folder, {})


def _is_lost(trainer: TrainingState, folder: Path, show: Progress) -> bool:
    """Whether the best model is damaged for good; a damaged model.json is written again.

    Args:
        trainer: its `model` is what the checkpoint says; None where there was none yet, and from version 0.1.0.
        folder: of the model.
        show: where damage is said.
    """
    fault, saved = find_fault(folder), trainer.model
    if fault is None:
        trainer.model = describe(folder)
        if saved is not None and saved["weights"] != trainer.model["weights"]:
            remove_weights(folder, saved["weights"])  # the process was killed just before it did so
        return False
    if saved is None and trainer.best is None:
        return False  # what a first save has left is replaced by the next
    weights = None if saved is None else folder / saved["weights"]
    if saved is not None and weights is not None and weights.is_file() and files.sha256(weights) == saved["sha256"]:
        write_description(folder, saved)
        show.warn(f"{fault}; it was written again as the checkpoint has it")
        return False
    show.warn(f"{fault}; the weights of the checkpoint of step {trainer.step} take the place of the best ones")
    return True
