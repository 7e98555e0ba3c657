"""What a run wrote down: its recipe, its data, its events, its times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from framecast.errors import CheckpointError, InputError
from framecast.forecasting.model_folder import describe
from framecast.formatting import format_options
from framecast.models.cost import Cost, count_cost
from framecast.recipe.recipe import Recipe, read_run_recipe
from framecast.recipe.sampling import sampling_end
from framecast.runs.folder import RunFolder, read_events

Events = list[dict[str, Any]]


class Record(NamedTuple):
    """A run, read and not computed."""

    folder: RunFolder
    recipe: Recipe
    data: dict[str, Any]
    """What data.json says: spec, fingerprint, split, windows, notes."""
    training: Events
    """Events "train" that have a loss."""
    validations: Events
    timing: Events
    starts: Events
    """One for each time that the training was begun or gone on with."""
    model: dict[str, Any]
    """model.json; empty before the first model."""

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.path.resolve().name

    @property
    def source(self) -> str:
        """The data, by the names of their files."""
        said = self.recipe.data.source
        return ", ".join(Path(path).name for path in ([said] if isinstance(said, str) else [one.path for one in said]))

    @property
    def iterations(self) -> int:
        """How many were done, as far as anything was written down."""
        about = self.model.get("about") or {}
        said = [event["step"] for event in (*self.training, *self.validations)]
        return max(int(step) for step in (0, about.get("step", 0), *said))

    @property
    def sampling_end(self) -> int | None:
        """The iteration from which on the share of true frames no longer changes, see `end_of`."""
        return sampling_end(self.recipe.sampling, self.recipe.train.steps)

    @property
    def seconds(self) -> float:
        """Time spent in iterations, repeated ones included; validations are not in it."""
        every = self.recipe.train.log_every
        return sum(event["seconds_per_step"] * event.get("iterations", every) for event in self.timing)

    def cost(self) -> Cost:
        """Of the network on these frames."""
        spec, recipe = self.data["spec"], self.recipe
        shape = (spec["channels"], spec["height"], spec["width"])
        extra = len(spec.get("covariates", ())) + recipe.mask_channel
        return count_cost(recipe.model, *shape, patch=recipe.patch, frames=recipe.context + recipe.horizon, extra=extra)


def read_record(path: str | Path, model: str | Sequence[str] | None = None) -> Record:
    """Read a run's folder.

    Args:
        path: of the run.
        model: `package.module:Class` of a network that is not framecast's own and that the user trusts; or several.

    Raises:
        UsageError: no run is there, or its network is not trusted.
        InputError: data.json is damaged.
    """
    folder = RunFolder(path).opened()
    recipe = read_run_recipe(folder.recipe, model=model)
    try:
        data = json.loads(folder.data.read_text())
    except (OSError, ValueError) as error:
        raise InputError(str(folder.data), got=str(error), expected="what the run wrote", fix="train again") from error
    try:
        about = describe(folder.model)
    except CheckpointError:
        about = {}
    return Record(
        folder,
        recipe,
        data,
        [event for event in read_events(folder.events, "train") if event["loss"] is not None],
        read_events(folder.events, "validation"),
        read_events(folder.timing, "timing"),
        read_events(folder.timing, "start"),
        about,
    )


def describe_network(record: Record) -> str:
    """The network with the options that were said."""
    said = record.recipe.model.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    return f"{record.recipe.model.name}{format_options(said)}"  # type: ignore[attr-defined]
