"""Commands that a user may give next, as lines for a shell: evaluate and predict of a run."""

from __future__ import annotations

from pathlib import Path

from framecast.data import MOVING_MNIST
from framecast.formatting import format_command
from framecast.recipe.foreign import foreign_name
from framecast.recipe.recipe import Recipe
from framecast.runs.folder import RunFolder
from framecast.runs.record import read_data
from framecast.types import FrameSpec


def write_next_commands(run: str | Path, recipe: Recipe) -> list[str]:
    """Write the lines that score a run, where it has windows to score, and that forecast with it.

    Words in capitals stand for files of the user.

    Args:
        run: its folder.
        recipe: its recipe, which names the data, and the network where it is the user's own.

    Raises:
        InputError: data.json is missing or damaged.
    """
    run = Path(run)
    data, name, source = read_data(RunFolder(run)), foreign_name(recipe), recipe.data.source
    model = [] if name is None else ["--class", name]
    file = Path(source) if isinstance(source, str) and source != MOVING_MNIST else "FILE"
    given = any(not channel.calendar for channel in FrameSpec.model_validate(data["spec"]).covariates)
    future = ["--covariates", "COVARIATES"] if given else []
    predict = format_command("framecast", "predict", run, file, *future, *model, "--out", "FUTURE.npy")
    scored = any(data["windows"].get(split) for split in ("val", "test"))
    return [*([format_command("framecast", "evaluate", run, *model)] if scored else []), predict]
