"""Logger to Weights & Biases; its variables apply, as WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from framecast.loggers.logger import LoggedRun


class WandbLogger:
    """Run of Weights & Biases with the recipe as its config; its own files lie in the run's folder.

    Neither code nor the state of a git repository is sent, and nothing of what is printed.

    Args:
        run: the run; where it was logged before, it goes on there.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        self._image, self._page = wandb.Image, wandb.Html
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
        self.run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.id,
            resume="allow",
            reinit="create_new",  # a run that the user's own code has open stays as it is
            dir=str(run.folder),
            config=run.recipe,
            allow_val_change=True,
            settings=quiet,
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send a point of each curve."""
        self.run.log(dict(values), step=step)

    def log_text(self, name: str, text: str) -> None:
        """Write a text into the summary of the run."""
        self.run.summary[name] = text

    def log_file(self, name: str, path: Path) -> None:
        """Send a picture or a page."""
        kind = self._image if path.suffix == ".png" else self._page
        self.run.log({name: kind(str(path))})

    def close(self, *, complete: bool) -> None:
        """Send what is left."""
        self.run.finish(exit_code=0 if complete else 1)
