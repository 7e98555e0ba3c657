"""Logger to trackio: a local database, or a Space; its variables apply, as TRACKIO_DIR and TRACKIO_SPACE_ID."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

from framecast.loggers.logger import LoggedRun

DEFAULT_PROJECT = "framecast"


class TrackioLogger:
    """Run of trackio with the recipe as its config.

    Args:
        run: the run; where it was logged before, it goes on there.
    """

    def __init__(self, run: LoggedRun) -> None:
        import trackio

        self._text, self._image, self._page = trackio.Markdown, trackio.Image, trackio.Html
        # By its name alone a run is found again, and two folders may have one name.
        name = f"{run.name}-{run.id}"
        with redirect_stdout(sys.stderr):  # where a command prints JSON
            self.run = trackio.init(
                run.project or DEFAULT_PROJECT, name, config=run.list_settings(), resume="allow", embed=False
            )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send a point of each curve."""
        self.run.log(dict(values), step=step)

    def log_text(self, name: str, text: str) -> None:
        """Send a text."""
        self.run.log({name: self._text(text)})

    def log_file(self, name: str, path: Path) -> None:
        """Send a picture or a page."""
        kind = self._image if path.suffix == ".png" else self._page
        self.run.log({name: kind(str(path))})

    def close(self, *, complete: bool) -> None:
        """Send what is left."""
        with redirect_stdout(sys.stderr):
            self.run.finish()
