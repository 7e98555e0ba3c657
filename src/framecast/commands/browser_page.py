"""Page of the demonstration that forecasts in a browser; its runtime is fetched while a network learns."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

from numpy.typing import NDArray

from framecast.errors import UsageError
from framecast.export.browser_runtime import find_runtime
from framecast.forecasting.model_folder import load
from framecast.formatting import format_command
from framecast.optional_imports import require

NAME = "digits.html"
MODEL = "digits"


class BrowserPage:
    """Page of the model `digits`, prepared in the background from the moment it is made.

    Nothing waits for it: what is not there in time is left out, and said.
    """

    def __init__(self) -> None:
        self._fault: UsageError | None = None
        # a daemon, so that a slow connection keeps nobody at the end
        self._fetching = Thread(target=self._fetch, daemon=True)
        self._fetching.start()

    def write(self, folder: Path, frames: NDArray[Any]) -> str:
        """Write the page, digits.html.

        Args:
            folder: of the run.
            frames: (J, 1, H, W), grey levels, with which the page begins.

        Returns:
            a line on it for the user: its size, or why there is none and what makes it.
        """
        by_hand = format_command("framecast", "export", MODEL, "--to", "html")
        if self._fetching.is_alive():
            return f"No {NAME} yet: onnxruntime-web is still being fetched. Later: {by_hand}"
        try:
            if self._fault is not None:
                raise self._fault
            from framecast.export.html_file import export_html

            path = export_html(load(MODEL), folder / NAME, example=frames)
        except UsageError as error:
            return f"No {NAME}, a page that forecasts in a browser: {error}"
        size = path.stat().st_size / 1e6
        return f"{path}    draw digits, and the trained model goes on, in a browser without a server ({size:.1f} MB)"

    def _fetch(self) -> None:
        try:
            require("onnxscript", "onnx", "a page that forecasts in a browser")
            find_runtime()
        except UsageError as error:
            self._fault = error
