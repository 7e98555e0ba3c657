"""Record of a run: recipe, data, events and times, read from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor

from framecast import json_files
from framecast.bases import BaseEncoder, build_against_base, make_encoder
from framecast.documents import explain_invalid
from framecast.errors import CheckpointError, InputError
from framecast.forecasting.model_folder import describe
from framecast.formatting import format_options
from framecast.models.cost import Cost, count_cost
from framecast.nn.base_head import BaseStep
from framecast.recipe.recipe import Recipe, read_run_recipe
from framecast.recipe.scheduled_sampling import sampling_end
from framecast.runs.checkpoint import check_events
from framecast.runs.folder import RunFolder, read_events
from framecast.transforms.normalize import Normalizer, Range
from framecast.types import FrameSpec

Events = list[dict[str, Any]]

_NEEDED = {
    "train": {"step", "loss", "gradient_norm", "lr", "truth"},
    "validation": {"step"},
    "timing": {"seconds_per_step"},
    "start": {"step"},
}
"""Fields that each kind of event has; a line that lacks one is left out, as one is that was cut short."""


class _DataRecord(BaseModel):
    """Fields of data.json."""

    spec: FrameSpec
    fingerprint: str
    split: str
    windows: dict[str, int]
    notes: list[str]


class Record(NamedTuple):
    """Recipe, data, events and model of a run."""

    folder: RunFolder
    recipe: Recipe
    data: dict[str, Any]
    """Content of data.json: spec, fingerprint, split, windows, notes."""
    training: Events
    """Events "train" with a loss."""
    validations: Events
    timing: Events
    starts: Events
    """One event for each start or resumption of the training."""
    model: dict[str, Any]
    """Content of model.json; empty before the first model is saved."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.path.resolve().name

    @property
    def source(self) -> str:
        """Names of the data's files, joined by commas."""
        source = self.recipe.data.source
        return ", ".join(
            Path(p).name for p in ([source] if isinstance(source, str) else [part.path for part in source])
        )

    @property
    def iterations(self) -> int:
        """Iterations done, by the last event or saved model."""
        about = self.model.get("about") or {}
        steps = [event["step"] for event in (*self.training, *self.validations)]
        return max(int(step) for step in (0, about.get("step", 0), *steps))

    @property
    def sampling_end(self) -> int | None:
        """Iteration from which on the share of true frames no longer changes; None if it never changes."""
        return sampling_end(self.recipe.sampling, self.recipe.train.steps)

    @property
    def seconds(self) -> float:
        """Seconds spent in iterations, repeated ones included, validations not."""
        every = self.recipe.train.log_every
        return sum(event["seconds_per_step"] * event.get("iterations", every) for event in self.timing)

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of these, of all threads; None where another device computed, or where it was not recorded."""
        on_cpu = all(event.get("device") == "cpu" for event in self.starts)
        if not self.timing or not on_cpu or not all("cpu_seconds_per_step" in event for event in self.timing):
            return None
        return sum(event["cpu_seconds_per_step"] * event["iterations"] for event in self.timing)

    def cost(self) -> Cost:
        """Count the cost of the network on frames of the data, with what it does with its base."""
        spec = FrameSpec.model_validate(self.data["spec"])
        return count_recipe_cost(self.recipe, spec, self._find_normalizer(spec))

    def _find_normalizer(self, spec: FrameSpec) -> Normalizer:
        """Find that of the saved model; before there is one, that of the value range."""
        saved = self.model.get("normalizer")
        return Range(low=spec.low, high=spec.high) if saved is None else TypeAdapter(Normalizer).validate_python(saved)


def count_recipe_cost(recipe: Recipe, spec: FrameSpec, normalizer: Normalizer) -> Cost:
    """Count the cost of a recipe's network on one sequence, with what it does with its base.

    Args:
        recipe: network, base, and context and horizon in frames.
        spec: of the frames.
        normalizer: of the frames.
    """
    # frames that the network runs over; a base may observe more
    context = min(recipe.context, recipe.spin_up or recipe.context)
    sizes: dict[str, Any] = {"patch": recipe.patch, "frames": context + recipe.horizon, "context": context}
    sizes["extra"] = len(spec.covariates) + recipe.mask_channel
    shape = spec.channels, spec.height, spec.width
    with torch.device("meta"):
        encoder = make_encoder(recipe.base, recipe.head, spec, normalizer, recipe.patch)
    if encoder is None:
        return count_cost(recipe.model, *shape, **sizes)
    build = partial(build_against_base, recipe.model, encoder=encoder)
    return count_cost(recipe.model, *shape, **sizes, build=build, base=partial(_run_base, encoder))


def _run_base(encoder: BaseEncoder, frames: Tensor) -> Iterator[BaseStep]:
    """Let a base observe frames, which have a shape and no values; the motion, too.

    Of the context two frames are enough: what a base says of any frame has the same shapes, and as many steps follow.
    """
    frames = frames[:, :2]
    motion = frames.new_empty(*frames.shape[:2], 2, *frames.shape[-2:])
    return encoder.run(frames, torch.ones_like(frames, dtype=torch.bool), frames.new_ones(1), motion).steps(
        of_context=True
    )


def read_record(path: str | Path, model: str | Sequence[str] | None = None) -> Record:
    """Read the record of a run.

    Args:
        path: folder of the run.
        model: `package.module:Class` of networks outside framecast that the user trusts, one or several.

    Raises:
        UsageError: no run is there, or its network is not among the trusted.
        InputError: data.json is damaged.
        CheckpointError: events.jsonl is not as it was at the newest checkpoint.
    """
    folder = RunFolder(path).opened()
    recipe = read_run_recipe(folder.recipe, model=model)
    data = read_data(folder)
    check_events(folder.checkpoints, folder.events)
    try:
        model_description = describe(folder.model)
    except CheckpointError:
        model_description = {}
    return Record(
        folder,
        recipe,
        data,
        [event for event in _read_events(folder.events, "train") if event["loss"] is not None],
        _read_events(folder.events, "validation"),
        _read_events(folder.timing, "timing"),
        _read_events(folder.timing, "start"),
        model_description,
    )


def _read_events(path: Path, event: str) -> Events:
    return [fields for fields in read_events(path, event) if fields.keys() >= _NEEDED[event]]


def read_data(folder: RunFolder) -> dict[str, Any]:
    """Read data.json of a run: spec, fingerprint, split, windows and notes.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        data = json_files.read_json(folder.data)
        _DataRecord.model_validate(data)
    except ValidationError as error:
        got = f"a description that does not hold ({explain_invalid(error, data).text})"
    except (OSError, ValueError) as error:
        got = str(error)
    else:
        return data
    fix = f"{folder.resume_command} makes it again"
    raise InputError(str(folder.data), got=got, expected="what the run wrote", fix=fix)


def describe_network(record: Record) -> str:
    """Describe the network in words: its name, with the options that differ from the defaults."""
    options = record.recipe.model.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    return f"{record.recipe.model.name}{format_options(options)}"  # type: ignore[attr-defined]
