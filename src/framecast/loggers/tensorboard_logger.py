"""Logger to TensorBoard: event files in the run's folder, for `tensorboard --logdir runs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from framecast.loggers.logger import LoggedRun


class TensorBoardLogger:
    """Writer of event files in the folder `tensorboard` of a run.

    Args:
        run: the run; what its files hold of later iterations than `run.step` is shown once, not twice.
    """

    def __init__(self, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.step + 1)
        self.step = run.step

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write a point of each curve."""
        self.step = step
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def log_text(self, name: str, text: str) -> None:
        """Write a text."""
        self.writer.add_text(name, text, self.step)

    def log_file(self, name: str, path: Path) -> None:
        """Write a picture; a page is in the run's folder already."""
        if path.suffix == ".png":
            with Image.open(path) as picture:
                self.writer.add_image(name, np.asarray(picture.convert("RGB")), self.step, dataformats="HWC")

    def close(self, *, complete: bool) -> None:
        """Close the files."""
        self.writer.close()
